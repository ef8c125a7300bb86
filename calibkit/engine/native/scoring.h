// Sums of exponentials over the vocabulary for all labels, in blocks that stay in the cache.

// sums[t][l] += sum over `vectors` of exponentials[t] * factors[l], lane by lane, for two tokens.
template <int L>
inline void add_masses(const float *exponentials, const float *factors, int64_t factor_stride,
                       int64_t vectors, float *sums, int64_t sums_stride) {
  const Lanes zero = spread(0.0f);
#define CALIBKIT_START(l)                                                        \
  Lanes a##l = l < L ? load(sums + l * kLanes) : zero;                           \
  Lanes b##l = l < L ? load(sums + sums_stride + l * kLanes) : zero;
  CALIBKIT_ROWS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t v = 0; v < vectors; ++v) {
    const Lanes a = load(exponentials + v * kLanes);
    const Lanes b = load(exponentials + kWords + v * kLanes);
#define CALIBKIT_STEP(l)                                                         \
  if constexpr (l < L) {                                                         \
    const Lanes factor = load(factors + l * factor_stride + v * kLanes);         \
    a##l = fused(a, factor, a##l);                                               \
    b##l = fused(b, factor, b##l);                                               \
  }
    CALIBKIT_ROWS(CALIBKIT_STEP)
#undef CALIBKIT_STEP
  }
#define CALIBKIT_FINISH(l)                                                       \
  if constexpr (l < L) {                                                         \
    store(sums + l * kLanes, a##l);                                              \
    store(sums + sums_stride + l * kLanes, b##l);                                \
  }
  CALIBKIT_ROWS(CALIBKIT_FINISH)
#undef CALIBKIT_FINISH
}

#if CALIBKIT_LEVEL >= 2
constexpr int kMassLabels = 8;  // 16 sums in registers
#else
constexpr int kMassLabels = 2;
#endif

// All labels for a group of tokens over one block of words.
inline void add_block(const float *exponentials, const float *factors, int64_t factor_stride,
                      int64_t vectors, int64_t labels, float *sums) {
  const int64_t stride = labels * kLanes;
  for (int64_t label = 0; label < labels; label += kMassLabels) {
    const float *here = factors + label * factor_stride;
    for (int t = 0; t < kGroup; t += 2) {
      const float *e = exponentials + t * kWords;
      float *to = sums + (t * labels + label) * kLanes;
      switch (labels - label) {
        case 1: add_masses<1>(e, here, factor_stride, vectors, to, stride); break;
#if CALIBKIT_LEVEL >= 2
        case 2: add_masses<2>(e, here, factor_stride, vectors, to, stride); break;
        case 3: add_masses<3>(e, here, factor_stride, vectors, to, stride); break;
        case 4: add_masses<4>(e, here, factor_stride, vectors, to, stride); break;
        case 5: add_masses<5>(e, here, factor_stride, vectors, to, stride); break;
        case 6: add_masses<6>(e, here, factor_stride, vectors, to, stride); break;
        case 7: add_masses<7>(e, here, factor_stride, vectors, to, stride); break;
#endif
        default: add_masses<kMassLabels>(e, here, factor_stride, vectors, to, stride);
      }
    }
  }
}

// Whole-number or float products of one group of tokens with one block of words.
inline void block_products(const ScoringTask &task, int64_t first, int64_t vector,
                           int64_t vectors, float *out) {
#if CALIBKIT_LEVEL == 3
  if (task.codes != nullptr) {
    const int64_t quads = (task.hidden + 3) / 4;
    const int8_t *rows = task.codes + first * quads * 4;
    int32_t totals[kGroup];
    for (int r = 0; r < kGroup; ++r) {
      totals[r] = 0;
      for (int64_t k = 0; k < quads * 4; ++k) totals[r] += rows[r * quads * 4 + k];
    }
    for (int64_t v = 0; v < vectors; v += kVectors) {
      const auto *packed = static_cast<const uint8_t *>(task.weights) + (vector + v) * quads * 64;
      switch (vectors - v) {
        case 1: codes_tile<1>(rows, totals, packed, quads, out + v * kLanes, kWords); break;
        case 2: codes_tile<2>(rows, totals, packed, quads, out + v * kLanes, kWords); break;
        default: codes_tile<3>(rows, totals, packed, quads, out + v * kLanes, kWords);
      }
    }
    return;
  }
#endif
  const float *packed = static_cast<const float *>(task.weights) + vector * task.hidden * kLanes;
  product(task.rows + first * task.hidden, task.hidden, kGroup, packed, task.hidden, vectors, out,
          kWords);
}

// From products to powers of two, and the sums so far to the new largest logit.
inline void exponentials(float *logits, const float *scale, int64_t vectors, int64_t real,
                         float *peak, float *sums, int64_t labels) {
  Lanes top = spread(*peak);
  for (int64_t v = 0; v < vectors; ++v) {
    const Lanes bits = load(logits + v * kLanes) * load(scale + v * kLanes);
    store(logits + v * kLanes, bits);
    if ((v + 1) * kLanes > real) {  // the last lanes stand for no word
      for (int64_t i = real; i < (v + 1) * kLanes; ++i) logits[i] = -3e38f;
    }
    top = larger(load(logits + v * kLanes), top);
  }
  const float highest = largest(top);
  if (highest > *peak) {
    const Lanes shrink = power_of_two(spread(*peak - highest));
    for (int64_t l = 0; l < labels; ++l) {
      store(sums + l * kLanes, load(sums + l * kLanes) * shrink);
    }
    *peak = highest;
  }
  const Lanes shift = spread(*peak);
  for (int64_t v = 0; v < vectors; ++v) {
    store(logits + v * kLanes, power_of_two(load(logits + v * kLanes) - shift));
  }
}

inline float add_lanes(const float *lanes) {
  float kept[kLanes];
  for (int i = 0; i < kLanes; ++i) kept[i] = lanes[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) kept[i] += kept[i + half];
  }
  return kept[0];
}

void score(const ScoringTask &task) {
  alignas(64) float logits[kGroup * kWords];
  const int64_t blocks = (task.words + kLanes - 1) / kLanes;
  const int64_t row = task.labels * kLanes;
  for (int64_t start = 0; start < task.tokens; start += task.window) {
    const int64_t rest = task.tokens - start;
    const int64_t count = rest < task.window ? rest : task.window;
    for (int64_t t = 0; t < count; ++t) task.peaks[start + t] = -3e38f;
    for (int64_t i = 0; i < count * row; ++i) task.sums[i] = 0.0f;
    for (int64_t vector = 0; vector < blocks; vector += kWords / kLanes) {
      const int64_t left = blocks - vector;
      const int64_t vectors = left < kWords / kLanes ? left : kWords / kLanes;
      const int64_t real = task.words - vector * kLanes;  // may exceed this block's words
      for (int64_t group = 0; group < count; group += kGroup) {
        block_products(task, start + group, vector, vectors, logits);
        for (int t = 0; t < kGroup; ++t) {
          exponentials(logits + t * kWords, task.scale + vector * kLanes, vectors, real,
                       task.peaks + start + group + t, task.sums + (group + t) * row, task.labels);
        }
        add_block(logits, task.factors + vector * kLanes, blocks * kLanes, vectors, task.labels,
                  task.sums + group * row);
      }
    }
    for (int64_t i = 0; i < count * task.labels; ++i) {
      task.masses[start * task.labels + i] = add_lanes(task.sums + i * kLanes);
    }
  }
}

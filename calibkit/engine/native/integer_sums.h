// Sums of powers of two over the vocabulary for all labels, on whole numbers; every one is that of
// calibkit/engine/integer/decoder.py.

// 2^-distance with 29 fraction bits, of distances with 16 (calibkit/engine/integer/powers.py).
inline Whole power(const Whole &distance, const Powers &powers) {
  const Whole low = distance & spread(2047);
  const Whole bend = spread(22712) - right<16>(short_product(low, spread(7760)));
  const Whole high = powers(right<11>(distance));
  const Whole drop = short_product(right<15>(high), right<11>(short_product(low, bend)));
  return right<1>(right(high - right<5>(drop), right<16>(distance)) + spread(1));
}

#if CALIBKIT_LEVEL >= 2
constexpr int kTotalLabels = 4;  // 16 sums in registers
#else
constexpr int kTotalLabels = 1;
#endif
constexpr int kTotalTokens = 4;

// found[t][l] = sum over `vectors` of powers[t] * factors[l], for four tokens.
template <int L>
inline void add_totals(const int32_t *powers, const int32_t *factors, int64_t factor_stride,
                       int64_t vectors, uint64_t found[kTotalTokens][kTotalLabels]) {
#define CALIBKIT_TOKENS(X) X(0) X(1) X(2) X(3)
#define CALIBKIT_START(t) Total a##t = nothing(), b##t = a##t, c##t = a##t, d##t = a##t;
  CALIBKIT_TOKENS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t v = 0; v < vectors; ++v) {
#define CALIBKIT_LOAD(t)                                       \
  const Whole e##t = load(powers + t * kWords + v * kLanes);   \
  const Whole o##t = odd(e##t);
    CALIBKIT_TOKENS(CALIBKIT_LOAD)
#undef CALIBKIT_LOAD
    const int32_t *here = factors + v * kLanes;
#define CALIBKIT_LABEL(l, sums)                                 \
  if constexpr (l < L) {                                        \
    const Whole f = load(here + l * factor_stride);             \
    const Whole g = odd(f);                                     \
    sums##0 = add(sums##0, e0, o0, f, g);                       \
    sums##1 = add(sums##1, e1, o1, f, g);                       \
    sums##2 = add(sums##2, e2, o2, f, g);                       \
    sums##3 = add(sums##3, e3, o3, f, g);                       \
  }
    CALIBKIT_LABEL(0, a)
    CALIBKIT_LABEL(1, b)
    CALIBKIT_LABEL(2, c)
    CALIBKIT_LABEL(3, d)
#undef CALIBKIT_LABEL
  }
#define CALIBKIT_FINISH(t)                      \
  found[t][0] = sum(a##t);                      \
  if constexpr (L > 1) found[t][1] = sum(b##t); \
  if constexpr (L > 2) found[t][2] = sum(c##t); \
  if constexpr (L > 3) found[t][3] = sum(d##t);
  CALIBKIT_TOKENS(CALIBKIT_FINISH)
#undef CALIBKIT_FINISH
#undef CALIBKIT_TOKENS
}

// From products to powers of two relative to the peak, which rises with the block's largest logit.
inline void block_powers(const IntegerSumsTask &task, int32_t *logits, int64_t vector,
                         int64_t vectors, const Shift &shift, const Powers &powers, int32_t *peak,
                         int64_t *totals) {
  const int32_t *units = task.units + vector * kLanes, *tops = task.tops + vector * kLanes;
  Whole top = spread(INT32_MIN);
  for (int64_t v = 0; v < vectors * kLanes; v += kLanes) {
    const Whole x = shifted(product(load(logits + v), load(units + v)), shift) + load(tops + v);
    store(logits + v, x);
    top = larger(x, top);
  }
  const int32_t bits = (largest(top) + 65535) >> 16;
  if (bits > *peak) {
    const int32_t rise = bits - *peak;
    for (int64_t l = 0; l < task.labels; ++l) totals[l] >>= rise < 63 ? rise : 63;
    *peak = bits;
  }
  const Whole from = spread(*peak * 65536);
  for (int64_t v = 0; v < vectors * kLanes; v += kLanes) {
    store(logits + v, power(from - load(logits + v), powers));
  }
}

void integer_sums(const IntegerSumsTask &task) {
  alignas(64) int32_t logits[kGroup * kWords];
  uint64_t found[kTotalTokens][kTotalLabels];
  const int64_t blocks = (task.words + kLanes - 1) / kLanes;
  const int64_t groups = (task.hidden + kPack - 1) / kPack, stride = groups * kPack;
  const auto *codes = static_cast<const Code *>(task.codes);
  const Shift shift(task.shift);
  const Powers powers(task.powers);
  for (int64_t t = 0; t < task.tokens; ++t) task.peaks[t] = -(1 << 14);
  for (int64_t i = 0; i < task.tokens * task.labels; ++i) task.totals[i] = 0;
  for (int64_t vector = 0; vector < blocks; vector += kWords / kLanes) {
    const int64_t left = blocks - vector;
    const int64_t vectors = left < kWords / kLanes ? left : kWords / kLanes;
    for (int64_t group = 0; group < task.tokens; group += kGroup) {
      int64_t *totals = task.totals + group * task.labels;
      whole_product(codes + group * stride, stride, kGroup,
                    task.weights + vector * groups * kLanes, groups, vectors,
                    task.start + vector * kLanes, logits, kWords);
      for (int t = 0; t < kGroup; ++t) {
        block_powers(task, logits + t * kWords, vector, vectors, shift, powers,
                     task.peaks + group + t, totals + t * task.labels);
      }
      for (int64_t label = 0; label < task.labels; label += kTotalLabels) {
        const int32_t *factors = task.factors + (label * blocks + vector) * kLanes;
        const int64_t more = task.labels - label;
        for (int t = 0; t < kGroup; t += kTotalTokens) {
          const int32_t *e = logits + t * kWords;
          switch (more) {
            case 1: add_totals<1>(e, factors, blocks * kLanes, vectors, found); break;
#if CALIBKIT_LEVEL >= 2
            case 2: add_totals<2>(e, factors, blocks * kLanes, vectors, found); break;
            case 3: add_totals<3>(e, factors, blocks * kLanes, vectors, found); break;
#endif
            default: add_totals<kTotalLabels>(e, factors, blocks * kLanes, vectors, found);
          }
          for (int i = 0; i < kTotalTokens; ++i) {
            for (int l = 0; l < kTotalLabels && l < more; ++l) {
              totals[(t + i) * task.labels + label + l] += static_cast<int64_t>(found[i][l] >> 16);
            }
          }
        }
      }
    }
  }
}

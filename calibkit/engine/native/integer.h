// The integer engine's two kernels; every number is the one of calibkit/engine/integer.

template <int R, int N>
inline void whole_tile(const Code *rows, int64_t stride, const int32_t *packed, int64_t groups,
                       const int32_t *start, int32_t *out, int64_t out_stride) {
#define CALIBKIT_START(r)                                       \
  Whole a##r = load(start);                                     \
  Whole b##r = N > 1 ? load(start + kLanes) : a##r;             \
  Whole c##r = N > 2 ? load(start + 2 * kLanes) : a##r;
  CALIBKIT_ROWS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t k = 0; k < groups; ++k) {
    const Whole a = load(packed + k * kLanes);
    const Whole b = N > 1 ? load(packed + (groups + k) * kLanes) : a;
    const Whole c = N > 2 ? load(packed + (2 * groups + k) * kLanes) : a;
#define CALIBKIT_STEP(r)                                                \
  if constexpr (r < R) {                                                \
    int32_t codes;                                                      \
    __builtin_memcpy(&codes, rows + r * stride + k * kPack, 4);         \
    const Whole x = spread(codes);                                      \
    a##r = packed_product(a##r, x, a);                                  \
    if constexpr (N > 1) b##r = packed_product(b##r, x, b);             \
    if constexpr (N > 2) c##r = packed_product(c##r, x, c);             \
  }
    CALIBKIT_ROWS(CALIBKIT_STEP)
#undef CALIBKIT_STEP
  }
#define CALIBKIT_FINISH(r)                                                  \
  if constexpr (r < R) {                                                    \
    store(out + r * out_stride, a##r);                                      \
    if constexpr (N > 1) store(out + r * out_stride + kLanes, b##r);        \
    if constexpr (N > 2) store(out + r * out_stride + 2 * kLanes, c##r);    \
  }
  CALIBKIT_ROWS(CALIBKIT_FINISH)
#undef CALIBKIT_FINISH
}

template <int R>
inline void whole_rows(const Code *rows, int64_t stride, const int32_t *packed, int64_t groups,
                       int64_t vectors, const int32_t *start, int32_t *out, int64_t out_stride) {
  switch (vectors) {
    case 1:
      return whole_tile<R, 1>(rows, stride, packed, groups, start, out, out_stride);
#if CALIBKIT_LEVEL >= 2
    case 2:
      return whole_tile<R, 2>(rows, stride, packed, groups, start, out, out_stride);
    default:
      return whole_tile<R, 3>(rows, stride, packed, groups, start, out, out_stride);
#endif
  }
}

// out (count, vectors * 16) = start + rows (count, groups * kPack) @ packed, as `product` does it.
inline void whole_product(const Code *rows, int64_t stride, int64_t count, const int32_t *packed,
                          int64_t groups, int64_t vectors, const int32_t *start, int32_t *out,
                          int64_t out_stride) {
  for (int64_t v = 0; v < vectors; v += kVectors) {
    const int64_t width = vectors - v < kVectors ? vectors - v : kVectors;
    const int32_t *block = packed + v * groups * kLanes;
    const int32_t *from = start + v * kLanes;
    int64_t r = 0;
    for (; r + kRows <= count; r += kRows) {
      whole_rows<kRows>(rows + r * stride, stride, block, groups, width, from,
                        out + r * out_stride + v * kLanes, out_stride);
    }
    const Code *rest = rows + r * stride;
    int32_t *to = out + r * out_stride + v * kLanes;
    switch (count - r) {
      case 1: whole_rows<1>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 2: whole_rows<2>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 3: whole_rows<3>(rest, stride, block, groups, width, from, to, out_stride); break;
#if CALIBKIT_LEVEL >= 2
      case 4: whole_rows<4>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 5: whole_rows<5>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 6: whole_rows<6>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 7: whole_rows<7>(rest, stride, block, groups, width, from, to, out_stride); break;
#endif
      default: break;
    }
  }
}

// Products of two codes on another grid: clamp((x * y * multiplier + half) >> shift).
struct ProductSite {
  Whole multiplier, low, high;
  Shift shift;
  ProductSite(const Ratio &ratio, int32_t lowest, int32_t highest)
      : multiplier(spread(ratio.multiplier)),
        low(spread(lowest)),
        high(spread(highest)),
        shift(ratio.shift) {}
  Whole code(const Whole &x, const Whole &y) const {
    const Whole found = shifted(product(short_product(x, y), multiplier), shift);
    return smaller(larger(found, low), high);
  }
};

// A gate of sixteen hidden units, from its sums to the codes of its nonlinearity. Shared: inputs
// and hidden states have one scale, so that the multipliers are the same and the sums add up.
template <bool Shared>
struct GateSite {
  Whole low, high;
  Shift shift;
  const int32_t *from_input, *from_hidden, *table;
  explicit GateSite(const IntegerGate &gate)
      : low(spread(gate.low)),
        high(spread(gate.high)),
        shift(gate.shift),
        from_input(gate.from_input),
        from_hidden(gate.from_hidden),
        table(gate.table - gate.low) {}
  Whole code(const int32_t *inputs, const int32_t *sums, int64_t at) const {
    const Whole a = load(inputs + at), b = load(sums + at), m = load(from_input + at);
    Wide found;
    if constexpr (Shared) {
      found = product(a + b, m);
    } else {
      found = product(a, m) + product(b, load(from_hidden + at));
    }
    return look_up(table, smaller(larger(shifted(found, shift), low), high));
  }
};

template <bool Shared>
void integer_steps(const IntegerStatesTask &task) {
  const int64_t hidden = task.hidden, gates = 4 * hidden;
  const int64_t padded = (hidden + kLanes - 1) / kLanes * kLanes;
  const int64_t sum_stride = task.columns + kLanes;
  const int64_t groups = (hidden + kPack - 1) / kPack;
  const GateSite<Shared> in(task.gates[0]), forget(task.gates[1]), out(task.gates[2]),
      candidate(task.gates[3]);
  const ProductSite kept(task.kept, task.cell_low, task.cell_high);
  const ProductSite fresh(task.fresh, task.cell_low, task.cell_high);
  const ProductSite result(task.result, task.low, task.high);
  const int32_t *squashed = task.squashed - task.cell_low;
  const int32_t lowest = kPack == 4 ? task.low : 0;
  int32_t *c = task.scratch;
  int32_t *sums = c + kWindow * padded;
  auto *floats = reinterpret_cast<float *>(sums + kWindow * sum_stride);
  auto *h = reinterpret_cast<Code *>(floats + padded);
  for (int64_t first = 0; first < task.documents; first += kWindow) {
    for (int64_t i = 0; i < kWindow * padded; ++i) c[i] = 0;
    for (int64_t i = 0; i < kWindow * padded; ++i) h[i] = static_cast<Code>(-lowest);
    for (int64_t i = 0; i < kWindow * sum_stride; ++i) sums[i] = 0;
    int64_t start = 0;
    for (int64_t step = 0; step < task.steps && task.active[step] > first; ++step) {
      const int64_t left = task.active[step] - first;
      const int64_t count = left < kWindow ? left : kWindow;
      const int64_t place = start + first;
      start += task.active[step];
      for (int64_t d = 0; d < count; ++d) {
        const int32_t *row = task.inputs + task.ids[place + d] * gates;
        for (int64_t j = 0; j < gates; j += kLanes) __builtin_prefetch(row + j);
      }
      whole_product(h, padded, count, task.weights, groups, task.columns / kLanes, task.start,
                    sums, sum_stride);
      for (int64_t d = 0; d < count; ++d) {
        const int32_t *row = task.inputs + task.ids[place + d] * gates;
        const int32_t *sum_row = sums + d * sum_stride;
        int32_t *c_row = c + d * padded;
        for (int64_t j = 0; j < hidden; j += kLanes) {
          const Whole i = in.code(row, sum_row, j);
          const Whole f = forget.code(row, sum_row, hidden + j);
          const Whole o = out.code(row, sum_row, 2 * hidden + j);
          const Whole g = candidate.code(row, sum_row, 3 * hidden + j);
          const Whole both = kept.code(f, load(c_row + j)) + fresh.code(i, g);
          const Whole cell = smaller(larger(both, kept.low), kept.high);
          store(c_row + j, cell);
          const Whole code = result.code(o, look_up(squashed, cell));
          store_codes(h + d * padded + j, code - spread(lowest));
          store_floats(floats + j, code, task.scale);
        }
        __builtin_memcpy(task.out + (place + d) * hidden, floats,
                         static_cast<uint64_t>(hidden) * sizeof(float));
      }
    }
  }
}

void integer_states(const IntegerStatesTask &task) {
  task.shared ? integer_steps<true>(task) : integer_steps<false>(task);
}

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

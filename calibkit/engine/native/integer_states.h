// The quantized LSTM on whole numbers; every one is that of calibkit/engine/integer/lstm.py.

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

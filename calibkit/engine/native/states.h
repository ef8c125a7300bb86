// The quantized LSTM: every step is the arithmetic of Brevitas's layers, in its order.

struct Site {
  Lanes scale, reciprocal, low, high;
  explicit Site(const Quantizer &q)
      : scale(spread(q.scale)),
        reciprocal(spread(1.0f / q.scale)),
        low(spread(q.low)),
        high(spread(q.high)) {}
  // what is not a number becomes the lowest code, so that no look-up leaves its table
  Lanes code(Lanes x) const {
    return smaller(larger(nearest(quotient(x, scale, reciprocal)), low), high);
  }
  Lanes value(Lanes x) const { return code(x) * scale; }
};

void states(const StatesTask &task) {
  const int64_t hidden = task.hidden;
  const int64_t gates = 4 * hidden;
  const int64_t padded = (hidden + kLanes - 1) / kLanes * kLanes;
  const int64_t gate_stride = task.columns + kLanes;
  const Site in(task.accumulator[0]), forget(task.accumulator[1]), out(task.accumulator[2]),
      candidate(task.accumulator[3]), state(task.cell), result(task.output);
  const float *in_table = task.nonlinear[0] - static_cast<int>(task.accumulator[0].low);
  const float *forget_table = task.nonlinear[1] - static_cast<int>(task.accumulator[1].low);
  const float *out_table = task.nonlinear[2] - static_cast<int>(task.accumulator[2].low);
  const float *candidate_table = task.nonlinear[3] - static_cast<int>(task.accumulator[3].low);
  const float *squashed = task.squashed - static_cast<int>(task.cell.low);
  float *h = task.scratch;
  float *c = h + kWindow * padded;
  float *sums = c + kWindow * padded;
  for (int64_t first = 0; first < task.documents; first += kWindow) {
    for (int64_t i = 0; i < 2 * kWindow * padded; ++i) h[i] = 0.0f;  // h and c
    for (int64_t i = 0; i < kWindow * gate_stride; ++i) sums[i] = 0.0f;
    int64_t start = 0;
    for (int64_t step = 0; step < task.steps && task.active[step] > first; ++step) {
      const int64_t left = task.active[step] - first;
      const int64_t count = left < kWindow ? left : kWindow;
      const int64_t place = start + first;
      start += task.active[step];
      for (int64_t d = 0; d < count; ++d) {
        const float *row = task.table + task.ids[place + d] * gates;
        for (int64_t j = 0; j < gates; j += kLanes) __builtin_prefetch(row + j);
      }
      product(h, padded, count, task.weights, hidden, task.columns / kLanes, sums, gate_stride);
      for (int64_t d = 0; d < count; ++d) {
        const float *row = task.table + task.ids[place + d] * gates;
        const float *product_row = sums + d * gate_stride;
        float *h_row = h + d * padded;
        float *c_row = c + d * padded;
        for (int64_t j = 0; j < hidden; j += kLanes) {
          const auto gate = [&](int64_t at) {
            return (load(row + at) + load(product_row + at)) + load(task.bias + at);
          };
          const Lanes i = look_up(in_table, in.code(gate(j)));
          const Lanes f = look_up(forget_table, forget.code(gate(hidden + j)));
          const Lanes o = look_up(out_table, out.code(gate(2 * hidden + j)));
          const Lanes g = look_up(candidate_table, candidate.code(gate(3 * hidden + j)));
          const Lanes kept = state.value(f * load(c_row + j));
          const Lanes code = state.code(kept + state.value(g * i));
          store(c_row + j, code * state.scale);
          store(h_row + j, result.value(look_up(squashed, code) * o));
        }
        __builtin_memcpy(task.out + (place + d) * hidden, h_row,
                         static_cast<uint64_t>(hidden) * sizeof(float));
      }
    }
  }
}

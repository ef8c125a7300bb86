/* Whole numbers on another scale, and the LSTM: one step a token. */

#ifdef CK_TRACE /* for a test: what every quantizer gave, in the order of the data */
void ck_trace(uint32_t step, uint32_t site, uint32_t unit, int64_t value);
#define CK_SHOW(step, site, unit, value) ck_trace(step, site, (uint32_t)(unit), value)
#else
#define CK_SHOW(step, site, unit, value) ((void)0)
#endif

enum {
  CK_AT_INPUT = 0,
  CK_AT_SUM = 1, /* of four gates */
  CK_AT_GATE = 5,
  CK_AT_CELL = 9,
  CK_AT_TANH = 10,
  CK_AT_HIDDEN = 11,
  CK_AT_READ = 12,
  CK_AT_SCORE = 13
};

/* Makes every number positive before a shift; products stay below it in magnitude. */
#define CK_LIFT ((uint64_t)1 << 62)

/* value / 2^shift, to the nearest whole number, halves upward. */
static int64_t ck_rescaled(int64_t value, unsigned shift) {
  const uint64_t half = shift ? (uint64_t)1 << (shift - 1) : 0;
  return (int64_t)(((uint64_t)value + CK_LIFT + half) >> shift) - (int64_t)(CK_LIFT >> shift);
}

static int32_t ck_clamped(int64_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : (int32_t)value;
}

/* A whole number times a ratio of scales, as a code. */
typedef struct {
  int32_t multiplier;
  unsigned shift;
  int32_t low, high;
} ck_ratio;

static int32_t ck_requantized(int32_t value, const ck_ratio *ratio) {
  const int64_t found = ck_rescaled((int64_t)value * ratio->multiplier, ratio->shift);
  return ck_clamped(found, ratio->low, ratio->high);
}

/* A gate: from accumulator codes to those of its nonlinearity. */
typedef struct {
  unsigned shift;
  int32_t low, high;
  const int16_t *codes; /* by accumulator code, `low` first */
} ck_gate;

${constants}

/* The codes of a word, from a stream of CK_SYMBOL_BITS each, low bits first. */
static void ck_read_word(uint32_t id, int16_t *inputs) {
  const uint8_t *row = ck_words + (size_t)id * CK_WORD_BYTES;
  size_t k;
  for (k = 0; k < CK_EMBEDDING; k++) {
    const size_t bit = k * CK_SYMBOL_BITS;
    const unsigned pair = (unsigned)row[bit / 8] | (unsigned)row[bit / 8 + 1] << 8;
    const unsigned symbol = pair >> (bit % 8) & ((1u << CK_SYMBOL_BITS) - 1u);
#if CK_WORD_SCALES /* symbols are codes of weights, and every word has a scale of its own */
    const int32_t weight = (int32_t)symbol + CK_SYMBOL_LOW;
    const ck_ratio ratio = {ck_word_scales[id], CK_WORD_SHIFT, CK_WORD_LOW, CK_WORD_HIGH};
    inputs[k] = ck_input_codes[ck_requantized(weight, &ratio) - CK_WORD_LOW];
#else
    inputs[k] = ck_input_codes[symbol];
#endif
  }
  for (; k < CK_INPUT_COLUMNS; k++) inputs[k] = 0;
}

#define CK_BOTH_COLUMNS (CK_INPUT_COLUMNS + CK_HIDDEN_COLUMNS)

/* Machines that multiply bytes and add them up at once get bytes, from a compiler that sees it. */
#if (defined(__AVX512VNNI__) || defined(__AVXVNNI__)) && !defined(__clang__)
#define CK_BYTES 1
#else
#define CK_BYTES 0
#endif

/* clang measures a loop by its sums, which are wide, and leaves most of a vector empty. */
#if defined(__clang__) && defined(__SSE2__)
#pragma clang diagnostic ignored "-Wpass-failed" /* where vectors are switched off, as they may be */
#define CK_WHOLE_VECTORS _Pragma("clang loop vectorize_width(16)")
#else
#define CK_WHOLE_VECTORS
#endif

#if CK_BYTES && CK_CODES_FIT_BYTES
typedef int8_t ck_code; /* as it meets weights */
#else
typedef int16_t ck_code;
#endif

/* A row of weights, which count from -CK_GATE_ZERO, times inputs and hidden state, one behind the
   other. Where both have one scale, of_hidden may be part of of_inputs. */
static void ck_products(size_t row, const ck_code *both, int32_t *of_inputs, int32_t *of_hidden) {
  int32_t a = 0, b = 0;
  size_t k;
#if CK_GATE_NIBBLES /* the low half of a byte meets the input, the high half the hidden state */
  const uint8_t *weights = ck_gate_weights + row * CK_INPUT_COLUMNS;
  const ck_code *hidden = both + CK_INPUT_COLUMNS;
  CK_WHOLE_VECTORS for (k = 0; k < CK_INPUT_COLUMNS; k++) {
    a += (weights[k] & 15) * both[k];
    b += (weights[k] >> 4) * hidden[k];
  }
#else
  const uint8_t *weights = ck_gate_weights + row * CK_BOTH_COLUMNS;
#if CK_ONE_SCALE
  CK_WHOLE_VECTORS for (k = 0; k < CK_BOTH_COLUMNS; k++) a += weights[k] * both[k];
#else
  CK_WHOLE_VECTORS for (k = 0; k < CK_INPUT_COLUMNS; k++) a += weights[k] * both[k];
  CK_WHOLE_VECTORS for (; k < CK_BOTH_COLUMNS; k++) b += weights[k] * both[k];
#endif
#endif
  *of_inputs = a;
  *of_hidden = b;
}

static int32_t ck_sum(const int16_t *values, size_t count) {
  int32_t sum = 0;
  size_t k;
  for (k = 0; k < count; k++) sum += values[k];
  return sum;
}

/* The codes of one gate's nonlinearity for all units; zeros: CK_GATE_ZERO times the sums of both
   vectors. First all products and then all codes: neither loop takes registers from the other. */
static void ck_gate_codes(unsigned gate, uint32_t step, const ck_code *both,
                          const int32_t zeros[2], int16_t *codes) {
  const ck_gate how = ck_gates[gate];
  int32_t of_inputs[CK_HIDDEN], of_hidden[CK_HIDDEN];
  size_t j;
  for (j = 0; j < CK_HIDDEN; j++) {
    ck_products(gate * CK_HIDDEN + j, both, &of_inputs[j], &of_hidden[j]);
  }
  for (j = 0; j < CK_HIDDEN; j++) {
    const size_t row = gate * CK_HIDDEN + j;
    const size_t scale = CK_ROW_SCALES ? row : gate;
    const int32_t a = of_inputs[j] + ck_gate_bias[row] - zeros[0], b = of_hidden[j] - zeros[1];
#if CK_ONE_SCALE /* for inputs and hidden states */
    const int64_t sum = (int64_t)(a + b) * ck_from_input[scale];
#else
    const int64_t sum = (int64_t)a * ck_from_input[scale] + (int64_t)b * ck_from_hidden[scale];
#endif
    const int32_t code = ck_clamped(ck_rescaled(sum, how.shift), how.low, how.high);
    codes[j] = how.codes[code - how.low];
    CK_SHOW(step, CK_AT_SUM + gate, j, code);
    CK_SHOW(step, CK_AT_GATE + gate, j, codes[j]);
  }
  (void)step;
}

/* Read a word: the cell and the hidden state move on. */
static void ck_step(ck_state *state, uint32_t id) {
  int16_t inputs[CK_INPUT_COLUMNS], gates[4][CK_HIDDEN];
  ck_code both[CK_BOTH_COLUMNS];
  int32_t zeros[2];
  unsigned gate;
  size_t j;
  ck_read_word(id, inputs);
  zeros[0] = CK_GATE_ZERO * ck_sum(inputs, CK_INPUT_COLUMNS);
  zeros[1] = CK_GATE_ZERO * ck_sum(state->hidden, CK_HIDDEN_COLUMNS);
  for (j = 0; j < CK_EMBEDDING; j++) CK_SHOW(state->steps, CK_AT_INPUT, j, inputs[j]);
  for (j = 0; j < CK_INPUT_COLUMNS; j++) both[j] = (ck_code)inputs[j];
  for (; j < CK_BOTH_COLUMNS; j++) both[j] = (ck_code)state->hidden[j - CK_INPUT_COLUMNS];
  for (gate = 0; gate < 4; gate++) {
    ck_gate_codes(gate, state->steps, both, zeros, gates[gate]);
  }
  for (j = 0; j < CK_HIDDEN; j++) {
    const int32_t kept = ck_requantized(gates[1][j] * state->cell[j], &ck_kept);
    const int32_t fresh = ck_requantized(gates[0][j] * gates[3][j], &ck_fresh);
    const int32_t cell = ck_clamped((int64_t)kept + fresh, ck_kept.low, ck_kept.high);
    const int32_t squashed = ck_tanh_codes[cell - ck_kept.low];
    state->cell[j] = (int16_t)cell;
    state->hidden[j] = (int16_t)ck_requantized(gates[2][j] * squashed, &ck_shown);
    CK_SHOW(state->steps, CK_AT_CELL, j, cell);
    CK_SHOW(state->steps, CK_AT_TANH, j, squashed);
    CK_SHOW(state->steps, CK_AT_HIDDEN, j, state->hidden[j]);
  }
  state->steps++;
}

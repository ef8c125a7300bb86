/* The classifier: the mean of the hidden codes, and one matrix. */

${constants}

static void ck_start(ck_state *state) {
  size_t j;
  for (j = 0; j < CK_HIDDEN; j++) state->sums[j] = 0;
}

static void ck_read(ck_state *state, uint32_t id) {
  size_t j;
  ck_step(state, id);
  for (j = 0; j < CK_HIDDEN; j++) state->sums[j] += state->hidden[j];
}

static void ck_finish(ck_state *state, int64_t scores[CK_LABELS]) {
  int16_t inputs[CK_HIDDEN];
  int64_t whole;
  size_t j;
  uint32_t label;
  ck_read(state, CK_EOS);
  whole = (int64_t)state->steps << CK_MEAN_SHIFT;
  for (j = 0; j < CK_HIDDEN; j++) {
    const int64_t sum = 2 * (int64_t)state->sums[j] * CK_MEAN_MULTIPLIER + whole;
    const int64_t floor = sum / (2 * whole) - (sum % (2 * whole) < 0);
    inputs[j] = (int16_t)ck_clamped(floor, CK_READ_LOW, CK_READ_HIGH);
    CK_SHOW(state->steps, CK_AT_READ, j, inputs[j]);
  }
  for (label = 0; label < CK_LABELS; label++) {
    const int8_t *weights = ck_label_weights + (size_t)label * CK_HIDDEN;
    int32_t sum = 0;
    for (j = 0; j < CK_HIDDEN; j++) sum += weights[j] * inputs[j];
    scores[label] = ((int64_t)sum + ck_label_bias[label]) * ck_label_scales[label];
    CK_SHOW(state->steps, CK_AT_SCORE, label, scores[label]);
  }
}

/* What a program calls. */

void ck_begin(ck_state *state) {
  size_t j;
  for (j = 0; j < CK_HIDDEN; j++) state->cell[j] = 0;
  for (j = 0; j < CK_HIDDEN_COLUMNS; j++) state->hidden[j] = 0;
  state->steps = 0;
  ck_start(state);
  ck_read(state, CK_BOS);
}

int ck_token(ck_state *state, uint32_t id) {
  if (id == CK_BOS || id == CK_EOS || state->steps > CK_MOST_TOKENS) return 0;
  if (id >= CK_WORDS) id = CK_UNK;
#if CK_GENERATIVE
  ck_follow(state, id);
#endif
  ck_read(state, id);
  return 1;
}

uint32_t ck_end(ck_state *state, int64_t scores[CK_LABELS]) {
  uint32_t label, best = 0;
  ck_finish(state, scores);
  for (label = 1; label < CK_LABELS; label++) {
    if (scores[label] > scores[best]) best = label;
  }
  return best;
}

uint32_t ck_classify_ids(const uint32_t *ids, size_t count, int64_t scores[CK_LABELS]) {
  ck_state state;
  size_t k;
  ck_begin(&state);
  for (k = 0; k < count; k++) ck_token(&state, ids[k]);
  return ck_end(&state, scores);
}

const char *ck_label_name(uint32_t label) {
  static const char *const names[CK_LABELS] = {${names}};
  return label < CK_LABELS ? names[label] : "";
}

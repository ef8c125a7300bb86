/* The decoder: log p(token | tokens before it, label) of all labels in one pass over the words. */

/* Logits count 2^-16 bits. */
#define CK_ONE_BIT 65536
#define CK_BLOCK 768u          /* words whose powers are summed before the sum is shortened */
#define CK_POWER_BITS 29       /* fraction bits of a power of two */
#define CK_TOTAL_BITS 37       /* and of a sum of powers times factors */
#define CK_LEAST_TOTAL ((uint64_t)1 << (CK_TOTAL_BITS - 10))

${constants}

/* 2^-distance with CK_POWER_BITS. */
static uint32_t ck_power(uint32_t distance) {
  const uint32_t low = distance & 2047u, whole = distance >> 16;
  const uint32_t bend = 22712u - (low * 7760u >> 16);
  const uint32_t high = ck_powers[distance >> 11 & 31u];
  const uint32_t fraction = high - ((high >> 15) * (low * bend >> 11) >> 5);
  return ((fraction >> (whole < 31u ? whole : 31u)) + 1u) >> 1;
}

/* The binary logarithm of a number that is not 0, in 2^-16. */
static int64_t ck_log2(uint64_t value) {
  unsigned exponent = 0, step;
  uint32_t scaled, place, start, fraction;
  for (step = 32; step; step /= 2) {
    if (value >> exponent >> step) exponent += step;
  }
  scaled = (uint32_t)(exponent >= 25 ? value >> (exponent - 25) : value << (25 - exponent));
  place = scaled & 0xFFFFu;
  start = ck_logs[scaled >> 16 & 511u];
  fraction = start + ((ck_logs[(scaled >> 16 & 511u) + 1] - start) * place >> 16);
  return ((int64_t)exponent << 16) + ((fraction + 128u) >> 8);
}

/* The whole number of bits that is not below a logit. */
static int32_t ck_whole_bits(int32_t logit) {
  return (int32_t)(((uint32_t)(logit + CK_ONE_BIT - 1) + 0x80000000u) >> 16) - 32768;
}

/* A number of a stream of bits, low bits first. */
static uint32_t ck_bits(const uint8_t *stream, uint32_t bit, unsigned width) {
  const uint8_t *at = stream + bit / 8;
  uint64_t found = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
  found |= (uint64_t)((uint32_t)at[3] | (uint32_t)at[4] << 8) << 24;
  return (uint32_t)(found >> bit % 8) & (((uint32_t)1 << width) - 1u);
}

/* What labels add to a word's logit: the largest of it, and how far a label stays below. */
static int32_t ck_top(uint32_t word) {
  const uint8_t *row = ck_label_logits + (size_t)word * CK_LOGIT_BYTES;
  return (int32_t)ck_bits(row, 0, CK_TOP_BITS) + CK_TOP_LOW;
}

static uint32_t ck_below(uint32_t word, uint32_t label) {
  const uint8_t *row = ck_label_logits + (size_t)word * CK_LOGIT_BYTES;
  return ck_bits(row, CK_TOP_BITS + label * CK_BELOW_BITS, CK_BELOW_BITS);
}

/* Codes of the hidden state as they meet weights, each half of nibbles filled up with zeros. */
#if CK_BYTES && CK_SEEN_FIT_BYTES
typedef int8_t ck_seen;
#else
typedef int16_t ck_seen;
#endif
#define CK_SEEN_COLUMNS (CK_DECODER_READ * (CK_DECODER_NIBBLES + 1u))

static void ck_see(const int16_t *codes, ck_seen *seen) {
  size_t k;
  for (k = 0; k < CK_SEEN_COLUMNS; k++) seen[k] = 0;
  for (k = 0; k < CK_DECODER_BYTES; k++) seen[k] = (ck_seen)codes[k];
  for (; k < CK_HIDDEN; k++) seen[CK_DECODER_READ + k - CK_DECODER_BYTES] = (ck_seen)codes[k];
}

/* A word's weights, which count from -CK_DECODER_ZERO. Whole vectors are read: what lies behind
   the last weight is of other words, and meets zeros. */
static void ck_decoder_row(uint32_t word, uint8_t *row) {
  const uint8_t *from = ck_decoder_weights + (size_t)word * CK_DECODER_BYTES;
  size_t k;
#if CK_DECODER_NIBBLES
  for (k = 0; k < CK_DECODER_READ; k++) row[k] = from[k] & 15;
  for (k = 0; k < CK_DECODER_READ; k++) row[CK_DECODER_READ + k] = from[k] >> 4;
#else
  for (k = 0; k < CK_DECODER_READ; k++) row[k] = from[k];
#endif
}

static int32_t ck_row_sum(const uint8_t *row, const ck_seen *codes) {
  int32_t sum = 0;
  size_t k;
  CK_WHOLE_VECTORS for (k = 0; k < CK_SEEN_COLUMNS; k++) sum += row[k] * codes[k];
  return sum;
}

/* What h adds to a word's logit; zero: CK_DECODER_ZERO times the sum of its codes. */
static int32_t ck_logit(uint32_t word, int32_t sum, int32_t zero) {
  const int64_t unit = ck_word_units[CK_UNITS > 1 ? word : 0];
  return (int32_t)ck_rescaled((sum - zero) * unit, CK_UNIT_SHIFT);
}

/* log2 of a label's sum over the vocabulary, relative to its own peak: where it is far below that
   of other labels. */
static int64_t ck_own_mass(const ck_seen *codes, int32_t zero, uint32_t label) {
  uint8_t row[CK_SEEN_COLUMNS];
  int32_t top = INT32_MIN, peak = 0;
  int64_t sum = 0;
  uint32_t word;
  int pass;
  for (pass = 0; pass < 2; pass++) {
    for (word = 0; word < CK_WORDS; word++) {
      int32_t logit;
      ck_decoder_row(word, row);
      logit = ck_logit(word, ck_row_sum(row, codes), zero);
      logit += ck_top(word) - (int32_t)ck_below(word, label);
      if (pass) {
        sum += ck_power((uint32_t)(peak * CK_ONE_BIT - logit));
      } else if (logit > top) {
        top = logit;
      }
    }
    peak = ck_whole_bits(top);
  }
  return (int64_t)(peak - CK_POWER_BITS) * CK_ONE_BIT + ck_log2((uint64_t)sum);
}

typedef struct {
  int32_t zero[CK_GROUP], peak[CK_GROUP];
  uint64_t total[CK_GROUP][CK_LABELS];
  ck_seen codes[CK_GROUP][CK_SEEN_COLUMNS];
  int32_t logits[CK_GROUP][CK_BLOCK]; /* and then powers of two below the peak, as uint32_t */
  int32_t tops[CK_BLOCK];
  uint32_t factors[CK_BLOCK];
} ck_sums;

/* From sums of a block to logits; return the largest. */
static int32_t ck_block_logits(ck_sums *sums, size_t token, uint32_t start, uint32_t words) {
  int32_t *logits = sums->logits[token], top = INT32_MIN;
  uint32_t word;
  for (word = 0; word < words; word++) {
    logits[word] = ck_logit(start + word, logits[word], sums->zero[token]) + sums->tops[word];
    top = logits[word] > top ? logits[word] : top;
  }
  return top;
}

/* From logits of a block to powers of two below the peak, which rises with the largest logit. */
static void ck_block_powers(ck_sums *sums, size_t token, int32_t top, uint32_t words) {
  const int32_t bits = ck_whole_bits(top);
  uint32_t *powers = (uint32_t *)sums->logits[token], from, word, label;
  if (bits > sums->peak[token]) {
    const int32_t rise = bits - sums->peak[token];
    for (label = 0; label < CK_LABELS; label++) sums->total[token][label] >>= rise < 63 ? rise : 63;
    sums->peak[token] = bits;
  }
  from = (uint32_t)(sums->peak[token] * CK_ONE_BIT);
  for (word = 0; word < words; word++) powers[word] = ck_power(from - powers[word]);
}

/* Add a block of words to the sums of all tokens and labels. */
static void ck_add_block(const ck_state *state, ck_sums *sums, uint32_t start, uint32_t words) {
  uint8_t row[CK_SEEN_COLUMNS];
  uint32_t word, label;
  size_t token;
  for (word = 0; word < words; word++) {
    sums->tops[word] = ck_top(start + word);
    ck_decoder_row(start + word, row);
    for (token = 0; token < state->waiting; token++) {
      sums->logits[token][word] = ck_row_sum(row, sums->codes[token]);
    }
  }
  for (token = 0; token < state->waiting; token++) {
    ck_block_powers(sums, token, ck_block_logits(sums, token, start, words), words);
  }
  for (label = 0; label < CK_LABELS; label++) {
    for (word = 0; word < words; word++) {
      sums->factors[word] = (ck_power(ck_below(start + word, label)) + 16u) >> 5;
    }
    for (token = 0; token < state->waiting; token++) {
      const uint32_t *powers = (const uint32_t *)sums->logits[token];
      uint64_t found = 0;
      for (word = 0; word < words; word++) found += (uint64_t)powers[word] * sums->factors[word];
      sums->total[token][label] += found >> 16;
    }
  }
}

/* Score the tokens that wait, and forget them. */
static void ck_score_tokens(ck_state *state) {
  ck_sums sums;
  uint8_t row[CK_SEEN_COLUMNS];
  uint32_t start, label;
  size_t token;
  for (token = 0; token < state->waiting; token++) {
    ck_see(state->codes[token], sums.codes[token]);
    sums.zero[token] = CK_DECODER_ZERO * ck_sum(state->codes[token], CK_HIDDEN);
    sums.peak[token] = -16384;
    for (label = 0; label < CK_LABELS; label++) sums.total[token][label] = 0;
  }
  for (start = 0; start < CK_WORDS; start += CK_BLOCK) {
    ck_add_block(state, &sums, start, CK_WORDS - start < CK_BLOCK ? CK_WORDS - start : CK_BLOCK);
  }
  for (token = 0; token < state->waiting; token++) {
    const ck_seen *codes = sums.codes[token];
    const uint32_t target = state->targets[token];
    int32_t logit;
    ck_decoder_row(target, row);
    logit = ck_logit(target, ck_row_sum(row, codes), sums.zero[token]) + ck_top(target);
    for (label = 0; label < CK_LABELS; label++) {
      const uint64_t total = sums.total[token][label];
      const int64_t mass =
          total < CK_LEAST_TOTAL
              ? ck_own_mass(codes, sums.zero[token], label)
              : (int64_t)(sums.peak[token] - CK_TOTAL_BITS) * CK_ONE_BIT + ck_log2(total);
      const int64_t found = logit - (int64_t)ck_below(target, label) - mass;
      state->scores[label] += found;
      CK_SHOW(state->steps - state->waiting + (uint32_t)token, CK_AT_SCORE, label, found);
    }
  }
  state->waiting = 0;
}

/* Read a word, and keep what the decoder sees of it. */
static void ck_read(ck_state *state, uint32_t id) {
  int16_t *codes = state->codes[state->waiting];
  size_t j;
  ck_step(state, id);
  for (j = 0; j < CK_HIDDEN; j++) {
    codes[j] = ck_decoder_codes[state->hidden[j] - ck_shown.low];
    CK_SHOW(state->steps - 1, CK_AT_READ, j, codes[j]);
  }
}

/* The word that follows what was read. */
static void ck_follow(ck_state *state, uint32_t id) {
  state->targets[state->waiting++] = id;
  if (state->waiting == CK_GROUP) ck_score_tokens(state);
}

static void ck_start(ck_state *state) {
  uint32_t label;
  for (label = 0; label < CK_LABELS; label++) state->scores[label] = ck_log_prior[label];
  state->waiting = 0;
}

static void ck_finish(ck_state *state, int64_t scores[CK_LABELS]) {
  uint32_t label;
  ck_follow(state, CK_EOS);
  if (state->waiting) ck_score_tokens(state);
  for (label = 0; label < CK_LABELS; label++) scores[label] = state->scores[label];
}

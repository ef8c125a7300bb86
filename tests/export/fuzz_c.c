/* Gives an export to C whatever bytes a fuzzer thinks of, and stops where an answer contradicts
 * the header. Together with an export named "ck" that reads texts:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I DIR \
 *         tests/export/fuzz_c.c DIR/ck.c -o fuzz && ./fuzz -max_total_time=600 -max_len=2048
 *
 * With -DCK_FUZZ_FILES it needs no fuzzer: the program reads the files that its arguments name
 * (AFL++: afl-fuzz -i seeds -o found -- ./fuzz @@). The first byte says what the others are: even,
 * a text; odd, token ids, two bytes or, where bit 1 is set, four bytes each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"

#define HOLDS(claim)                           \
  do {                                         \
    if (!(claim)) {                            \
      fprintf(stderr, "not so: %s\n", #claim); \
      abort();                                 \
    }                                          \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An array of exactly this size, so that a sanitizer sees what is read or written beside it. */
static void *exactly(size_t bytes) {
  void *found = malloc(bytes);
  HOLDS(bytes == 0 || found != NULL);
  return found;
}

static int same(const int64_t *left, const int64_t *right) {
  return memcmp(left, right, CK_LABELS * sizeof *left) == 0;
}

/* The label is the first of the largest scores, and has a name. */
static void check_label(uint32_t label, const int64_t *scores) {
  uint32_t other;
  HOLDS(label < CK_LABELS);
  HOLDS(ck_label_name(label)[0] != 0);
  for (other = 0; other < CK_LABELS; other++) {
    HOLDS(other < label ? scores[other] < scores[label] : scores[other] <= scores[label]);
  }
}

/* Any ids are answered; what the header passes over changes nothing; documents can be read side by
   side. */
static void check_ids(const uint32_t *ids, size_t count) {
  int64_t scores[CK_LABELS], others[CK_LABELS];
  const uint32_t label = ck_classify_ids(ids, count, scores);
  uint32_t *kept = exactly((count < CK_MOST_TOKENS ? count : CK_MOST_TOKENS) * sizeof *kept);
  ck_state *states = exactly(2 * sizeof *states);
  size_t k, most = 0;
  check_label(label, scores);
  memset(states, 0x5A, 2 * sizeof *states);
  ck_begin(&states[0]);
  ck_begin(&states[1]);
  for (k = 0; k < count; k++) {
    const int passed = ids[k] == CK_BOS || ids[k] == CK_EOS || most == CK_MOST_TOKENS;
    HOLDS(ck_token(&states[0], ids[k]) == !passed);
    ck_token(&states[1], ids[count - 1 - k]);
    if (!passed) kept[most++] = ids[k] < CK_WORDS ? ids[k] : CK_UNK;
  }
  HOLDS(ck_end(&states[0], others) == label && same(scores, others));
  ck_end(&states[1], others);
  HOLDS(ck_classify_ids(kept, most, others) == label && same(scores, others));
  free(kept);
  free(states);
}

static size_t taken_count;
static uint32_t taken[CK_TEXT_IDS];

static void take(void *to, uint32_t id) {
  HOLDS(to == taken && taken_count < CK_TEXT_IDS);
  taken[taken_count++] = id;
}

/* Any bytes are a document; all ways to read it agree. */
static void check_text(const char *text, size_t bytes, size_t room) {
  int64_t scores[CK_LABELS], others[CK_LABELS];
  uint32_t *ids = exactly(CK_TEXT_IDS * sizeof *ids);
  uint32_t *some = exactly(room * sizeof *some);
  const uint32_t label = ck_classify(text, bytes, scores);
  const size_t count = ck_tokenize(text, bytes, ids, CK_TEXT_IDS);
  size_t k;
  check_label(label, scores);
  HOLDS(count >= 2 && count <= CK_TEXT_IDS);
  HOLDS(ids[0] == CK_BOS && ids[count - 1] == CK_EOS);
  for (k = 1; k + 1 < count; k++) HOLDS(ids[k] < CK_WORDS && (ids[k] == CK_UNK || ids[k] > CK_EOS));
  HOLDS(ck_tokenize(text, bytes, some, room) == count);
  HOLDS(room == 0 || memcmp(ids, some, (room < count ? room : count) * sizeof *ids) == 0);
  taken_count = 0;
  HOLDS(ck_read_text(text, bytes, take, taken) == count && taken_count == count);
  HOLDS(memcmp(ids, taken, count * sizeof *ids) == 0);
  HOLDS(ck_classify_ids(ids, count, others) == label && same(scores, others));
  check_ids(ids, count);
  free(ids);
  free(some);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const unsigned first = size > 0 ? data[0] : 0u;
  const size_t bytes = size > 0 ? size - 1 : 0;
  const size_t each = first & 2u ? 4 : 2;
  size_t k, part;
  if (first & 1u) {
    uint32_t *ids = exactly(bytes / each * sizeof *ids);
    for (k = 0; k < bytes / each; k++) {
      ids[k] = 0;
      for (part = 0; part < each; part++) {
        ids[k] |= (uint32_t)data[1 + k * each + part] << (8 * part);
      }
    }
    check_ids(ids, bytes / each);
    free(ids);
  } else {
    char *text = bytes > 0 ? exactly(bytes) : NULL;
    if (bytes > 0) memcpy(text, data + 1, bytes);
    check_text(text, bytes, first / 2);
    free(text);
  }
  return 0;
}

#ifdef CK_FUZZ_FILES
int main(int count, char **names) {
  static uint8_t data[1 << 20];
  int k;
  for (k = 1; k < count; k++) {
    FILE *file = fopen(names[k], "rb");
    HOLDS(file != NULL);
    LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, file));
    fclose(file);
  }
  return 0;
}
#endif

/* Answers many documents of a network, for tests. On stdin, numbers of 32 bits, the lowest byte
   first: for each document a count, then so many ids, or bytes of text. On stdout for each the
   label (32 bits) and the scores (64 bits); with "trace", for each thing that a document's
   quantizers gave: step, site, unit (32 bits each), value (64 bits). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"

static void put(uint64_t value, int bytes) {
  int k;
  for (k = 0; k < bytes; k++) putchar((int)(value >> (8 * k) & 255u));
}

static int get(uint32_t *value) {
  int k;
  *value = 0;
  for (k = 0; k < 4; k++) {
    const int byte = getchar();
    if (byte == EOF) return 0;
    *value |= (uint32_t)byte << (8 * k);
  }
  return 1;
}

#ifdef CK_TRACE
void ck_trace(uint32_t step, uint32_t site, uint32_t unit, int64_t value);
void ck_trace(uint32_t step, uint32_t site, uint32_t unit, int64_t value) {
  put(step, 4);
  put(site, 4);
  put(unit, 4);
  put((uint64_t)value, 8);
}
#endif

static void *room_for(size_t bytes) {
  void *found = malloc(bytes ? bytes : 1);
  if (!found) exit(3);
  return found;
}

int main(int count, char **arguments) {
  const int of_text = count > 1 && !strcmp(arguments[1], "text");
  const int of_trace = count > 1 && !strcmp(arguments[1], "trace");
  int64_t scores[CK_LABELS];
  uint32_t size, label, k;
  while (get(&size)) {
    if (of_text) {
#ifdef CK_TEXT_IDS
      char *text = room_for(size);
      if (fread(text, 1, size, stdin) != size) return 2;
      label = ck_classify(text, size, scores);
      free(text);
#else
      return 4;
#endif
    } else {
      uint32_t *ids = room_for(size * sizeof *ids);
      for (k = 0; k < size; k++) {
        if (!get(&ids[k])) return 2;
      }
      label = ck_classify_ids(ids, size, scores);
      free(ids);
    }
    if (of_trace) continue;
    put(label, 4);
    for (k = 0; k < CK_LABELS; k++) put((uint64_t)scores[k], 8);
  }
  return 0;
}

/* The label of a document, and the score of every label: example 17 4 39, or token ids on stdin. */
#include <stdio.h>
#include <stdlib.h>

#include "ck.h"

int main(int count, char **arguments) {
  ck_state state;
  int64_t scores[CK_LABELS];
  uint32_t label;
  unsigned long id;
  int k;
  ck_begin(&state);
  for (k = 1; k < count; k++) ck_token(&state, (uint32_t)strtoul(arguments[k], NULL, 10));
  while (count == 1 && scanf("%lu", &id) == 1) ck_token(&state, (uint32_t)id);
  label = ck_end(&state, scores);
  printf("%s\n", ck_label_name(label));
  for (label = 0; label < CK_LABELS; label++) {
    printf("%12.6f %s\n", ck_nats(scores[label]), ck_label_name(label));
  }
  return 0;
}

/* The label of a text, and the score of every label: example "some text", or a text on stdin. */
#include <stdio.h>
#include <string.h>

#include "ck.h"

int main(int count, char **arguments) {
  static char text[1 << 16]; /* longer ones are cut */
  int64_t scores[CK_LABELS];
  uint32_t label;
  size_t bytes;
  if (count > 1) {
    bytes = strlen(arguments[1]);
    label = ck_classify(arguments[1], bytes, scores);
  } else {
    bytes = fread(text, 1, sizeof text, stdin);
    label = ck_classify(text, bytes, scores);
  }
  printf("%s\n", ck_label_name(label));
  for (label = 0; label < CK_LABELS; label++) {
    printf("%12.6f %s\n", ck_nats(scores[label]), ck_label_name(label));
  }
  return 0;
}

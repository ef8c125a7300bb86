/* Appended to the text part of an export: answers texts from standard input.
 *
 * In: a size as four bytes, the lowest first, and so many bytes, again and again. Out, with "ids":
 * how many ids the text has, and the ids; with "characters": how many characters its lower case
 * has, and each, plus 1 << 24 where it is of a word and 2 << 24 where it is white space. Every
 * number is four bytes, the lowest first. With "short N" there is room for N ids only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_number(uint32_t number) {
  int i;
  for (i = 0; i < 4; i++) {
    putchar((int)(number >> (8 * i) & 0xFFu));
  }
}

static void write_ids(const char *text, size_t bytes, size_t room) {
  uint32_t *ids = malloc(room * sizeof *ids); /* of exactly this size, for a sanitizer */
  size_t count = ck_tokenize(text, bytes, ids, room);
  size_t i;
  write_number((uint32_t)count);
  for (i = 0; i < count && i < room; i++) {
    write_number(ids[i]);
  }
  free(ids);
}

static void write_characters(const char *text, size_t bytes) {
  ck_text_reader reader = {NULL, 0, 0, 0, 0, NULL, CK_TEXT_NONE};
  uint32_t character;
  uint32_t count = 0;
  uint32_t *found = malloc((2 * bytes + 1) * sizeof *found);
  uint32_t i;
  reader.text = (const uint8_t *)text;
  reader.bytes = bytes;
  while (ck_text_take(&reader, &character)) {
    found[count++] = character | (uint32_t)ck_text_is_word(character) << 24 |
                     (uint32_t)ck_text_is_space(character) << 25;
  }
  write_number(count);
  for (i = 0; i < count; i++) {
    write_number(found[i]);
  }
  free(found);
}

int main(int argc, char **argv) {
  unsigned char head[4];
  const size_t room = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : CK_TEXT_IDS;
  while (fread(head, 1, 4, stdin) == 4) {
    const size_t bytes =
        (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    char *text = bytes > 0 ? malloc(bytes) : NULL;
    if (bytes > 0 && (text == NULL || fread(text, 1, bytes, stdin) != bytes)) {
      return 1;
    }
    if (argc > 1 && strcmp(argv[1], "characters") == 0) {
      write_characters(text, bytes);
    } else {
      write_ids(text, bytes, room);
    }
    free(text);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- Text, UTF-8, as token ids -------------------------------------------------------------- */

#define CK_TEXT_BROKEN 0xFFFDu     /* what stands for bytes that are no UTF-8 */
#define CK_TEXT_SIGMA 0x3A3u       /* the one capital whose small letter depends on where it is */
#define CK_TEXT_FINAL_SIGMA 0x3C2u /* its small letter at the end of a word */
#define CK_TEXT_NONE 0xFFFFFFFFu   /* no character */

/* Where a text has been read to, and what of it was read but not given yet. */
typedef struct {
  const uint8_t *text;
  size_t bytes;
  size_t at;
  size_t known;         /* up to here it is known whether a sigma would follow a cased letter */
  int cased;            /* the last character before `known` that tells so is cased */
  const uint32_t *rest; /* the characters to come of a lower case of several, ended by 0 */
  uint32_t held;        /* a character that begins the next token, or CK_TEXT_NONE */
} ck_text_reader;

/* Say whether a character is in a set: the places where the set begins or ends, plane by plane. */
static int ck_text_in(const uint16_t *edges, const uint16_t *planes, uint32_t character) {
  const uint32_t within = character & 0xFFFFu;
  const size_t first = planes[character >> 16];
  size_t low = first;
  size_t high = planes[(character >> 16) + 1u];
  while (low < high) {
    const size_t middle = low + (high - low) / 2u;
    if (edges[middle] <= within) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return (int)((low - first) & 1u);
}

static int ck_text_is_word(uint32_t character) {
  if (character < 0x80u) {
    const uint32_t letter = character | 0x20u;
    return (letter >= 'a' && letter <= 'z') || (character >= '0' && character <= '9') ||
           character == '_';
  }
  return ck_text_in(ck_text_word_edges, ck_text_word_planes, character);
}

static int ck_text_is_space(uint32_t character) {
  return ck_text_in(ck_text_space_edges, ck_text_space_planes, character);
}

static int ck_text_is_cased(uint32_t character) {
  return ck_text_in(ck_text_cased_edges, ck_text_cased_planes, character);
}

/* Say whether a sigma looks past a character when it asks what stands before or behind it. */
static int ck_text_is_passed(uint32_t character) {
  return ck_text_in(ck_text_passed_edges, ck_text_passed_planes, character);
}

/* Read the character that begins at `at`, which is before the end; return where the next begins. */
static size_t ck_text_decode(const ck_text_reader *reader, size_t at, uint32_t *character) {
  const uint8_t lead = reader->text[at++];
  uint8_t least = 0x80u;
  uint8_t most = 0xBFu;
  int more;
  uint32_t value;
  if (lead < 0x80u) {
    *character = lead;
    return at;
  }
  *character = CK_TEXT_BROKEN;
  if (lead < 0xC2u || lead > 0xF4u) {
    return at;
  }
  if (lead < 0xE0u) {
    more = 1;
    value = lead & 0x1Fu;
  } else if (lead < 0xF0u) {
    more = 2;
    value = lead & 0x0Fu;
    least = lead == 0xE0u ? 0xA0u : least; /* nothing longer than it must be */
    most = lead == 0xEDu ? 0x9Fu : most;   /* no surrogates */
  } else {
    more = 3;
    value = lead & 0x07u;
    least = lead == 0xF0u ? 0x90u : least;
    most = lead == 0xF4u ? 0x8Fu : most; /* nothing above U+10FFFF */
  }
  for (; more > 0; more--) {
    if (at == reader->bytes || reader->text[at] < least || reader->text[at] > most) {
      return at;
    }
    value = value << 6 | (reader->text[at++] & 0x3Fu);
    least = 0x80u;
    most = 0xBFu;
  }
  *character = value;
  return at;
}

/* Return the small letter of the capital sigma that stands right before `reader->at`. */
static uint32_t ck_text_small_sigma(ck_text_reader *reader, size_t sigma) {
  uint32_t character;
  size_t at = reader->at;
  while (reader->known < sigma) {
    reader->known = ck_text_decode(reader, reader->known, &character);
    if (!ck_text_is_passed(character)) {
      reader->cased = ck_text_is_cased(character);
    }
  }
  if (!reader->cased) {
    return CK_TEXT_SIGMA + 0x20u;
  }
  while (at < reader->bytes) {
    at = ck_text_decode(reader, at, &character);
    if (!ck_text_is_passed(character)) {
      return ck_text_is_cased(character) ? CK_TEXT_SIGMA + 0x20u : CK_TEXT_FINAL_SIGMA;
    }
  }
  return CK_TEXT_FINAL_SIGMA;
}

/* Return the lower case of a character from U+0080; of several, the first, and keep the rest. */
static uint32_t ck_text_lower(ck_text_reader *reader, uint32_t character) {
  size_t low = 0;
  size_t high = CK_TEXT_LOWERS;
  size_t row;
  while (low < high) {
    const size_t middle = low + (high - low) / 2u;
    if (ck_text_lower_firsts[middle] <= character) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  if (low > 0) {
    const uint32_t beyond = character - ck_text_lower_firsts[low - 1u];
    if (beyond <= ck_text_lower_spans[low - 1u] && beyond % ck_text_lower_steps[low - 1u] == 0) {
      return character + ck_text_lower_shifts[low - 1u];
    }
  }
  for (row = 0; row < CK_TEXT_SEVERALS; row++) {
    if (ck_text_severals[row][0] == character) {
      reader->rest = &ck_text_severals[row][2];
      return ck_text_severals[row][1];
    }
  }
  return character;
}

/* Take the next character of the text in lower case; return 0 at the end. */
static int ck_text_take(ck_text_reader *reader, uint32_t *character) {
  const size_t at = reader->at;
  if (reader->held != CK_TEXT_NONE) {
    *character = reader->held;
    reader->held = CK_TEXT_NONE;
    return 1;
  }
  if (reader->rest != NULL && *reader->rest != 0) {
    *character = *reader->rest++;
    return 1;
  }
  if (at == reader->bytes) {
    return 0;
  }
  reader->at = ck_text_decode(reader, at, character);
  if (*character < 0x80u) {
    *character += *character >= 'A' && *character <= 'Z' ? 0x20u : 0u;
  } else if (*character == CK_TEXT_SIGMA) {
    *character = ck_text_small_sigma(reader, at);
  } else {
    *character = ck_text_lower(reader, *character);
  }
  return 1;
}

/* Put a character at the end of a word; return the word's size, which is above the longest one's
 * when the word did not fit. */
static size_t ck_text_put(uint8_t *word, size_t size, uint32_t character) {
  uint8_t lead = (uint8_t)character;
  size_t more = 0;
  if (character >= 0x10000u) {
    more = 3;
    lead = (uint8_t)(0xF0u | character >> 18);
  } else if (character >= 0x800u) {
    more = 2;
    lead = (uint8_t)(0xE0u | character >> 12);
  } else if (character >= 0x80u) {
    more = 1;
    lead = (uint8_t)(0xC0u | character >> 6);
  }
  if (size + more >= CK_TEXT_LONGEST) {
    return CK_TEXT_LONGEST + 1u;
  }
  word[size++] = lead;
  while (more > 0) {
    more--;
    word[size++] = (uint8_t)(0x80u | (character >> (6u * more) & 0x3Fu));
  }
  return size;
}

/* Read what is left of a number that its nibble did not hold: 7 bits a byte, the lowest first. */
static size_t ck_text_number(const uint8_t **at, size_t nibble) {
  size_t number = nibble;
  uint8_t byte;
  unsigned shift = 0;
  if (nibble == 15u) {
    do {
      byte = *(*at)++;
      number += (size_t)(byte & 0x7Fu) << shift;
      shift += 7u;
    } while (byte >= 0x80u);
  }
  return number;
}

/* Read how many bytes a stored word shares with the one before it, and how many are its own. */
static size_t ck_text_entry(const uint8_t **at, size_t *shared) {
  const uint8_t head = *(*at)++;
  *shared = ck_text_number(at, head >> 4);
  return ck_text_number(at, head & 0x0Fu) + 1u;
}

/* Return the id of the word that is so far down the alphabet. */
static uint32_t ck_text_id(size_t row) {
  const size_t bit = row * CK_TEXT_ID_BITS;
  const uint8_t *at = ck_text_ids + bit / 8u;
  const uint32_t bits =
      (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  return bits >> (bit % 8u) & (((uint32_t)1 << CK_TEXT_ID_BITS) - 1u);
}

/* Return how many blocks of words begin with the word, or with one before it. */
static size_t ck_text_blocks_until(const uint8_t *word, size_t size) {
  size_t low = 0;
  size_t high = CK_TEXT_BLOCKS;
  while (low < high) {
    const size_t middle = low + (high - low) / 2u;
    const uint8_t *at = ck_text_words + ck_text_starts[middle];
    size_t shared;
    const size_t own = ck_text_entry(&at, &shared);
    size_t same = 0;
    while (same < own && same < size && at[same] == word[same]) {
      same++;
    }
    if (same == own || (same < size && at[same] < word[same])) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

/*
 * Return the id of a word, or <unk>. `same` is how many bytes the word shares with the stored one
 * before: one that shares more with it is before the word too, one that shares less is behind.
 */
static uint32_t ck_text_find(const uint8_t *word, size_t size) {
  const size_t blocks = ck_text_blocks_until(word, size);
  const uint8_t *at;
  size_t row;
  size_t end;
  size_t same = 0;
  if (blocks == 0) {
    return CK_TEXT_UNK;
  }
  at = ck_text_words + ck_text_starts[blocks - 1u];
  row = (blocks - 1u) * CK_TEXT_BLOCK;
  end = blocks < CK_TEXT_BLOCKS ? row + CK_TEXT_BLOCK : CK_TEXT_WORDS;
  for (; row < end; row++) {
    size_t shared;
    const size_t own = ck_text_entry(&at, &shared);
    if (shared < same) {
      return CK_TEXT_UNK;
    }
    if (shared == same) {
      size_t i = 0;
      while (i < own && same < size && at[i] == word[same]) {
        i++;
        same++;
      }
      if (i == own && same == size) {
        return ck_text_id(row);
      }
      if (i < own && (same == size || at[i] > word[same])) {
        return CK_TEXT_UNK;
      }
    }
    at += own;
  }
  return CK_TEXT_UNK;
}

/* Take the id of the next token; return 0 at the end of the text. */
static int ck_text_next(ck_text_reader *reader, uint32_t *id) {
  uint8_t word[CK_TEXT_LONGEST];
  size_t size;
  uint32_t character;
  do {
    if (!ck_text_take(reader, &character)) {
      return 0;
    }
  } while (ck_text_is_space(character));
  size = ck_text_put(word, 0, character);
  if (ck_text_is_word(character)) {
    while (ck_text_take(reader, &character)) {
      if (!ck_text_is_word(character)) {
        reader->held = character;
        break;
      }
      size = ck_text_put(word, size, character);
    }
  }
  *id = size > CK_TEXT_LONGEST ? CK_TEXT_UNK : ck_text_find(word, size);
  return 1;
}

size_t ck_read_text(const char *utf8, size_t bytes, void (*take)(void *to, uint32_t id), void *to) {
  ck_text_reader reader = {NULL, 0, 0, 0, 0, NULL, CK_TEXT_NONE};
  size_t ids = 1;
  uint32_t id;
  reader.text = (const uint8_t *)utf8;
  reader.bytes = bytes;
  take(to, CK_TEXT_BOS);
  while (ids < CK_TEXT_IDS - 1u && ck_text_next(&reader, &id)) {
    take(to, id);
    ids++;
  }
  take(to, CK_TEXT_EOS);
  return ids + 1u;
}

/* Where ids are written to. */
typedef struct {
  uint32_t *ids;
  size_t room;
} ck_text_list;

static void ck_text_append(void *to, uint32_t id) {
  ck_text_list *list = (ck_text_list *)to;
  if (list->room > 0) {
    *list->ids++ = id;
    list->room--;
  }
}

size_t ck_tokenize(const char *utf8, size_t bytes, uint32_t *ids, size_t room) {
  ck_text_list list;
  list.ids = ids;
  list.room = room;
  return ck_read_text(utf8, bytes, ck_text_append, &list);
}

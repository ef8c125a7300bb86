/*
 * ${title}
 *
 * Written by calibkit; every number that leaves is the one that calibkit's arithmetic "integer"
 * finds. Everything is a whole number: no floating point, no heap, no library functions, nothing
 * that is kept between calls. All data is constant; what changes lies in a ck_state, which the
 * caller owns, so that documents may be read side by side.
 *
 *     ck_state state;
 *     int64_t scores[CK_LABELS];
 *     ck_begin(&state);
 *     ck_token(&state, 17);                    (once for every token)
 *     label = ck_end(&state, scores);
 *
 * A document is <bos>, its tokens, <eos>. Both signs are added here: given ones are passed over.
 * A document without tokens is <bos> <eos>. Tokens behind the first CK_MOST_TOKENS are passed
 * over. An id that is not below CK_WORDS counts as <unk>.
 *
${scores}
 */
#ifndef CK_H
#define CK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

${constants}

${state}

/* Start a document. */
void ck_begin(ck_state *state);

/* Read the next token. Return 1, or 0 where it is passed over. */
int ck_token(ck_state *state, uint32_t id);

/* End the document: write the score of every label, and return the label that has the largest,
   the first of these. The state can then begin another document. */
uint32_t ck_end(ck_state *state, int64_t scores[CK_LABELS]);

/* All three of a whole document. `ids` may be a null pointer when `count` is 0. */
uint32_t ck_classify_ids(const uint32_t *ids, size_t count, int64_t scores[CK_LABELS]);

/* The name of a label, UTF-8; an empty one where there is no such label. */
const char *ck_label_name(uint32_t label);

${nats}
${text}
#ifdef __cplusplus
}
#endif

#endif

/*
 * Text, UTF-8, as token ids.
 *
 * A text becomes <bos>, the ids of its first tokens, <eos>: at most CK_TEXT_IDS ids. It is put in
 * lower case as Unicode has it, with the final sigma and with those characters whose lower case is
 * several. Tokens are runs of letters, digits and underscores, and every other character that is
 * no white space. A token that the model has no id for counts as <unk>. An empty text, or one of
 * white space only, is <bos> <eos>.
 *
 * Any bytes may be given. Where they are not valid UTF-8, each longest beginning of a character
 * that breaks off, and each byte that begins none, counts as one U+FFFD (the Unicode Standard's
 * "substitution of maximal subparts"). Null bytes are characters like others.
 *
 * The model was trained on texts in Unicode's normal form C, and this code does not normalize: an
 * accent that is a character of its own makes other tokens. How much white space there is, and
 * which, does not matter.
 */

#define CK_TEXT_IDS ${most_ids}u /* the most ids that a text becomes */

/*
 * Write the ids of a text, at most `room` of them; return how many the text has. With room for
 * CK_TEXT_IDS there is always room for all. `utf8` may be a null pointer when `bytes` is 0.
 */
size_t ck_tokenize(const char *utf8, size_t bytes, uint32_t *ids, size_t room);

/* Give each id of a text to `take`, in order, together with `to`; return how many these were. */
size_t ck_read_text(const char *utf8, size_t bytes, void (*take)(void *to, uint32_t id), void *to);

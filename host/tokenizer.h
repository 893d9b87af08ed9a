/* tokenizer.h - text to token ids and back.
 *
 *   Tokenizer *t = tokenizer_open(&arena, "tok512.bin", TOKENIZER_any, false, &error);
 *   tokenizer_encode(t, text, n, true, &ids, &error);
 *   for (i = 0; i < ids.n; i++) tokenizer_piece(t, i ? ids.at[i - 1] : -1, ids.at[i], &out);
 *
 * gpt2       GPT-2's byte-pair encoding: a folder with encoder.json and vocab.bpe (vocab.json and merges.txt), or the .json with
 *            the merges beside it. Any bytes come back as they were.
 * wordpiece  BERT's: vocab.txt, a token a line. Words are split at punctuation; unless case is kept, lower case without
 *            accents. Decoding puts words together with single spaces.
 * llama2c    llama2.c's tokenizer.bin: i32 longest, then a token f32 score, i32 length, bytes; ids 1 and 2 begin and end a
 *            text, 3 to 258 are bytes.
 */
#ifndef DLC_TOKENIZER_H
#define DLC_TOKENIZER_H

#include "base/base.h"

typedef enum TokenizerKind { TOKENIZER_any, TOKENIZER_gpt2, TOKENIZER_wordpiece, TOKENIZER_llama2c } TokenizerKind;
typedef struct Tokenizer Tokenizer;
typedef VEC(int32_t) IdList;

/* TOKENIZER_any: the kind that the path looks like. keep_case: of WordPiece. NULL: *error says what is wrong with which file. */
Tokenizer *tokenizer_open(Arena *a, const char *path, TokenizerKind kind, bool keep_case, const char **error);
TokenizerKind tokenizer_kind(const char *name);        /* "gpt2", ...; NULL: TOKENIZER_any */
const char *tokenizer_kind_name(const Tokenizer *t);
int32_t tokenizer_size(const Tokenizer *t);             /* ids are below it */
int32_t tokenizer_begin(const Tokenizer *t);            /* the token that begins a text; -1: none */
bool    tokenizer_ends(const Tokenizer *t, int32_t id); /* the text is over */
/* The text's ids, added to *ids (in the tokenizer's arena); with `marks`, between the tokens that begin and end it: llama2c
 * begins, wordpiece does both. false: *error says which byte has no token. */
bool    tokenizer_encode(Tokenizer *t, const char *text, size_t n, bool marks, IdList *ids, const char **error);
/* Add the bytes that `id` stands for behind `before` (-1: at the beginning). false: no such id. */
bool    tokenizer_piece(const Tokenizer *t, int32_t before, int32_t id, Str *out);
/* The token as its file has it. */
const char *tokenizer_token(const Tokenizer *t, int32_t id, size_t *n);

#endif

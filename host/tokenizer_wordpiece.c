/* tokenizer_wordpiece.c - BERT's tokenizer (Devlin et al. 2018): words by white space and punctuation, each CJK character
 * alone; in them the longest token first, and behind it the longest that continues a word ("##ing"). */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "host/unicode.h"

enum { MAX_WORD = 200 };                /* characters; a longer word is unknown, as in BERT's own code */

bool wordpiece_parse(Tokenizer *t, const char *path, const char *text, size_t n, const char **error)
{
    for (size_t at = 0; at < n; ) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at, whole = len + (end != NULL);
        if (len && text[at + len - 1] == '\r') len--;
        if (len > MAX_TOKEN || memchr(text + at, 0, len) || t->tokens.n == MAX_TOKENS) {
            *error = arena_printf(t->arena, "%s:%u: not a list of tokens, one a line", path, t->tokens.n + 1);
            return false;
        }
        token_add(t, text + at, len);
        at += whole;
    }
    t->unknown = token_find(t, "[UNK]", 5);
    t->begin = token_find(t, "[CLS]", 5);
    t->separator = t->end = token_find(t, "[SEP]", 5);
    if (t->unknown < 0) *error = arena_printf(t->arena, "%s: no [UNK] among its %u tokens", path, t->tokens.n);
    return t->unknown >= 0;
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static bool is_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static bool is_punctuation(uint32_t c)
{
    bool ascii = (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    return ascii || unicode_kind(c) == UNICODE_PUNCTUATION;
}

typedef struct Word {
    char     at[4 * MAX_WORD];
    uint32_t start[MAX_WORD + 1];       /* of each character; then the end */
    uint32_t n;                         /* characters; MAX_WORD + 1: too many */
} Word;

static void word_add(Word *w, uint32_t c)
{
    if (w->n >= MAX_WORD) {
        w->n = MAX_WORD + 1;
        return;
    }
    w->start[w->n + 1] = w->start[w->n] + utf8_write(c, w->at + w->start[w->n]);
    w->n++;
}

/* The longest token that begins at character `from`; *to: behind it. -1: none. */
static int32_t longest(const Tokenizer *t, const Word *w, uint32_t from, uint32_t *to)
{
    char piece[2 + 4 * MAX_WORD] = "##";
    for (*to = w->n; *to > from; --*to) {
        size_t mark = from ? 2 : 0, n = w->start[*to] - w->start[from];
        memcpy(piece + mark, w->at + w->start[from], n);
        int32_t id = token_find(t, piece, mark + n);
        if (id >= 0) return id;
    }
    return -1;
}

static void word_end(Tokenizer *t, Word *w, IdList *ids)
{
    uint32_t before = ids->n, from = 0, to;
    bool unknown = w->n > MAX_WORD;
    while (from < w->n && !unknown) {
        int32_t id = longest(t, w, from, &to);
        unknown = id < 0;
        if (!unknown) vec_push(t->arena, ids, id);
        from = to;
    }
    if (unknown) {
        ids->n = before;
        vec_push(t->arena, ids, t->unknown);
    }
    w->n = 0;
}

static void add_character(Tokenizer *t, Word *w, uint32_t c, IdList *ids)
{
    bool alone = is_punctuation(c);
    if (alone) word_end(t, w, ids);
    word_add(w, c);
    if (alone) word_end(t, w, ids);
}

bool wordpiece_encode(Tokenizer *t, const char *text, size_t n, IdList *ids)
{
    Word w = {.n = 0};
    for (size_t at = 0; at < n; ) {
        uint32_t len, c = utf8_next(text + at, n - at, &len), base[3];
        at += len;
        bool space = c == '\t' || c == '\n' || c == '\r';
        if (c == UNICODE_NONE || c == 0xFFFD || (!space && unicode_kind(c) == UNICODE_CONTROL)) continue;
        if (space || unicode_is_space(c)) {
            word_end(t, &w, ids);
            continue;
        }
        bool alone = is_cjk(c);
        if (alone) word_end(t, &w, ids);
        uint32_t nbase = t->keep_case ? 1 : unicode_base(unicode_lower(c), base);
        if (t->keep_case) base[0] = c;
        for (uint32_t i = 0; i < nbase; i++) add_character(t, &w, base[i], ids);
        if (alone) word_end(t, &w, ids);
    }
    word_end(t, &w, ids);
    return true;
}

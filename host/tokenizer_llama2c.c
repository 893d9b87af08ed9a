/* tokenizer_llama2c.c - llama2.c's tokenizer: SentencePiece tokens with scores. Characters become tokens, those without one
 * their bytes; then of all neighbours whose concatenation is a token, the one of the highest score is joined. */
#include "host/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

#include "host/unicode.h"

enum { UNKNOWN = 0, BEGIN = 1, END = 2, FIRST_BYTE = 3 };

/* ---- the file ------------------------------------------------------------------------------------------------------- */

static uint32_t little(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

typedef struct Scored { float score; uint32_t id; } Scored;

static int higher_first(const void *x, const void *y)
{
    const Scored *a = x, *b = y;
    return a->score > b->score ? -1 : a->score < b->score;
}

static void set_ranks(Tokenizer *t, Scored *scores)
{
    uint32_t n = t->tokens.n, rank = 0;
    t->rank = arena_array(t->arena, uint32_t, n + 1);
    qsort(scores, n, sizeof *scores, higher_first);
    for (uint32_t i = 0; i < n; i++) {
        if (i && scores[i].score < scores[i - 1].score) rank++;
        t->rank[scores[i].id] = rank;
    }
}

bool llama2c_parse(Tokenizer *t, const char *path, const char *data, size_t n, const char **error)
{
    VEC(Scored) scores = {0};
    size_t at = 4;
    uint32_t longest = n >= 4 ? little(data) : 0;
    if (!longest || longest > MAX_TOKEN) {
        *error = arena_printf(t->arena, "%s: no tokenizer of llama2.c: its longest token would have %u bytes", path, longest);
        return false;
    }
    for (; at < n; ) {
        float score;
        uint32_t bits, length;
        if (n - at < 8) break;
        bits = little(data + at), length = little(data + at + 4);
        memcpy(&score, &bits, sizeof score);
        if (length > longest || length > n - at - 8 || score != score || t->tokens.n == MAX_TOKENS) break;
        vec_push(t->arena, &scores, ((Scored){score, t->tokens.n}));
        token_add(t, data + at + 8, length);
        at += 8 + length;
    }
    if (at != n) {
        *error = arena_printf(t->arena, "%s: not a tokenizer of llama2.c, or a damaged one: token %u, at byte %zu, is cut off or out of bounds", path,
                              t->tokens.n, at);
        return false;
    }
    if (t->tokens.n < FIRST_BYTE) {
        *error = arena_printf(t->arena, "%s: %u tokens only", path, t->tokens.n);
        return false;
    }
    t->longest = longest;
    t->unknown = UNKNOWN, t->begin = BEGIN, t->end = END;
    set_ranks(t, scores.at);
    return true;
}

int llama2c_byte(const Token *token)
{
    static const char digits[] = "0123456789ABCDEF";
    if (token->n != 6 || memcmp(token->at, "<0x", 3) || token->at[5] != '>') return -1;
    const char *high = memchr(digits, token->at[3], 16), *low = memchr(digits, token->at[4], 16);
    return high && low ? (int)(16 * (high - digits) + (low - digits)) : -1;
}

/* ---- encoding ----------------------------------------------------------------------------------------------------------- */

static bool join_rule(const Tokenizer *t, int32_t left, int32_t right, Join *join)
{
    char both[MAX_TOKEN];
    const Token *l = &t->tokens.at[left], *r = &t->tokens.at[right];
    if (l->n + r->n > t->longest) return false;
    memcpy(both, l->at, l->n);
    memcpy(both + l->n, r->at, r->n);
    join->id = token_find(t, both, l->n + r->n);
    if (join->id < 0) return false;
    join->rank = t->rank[join->id];
    return true;
}

bool llama2c_encode(Tokenizer *t, const char *text, size_t n, IdList *ids, const char **error)
{
    int32_t space = token_find(t, " ", 1);
    if (n && space >= 0) symbol_add(t, space);          /* every text is encoded as if a space stood before it */
    for (size_t at = 0; at < n; ) {
        uint32_t len;
        utf8_next(text + at, n - at, &len);
        int32_t id = token_find(t, text + at, len);
        for (uint32_t i = 0; id < 0 && i < len; i++) {
            uint32_t byte = (unsigned char)text[at + i], of = FIRST_BYTE + byte;
            if (of >= t->tokens.n || llama2c_byte(&t->tokens.at[of]) != (int)byte) {
                *error = arena_printf(t->arena, "byte %zu of the text, 0x%02x, has no token", at + i, byte);
                t->symbols.n = 0;
                return false;
            }
            symbol_add(t, (int32_t)of);
        }
        if (id >= 0) symbol_add(t, id);
        at += len;
    }
    merge_symbols(t, join_rule, ids);
    return true;
}

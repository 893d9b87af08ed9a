/* tokenizer_gpt2.c - GPT-2's byte-pair encoding (Radford et al. 2019). Text is cut into words with the space before them,
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * and a word's bytes are merged in the order of vocab.bpe. The files spell bytes as characters: those that print as
 * themselves, the others from U+0100 on. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "base/json.h"
#include "host/unicode.h"

/* ---- the files --------------------------------------------------------------------------------------------------------- */

static bool prints(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/* The byte that a character of the files stands for; -1: none. */
static int byte_of(uint32_t c)
{
    if (c < 256) return prints(c) ? (int)c : -1;
    uint32_t left = c - 256;
    for (uint32_t b = 0; b < 256; b++)
        if (!prints(b) && left-- == 0) return (int)b;
    return -1;
}

/* Bytes of n bytes of file text, in place; false: it is no token. */
static bool to_bytes(char *text, size_t n, size_t *nbytes)
{
    size_t out = 0;
    for (size_t at = 0; at < n; ) {
        uint32_t len, c = utf8_next(text + at, n - at, &len);
        int byte = c == UNICODE_NONE ? -1 : byte_of(c);
        if (byte < 0) return false;
        text[out++] = (char)byte;
        at += len;
    }
    *nbytes = out;
    return true;
}

static bool parse_vocabulary(Tokenizer *t, const char *path, const char *json, size_t n, const char **error)
{
    Json j;
    json_start(&j, json, n);
    JsonToken k = json_next(&j);
    VEC(Token) tokens = {0};                            /* by id; at NULL: not seen */
    uint32_t seen = 0;
    if (k != JSON_OBJECT) {
        *error = arena_printf(t->arena, "%s: not an object of tokens and ids", path);
        return false;
    }
    while ((k = json_next(&j)) == JSON_KEY) {
        size_t cap = j.len + 1, bytes;
        char *text = arena_alloc(t->arena, cap);
        int64_t len = json_unescape(j.at, j.len, text, cap), id;
        if (len < 0 || !to_bytes(text, (size_t)len, &bytes) || bytes > MAX_TOKEN) {
            *error = arena_printf(t->arena, "%s: '%.40s' is no token of bytes", path, text);
            return false;
        }
        if (json_next(&j) != JSON_NUMBER || !json_int(&j, &id) || id < 0 || id >= MAX_TOKENS) {
            *error = arena_printf(t->arena, "%s: the id of token '%.40s' is no number from 0 to %d", path, text, MAX_TOKENS - 1);
            return false;
        }
        while (tokens.n <= id) vec_push(t->arena, &tokens, ((Token){0}));
        if (tokens.at[id].at) {
            *error = arena_printf(t->arena, "%s: two tokens have the id %d", path, (int)id);
            return false;
        }
        tokens.at[id] = (Token){text, (uint32_t)bytes};
        seen++;
    }
    if (k == JSON_OBJECT_END) k = json_next(&j);
    if (k != JSON_END) {
        *error = arena_printf(t->arena, "%s: byte %zu: %s", path, j.pos, j.error ? j.error : "something follows the tokens");
        return false;
    }
    if (!seen || seen != tokens.n) {
        *error = arena_printf(t->arena, seen ? "%s: of the ids below %u, %u have no token" : "%s: no token", path, tokens.n, tokens.n - seen);
        return false;
    }
    for (uint32_t i = 0; i < tokens.n; i++) token_add(t, tokens.at[i].at, tokens.at[i].n);
    return true;
}

/* One line, "left right". false: it is none. */
static bool parse_merge(Tokenizer *t, char *line, size_t n, uint32_t rank)
{
    char *space = memchr(line, ' ', n);
    size_t left, right;
    if (!space || !to_bytes(line, (size_t)(space - line), &left) || !to_bytes(space + 1, n - (size_t)(space + 1 - line), &right)) return false;
    if (!left || !right || left + right > MAX_TOKEN) return false;
    int32_t pair[2] = {token_find(t, line, left), token_find(t, space + 1, right)};
    char both[MAX_TOKEN];
    memcpy(both, line, left);
    memcpy(both + left, space + 1, right);
    Join *join = arena_new(t->arena, Join);
    *join = (Join){rank, token_find(t, both, left + right)};
    if (pair[0] < 0 || pair[1] < 0 || join->id < 0) return false;
    if (!map_get(t->joins, pair, sizeof pair)) map_set(t->joins, pair, sizeof pair, join);
    return true;
}

static bool parse_merges(Tokenizer *t, const char *path, const char *text, size_t n, const char **error)
{
    uint32_t line = 0, rank = 0;
    t->joins = map_new(t->arena);
    for (size_t at = 0; at < n; line++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at, whole = len + (end != NULL);
        if (len && text[at + len - 1] == '\r') len--;
        bool comment = line == 0 && len >= 8 && !memcmp(text + at, "#version", 8);
        if (len && !comment && !parse_merge(t, arena_strndup(t->arena, text + at, len), len, rank++)) {
            *error = arena_printf(t->arena, "%s:%u: not two tokens whose concatenation is a token", path, line + 1);
            return false;
        }
        at += whole;
    }
    return true;
}

bool gpt2_parse(Tokenizer *t, const char *path, const char *json, size_t n, const char *merges_path, const char *merges, size_t nmerges, const char **error)
{
    static const char end[] = "<|endoftext|>";
    if (!parse_vocabulary(t, path, json, n, error) || !parse_merges(t, merges_path, merges, nmerges, error)) return false;
    for (int b = 0; b < 256; b++) {
        char byte = (char)b;
        t->of_byte[b] = token_find(t, &byte, 1);
    }
    t->begin = t->end = token_find(t, end, sizeof end - 1);
    return true;
}

/* ---- words ------------------------------------------------------------------------------------------------------------- */

typedef enum Class { SPACE, LETTER, NUMBER, OTHER } Class;

static Class class_at(const char *text, size_t n, uint32_t *len)
{
    uint32_t c = utf8_next(text, n, len);
    if (c == UNICODE_NONE) return OTHER;
    if (unicode_is_space(c)) return SPACE;
    UnicodeKind k = unicode_kind(c);
    return k == UNICODE_LETTER ? LETTER : k == UNICODE_NUMBER ? NUMBER : OTHER;
}

static size_t contraction(const char *text, size_t n)
{
    static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < COUNT(all); i++) {
        size_t len = strlen(all[i]);
        if (n >= len && !memcmp(text, all[i], len)) return len;
    }
    return 0;
}

/* Bytes of the word that begins the text; n > 0. */
static size_t word(const char *text, size_t n)
{
    uint32_t len, last = 0;
    size_t at = contraction(text, n);
    if (at) return at;
    size_t space = text[0] == ' ' && n > 1;
    Class first = class_at(text + space, n - space, &len);
    if (first != SPACE) {
        for (at = space; at < n && class_at(text + at, n - at, &len) == first; ) at += len;
        return at;
    }
    for (at = 0; at < n && class_at(text + at, n - at, &len) == SPACE; at += len) last = len;
    return at == n || at == last ? at : at - last;      /* the last one belongs to what follows */
}

static bool join_rule(const Tokenizer *t, int32_t left, int32_t right, Join *join)
{
    int32_t pair[2] = {left, right};
    const Join *known = map_get(t->joins, pair, sizeof pair);
    if (known) *join = *known;
    return known != NULL;
}

bool gpt2_encode(Tokenizer *t, const char *text, size_t n, IdList *ids, const char **error)
{
    for (size_t at = 0, len; at < n; at += len) {
        len = word(text + at, n - at);
        for (size_t i = 0; i < len; i++) {
            unsigned char byte = (unsigned char)text[at + i];
            if (t->of_byte[byte] < 0) {
                *error = arena_printf(t->arena, "byte %zu of the text, 0x%02x, has no token", at + i, byte);
                t->symbols.n = 0;
                return false;
            }
            symbol_add(t, t->of_byte[byte]);
        }
        merge_symbols(t, join_rule, ids);
    }
    return true;
}

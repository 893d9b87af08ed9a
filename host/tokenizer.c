/* tokenizer.c - opening a tokenizer, whichever kind it is, and decoding. */
#include "host/tokenizer_internal.h"

#include <string.h>
#include <sys/stat.h>

Tokenizer *tokenizer_new(Arena *a, TokenizerKind kind)
{
    Tokenizer *t = arena_new(a, Tokenizer);
    *t = (Tokenizer){.arena = a, .kind = kind, .ids = map_new(a), .begin = -1, .end = -1, .unknown = -1, .separator = -1};
    return t;
}

int32_t token_find(const Tokenizer *t, const char *at, size_t n)
{
    return (int32_t)(uintptr_t)map_get(t->ids, at, n) - 1;
}

void token_add(Tokenizer *t, const char *at, size_t n)
{
    Token token = {arena_strndup(t->arena, at, n), (uint32_t)n};
    vec_push(t->arena, &t->tokens, token);
    if (token_find(t, at, n) < 0) map_set(t->ids, at, n, (void *)(uintptr_t)t->tokens.n);
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* The first of two names that is in the folder; NULL: neither. */
static const char *one_of(Arena *a, const char *folder, const char *first, const char *second)
{
    const char *path = path_join(a, folder, first);
    if (exists(path)) return path;
    path = path_join(a, folder, second);
    return exists(path) ? path : NULL;
}

/* The vocabulary of a folder. */
static const char *file_in(Arena *a, const char *folder, TokenizerKind kind)
{
    const char *path = NULL;
    if (kind == TOKENIZER_any || kind == TOKENIZER_gpt2) path = one_of(a, folder, "encoder.json", "vocab.json");
    if (!path && (kind == TOKENIZER_any || kind == TOKENIZER_wordpiece)) path = one_of(a, folder, "vocab.txt", "vocab.txt");
    if (!path && (kind == TOKENIZER_any || kind == TOKENIZER_llama2c)) path = one_of(a, folder, "tokenizer.bin", "tok512.bin");
    return path;
}

static bool open_gpt2(Tokenizer *t, const char *path, const char *text, size_t n, const char **error)
{
    const char *folder = path_dir(t->arena, path), *merges = one_of(t->arena, folder, "vocab.bpe", "merges.txt");
    char *more;
    size_t nmore;
    if (!merges) {
        *error = arena_printf(t->arena, "%s: beside it there is neither vocab.bpe nor merges.txt", path);
        return false;
    }
    return file_read(t->arena, merges, 0, &more, &nmore, error) && gpt2_parse(t, path, text, n, merges, more, nmore, error);
}

Tokenizer *tokenizer_open(Arena *a, const char *path, TokenizerKind kind, bool keep_case, const char **error)
{
    const char *file = path;
    if (is_folder(path) && !(file = file_in(a, path, kind))) {
        *error = arena_printf(a, "%s: no tokenizer is in this folder: encoder.json with vocab.bpe, vocab.txt or tokenizer.bin", path);
        return NULL;
    }
    if (kind == TOKENIZER_any) {
        kind = ends_with(file, ".json") ? TOKENIZER_gpt2 : ends_with(file, ".txt") ? TOKENIZER_wordpiece : TOKENIZER_llama2c;
        if (ends_with(file, ".bpe")) {
            const char *json = file_in(a, path_dir(a, file), TOKENIZER_gpt2);
            if (json) file = json, kind = TOKENIZER_gpt2;
        }
    }
    Tokenizer *t = tokenizer_new(a, kind);
    t->keep_case = keep_case;
    char *text;
    size_t n;
    if (!file_read(a, file, 0, &text, &n, error)) return NULL;
    bool ok = kind == TOKENIZER_gpt2        ? open_gpt2(t, file, text, n, error)
              : kind == TOKENIZER_wordpiece ? wordpiece_parse(t, file, text, n, error)
                                            : llama2c_parse(t, file, text, n, error);
    return ok ? t : NULL;
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"", "gpt2", "wordpiece", "llama2c"};

TokenizerKind tokenizer_kind(const char *name)
{
    TokenizerKind k = TOKENIZER_llama2c;
    while (k != TOKENIZER_any && (!name || strcmp(name, kind_names[k]))) k--;
    return k;
}

const char *tokenizer_kind_name(const Tokenizer *t)
{
    return kind_names[t->kind];
}

int32_t tokenizer_size(const Tokenizer *t)
{
    return (int32_t)t->tokens.n;
}

int32_t tokenizer_begin(const Tokenizer *t)
{
    return t->begin;
}

/* llama2.c takes the token that begins a text for its end too, for its training texts follow one another. */
bool tokenizer_ends(const Tokenizer *t, int32_t id)
{
    return id >= 0 && (id == t->end || (t->kind == TOKENIZER_llama2c && id == t->begin));
}

const char *tokenizer_token(const Tokenizer *t, int32_t id, size_t *n)
{
    if (id < 0 || (uint32_t)id >= t->tokens.n) return NULL;
    *n = t->tokens.at[id].n;
    return t->tokens.at[id].at;
}

/* ---- both ways ------------------------------------------------------------------------------------------------------------ */

bool tokenizer_encode(Tokenizer *t, const char *text, size_t n, bool marks, IdList *ids, const char **error)
{
    bool begins = marks && t->kind != TOKENIZER_gpt2 && t->begin >= 0;
    if (n > INT32_MAX) {
        *error = "the text is too long";
        return false;
    }
    if (begins) vec_push(t->arena, ids, t->begin);
    bool ok = t->kind == TOKENIZER_gpt2        ? gpt2_encode(t, text, n, ids, error)
              : t->kind == TOKENIZER_wordpiece ? wordpiece_encode(t, text, n, ids)
                                               : llama2c_encode(t, text, n, ids, error);
    if (ok && marks && t->separator >= 0) vec_push(t->arena, ids, t->separator);
    return ok;
}

bool tokenizer_piece(const Tokenizer *t, int32_t before, int32_t id, Str *out)
{
    if (id < 0 || (uint32_t)id >= t->tokens.n) return false;
    const Token *token = &t->tokens.at[id];
    if (t->kind == TOKENIZER_llama2c) {
        int byte = llama2c_byte(token);
        /* The space that encoding put before the text goes. */
        bool first = before < 0 || before == t->begin, space = first && token->n && token->at[0] == ' ';
        if (byte >= 0) str_char(out, (char)byte);
        else if (id != t->begin && id != t->end) str_addn(out, token->at + space, token->n - space);
        return true;
    }
    if (t->kind == TOKENIZER_wordpiece) {
        bool continues = token->n > 2 && !memcmp(token->at, "##", 2);
        if (!continues && before >= 0) str_char(out, ' ');
        str_addn(out, token->at + 2 * continues, token->n - 2 * continues);
        return true;
    }
    str_addn(out, token->at, token->n);
    return true;
}

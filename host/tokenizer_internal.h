/* tokenizer_internal.h - what the files tokenizer*.c share. */
#ifndef DLC_TOKENIZER_INTERNAL_H
#define DLC_TOKENIZER_INTERNAL_H

#include "host/tokenizer.h"

enum { MAX_TOKEN = 1024, MAX_TOKENS = 1 << 24 };        /* bytes of a token; tokens of a file */

typedef struct Token { const char *at; uint32_t n; } Token;

/* What becomes of two neighbours: joined first where the rank is lowest. */
typedef struct Join { uint32_t rank; int32_t id; } Join;

typedef struct Symbol { int32_t id; uint32_t before, next; } Symbol;            /* id -1: joined to the one before */
typedef struct Candidate { uint32_t rank, at; int32_t left, right, id; } Candidate;

struct Tokenizer {
    Arena        *arena;
    TokenizerKind kind;
    VEC(Token)    tokens;               /* by id */
    Map          *ids;                  /* bytes -> id + 1; of equal tokens the first */
    int32_t       begin, end, unknown;  /* -1: none */
    /* gpt2 */
    Map          *joins;                /* two ids -> Join */
    int32_t       of_byte[256];
    /* llama2c */
    uint32_t     *rank;                 /* by id: how many different scores are higher */
    uint32_t      longest;
    /* wordpiece */
    bool          keep_case;
    int32_t       separator;            /* [SEP] */
    /* merge_symbols */
    VEC(Symbol)   symbols;
    VEC(Candidate) heap;                /* the lowest rank first, of equal ones the leftmost */
};

int32_t token_find(const Tokenizer *t, const char *at, size_t n);               /* -1: none */
void    token_add(Tokenizer *t, const char *at, size_t n);                      /* the next id; bytes are copied */

/* tokenizer_merge.c: join neighbours in t->symbols as long as the rule gives one, and add what is left to ids. */
typedef bool JoinRule(const Tokenizer *t, int32_t left, int32_t right, Join *join);
void symbol_add(Tokenizer *t, int32_t id);
void merge_symbols(Tokenizer *t, JoinRule *rule, IdList *ids);

/* Readers get whole files; `path` is for messages. Encoders add to *ids. */
bool gpt2_parse(Tokenizer *t, const char *path, const char *json, size_t n, const char *merges_path, const char *merges, size_t nmerges, const char **error);
bool gpt2_encode(Tokenizer *t, const char *text, size_t n, IdList *ids, const char **error);
bool wordpiece_parse(Tokenizer *t, const char *path, const char *text, size_t n, const char **error);
bool wordpiece_encode(Tokenizer *t, const char *text, size_t n, IdList *ids);
bool llama2c_parse(Tokenizer *t, const char *path, const char *data, size_t n, const char **error);
bool llama2c_encode(Tokenizer *t, const char *text, size_t n, IdList *ids, const char **error);
int  llama2c_byte(const Token *token);                  /* "<0x41>" -> 65; -1: another token */

Tokenizer *tokenizer_new(Arena *a, TokenizerKind kind);

#endif

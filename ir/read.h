/* read.h - the reader of IR text: its tokens (read_text.c), which the grammar (read.c) is written over.
 *
 * The first error counts: it is reported, `failed` is set, and from then on every function below does nothing and
 * gives false, "" or NULL. So a rule checks `failed` before it uses what it read, not after each step. */
#ifndef DLC_IR_READ_H
#define DLC_IR_READ_H

#include "ir/internal.h"

typedef enum Token { T_END, T_WORD, T_NUMBER, T_STRING, T_MARK } Token;

typedef struct Reader {
    Arena   *arena;
    Diags   *diags;
    Module  *m;
    Func    *f;
    const char *text;
    size_t   n;
    uint32_t file;
    Map     *params;
    VEC(int64_t) multiples;             /* of the function's symbols, until its requirements are read */
    uint32_t depth;                     /* of loops around */
    bool     failed;
    int64_t  splat_left;                /* bytes that splats may still make out of nothing */
    Token    token;                     /* the current token is text[start, end) */
    size_t   start, end;
} Reader;

void  text_next(Reader *r);
Span  text_here(const Reader *r);
/* Errors, at a place or at the current token; both return false. */
bool  text_fail_at(Reader *r, Span at, DiagCode code, const char *text);
bool  text_fail(Reader *r, DiagCode code, const char *fmt, ...) PRINTF(3, 4);
bool  text_is(const Reader *r, const char *text);       /* the current token is this word or mark */
bool  text_accept(Reader *r, const char *text);         /* and step over it */
bool  text_expect(Reader *r, const char *text);         /* else an error */
const char *text_token(const Reader *r);                /* for messages */
const char *text_word(Reader *r);
const char *text_string(Reader *r);
const char *text_at_name(Reader *r);                    /* @name or @"any text" */
bool  text_unsigned(Reader *r, uint64_t *v);
bool  text_integer(Reader *r, int64_t *v);
bool  text_small(Reader *r, uint32_t *v);

#endif

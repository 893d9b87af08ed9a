/* parse.h - what the lexer, the parser and the formatter share: tokens, and the parser's state.
 *
 * The lexer gives every token at once, without statement ends; whether a newline ends a statement depends on
 * the innermost open bracket, which the parser knows (and, after a mistake, knows better than a count would).
 */
#ifndef DLC_FRONTEND_PARSE_H
#define DLC_FRONTEND_PARSE_H

#include "frontend/ast.h"

/* ---- lex.c ------------------------------------------------------------------------------------------ */

/* Marks, in the order in which the lexer tries them: longer ones before their own beginnings. */
#define MARKS(M)                                                                                                  \
    M(dots, "...") M(dot, ".") M(arrow, "->") M(pipe, "|>") M(becomes, ":=") M(colon, ":") M(eq, "==") M(ne, "!=") \
    M(le, "<=") M(ge, ">=") M(lt, "<") M(gt, ">") M(assign, "=") M(slashes, "//") M(slash, "/") M(plus, "+")      \
    M(minus, "-") M(star, "*") M(percent, "%") M(at, "@") M(caret, "^") M(quote, "'") M(comma, ",")               \
    M(semicolon, ";") M(lparen, "(") M(rparen, ")") M(lsquare, "[") M(rsquare, "]") M(lbrace, "{") M(rbrace, "}")

#define KEYWORDS(K)                                                                                               \
    K(and) K(arg) K(as) K(dl) K(else) K(export) K(false) K(fn) K(for) K(if) K(import) K(in) K(module) K(none)     \
    K(not) K(or) K(param) K(return) K(scan) K(self) K(state) K(train) K(true) K(while) K(with) K(yield)

typedef enum TokenKind {
    TOK_name, TOK_int, TOK_float, TOK_string, TOK_comment,
    TOK_error,                                          /* the lexer reported it; nobody else should */
    TOK_newline,                                        /* made by the parser alone: a newline that ends a statement */
    TOK_eof,                                            /* always the last one */
#define M(name, text) TOK_##name,
    MARKS(M)
#undef M
#define K(name) KW_##name,
    KEYWORDS(K)
#undef K
    TOK_COUNT
} TokenKind;

typedef struct Token {
    uint8_t  kind;                                      /* TokenKind */
    bool     newline;                                   /* at least one newline since the token before (comments count) */
    bool     blank;                                     /* at least one empty line since the token before */
    uint32_t match;                                     /* of a bracket: the token of its partner; 0: it has none */
    uint32_t start, end;                                /* bytes of the source */
    union {
        int64_t     i;
        double      f;
        const char *name;                               /* name (or keyword as it is spelt), string without its escapes */
    };
} Token;

typedef struct Tokens { Token *at; uint32_t n; } Tokens;

/* Tokens of a whole source, TOK_eof included. A text that is not UTF-8, or too long, is one error and no tokens but TOK_eof. */
Tokens lex(Arena *a, Strings *names, Diags *d, uint32_t source, bool comments);
const char *token_text(TokenKind k);                    /* "|>", "with"; NULL for names, numbers and the like */
bool token_ends(TokenKind k);                           /* may it be the last token of a statement? */
bool token_continues(TokenKind k);                      /* at the start of a line: does it go on with the line above? */
bool is_dtype(const char *name);                        /* f32, i64, bool, ... */

/* ---- the parser's state ------------------------------------------------------------------------------- */

#define NEST_LIMIT   200                                /* brackets, blocks and prefix operators inside each other */
#define HEIGHT_LIMIT 1000                               /* of the tree, so that whoever walks it may recurse */
#define ERROR_LIMIT  100
#define LANGUAGE_VERSION 1

typedef enum Level { LEVEL_file, LEVEL_module, LEVEL_fn } Level;

typedef struct Parser {
    Arena   *a;
    Strings *names;
    Diags   *d;
    uint32_t file;
    const char *text;
    Token   *tok;
    uint32_t ntok, pos;
    uint32_t ended;                                     /* the newline before this token was already used as an end */
    char     bracket;                                   /* innermost open one: '{' (also at file level), '(' or '[' */
    uint32_t open;                                      /* token + 1 of the outermost '(' or '[' open in this statement, or 0 */
    uint32_t depth;                                     /* nesting */
    uint32_t height;                                    /* of the highest tree made since somebody set it to 0 */
    uint32_t errors, error_at;                          /* error_at: the token of the last error + 1 */
    bool     braces;                                    /* the last error is a '{' where an expression should be */
    Level    level;
    bool     nested;                                    /* in a block of an if, for, scan below the body of its level */
    bool     in_fn, loop;                               /* return, yield are in place */
    bool     recovering;                                /* in a block below a broken header: whose body it is, is not known */
} Parser;

/* ---- parse.c: tokens as the parser sees them, blocks --------------------------------------------------- */

TokenKind peek(Parser *p);                              /* TOK_newline where a newline ends the statement */
TokenKind peek_next(Parser *p);                         /* the token after it, newlines ignored */
Token    *take(Parser *p);                              /* the token itself; the caller has looked at it */
bool      accept(Parser *p, TokenKind k);
bool      at_end(Parser *p);                            /* of a statement */
Span      span_here(Parser *p);                         /* of the token peek() sees; of the end of the line */
Span      span_from(Parser *p, uint32_t start);         /* from a byte to the end of the last token taken */
/* Report at the token peek() sees. Returns the diagnostic, NULL when it is one of another's consequences. */
Diag     *error_here(Parser *p, DiagCode code, const char *fmt, ...) PRINTF(3, 4);
Diag     *expected(Parser *p, const char *what);        /* "expected `what`, found ..." */
bool      expect(Parser *p, TokenKind k, const char *what);
const char *expect_name(Parser *p, const char *what, Span *span);       /* NULL: reported */
/* Brackets: open takes the token and returns what to give to close. close: false if the token is not there (reported). */
typedef struct Opened { uint32_t token, open; char bracket; } Opened;    /* the state outside */
Opened    bracket_open(Parser *p);
bool      bracket_close(Parser *p, Opened o, const char *what);
bool      nest(Parser *p);                              /* one level deeper; false: too deep (reported) */
bool      grow(Parser *p);                              /* a new node on top of p->height */
bool      file_level_only(TokenKind k);                 /* import, arg, export, module */
bool      at_block(Parser *p, const char *what);        /* is a '{' next? If not, `what` was expected */
void      parse_body(Parser *p, Body *out);             /* from the '{' to the '}' */
bool      parse_block(Parser *p, const char *of, bool loop, Body *out);         /* the same below an if, for, scan, while */

/* ---- parse_stmt.c -------------------------------------------------------------------------------------- */

Stmt     *parse_statement(Parser *p);                   /* without its end */
bool      parse_names(Parser *p, const char ***names, Span **spans, uint32_t *n);
bool      parse_fn(Parser *p, Fn *f);                   /* from the parameters on; f->name says which form */

/* ---- parse_expr.c -------------------------------------------------------------------------------------- */

Expr     *parse_expr(Parser *p);
bool      parse_exprs(Parser *p, Expr ***at, uint32_t *n);
TypeExpr *parse_type(Parser *p);
Expr     *expr_new(Parser *p, ExprKind kind, uint32_t start);   /* its span: to the last token taken */

#endif

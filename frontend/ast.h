/* ast.h - the syntax tree of one .dl file: what the parser builds and the checker walks. Everything lives
 * in the arena of the compilation. Names are interned: equal names are equal pointers.
 */
#ifndef DLC_AST_H
#define DLC_AST_H

#include "base/base.h"

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Fn   Fn;
typedef struct Body { Stmt **at; uint32_t n; Span span; } Body;         /* a block */

typedef enum UnOp { UN_neg, UN_not, UN_transpose } UnOp;
typedef enum BinOp {
    BIN_add, BIN_sub, BIN_mul, BIN_div, BIN_floordiv, BIN_mod, BIN_matmul, BIN_pow,
    BIN_eq, BIN_ne, BIN_lt, BIN_le, BIN_gt, BIN_ge, BIN_and, BIN_or
} BinOp;
const char *binop_text(BinOp op);                       /* "+", "//", "and" */

/* f32[B, ...]; int; fn. The dims of a type are expressions; "..." is a NULL dim. */
typedef struct TypeExpr {
    const char *name;                                   /* f32, int, fn, module, or any name: the checker decides */
    Span        name_span;
    bool        brackets;                               /* f32[] differs from f32 nowhere, but fmt keeps it */
    Expr      **dim;
    uint32_t    ndims;
    Span        span;
} TypeExpr;

typedef struct Argument { const char *name; Span name_span; Expr *value; } Argument;    /* name NULL: positional */

typedef enum IndexKind { INDEX_ellipsis, INDEX_one, INDEX_range } IndexKind;
typedef struct Index { IndexKind kind; Expr *one, *from, *to, *step; Span span; } Index;    /* range parts may be NULL */

typedef struct Bind { const char *name; Span span; Expr *value; } Bind;     /* `x in xs` of a scan, `h = h0` of with */

typedef enum ExprKind {
    EX_int, EX_float, EX_string, EX_true, EX_false, EX_none, EX_self, EX_name,
    EX_tuple, EX_list, EX_comprehension,
    EX_type,                                            /* f32[B, 64]: a dtype and '['. A dtype alone is EX_name, f32(x) a call of that */
    EX_unary, EX_binary, EX_pipe,                       /* pipe: left |> right */
    EX_call, EX_index, EX_member,
    EX_if, EX_scan, EX_while, EX_fn
} ExprKind;

struct Expr {
    ExprKind kind;
    Span     span;
    Span     op_span;                                   /* of the operator or the name after '.'; else the span */
    bool     brackets;                                  /* it stood in (round) brackets, which its span includes: matters to |> */
    union {
        int64_t     i;
        double      f;
        const char *name;                               /* name, string (unescaped) */
        struct { Expr **at; uint32_t n; } items;        /* tuple, list */
        struct { Expr *value; const char **names; Span *name_spans; uint32_t nnames; Expr *in, *cond; } comp;
        struct { UnOp op; Expr *x; } un;
        struct { BinOp op; Expr *a, *b; } bin;          /* also pipe (op unused) */
        struct { Expr *fn; Argument *arg; uint32_t nargs; } call;
        struct { Expr *x; Index *at; uint32_t n; } index;
        struct { Expr *x; const char *name; } member;
        struct { Expr *cond; Body then; Body other; bool has_else; } cond;      /* else if: other holds one EX_if statement */
        struct { Bind *in; uint32_t nin; Expr *cond; Bind *with; uint32_t nwith; Body body; } loop;     /* scan, while */
        Fn         *fn;
        TypeExpr   *type;
    };
};

typedef struct FnParam { const char *name; Span span; TypeExpr *type; Expr *value; } FnParam;   /* type, value may be NULL */
typedef struct FnResult { const char *name; TypeExpr *type; Span span; } FnResult;              /* name may be NULL */

struct Fn {
    const char *name;                                   /* NULL: without a name */
    Span        name_span, span;                        /* span: to the end of its results, for messages */
    FnParam    *param;   uint32_t nparams;
    FnResult   *result;  uint32_t nresults;
    bool        has_results, results_in_brackets;
    Expr      **fact;    uint32_t nfacts;
    bool        is_expr;                                /* `= exprs`: the body is one return statement */
    Body        body;
    const char *doc;                                    /* comment lines directly above, or NULL */
    bool        exported, train;
};

typedef struct ModuleDecl {
    const char *name;
    Span        name_span;
    FnParam    *param;   uint32_t nparams;
    Body        body;
    const char *doc;
} ModuleDecl;

typedef enum StmtKind {
    ST_import, ST_arg, ST_fn, ST_module, ST_param, ST_state, ST_for, ST_return, ST_yield,
    ST_assign,                                          /* targets = values, or targets: type = values */
    ST_update,                                          /* targets := values */
    ST_expr
} StmtKind;

struct Stmt {
    StmtKind kind;
    Span     span;
    union {
        struct { const char *path, *as; Span path_span, as_span; } import;
        struct { const char *name; Span name_span; TypeExpr *type; Expr *value; const char *as; } decl;  /* arg, param, state */
        Fn         *fn;
        ModuleDecl *module;
        struct { const char **names; Span *name_spans; uint32_t nnames; Expr *in; Body body; } loop;
        struct { Expr **at; uint32_t n; } values;       /* return, yield, expr (n == 1, or more: an unused tuple) */
        /* = : targets are EX_name. := : EX_name, or EX_member and EX_index down to a name or self. Both may have a type. */
        struct { Expr **target; uint32_t ntargets; TypeExpr *type; Expr **value; uint32_t nvalues; const char *as; } assign;
    };
};

typedef struct File {
    const char *path;
    uint32_t    source;                                 /* number in Diags.sources */
    int64_t     version;                                /* of `dl 1`; 1 if absent */
    Body        body;
} File;

/* Parse a source already registered with diag_source(). Reports every independent syntax error (recovering at
 * statement ends) and returns what it could parse; never NULL. Nesting deeper than 200 is an error, and so is a tree
 * higher than 1000: whoever walks it may recurse. What stands in a wrong place (a param outside of a module, a return
 * outside of a function, a yield that is not last in a scan) is reported here and stays in the tree. */
File *parse_file(Arena *a, Strings *names, Diags *d, uint32_t source);
/* The tree as text, for `dlc inspect --ast` and golden tests: one s-expression a statement. */
void  ast_print(Str *s, const File *f);
/* Canonical formatting of a source: comments and blank-line groups kept, idempotent. false: syntax errors in d. */
bool  format_file(Arena *a, Strings *names, Diags *d, uint32_t source, Str *out);

#endif

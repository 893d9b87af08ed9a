/* parse_expr.c - expressions and types: recursive descent, one function a rule of the grammar. A function that
 * returns NULL (or false) has reported why, or met what was reported before; the statement is then given up.
 */
#include "frontend/parse.h"

#include <stdlib.h>
#include <string.h>

Expr *expr_new(Parser *p, ExprKind kind, uint32_t start)
{
    Expr *e = arena_new(p->a, Expr);
    e->kind = kind;
    e->span = e->op_span = span_from(p, start);
    return e;
}

static uint32_t start_here(Parser *p) { return p->tok[p->pos].start; }

static Span token_span(Parser *p, const Token *t) { return (Span){ p->file, t->start, t->end }; }

/* ---- types ---------------------------------------------------------------------------------------------- */

/* `[dim, ...]` behind the name of a type; the '[' is next. */
static bool parse_dims(Parser *p, TypeExpr *t)
{
    VEC(Expr *) dims = { 0 };
    Opened o = bracket_open(p);
    t->brackets = true;
    if (peek(p) != TOK_rsquare)
        do {
            Expr *dim = NULL;
            if (!accept(p, TOK_dots) && !(dim = parse_expr(p))) return false;
            vec_push(p->a, &dims, dim);
        } while (accept(p, TOK_comma));
    t->dim = dims.at;
    t->ndims = dims.n;
    return bracket_close(p, o, "',' or ']'");
}

TypeExpr *parse_type(Parser *p)
{
    TypeExpr *t = arena_new(p->a, TypeExpr);
    uint32_t start = start_here(p), outer = p->height;
    TokenKind k = peek(p);
    if (k == KW_fn || k == KW_module) {
        t->name = take(p)->name;
        t->name_span = span_from(p, start);
    } else if (!(t->name = expect_name(p, "a type", &t->name_span))) return NULL;
    p->height = 0;
    if (peek(p) == TOK_lsquare && !parse_dims(p, t)) return NULL;
    if (!grow(p)) return NULL;
    if (p->height < outer) p->height = outer;
    t->span = span_from(p, start);
    return t;
}

/* ---- primaries -------------------------------------------------------------------------------------------- */

static Expr *parse_round(Parser *p, uint32_t start)
{
    VEC(Expr *) items = { 0 };
    bool tuple = false;
    Opened o = bracket_open(p);
    while (peek(p) != TOK_rparen) {
        Expr *e = parse_expr(p);
        if (!e) return NULL;
        vec_push(p->a, &items, e);
        if (!accept(p, TOK_comma)) break;
        tuple = true;
    }
    if (!bracket_close(p, o, items.n ? "',' or ')'" : "')'")) return NULL;
    if (items.n == 1 && !tuple) {
        items.at[0]->brackets = true;
        items.at[0]->span = span_from(p, start);
        return items.at[0];
    }
    Expr *e = expr_new(p, EX_tuple, start);
    e->items.at = items.at;
    e->items.n = items.n;
    return grow(p) ? e : NULL;
}

static Expr *parse_square(Parser *p, uint32_t start)
{
    VEC(Expr *) items = { 0 };
    Opened o = bracket_open(p);
    while (peek(p) != TOK_rsquare) {
        Expr *value = parse_expr(p);
        if (!value) return NULL;
        if (items.n == 0 && accept(p, KW_for)) {
            Expr *e = expr_new(p, EX_comprehension, start);
            e->comp.value = value;
            if (!parse_names(p, &e->comp.names, &e->comp.name_spans, &e->comp.nnames) || !expect(p, KW_in, "'in'")
                || !(e->comp.in = parse_expr(p)) || (accept(p, KW_if) && !(e->comp.cond = parse_expr(p)))
                || !bracket_close(p, o, e->comp.cond ? "']'" : "'if' or ']'")) return NULL;
            e->span = e->op_span = span_from(p, start);
            return grow(p) ? e : NULL;
        }
        vec_push(p->a, &items, value);
        if (!accept(p, TOK_comma)) break;
    }
    if (!bracket_close(p, o, items.n == 1 ? "',', 'for' or ']'" : "',' or ']'")) return NULL;
    Expr *e = expr_new(p, EX_list, start);
    e->items.at = items.at;
    e->items.n = items.n;
    return grow(p) ? e : NULL;
}

/* `NAME = expr, ...` of a with; or `NAME in expr, ...` of a scan. */
static bool parse_binds(Parser *p, TokenKind between, const char *what, Bind **at, uint32_t *n)
{
    VEC(Bind) binds = { 0 };
    do {
        Bind b = { 0 };
        if (!(b.name = expect_name(p, "a name", &b.span)) || !expect(p, between, what) || !(b.value = parse_expr(p))) return false;
        vec_push(p->a, &binds, b);
    } while (accept(p, TOK_comma));
    *at = binds.at;
    *n = binds.n;
    return true;
}

static Expr *parse_if(Parser *p, uint32_t start)
{
    Expr *e = expr_new(p, EX_if, start);
    if (!nest(p)) return NULL;
    take(p);
    bool ok = (e->cond.cond = parse_expr(p)) && parse_block(p, "'if'", false, &e->cond.then);
    if (ok && accept(p, KW_else)) {
        e->cond.has_else = true;
        if (peek(p) == KW_if) {
            Stmt *s = arena_new(p->a, Stmt);
            Expr *inner = parse_if(p, start_here(p));
            s->kind = ST_expr;
            s->values.at = arena_new(p->a, Expr *);
            s->values.at[0] = inner;
            s->values.n = 1;
            e->cond.other = (Body){ arena_new(p->a, Stmt *), 1, { 0 } };
            e->cond.other.at[0] = s;
            if (inner) e->cond.other.span = s->span = inner->span;
            ok = inner != NULL;
        } else {
            ok = parse_block(p, "'else'", false, &e->cond.other);
        }
    }
    p->depth--;
    e->span = span_from(p, start);
    return ok && grow(p) ? e : NULL;
}

static Expr *parse_loop(Parser *p, uint32_t start)
{
    bool scan = peek(p) == KW_scan;
    Expr *e = expr_new(p, scan ? EX_scan : EX_while, start);
    take(p);
    e->op_span = span_from(p, start);
    if (scan) {
        if (!parse_binds(p, KW_in, "'in'", &e->loop.in, &e->loop.nin)) return NULL;
        if (accept(p, KW_while) && !(e->loop.cond = parse_expr(p))) return NULL;
    } else if (!(e->loop.cond = parse_expr(p))) return NULL;
    if (scan ? accept(p, KW_with) : expect(p, KW_with, "'with' and what the loop carries")) {
        if (!parse_binds(p, TOK_assign, "'=' and a first value", &e->loop.with, &e->loop.nwith)) return NULL;
    } else if (!scan) return NULL;
    if (!parse_block(p, scan ? "'scan'" : "'while'", scan, &e->loop.body)) return NULL;
    e->span = span_from(p, start);
    return grow(p) ? e : NULL;
}

/* What somebody who starts an expression with this from habit should write instead. */
static const char *primary_habit(Parser *p, TokenKind k)
{
    TokenKind before = p->pos ? p->tok[p->pos - 1].kind : TOK_eof, after = peek_next(p);
    if (k == TOK_quote) return "strings stand in double quotes; ' after a value is its transpose";
    if (k == TOK_dot && after == TOK_int) return "a number has a digit before its point, as in 0.5";
    if (k == TOK_star && before == TOK_star) return "the power is '^'";
    if (k == TOK_assign && (before == TOK_plus || before == TOK_minus || before == TOK_star || before == TOK_slash))
        return "there is no such assignment; write x = x + y";
    if (k == TOK_lbrace) return "'{' starts only the block of a declaration, if, for, scan or while";
    if (k == KW_not) return "'not' binds looser than this operator: put it into brackets";
    return NULL;
}

static Expr *parse_primary(Parser *p)
{
    uint32_t start = start_here(p);
    TokenKind k = peek(p);
    Expr *e;
    switch (k) {
    case TOK_int: {
        int64_t i = take(p)->i;
        e = expr_new(p, EX_int, start);
        e->i = i;
        break;
    }
    case TOK_float: {
        double f = take(p)->f;
        e = expr_new(p, EX_float, start);
        e->f = f;
        break;
    }
    case TOK_string: {
        const char *s = take(p)->name;
        e = expr_new(p, EX_string, start);
        e->name = s;
        break;
    }
    case TOK_name: {
        const char *name = take(p)->name;
        if (is_dtype(name) && peek(p) == TOK_lsquare) {
            TypeExpr *t = arena_new(p->a, TypeExpr);
            t->name = name;
            t->name_span = span_from(p, start);
            if (!parse_dims(p, t)) return NULL;
            t->span = span_from(p, start);
            e = expr_new(p, EX_type, start);
            e->type = t;
            break;
        }
        e = expr_new(p, EX_name, start);
        e->name = name;
        break;
    }
    case KW_true: case KW_false: case KW_none: case KW_self:
        take(p);
        e = expr_new(p, k == KW_true ? EX_true : k == KW_false ? EX_false : k == KW_none ? EX_none : EX_self, start);
        break;
    case TOK_lparen:  return parse_round(p, start);
    case TOK_lsquare: return parse_square(p, start);
    case KW_if:       return parse_if(p, start);
    case KW_scan: case KW_while: return parse_loop(p, start);
    case KW_fn: {
        Fn *f = arena_new(p->a, Fn);
        take(p);
        f->name_span = f->span = span_from(p, start);
        if (!parse_fn(p, f)) return NULL;
        e = expr_new(p, EX_fn, start);
        e->fn = f;
        return e;                                       /* parse_fn has grown the tree */
    }
    default: {
        const char *why = primary_habit(p, k);
        p->braces = k == TOK_lbrace;
        Diag *d = expected(p, "an expression");
        if (d && why) diag_note(p->d, d, d->span, "%s", why);
        return NULL;
    }
    }
    return grow(p) ? e : NULL;
}

/* ---- postfix: calls, indices, members, transposes ----------------------------------------------------------- */

static bool parse_arguments(Parser *p, Expr *call)
{
    VEC(Argument) args = { 0 };
    Opened o = bracket_open(p);
    while (peek(p) != TOK_rparen) {
        Argument g = { 0 };
        if (peek_next(p) == TOK_assign) {
            if (!(g.name = expect_name(p, "the name of an argument", &g.name_span))) return false;
            take(p);
        }
        if (!(g.value = parse_expr(p))) return false;
        if (!g.name && args.n && args.at[args.n - 1].name)
            diag_error(p->d, DL_argument_order, g.value->span, "an argument without a name after '%s = ...'; positional ones come first",
                       args.at[args.n - 1].name);
        vec_push(p->a, &args, g);
        if (!accept(p, TOK_comma)) break;
    }
    call->call.arg = args.at;
    call->call.nargs = args.n;
    return bracket_close(p, o, args.n ? "',' or ')'" : "an argument or ')'");
}

static bool parse_index(Parser *p, Index *x)
{
    uint32_t start = start_here(p);
    if (accept(p, TOK_dots)) {
        x->kind = INDEX_ellipsis;
    } else {
        if (peek(p) != TOK_colon && !(x->one = parse_expr(p))) return false;
        x->kind = INDEX_one;
        if (accept(p, TOK_colon)) {
            x->kind = INDEX_range;
            x->from = x->one;
            x->one = NULL;
            for (int i = 0; i < 2; i++) {
                TokenKind k = peek(p);
                if (k != TOK_colon && k != TOK_comma && k != TOK_rsquare && !(*(i ? &x->step : &x->to) = parse_expr(p))) return false;
                if (i || !accept(p, TOK_colon)) break;
            }
        }
    }
    x->span = span_from(p, start);
    return true;
}

static bool parse_indices(Parser *p, Expr *e)
{
    VEC(Index) list = { 0 };
    Opened o = bracket_open(p);
    do {
        Index x = { 0 };
        if (!parse_index(p, &x)) return false;
        vec_push(p->a, &list, x);
    } while (accept(p, TOK_comma));
    e->index.at = list.at;
    e->index.n = list.n;
    return bracket_close(p, o, "',', ':' or ']'");
}

static Expr *parse_postfix(Parser *p)
{
    uint32_t start = start_here(p), outer = p->height;
    p->height = 0;
    Expr *x = parse_primary(p), *e;
    while (x) {
        switch (peek(p)) {
        case TOK_lparen:
            e = expr_new(p, EX_call, start);
            e->call.fn = x;
            if (!parse_arguments(p, e)) return NULL;
            break;
        case TOK_lsquare:
            e = expr_new(p, EX_index, start);
            e->index.x = x;
            if (!parse_indices(p, e)) return NULL;
            break;
        case TOK_dot: {
            take(p);
            Token *t = &p->tok[p->pos];
            if (peek(p) != TOK_name) {                  /* the lexer makes any word after a point a name */
                Diag *d = expected(p, "a name after '.'");
                if (d && t->kind == TOK_int) diag_note(p->d, d, d->span, "an item of a list or tuple is x[%lld]", (long long)t->i);
                return NULL;
            }
            take(p);
            e = expr_new(p, EX_member, start);
            e->op_span = token_span(p, t);
            e->member.x = x;
            e->member.name = t->name;
            break;
        }
        case TOK_quote: {
            Token *t = take(p);
            e = expr_new(p, EX_unary, start);
            e->op_span = token_span(p, t);
            e->un.op = UN_transpose;
            e->un.x = x;
            break;
        }
        default:
            if (p->height < outer) p->height = outer;
            return x;
        }
        e->span = span_from(p, start);
        if (e->kind == EX_call || e->kind == EX_index) e->op_span = e->span;
        if (!grow(p)) return NULL;
        x = e;
    }
    return NULL;
}

/* ---- operators ------------------------------------------------------------------------------------------------ */

/* Loosest first; `not` has a row of its own between `and` and the comparisons, `^` and the signs follow product. */
enum { PREC_or, PREC_and, PREC_not, PREC_compare, PREC_sum, PREC_product, PREC_unary };
static const struct { TokenKind token; int prec; BinOp op; const char *text; } operators[] = {
    { KW_or, PREC_or, BIN_or, "or" }, { KW_and, PREC_and, BIN_and, "and" },
    { TOK_eq, PREC_compare, BIN_eq, "==" }, { TOK_ne, PREC_compare, BIN_ne, "!=" }, { TOK_lt, PREC_compare, BIN_lt, "<" },
    { TOK_le, PREC_compare, BIN_le, "<=" }, { TOK_gt, PREC_compare, BIN_gt, ">" }, { TOK_ge, PREC_compare, BIN_ge, ">=" },
    { TOK_plus, PREC_sum, BIN_add, "+" }, { TOK_minus, PREC_sum, BIN_sub, "-" },
    { TOK_star, PREC_product, BIN_mul, "*" }, { TOK_slash, PREC_product, BIN_div, "/" }, { TOK_slashes, PREC_product, BIN_floordiv, "//" },
    { TOK_percent, PREC_product, BIN_mod, "%" }, { TOK_at, PREC_product, BIN_matmul, "@" },
    { TOK_caret, PREC_unary, BIN_pow, "^" },
};

const char *binop_text(BinOp op)
{
    for (size_t i = 0; i < COUNT(operators); i++)
        if (operators[i].op == op) return operators[i].text;
    return "?";
}

static bool operator_here(Parser *p, int prec, BinOp *op)
{
    TokenKind k = peek(p);
    for (size_t i = 0; i < COUNT(operators); i++)
        if (operators[i].token == k && operators[i].prec == prec) {
            *op = operators[i].op;
            return true;
        }
    return false;
}

static Expr *binary_new(Parser *p, uint32_t start, const Token *op_token, BinOp op, Expr *a, Expr *b)
{
    Expr *e = expr_new(p, EX_binary, start);
    e->op_span = token_span(p, op_token);
    e->bin.op = op;
    e->bin.a = a;
    e->bin.b = b;
    return grow(p) ? e : NULL;
}

static Expr *unary_new(Parser *p, uint32_t start, const Token *op_token, UnOp op, Expr *x)
{
    Expr *e = expr_new(p, EX_unary, start);
    e->op_span = token_span(p, op_token);
    e->un.op = op;
    e->un.x = x;
    return grow(p) ? e : NULL;
}

/* "-" unary | postfix [ "^" unary ]: the exponent is a unary, so -x^2 is -(x^2) and 2^-1 needs no brackets. */
static Expr *parse_unary(Parser *p)
{
    uint32_t start = start_here(p), outer = p->height;
    p->height = 0;
    bool minus = peek(p) == TOK_minus;
    Expr *e = minus ? NULL : parse_postfix(p);
    if (minus || (e && peek(p) == TOK_caret)) {
        Token *t = take(p);
        Expr *x = nest(p) ? parse_unary(p) : NULL;
        p->depth--;
        e = !x ? NULL : minus ? unary_new(p, start, t, UN_neg, x) : binary_new(p, start, t, BIN_pow, e, x);
    }
    if (p->height < outer) p->height = outer;
    return e;
}

static Expr *parse_binary(Parser *p, int prec)
{
    if (prec == PREC_unary) return parse_unary(p);
    uint32_t start = start_here(p), outer = p->height;
    BinOp op;
    p->height = 0;
    Expr *x;
    if (prec == PREC_not && peek(p) == KW_not) {
        Token *t = take(p);
        if (!nest(p)) return NULL;
        x = parse_binary(p, PREC_not);
        p->depth--;
        if (x) x = unary_new(p, start, t, UN_not, x);
    } else {
        x = parse_binary(p, prec + 1);
    }
    while (x && operator_here(p, prec, &op)) {
        Token *t = take(p);
        Expr *b = parse_binary(p, prec + 1);
        x = b ? binary_new(p, start, t, op, x, b) : NULL;
        if (x && prec == PREC_compare && operator_here(p, prec, &op)) {
            Diag *d = error_here(p, DL_compare_chain, "comparisons do not chain");
            if (d) diag_note(p->d, d, x->span, "join two of them with 'and', or put this one into brackets");
            return NULL;
        }
    }
    if (p->height < outer) p->height = outer;
    return x;
}

Expr *parse_expr(Parser *p)
{
    uint32_t start = start_here(p), outer = p->height;
    if (!nest(p)) return NULL;
    p->height = 0;
    Expr *x = parse_binary(p, PREC_or);
    while (x && peek(p) == TOK_pipe) {
        Token *t = take(p);
        Expr *f = parse_postfix(p);
        if (!f) x = NULL;
        else if ((x = binary_new(p, start, t, BIN_add, x, f))) x->kind = EX_pipe;
    }
    p->depth--;
    if (p->height < outer) p->height = outer;
    return x;
}

bool parse_exprs(Parser *p, Expr ***at, uint32_t *n)
{
    VEC(Expr *) list = { 0 };
    do {
        Expr *e = parse_expr(p);
        if (!e) return false;
        vec_push(p->a, &list, e);
    } while (accept(p, TOK_comma));
    *at = list.at;
    *n = list.n;
    return true;
}

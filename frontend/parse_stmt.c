/* parse_stmt.c - statements, functions and modules. As in parse_expr.c, NULL and false mean: reported. */
#include "frontend/parse.h"

#include <string.h>

/* ---- functions and modules ------------------------------------------------------------------------------------------ */

bool parse_names(Parser *p, const char ***names, Span **spans, uint32_t *n)
{
    VEC(const char *) list = { 0 };
    VEC(Span) places = { 0 };
    do {
        Span at;
        const char *name = expect_name(p, "a name", &at);
        if (!name) return false;
        vec_push(p->a, &list, name);
        vec_push(p->a, &places, at);
    } while (accept(p, TOK_comma));
    *names = list.at;
    *spans = places.at;
    *n = list.n;
    return true;
}

static bool parse_params(Parser *p, FnParam **at, uint32_t *n)
{
    VEC(FnParam) list = { 0 };
    if (peek(p) != TOK_lparen) return expect(p, TOK_lparen, "'(' and parameters");
    Opened o = bracket_open(p);
    while (peek(p) != TOK_rparen) {
        FnParam x = { 0 };
        if (!(x.name = expect_name(p, "the name of a parameter", &x.span))) return false;
        if (accept(p, TOK_colon) && !(x.type = parse_type(p))) return false;
        if (accept(p, TOK_assign) && !(x.value = parse_expr(p))) return false;
        vec_push(p->a, &list, x);
        if (!accept(p, TOK_comma)) break;
    }
    *at = list.at;
    *n = list.n;
    return bracket_close(p, o, list.n ? "',' or ')'" : "a parameter or ')'");
}

static bool parse_result(Parser *p, FnResult *r)
{
    uint32_t start = p->tok[p->pos].start;
    if (peek_next(p) == TOK_colon) {
        if (!(r->name = expect_name(p, "the name of a result", &r->span))) return false;
        take(p);
    }
    r->type = parse_type(p);
    r->span = span_from(p, start);
    return r->type != NULL;
}

static bool parse_results(Parser *p, Fn *f)
{
    VEC(FnResult) list = { 0 };
    FnResult r = { 0 };
    f->has_results = true;
    f->results_in_brackets = peek(p) == TOK_lparen;
    if (!f->results_in_brackets) {
        r.span = span_here(p);
        if (!(r.type = parse_type(p))) return false;
        r.span = r.type->span;
        vec_push(p->a, &list, r);
    } else {
        Opened o = bracket_open(p);
        do {
            r = (FnResult){ 0 };
            if (!parse_result(p, &r)) return false;
            vec_push(p->a, &list, r);
        } while (accept(p, TOK_comma));
        if (!bracket_close(p, o, "',' or ')'")) return false;
    }
    f->result = list.at;
    f->nresults = list.n;
    return true;
}

/* `= exprs`: a body of one return statement. */
static bool parse_fn_value(Parser *p, Fn *f)
{
    Stmt *s = arena_new(p->a, Stmt);
    uint32_t start = p->tok[p->pos].start;
    take(p);
    s->kind = ST_return;
    f->is_expr = true;
    if (f->name) {
        if (!parse_exprs(p, &s->values.at, &s->values.n)) return false;
    } else {
        s->values.at = arena_new(p->a, Expr *);
        s->values.n = 1;
        if (!(s->values.at[0] = parse_expr(p))) return false;
    }
    s->span = (Span){ p->file, s->values.at[0]->span.start, s->values.at[s->values.n - 1]->span.end };
    f->body = (Body){ arena_new(p->a, Stmt *), 1, span_from(p, start) };
    f->body.at[0] = s;
    return grow(p);
}

bool parse_fn(Parser *p, Fn *f)
{
    Level level = p->level;
    bool nested = p->nested, in_fn = p->in_fn, loop = p->loop, ok = true;
    if (!parse_params(p, &f->param, &f->nparams)) return false;
    if (f->name && accept(p, TOK_arrow) && !parse_results(p, f)) return false;
    f->span.end = span_from(p, f->span.start).end;
    if (f->name && accept(p, KW_with) && !parse_exprs(p, &f->fact, &f->nfacts)) return false;
    p->level = LEVEL_fn;
    p->in_fn = true;
    p->nested = p->loop = false;
    if (peek(p) == TOK_assign) ok = parse_fn_value(p, f);
    else if ((ok = at_block(p, f->name && !f->has_results && !f->nfacts ? "'->', '=' or '{'" : "'=' or '{'"))) parse_body(p, &f->body);
    p->level = level;
    p->in_fn = in_fn;
    p->nested = nested;
    p->loop = loop;
    return ok && grow(p);
}

/* The comment lines directly above the line of token i, which must be the first on it; without '#' and one space each. */
static const char *doc_above(Parser *p, uint32_t i)
{
    uint32_t start = p->tok[i].start, first;
    while (!p->tok[i].newline && p->tok[i - 1].kind == TOK_semicolon) i--;
    if (!p->tok[i].newline) return NULL;
    while (start && p->text[start - 1] != '\n') start--;
    first = start;
    while (first) {
        uint32_t line = first - 1, at;
        while (line && p->text[line - 1] != '\n') line--;
        for (at = line; p->text[at] == ' ' || p->text[at] == '\t' || p->text[at] == ';'; at++) { }
        if (p->text[at] != '#') break;
        first = line;
    }
    if (first == start) return NULL;
    Str s = { .arena = p->a };
    for (uint32_t at = first, end; at < start; at = end + 1) {
        while (p->text[at] != '#') at++;
        at += p->text[at + 1] == ' ' ? 2 : 1;
        for (end = at; p->text[end] != '\n'; end++) { }
        uint32_t n = end - at;
        while (n && (p->text[at + n - 1] == '\r' || p->text[at + n - 1] == ' ' || p->text[at + n - 1] == '\t')) n--;
        if (s.n) str_char(&s, '\n');
        str_addn(&s, p->text + at, n);
    }
    return s.at ? s.at : "";
}

static bool parse_function(Parser *p, Stmt *s)
{
    uint32_t first = p->pos;
    Fn *f = arena_new(p->a, Fn);
    s->kind = ST_fn;
    s->fn = f;
    f->doc = doc_above(p, first);
    f->exported = accept(p, KW_export);
    f->train = f->exported && accept(p, KW_train);
    f->span.start = p->tok[p->pos].start;
    f->span.file = p->file;
    if (!expect(p, KW_fn, f->train ? "'fn'" : "'fn' or 'train'")) return false;
    if (!(f->name = expect_name(p, "the name of the function", &f->name_span))) return false;
    return parse_fn(p, f);
}

static bool parse_module(Parser *p, Stmt *s)
{
    ModuleDecl *m = arena_new(p->a, ModuleDecl);
    s->kind = ST_module;
    s->module = m;
    m->doc = doc_above(p, p->pos);
    take(p);
    if (!(m->name = expect_name(p, "the name of the module", &m->name_span)) || !parse_params(p, &m->param, &m->nparams)) return false;
    if (!at_block(p, "'{' and the body of the module")) return false;
    Level level = p->level;
    bool nested = p->nested, in_fn = p->in_fn, loop = p->loop;
    p->level = LEVEL_module;
    p->nested = p->in_fn = p->loop = false;
    parse_body(p, &m->body);
    p->level = level;
    p->nested = nested;
    p->in_fn = in_fn;
    p->loop = loop;
    return grow(p);
}

/* ---- statements -------------------------------------------------------------------------------------------------------- */

static bool parse_string(Parser *p, const char *what, const char **text, Span *span)
{
    *span = span_here(p);
    if (peek(p) != TOK_string) return expect(p, TOK_string, what);
    *text = take(p)->name;
    return true;
}

static bool parse_import(Parser *p, Stmt *s)
{
    s->kind = ST_import;
    take(p);
    if (!parse_string(p, "the path of a file in quotes", &s->import.path, &s->import.path_span)) return false;
    return !accept(p, KW_as) || (s->import.as = expect_name(p, "a name", &s->import.as_span)) != NULL;
}

/* arg, param, state. */
static bool parse_decl(Parser *p, Stmt *s)
{
    TokenKind k = peek(p);
    Span at;
    s->kind = k == KW_arg ? ST_arg : k == KW_param ? ST_param : ST_state;
    take(p);
    if (!(s->decl.name = expect_name(p, "a name", &s->decl.name_span))) return false;
    if (accept(p, TOK_colon) && !(s->decl.type = parse_type(p))) return false;
    if (accept(p, TOK_assign)) {
        if (!(s->decl.value = parse_expr(p))) return false;
    } else if (k == KW_arg || !s->decl.type) {
        expected(p, k == KW_arg ? "'=' and a default value" : "':' and a type, or '=' and an initial value");
        return false;
    }
    return k == KW_arg || !accept(p, KW_as) || parse_string(p, "a name in quotes", &s->decl.as, &at);
}

static bool parse_for(Parser *p, Stmt *s)
{
    s->kind = ST_for;
    take(p);
    return parse_names(p, &s->loop.names, &s->loop.name_spans, &s->loop.nnames) && expect(p, KW_in, "',' or 'in'")
        && (s->loop.in = parse_expr(p)) && parse_block(p, "'for'", false, &s->loop.body);
}

/* A name, or for ':=' what a name or self leads to by '.' and '[ ]'. */
static bool is_target(const Expr *e, bool update)
{
    if (e->brackets) return false;
    if (update)
        while (e->kind == EX_member || e->kind == EX_index) {
            e = e->kind == EX_member ? e->member.x : e->index.x;
            if (e->kind == EX_self) return true;
        }
    return e->kind == EX_name;
}

static bool check_targets(Parser *p, const Stmt *s)
{
    bool update = s->kind == ST_update;
    for (uint32_t i = 0; i < s->assign.ntargets; i++) {
        const Expr *e = s->assign.target[i];
        if (is_target(e, update)) continue;
        Diag *d = diag_error(p->d, DL_bad_target, e->span, update ? "':=' changes a name or a path such as net.l1.bias" : "'=' binds names");
        if (e->kind == EX_tuple || e->brackets) diag_note(p->d, d, e->span, "write them without brackets");
        else if (!update && is_target(e, true)) diag_note(p->d, d, e->span, "a param or state is changed by ':='; other values are immutable");
        return false;
    }
    return true;
}

static bool parse_expression_statement(Parser *p, Stmt *s)
{
    Expr **left;
    uint32_t n;
    Span at;
    s->kind = ST_expr;
    if (!parse_exprs(p, &left, &n)) return false;
    TypeExpr *type = NULL;
    if (accept(p, TOK_colon) && !(type = parse_type(p))) return false;
    TokenKind k = peek(p);
    if (k != TOK_assign && k != TOK_becomes) {
        s->values.at = left;
        s->values.n = n;
        return !type || expect(p, TOK_assign, "'=' or ':='");
    }
    s->kind = k == TOK_assign ? ST_assign : ST_update;
    s->assign.target = left;
    s->assign.ntargets = n;
    s->assign.type = type;
    bool ok = check_targets(p, s);
    take(p);
    if (!parse_exprs(p, &s->assign.value, &s->assign.nvalues)) return false;
    if (peek(p) == KW_as) {
        if (k == TOK_becomes || n != 1) {
            error_here(p, DL_bad_target, "'as' names a binding of one name");
            return false;
        }
        take(p);
        if (!parse_string(p, "a name in quotes", &s->assign.as, &at)) return false;
    }
    return ok;
}

/* Is the statement that starts with k allowed here? If not, that is reported and it is parsed all the same. */
static void check_place(Parser *p, TokenKind k)
{
    const char *where = NULL;
    if (p->recovering) return;
    if (file_level_only(k) && (p->level != LEVEL_file || p->nested)) where = "stands at the level of the file, outside of every block";
    if ((k == KW_param || k == KW_state) && p->level != LEVEL_module) where = "stands in the body of a module";
    if (k == KW_return && !p->in_fn) where = "stands in a function";
    if (k == KW_yield && !p->loop) where = "stands directly in the block of a scan";
    if (where) error_here(p, DL_misplaced, "'%s' %s", token_text(k), where);
}

/* Something no statement starts with. */
static bool refuse_start(Parser *p, TokenKind k)
{
    TokenKind after = peek_next(p);
    bool value = k == KW_self || k == KW_true || k == KW_false || k == KW_none;
    if (k >= KW_and && !value && (after == TOK_assign || after == TOK_becomes || after == TOK_colon)) {
        error_here(p, DL_keyword_name, "'%s' is a keyword and cannot be a name", token_text(k));
        return true;
    }
    Diag *d;
    switch (k) {
    case TOK_eq: case TOK_ne: case TOK_lt: case TOK_le: case TOK_gt: case TOK_ge: case TOK_plus: case TOK_star: case TOK_slash:
    case TOK_slashes: case TOK_percent: case TOK_at: case TOK_caret: case KW_and: case KW_or:
        d = expected(p, "a statement");
        if (d && k == TOK_slashes) diag_note(p->d, d, d->span, "a comment starts with '#'");
        else if (d) diag_note(p->d, d, d->span, "a line that starts with an operator does not go on with the line above; that line must end with it");
        return true;
    case KW_dl:
        error_here(p, DL_misplaced, "'dl %d' is the first line of a file", LANGUAGE_VERSION);
        return true;
    case KW_else:
        error_here(p, DL_misplaced, "this 'else' follows no block of an 'if'");
        return true;
    case KW_as: case KW_in: case KW_train: case KW_with:
        expected(p, "a statement");
        return true;
    default:
        return false;
    }
}

/* Words that other languages start a statement with. */
static void note_habit(Parser *p, const Token *t, Diag *d)
{
    static const char *const words[][2] = {
        { "def", "a function starts with 'fn'" }, { "func", "a function starts with 'fn'" }, { "function", "a function starts with 'fn'" },
        { "class", "a module starts with 'module'" }, { "let", "a binding is just x = value" }, { "var", "a binding is just x = value" },
        { "const", "a binding is just x = value" }, { "elif", "write 'else if'" }, { "from", "write import \"file.dl\"" },
        { "lambda", "a function without a name is fn(x) = value" },
    };
    if (t->kind != TOK_name || !d) return;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i][0], t->name) == 0) diag_note(p->d, d, (Span){ p->file, t->start, t->end }, "%s", words[i][1]);
}

Stmt *parse_statement(Parser *p)
{
    uint32_t first = p->pos, start = p->tok[first].start;
    TokenKind k = peek(p), after = peek_next(p);
    Stmt *s = arena_new(p->a, Stmt);
    bool ok;
    if (refuse_start(p, k)) return NULL;
    check_place(p, k);
    switch (k) {
    case KW_import: ok = parse_import(p, s); break;
    case KW_arg: case KW_param: case KW_state: ok = parse_decl(p, s); break;
    case KW_export: ok = parse_function(p, s); break;
    case KW_fn: ok = after == TOK_lparen ? parse_expression_statement(p, s) : parse_function(p, s); break;
    case KW_module: ok = parse_module(p, s); break;
    case KW_for: ok = parse_for(p, s); break;
    case KW_return:
        s->kind = ST_return;
        take(p);
        ok = at_end(p) || peek(p) == TOK_rbrace || parse_exprs(p, &s->values.at, &s->values.n);
        break;
    case KW_yield:
        s->kind = ST_yield;
        take(p);
        ok = parse_exprs(p, &s->values.at, &s->values.n);
        break;
    default:
        ok = parse_expression_statement(p, s);
        if (ok && p->pos == first + 1 && !at_end(p) && peek(p) != TOK_rbrace) {
            note_habit(p, &p->tok[first], expected(p, "the end of the statement"));
            ok = false;
        }
    }
    s->span = span_from(p, start);
    return ok ? s : NULL;
}

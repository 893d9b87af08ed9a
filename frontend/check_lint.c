/* check_lint.c - what follows from the text alone: names that hide a builtin's or the library's, names that a function
 * binds and never reads (what begins with `_` is meant to be unused), and names that nothing defines, in functions
 * that are never called too.
 */
#include <string.h>

#include "frontend/check.h"

/* read: name -> the expression that reads it first, or `read` itself; bound: names that something inside defines. */
typedef struct Lint { Check *c; Map *read, *bound; } Lint;

static Lint lint_new(Check *c) { return (Lint){c, map_new(c->a), map_new(c->a)}; }
static bool was_read(const Lint *l, const char *name) { return map_get(l->read, &name, sizeof name) != NULL; }
static void mark_read(Lint *l, const char *name, const Expr *e)
{
    if (!was_read(l, name)) map_set(l->read, &name, sizeof name, e ? (void *)e : (void *)l->read);
}
static void mark_bound(Lint *l, const char *name) { if (name) map_set(l->bound, &name, sizeof name, l); }

static void read_body(Lint *l, const Body *b);
static void read_fn(Lint *l, const Fn *f);

static void read_type(Lint *l, const TypeExpr *t);

static void read_expr(Lint *l, const Expr *e)
{
    if (!e) return;
    switch (e->kind) {
    case EX_int: case EX_float: case EX_string: case EX_true: case EX_false: case EX_none: case EX_self: break;
    case EX_name: mark_read(l, e->name, e); break;
    case EX_tuple: case EX_list:
        for (uint32_t i = 0; i < e->items.n; i++) read_expr(l, e->items.at[i]);
        break;
    case EX_comprehension:
        for (uint32_t i = 0; i < e->comp.nnames; i++) mark_bound(l, e->comp.names[i]);
        read_expr(l, e->comp.in);
        read_expr(l, e->comp.cond);
        read_expr(l, e->comp.value);
        break;
    case EX_type: read_type(l, e->type); break;
    case EX_unary: read_expr(l, e->un.x); break;
    case EX_binary: case EX_pipe:
        read_expr(l, e->bin.a);
        read_expr(l, e->bin.b);
        break;
    case EX_call:
        read_expr(l, e->call.fn);
        for (uint32_t i = 0; i < e->call.nargs; i++) read_expr(l, e->call.arg[i].value);
        break;
    case EX_index:
        read_expr(l, e->index.x);
        for (uint32_t i = 0; i < e->index.n; i++) {
            const Index *x = &e->index.at[i];
            if (x->kind == INDEX_one) read_expr(l, x->one);
            if (x->kind != INDEX_range) continue;
            read_expr(l, x->from);
            read_expr(l, x->to);
            read_expr(l, x->step);
        }
        break;
    case EX_member: read_expr(l, e->member.x); break;
    case EX_if:
        read_expr(l, e->cond.cond);
        read_body(l, &e->cond.then);
        if (e->cond.has_else) read_body(l, &e->cond.other);
        break;
    case EX_scan: case EX_while:
        for (uint32_t i = 0; i < e->loop.nin; i++) {
            read_expr(l, e->loop.in[i].value);
            mark_bound(l, e->loop.in[i].name);
        }
        for (uint32_t i = 0; i < e->loop.nwith; i++) {
            read_expr(l, e->loop.with[i].value);
            mark_bound(l, e->loop.with[i].name);
            mark_read(l, e->loop.with[i].name, NULL);   /* the last value of a carry is the loop's */
        }
        read_expr(l, e->loop.cond);
        read_body(l, &e->loop.body);
        break;
    case EX_fn: read_fn(l, e->fn); break;
    }
}

static void read_type(Lint *l, const TypeExpr *t)
{
    if (!t) return;
    mark_read(l, t->name, NULL);
    for (uint32_t i = 0; i < t->ndims; i++) read_expr(l, t->dim[i]);
}

/* A signature's types: names that start with a capital may come into being there. */
static void read_signature_type(Lint *l, const TypeExpr *t)
{
    read_type(l, t);
    for (uint32_t i = 0; t && i < t->ndims; i++)
        if (t->dim[i] && t->dim[i]->kind == EX_name && t->dim[i]->name[0] >= 'A' && t->dim[i]->name[0] <= 'Z') mark_bound(l, t->dim[i]->name);
}

static void read_fn(Lint *l, const Fn *f)
{
    for (uint32_t i = 0; i < f->nparams; i++) {
        mark_bound(l, f->param[i].name);
        read_signature_type(l, f->param[i].type);
        read_expr(l, f->param[i].value);
    }
    for (uint32_t i = 0; i < f->nresults; i++) read_signature_type(l, f->result[i].type);
    for (uint32_t i = 0; i < f->nfacts; i++) read_expr(l, f->fact[i]);
    read_body(l, &f->body);
}

static void read_body(Lint *l, const Body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        switch (s->kind) {
        case ST_import: break;
        case ST_arg: case ST_param: case ST_state:
            mark_bound(l, s->decl.name);
            read_type(l, s->decl.type);
            read_expr(l, s->decl.value);
            break;
        case ST_fn:
            mark_bound(l, s->fn->name);
            read_fn(l, s->fn);
            break;
        case ST_module:
            mark_bound(l, s->module->name);
            for (uint32_t k = 0; k < s->module->nparams; k++) {
                mark_bound(l, s->module->param[k].name);
                read_expr(l, s->module->param[k].value);
            }
            read_body(l, &s->module->body);
            break;
        case ST_for:
            for (uint32_t k = 0; k < s->loop.nnames; k++) mark_bound(l, s->loop.names[k]);
            read_expr(l, s->loop.in);
            read_body(l, &s->loop.body);
            break;
        case ST_return: case ST_yield: case ST_expr:
            for (uint32_t k = 0; k < s->values.n; k++) read_expr(l, s->values.at[k]);
            break;
        case ST_assign: case ST_update:
            for (uint32_t k = 0; k < s->assign.nvalues; k++) read_expr(l, s->assign.value[k]);
            for (uint32_t k = 0; k < s->assign.ntargets; k++) {
                const Expr *t = s->assign.target[k];
                if (s->kind == ST_update || t->kind != EX_name) read_expr(l, t);
                else mark_bound(l, t->name);
            }
            read_type(l, s->assign.type);
            break;
        }
    }
}

/* ---- what is hidden -------------------------------------------------------------------------------------- */

static void hides(Check *c, const char *name, Span at)
{
    if (name[0] == '_') return;
    if (scope_find(c->builtins, name)) diag_warning(c->d, DL_hides_name, at, "`%s` hides the builtin of that name", name);
    else if (scope_find(c->library, name)) diag_warning(c->d, DL_hides_name, at, "`%s` hides the library's function or module of that name", name);
}

/* ---- what a function binds and never reads ------------------------------------------------------------------ */

static void unused_in_body(Lint *l, const Body *b, Map *seen);

static void unused_in_expr(Lint *l, const Expr *e, Map *seen)
{
    if (e->kind != EX_if) return;
    unused_in_body(l, &e->cond.then, seen);
    if (e->cond.has_else) unused_in_body(l, &e->cond.other, seen);
}

static void unused_in_body(Lint *l, const Body *b, Map *seen)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == ST_for) unused_in_body(l, &s->loop.body, seen);
        if (s->kind == ST_expr)
            for (uint32_t k = 0; k < s->values.n; k++) unused_in_expr(l, s->values.at[k], seen);
        if (s->kind != ST_assign) continue;
        for (uint32_t k = 0; k < s->assign.ntargets; k++) {
            const Expr *t = s->assign.target[k];
            if (t->kind != EX_name || t->name[0] == '_' || map_get(seen, &t->name, sizeof t->name)) continue;
            map_set(seen, &t->name, sizeof t->name, l);
            hides(l->c, t->name, t->span);
            if (!was_read(l, t->name)) {
                Diag *d = diag_warning(l->c->d, DL_unused_name, t->span, "`%s` is never used", t->name);
                if (s->assign.ntargets > 1) diag_note(l->c->d, d, (Span){0}, "`_` discards a value");
            }
        }
    }
}

static void lint_fn(Check *c, const Fn *f)
{
    Lint l = lint_new(c);
    read_fn(&l, f);
    unused_in_body(&l, &f->body, map_new(c->a));
}

static void twice(Check *c, Map *seen, const char *name, const Span *at, const char *where)
{
    const Span *first = map_get(seen, &name, sizeof name);
    if (first) {
        Diag *d = problem(c, DL_defined_twice, *at, "`%s` is defined twice in %s", name, where);
        note(c, d, *first, "it is first defined here");
    } else if (name != c->n_underscore) {
        map_set(seen, &name, sizeof name, (void *)at);
    }
}

static void params_twice(Check *c, const FnParam *p, uint32_t n)
{
    Map *seen = map_new(c->a);
    for (uint32_t i = 0; i < n; i++) twice(c, seen, p[i].name, &p[i].span, "these parameters");
}

/* The functions of a file, or of a module of it. */
static void lint_functions(Check *c, const Body *b, bool module)
{
    Map *seen = map_new(c->a);
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == ST_fn) {
            if (module) twice(c, seen, s->fn->name, &s->fn->name_span, "this module");
            params_twice(c, s->fn->param, s->fn->nparams);
            lint_fn(c, s->fn);
        } else if (s->kind == ST_module) {
            params_twice(c, s->module->param, s->module->nparams);
            lint_functions(c, &s->module->body, true);
        }
    }
}

/* Names that a function or module reads and nothing defines: neither something inside of it nor the file. */
static void unknown_names(Check *c, const Unit *u, const Stmt *s)
{
    Lint l = lint_new(c);
    Stmt *one = (Stmt *)s;
    Body body = {&one, 1, s->span};
    read_body(&l, &body);
    for (uint32_t i = 0; i < map_count(l.read); i++) {
        const void *key;
        size_t n;
        const Expr *e = map_at(l.read, i, &key, &n);
        if ((const void *)e == l.read || map_get(l.bound, key, n) || scope_lookup(u->scope, e->name) || e->name == c->n_underscore) continue;
        Diag *d = problem(c, DL_unknown_name, e->span, "unknown name `%s`", e->name);
        const char **names;
        uint32_t count = scope_names(c, u->scope, true, &names);
        suggest(c, d, e->name, names, count);
    }
}

void lint_unit(Check *c, const Unit *u)
{
    const Body *b = &u->file->body;
    Lint l = lint_new(c);
    read_body(&l, b);
    for (uint32_t i = 0; i < b->n && !u->import_failed; i++)
        if (b->at[i]->kind == ST_fn || b->at[i]->kind == ST_module) unknown_names(c, u, b->at[i]);
    for (uint32_t i = 0; i < b->n; i++) {
        const Stmt *s = b->at[i];
        if (s->kind == ST_fn) hides(c, s->fn->name, s->fn->name_span);
        if (s->kind == ST_module) hides(c, s->module->name, s->module->name_span);
        if (s->kind == ST_arg) hides(c, s->decl.name, s->decl.name_span);
        for (uint32_t k = 0; s->kind == ST_assign && k < s->assign.ntargets; k++)
            if (s->assign.target[k]->kind == EX_name) hides(c, s->assign.target[k]->name, s->assign.target[k]->span);
        if (s->kind == ST_import && s->import.as && !was_read(&l, s->import.as))
            diag_warning(c->d, DL_unused_name, s->import.as_span, "the import `%s` is never used", s->import.as);
    }
    lint_functions(c, b, false);
}

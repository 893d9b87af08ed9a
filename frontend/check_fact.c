/* check_fact.c - facts of an exported function, before anything is made of its dims: `T <= 1024` bounds T, `H % 8 == 0`
 * gives a divisor, and each is checked at entry. Facts are first evaluated in a module of their own, because a range
 * must be known before the first polynomial of a symbol is made, and what is known would fold to true.
 */
#include "frontend/check.h"

/* The same dim in module c->m, over symbols of `scope`. NULL: too large. */
static Dim *copy_dim(Check *c, Dim *d, const void *scope)
{
    Dim *sum = dim_const(c->m, 0);
    for (uint32_t i = 0; i < d->nterms && sum; i++) {
        Dim *term = dim_const(c->m, d->term[i].coef);
        for (uint32_t k = 0; k < d->term[i].natoms && term; k++) {
            const Atom *x = d->term[i].atom[k];
            Dim *a = x->a ? copy_dim(c, x->a, scope) : NULL, *b = x->b ? copy_dim(c, x->b, scope) : NULL, *f = NULL;
            if (x->kind == ATOM_SYM) f = dim_sym(c->m, scope, x->name);
            else if (!a || !b) return NULL;
            else if (x->kind == ATOM_FLOORDIV) f = dim_floordiv(c->m, a, b);
            else if (x->kind == ATOM_MOD) f = dim_mod(c->m, a, b);
            else f = x->kind == ATOM_MIN ? dim_min(c->m, a, b) : dim_max(c->m, a, b);
            term = f ? dim_mul(c->m, term, f) : NULL;
        }
        sum = term ? dim_add(c->m, sum, term) : NULL;
    }
    return sum;
}

typedef struct Ranges { Dim *sym; int64_t lo, hi, multiple; } Ranges;

static Ranges *range_of(Ranges *r, uint32_t n, const Atom *sym)
{
    for (uint32_t i = 0; i < n; i++)
        if (dim_as_sym(r[i].sym) == sym) return &r[i];
    return NULL;
}

/* d >= 0, d linear with each symbol by itself: bounds for each symbol from the ranges of the others. */
static void narrow(Ranges *r, uint32_t n, Dim *d)
{
    for (uint32_t i = 0; i < d->nterms; i++)
        if (d->term[i].natoms > 1 || (d->term[i].natoms && !range_of(r, n, d->term[i].atom[0]))) return;
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        if (!t->natoms || t->coef == INT64_MIN) continue;
        int64_t most = 0, v;            /* the most that the other terms can be */
        bool known = true;
        for (uint32_t k = 0; k < d->nterms && known; k++) {
            const Term *u = &d->term[k];
            if (k == i) continue;
            Ranges *o = u->natoms ? range_of(r, n, u->atom[0]) : NULL;
            int64_t at = !o ? 1 : u->coef > 0 ? o->hi : o->lo;
            known = at != INT64_MAX && size_mul(u->coef, at, &v) && size_add(most, v, &most);
        }
        if (!known) continue;
        Ranges *me = range_of(r, n, t->atom[0]);
        if (t->coef < 0) {              /* -c * x + most >= 0 */
            if (most >= 0 && size_floordiv(most, -t->coef, &v) && v < me->hi) me->hi = v;
        } else if (most < 0 && size_floordiv(-most - 1, t->coef, &v) && v + 1 > me->lo) {
            me->lo = v + 1;
        }
    }
}

/* x % c == 0 */
static void divisor(Ranges *r, uint32_t n, Dim *a, Dim *b)
{
    int64_t by;
    if (a->nterms != 1 || a->term[0].natoms != 1 || a->term[0].coef != 1 || !dim_equals(b, 0)) return;
    const Atom *mod = a->term[0].atom[0];
    if (mod->kind != ATOM_MOD || !dim_as_sym(mod->a) || !dim_is_const(mod->b, &by)) return;
    Ranges *me = range_of(r, n, dim_as_sym(mod->a));
    if (me && by > 0) me->multiple = by;
}

typedef VEC(Relation) Relations;

/* Evaluate the facts over symbols that nothing is known about. */
static void collect(Check *c, const Expr *e, Relations *out)
{
    if (e->kind == EX_binary && e->bin.op == BIN_and) {
        collect(c, e->bin.a, out);
        collect(c, e->bin.b, out);
        return;
    }
    Value v = eval(c, e);
    if (v.kind == V_REL) {
        Relation r = *v.rel;
        r.span = e->span;
        vec_push(c->a, out, r);
    } else if (v.kind == V_BOOL && !v.b) {
        fail(c, DL_fact_broken, e->span, "%s never holds", text_of(c, e->span));
    } else if (!is_poison(v) && v.kind != V_BOOL) {
        fail(c, DL_fact_broken, e->span, "a fact compares dims; this is %s", kind_text(c, v));
    }
}

bool prepare_facts(Check *c, const Fn *f, Func *func)
{
    if (!f->nfacts) return true;
    Module *m = c->m;
    Scope *scope = c->scope, *define = c->define;
    Map *required = c->required;
    Relations found = {0};
    VEC(Ranges) ranges = {0};
    uint32_t errors = c->d->errors;
    c->m = module_new(c->a, NULL, "facts");
    c->func = func_new(c->m, "facts", f->span);
    c->required = map_new(c->a);
    c->scope = c->define = scope_new(c, scope);
    for (uint32_t i = 0; i < f->nparams; i++) {
        const TypeExpr *t = f->param[i].type;
        for (uint32_t k = 0; t && k < t->ndims; k++)
            if (t->dim[k] && fresh_dim(c, t->dim[k]))
                scope_set(c, c->scope, t->dim[k]->name, dim_value_of(dim_sym(c->m, func, t->dim[k]->name)), t->dim[k]->span);
        if (t && !t->brackets && f->param[i].name && t->name == intern(&c->names, "dim", 3))
            scope_set(c, c->scope, f->param[i].name, dim_value_of(dim_sym(c->m, func, f->param[i].name)), f->param[i].span);
    }
    for (uint32_t i = 0; i < c->scope->entry.n; i++) {
        Ranges r = {c->scope->entry.at[i].value.dim, 0, INT64_MAX, 1};
        vec_push(c->a, &ranges, r);
    }
    for (uint32_t i = 0; i < f->nfacts; i++) collect(c, f->fact[i], &found);
    for (uint32_t i = 0; i < found.n; i++) {
        Relation *r = &found.at[i];
        if (r->rel == REL_EQ) {
            divisor(ranges.at, ranges.n, r->a, r->b);
        } else if (r->rel != REL_NE) {
            Dim *d = dim_sub(c->m, r->b, r->a);
            if (d && r->rel == REL_LT) d = dim_sub(c->m, d, dim_const(c->m, 1));
            if (d) narrow(ranges.at, ranges.n, d);
        }
    }
    c->m = m;
    c->func = func;
    c->required = required;
    c->scope = scope;
    c->define = define;
    for (uint32_t i = 0; i < found.n; i++) {            /* before the ranges, which would fold them */
        Relation *r = &found.at[i];
        Dim *a = copy_dim(c, r->a, func), *b = copy_dim(c, r->b, func);
        if (a && b) require_fact(c, r->rel, a, b, NULL, r->span);
        else fail(c, DL_overflow, r->span, "this fact is too complicated");
    }
    for (uint32_t i = 0; i < ranges.n; i++) {
        Ranges *r = &ranges.at[i];
        Dim *sym = dim_sym(c->m, func, dim_as_sym(r->sym)->name);
        if (r->hi < r->lo) fail(c, DL_fact_broken, f->fact[0]->span, "the facts leave no value for %s", dim_as_sym(sym)->name);
        else dim_bound(c->m, sym, r->lo, r->hi);
        if (r->multiple > 1) dim_multiple(c->m, sym, r->multiple);
    }
    return c->d->errors == errors;
}

/* dim_prove.c - what is provable about the order of dims.
 *
 * d >= 0 is shown by eliminating atoms one at a time, those that hold others first: in d = c*x + r, with the sign
 * of c known, x is replaced by the bound at which d is least. Bounds come from ranges, extents of iteration
 * variables, and the meaning of compound atoms (b * (a // b) lies in [a - b + 1, a]). What is left are symbols;
 * each is shifted by its lower bound, and then non-negative coefficients are proof enough.
 */
#include "ir/internal.h"

static bool prove(Module *m, Dim *p, int *budget);

static int sign_of(Module *m, Dim *c, int *budget)
{
    if (c->lo >= 0) return 1;
    if (c->hi <= 0) return -1;
    int part = *budget / 4;
    *budget -= part;
    if (prove(m, c, &part)) return 1;
    return prove(m, dim_scale(m, c, -1), &part) ? -1 : 0;
}

/* prove(c * by + r) */
static bool prove_with(Module *m, Dim *c, Dim *by, Dim *r, int *budget)
{
    return by && prove(m, dim_add(m, dim_mul(m, c, by), r), budget);
}

/* b*p where p = c * (a // b) + r; p > -1 is enough, so b - 1 may be added. */
static bool prove_quotient(Module *m, const Atom *x, int sign, Dim *c, Dim *r, int *budget)
{
    Dim *one = dim_const(m, 1), *slack = dim_sub(m, x->b, one);
    Dim *bound = sign < 0 ? x->a : dim_sub(m, x->a, slack);     /* of b * (a // b) */
    if (!slack || !bound) return false;
    Dim *rest = dim_add(m, dim_mul(m, r, x->b), slack);
    return rest && prove_with(m, c, bound, rest, budget);
}

static bool eliminate(Module *m, const Atom *x, int sign, Dim *c, Dim *r, int *budget)
{
    Dim *one = dim_const(m, 1);
    if (x->kind == ATOM_SYM && x->extent && sign < 0)
        return prove_with(m, c, dim_sub(m, x->extent, one), r, budget);
    if (x->kind == ATOM_FLOORDIV && prove_quotient(m, x, sign, c, r, budget)) return true;
    if (x->kind == ATOM_MOD && sign < 0) {
        if (prove_with(m, c, dim_sub(m, x->b, one), r, budget)) return true;
        if (x->a->lo >= 0 && prove_with(m, c, x->a, r, budget)) return true;
    }
    if (x->kind == ATOM_MIN || x->kind == ATOM_MAX) {
        bool either = (x->kind == ATOM_MIN) == (sign < 0);
        bool a = prove_with(m, c, x->a, r, budget);
        if (a == either) return a;
        return prove_with(m, c, x->b, r, budget);
    }
    int64_t bound = sign < 0 ? x->hi : x->lo;
    if (bound == INT64_MIN || bound == INT64_MAX) return false;
    return prove_with(m, c, dim_const(m, bound), r, budget);
}

/* Only symbols are left that no elimination fits: shift each by its lower bound and look at the signs. */
static bool prove_shifted(Module *m, Dim *p)
{
    for (int round = 0; round < MAX_DEGREE * 4; round++) {
        const Atom *x = NULL;
        for (uint32_t i = 0; i < p->nterms && !x; i++)
            for (uint32_t k = 0; k < p->term[i].natoms && !x; k++)
                if (p->term[i].atom[k]->kind == ATOM_SYM && p->term[i].atom[k]->lo > 0) x = p->term[i].atom[k];
        if (!x) break;
        /* x = y + lo with y >= 0; y is a symbol of its own, so that the bound is not used twice. */
        Dim *y = dim_sym(m, x, x->name), *to = dim_add(m, y, dim_const(m, x->lo));
        if (!to || !(p = dim_subst(m, p, 1, &x, &to))) return false;
    }
    for (uint32_t i = 0; i < p->nterms; i++) {
        if (p->term[i].coef < 0) return false;
        for (uint32_t k = 0; k < p->term[i].natoms; k++)
            if (p->term[i].atom[k]->lo < 0) return false;
    }
    return true;
}

/* The order of elimination: the most deeply nested, then variables, latest first, then symbols. */
static uint64_t rank_of(const Atom *x)
{
    return (uint64_t)x->depth << 33 | (uint64_t)(x->extent != NULL) << 32 | x->id;
}

/* The atom of p that comes after `after`; the first for NULL. */
static const Atom *next_atom(Dim *p, const Atom *after)
{
    const Atom *best = NULL;
    for (uint32_t i = 0; i < p->nterms; i++)
        for (uint32_t k = 0; k < p->term[i].natoms; k++) {
            const Atom *x = p->term[i].atom[k];
            if ((!after || rank_of(x) < rank_of(after)) && (!best || rank_of(x) > rank_of(best))) best = x;
        }
    return best;
}

static bool prove(Module *m, Dim *p, int *budget)
{
    if (!p || p->hi < 0) return false;
    if (p->lo >= 0) return true;
    if (--*budget < 0 || p->nterms > 24) return false;
    for (const Atom *x = next_atom(p, NULL); x; x = next_atom(p, x)) {
        Dim *c, *r;
        if (!dim_linear(m, p, x, &c, &r)) continue;
        int sign = sign_of(m, c, budget);
        if (!sign) continue;
        if (x->kind == ATOM_SYM && !x->extent && sign > 0) continue;    /* the shift does it */
        if (x->kind == ATOM_SYM && !x->extent && x->hi == INT64_MAX) continue;
        return eliminate(m, x, sign, c, r, budget);
    }
    return prove_shifted(m, p);
}

bool dim_is_nonneg(Module *m, Dim *d)
{
    int budget = 64;
    return prove(m, d, &budget);
}

bool dim_is_le(Module *m, Dim *a, Dim *b)
{
    return dim_is_nonneg(m, dim_sub(m, b, a));
}

bool dim_is_lt(Module *m, Dim *a, Dim *b)
{
    Dim *d = dim_sub(m, b, a);
    return d && dim_is_nonneg(m, dim_sub(m, d, dim_const(m, 1)));
}

/* Also where the difference cannot be 0 by divisibility: 2*a - 2*b + 1. */
bool dim_is_ne(Module *m, Dim *a, Dim *b)
{
    Dim *d = dim_sub(m, a, b);
    int64_t g = 0, constant = 0;
    if (!d) return false;
    if (d->lo > 0 || d->hi < 0) return true;
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        int64_t f = t->coef;
        if (!t->natoms) {
            constant = t->coef;
            continue;
        }
        for (uint32_t k = 0; k < t->natoms; k++) {
            int64_t p = sat_mul(f, t->atom[k]->multiple);
            if (p != INT64_MIN && p != INT64_MAX) f = p;        /* leaving a factor out keeps g a divisor */
        }
        g = gcd64(g, f);
    }
    if (g ? constant % g != 0 : constant != 0) return true;
    return dim_is_lt(m, a, b) || dim_is_lt(m, b, a);
}

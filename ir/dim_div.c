/* dim_div.c - floordiv, mod, min and max of dims.
 *
 * A division a // b is reduced until nothing changes:
 *   - multiples of b leave the numerator: (3*B + 5) // 2 = B + 2 + (B + 1) // 2. What stays has coefficients in [0, b).
 *   - terms that b divides by the facts stand alone: (H + 1) // 2 = H // 2 where H % 2 == 0.
 *   - a common factor goes: (2*B + 1) // 4 = B // 2.
 *   - of n and -n + b - 1, whose quotients are each other's negatives, the smaller coefficients stay:
 *     -(-B // 4) = (B + 3) // 4.
 *   - (a // c + k) // b = (a + k*c) // (b*c) for numbers b, c, k.
 *   - what lies provably in [0, b) is 0, by numeric ranges or (symbolic b) by dim_is_nonneg.
 * b is taken not to be 0, and to be positive where its sign is unknown.
 */
#include "ir/internal.h"

#include "base/size.h"

/* The outcome of reducing a over b:  a // b = quotient + sign * (n // d),
 * a % b = offset + scale * (n % d)  or, with sign < 0,  offset + scale * (d - 1 - n % d).
 * n = NULL: nothing is left, and the remainder is `rest`. */
typedef struct Division {
    Dim    *quotient, *n, *d, *rest;
    int     sign;
    Dim    *scale;
    int64_t offset;
} Division;

enum { MAX_REDUCTIONS = 12 };

static Dim *floordiv(Module *m, Dim *a, Dim *b, int depth);
static Dim *mod(Module *m, Dim *a, Dim *b, int depth);

static Dim *monomial(Module *m, const Term *t, int64_t coef)
{
    Term r = *t;
    r.coef = coef;
    return dim_of_terms(m, &r, 1);
}

/* The part of number b that the facts about a monomial's symbols account for. */
static int64_t known_factor(const Term *t, int64_t b)
{
    int64_t left = b;
    for (uint32_t k = 0; k < t->natoms; k++) left /= gcd64(left, t->atom[k]->multiple);
    return b / left;
}

/* Everything is known: n // d is the number q wherever n can be. */
static bool divide_known(Module *m, Division *v, int64_t b)
{
    int64_t lo, hi, qb;
    if (v->n->lo == INT64_MIN || v->n->hi == INT64_MAX) return false;
    if (!size_floordiv(v->n->lo, b, &lo) || !size_floordiv(v->n->hi, b, &hi) || lo != hi || !size_mul(lo, b, &qb))
        return false;
    Dim *q = dim_const(m, lo);
    v->rest = dim_sub(m, v->n, dim_const(m, qb));
    v->rest = dim_add(m, dim_mul(m, v->scale, v->rest), dim_const(m, v->offset));
    v->quotient = dim_add(m, v->quotient, q);
    v->n = NULL;
    return true;
}

/* By a number b > 1. false: overflow. */
static bool divide_number(Module *m, Dim *a, int64_t b, Division *v)
{
    Term *out = arena_array(m->arena, Term, a->nterms + 1), *rest = arena_array(m->arena, Term, a->nterms + 2);
    uint32_t nout = 0, nrest = 0;
    int64_t gcd = b, constant = 0;
    bool leads_negative = false;
    Dim *alone = dim_const(m, 0);               /* quotients of the terms that b divides by the facts */
    for (uint32_t i = 0; i < a->nterms; i++) {
        Term q = a->term[i], r = q;
        if (!size_floordiv(q.coef, b, &q.coef) || !size_mod(r.coef, b, &r.coef)) return false;
        if (q.coef) out[nout++] = q;
        if (!r.coef) continue;
        if (!r.natoms) {
            constant = r.coef;
            continue;
        }
        int64_t g = gcd64(r.coef, b), d = b / g;
        if (known_factor(&r, d) == d) {
            Dim *x = monomial(m, &r, 1);
            x = x ? dim_of_atom(m, ATOM_FLOORDIV, x, dim_const(m, d), NULL) : NULL;
            alone = dim_add(m, alone, x ? dim_scale(m, x, r.coef / g) : NULL);
            continue;
        }
        if (!nrest) leads_negative = a->term[i].coef < 0;
        gcd = gcd64(gcd, r.coef);
        rest[nrest++] = r;
    }
    v->quotient = dim_add(m, dim_of_terms(m, out, nout), alone);
    v->scale = dim_const(m, gcd);
    v->offset = constant % gcd;
    v->sign = 1;
    if (!v->quotient) return false;
    b /= gcd;
    constant /= gcd;
    for (uint32_t i = 0; i < nrest; i++) rest[i].coef /= gcd;
    rest[nrest] = (Term){.coef = constant};
    v->n = dim_of_terms(m, rest, nrest + 1);
    v->d = dim_const(m, b);
    if (!v->n) return false;
    if (divide_known(m, v, b)) return v->quotient;
    /* Of n and b - 1 - n, the one whose first differing coefficient is smaller. */
    bool flip = leads_negative;
    for (uint32_t i = 0; i < nrest; i++)
        if (2 * (__int128)rest[i].coef != b) {
            flip = 2 * (__int128)rest[i].coef > b;
            break;
        }
    if (!flip) return true;
    for (uint32_t i = 0; i < nrest; i++) {
        v->quotient = dim_add(m, v->quotient, monomial(m, &rest[i], 1));
        rest[i].coef = b - rest[i].coef;
    }
    rest[nrest].coef = b - 1 - constant;
    v->n = dim_of_terms(m, rest, nrest + 1);
    v->sign = -1;
    return v->n && v->quotient;
}

/* How often the monomial of `by` goes into that of t: t = result * by. false: it does not. */
static bool monomial_over(Module *m, const Term *t, const Term *by, Term *r)
{
    Term q = {.natoms = 0};
    uint32_t j = 0;
    if (t->natoms < by->natoms) return false;
    q.atom = arena_array(m->arena, const Atom *, t->natoms + 1);
    for (uint32_t i = 0; i < t->natoms; i++) {
        if (j < by->natoms && t->atom[i] == by->atom[j]) j++;
        else q.atom[q.natoms++] = t->atom[i];
    }
    *r = q;
    return j == by->natoms && size_floordiv(t->coef, by->coef, &r->coef) && r->coef;
}

/* Divide n and d by an atom that all their terms share, as often as there is one; by numbers too. */
static bool drop_common(Module *m, Division *v)
{
    for (uint32_t k = 0; v->d->nterms && k < v->d->term[0].natoms;) {
        const Atom *x = v->d->term[0].atom[k];
        Dim *both[2] = {v->n, v->d};
        Term by = {.coef = 1, .natoms = 1, .atom = &x};
        bool all = true;
        for (int o = 0; o < 2 && all; o++) {
            Term *t = arena_array(m->arena, Term, both[o]->nterms + 1);
            for (uint32_t i = 0; i < both[o]->nterms && all; i++) all = monomial_over(m, &both[o]->term[i], &by, &t[i]);
            if (all && !(both[o] = dim_of_terms(m, t, both[o]->nterms))) return false;
        }
        if (!all) {
            k++;
            continue;
        }
        v->n = both[0], v->d = both[1];
        v->scale = dim_mul(m, v->scale, monomial(m, &by, 1));
        if (!v->scale) return false;
    }
    int64_t g = 0, constant = 0;
    for (uint32_t i = 0; i < v->d->nterms; i++) g = gcd64(g, v->d->term[i].coef);
    for (uint32_t i = 0; i < v->n->nterms; i++) {
        if (v->n->term[i].natoms) g = gcd64(g, v->n->term[i].coef);
        else constant = v->n->term[i].coef;
    }
    int64_t offset;
    if (g <= 1 || !size_mod(constant, g, &offset)) return true;
    if (offset && v->scale != dim_const(m, 1)) return true;     /* the offset of a mod is a number */
    Dim *both[2] = {v->n, v->d};
    for (int o = 0; o < 2; o++) {
        Term *t = arena_array(m->arena, Term, both[o]->nterms + 1);
        for (uint32_t i = 0; i < both[o]->nterms; i++) {
            t[i] = both[o]->term[i];
            (void)size_floordiv(t[i].coef, g, &t[i].coef);
        }
        if (!(both[o] = dim_of_terms(m, t, both[o]->nterms))) return false;
    }
    v->n = both[0], v->d = both[1];
    v->offset = offset;
    v->scale = dim_scale(m, v->scale, g);
    return v->scale;
}

/* By a polynomial: division with remainder by its leading term. false: overflow. */
static bool divide_symbolic(Module *m, Dim *a, Dim *b, Division *v)
{
    Dim *q = dim_const(m, 0), *r = a;
    const Term *lead = &b->term[0];
    for (int round = 0; round < 64 && lead->coef > 0 && r; round++) {
        Term t;
        uint32_t i = 0;
        while (i < r->nterms && !monomial_over(m, &r->term[i], lead, &t)) i++;
        if (i == r->nterms) break;
        Dim *part = dim_of_terms(m, &t, 1);
        q = dim_add(m, q, part);
        r = dim_sub(m, r, dim_mul(m, part, b));
    }
    if (!q || !r) return false;
    *v = (Division){ .quotient = q, .n = r, .d = b, .sign = 1, .scale = dim_const(m, 1) };
    Dim *one = dim_const(m, 1), *above = dim_sub(m, dim_sub(m, b, r), one);
    if (!above) return false;
    int in = 0;                                 /* r // b, once found */
    bool found = !r->nterms || (r->hi >= 0 && dim_is_nonneg(m, r) && dim_is_nonneg(m, above));
    if (!found && r->lo < 0) {
        Dim *minus = dim_sub(m, dim_const(m, -1), r);
        found = minus && dim_is_nonneg(m, minus) && dim_is_nonneg(m, dim_add(m, r, b));
        in = -1;
    }
    if (found) {
        v->quotient = dim_add(m, q, dim_const(m, in));
        v->rest = in ? dim_add(m, r, b) : r;
        v->n = NULL;
        return v->quotient && v->rest;
    }
    if (!drop_common(m, v)) return false;
    if (!v->n->nterms) {                        /* as in 1 // (2*T) */
        v->n = NULL;
        v->rest = dim_const(m, v->offset);
        return true;
    }
    if (v->n->term[0].coef > 0 || v->d->nterms > 1 || v->d->term[0].coef < 0) return true;
    /* Leading coefficient negative: n // d = -((-n + d - 1) // d). */
    v->n = dim_sub(m, dim_sub(m, v->d, one), v->n);
    v->sign = -1;
    return v->n;
}

/* b != 0. false: overflow. */
static bool divide(Module *m, Dim *a, Dim *b, Division *v)
{
    int64_t number;
    if (!dim_is_const(b, &number)) return divide_symbolic(m, a, b, v);
    if (number != 1) return divide_number(m, a, number, v);
    *v = (Division){ .quotient = a, .rest = dim_const(m, 0), .sign = 1, .scale = b };
    return true;
}

/* (x // c + k) // b = (x + k*c) // (b*c). */
static Dim *nested(Module *m, Dim *n, Dim *d, int depth)
{
    int64_t b, c, k = 0, bc, kc;
    if (!dim_is_const(d, &b) || !n->nterms || n->nterms > 2) return NULL;
    const Term *t = &n->term[0];
    if (t->coef != 1 || t->natoms != 1 || t->atom[0]->kind != ATOM_FLOORDIV || !dim_is_const(t->atom[0]->b, &c))
        return NULL;
    if (n->nterms == 2) {
        if (n->term[1].natoms) return NULL;
        k = n->term[1].coef;
    }
    if (!size_mul(b, c, &bc) || !size_mul(k, c, &kc)) return NULL;
    return floordiv(m, dim_add(m, t->atom[0]->a, dim_const(m, kc)), dim_const(m, bc), depth + 1);
}

static Dim *floordiv(Module *m, Dim *a, Dim *b, int depth)
{
    Division v = {.n = NULL};
    if (a && b && b->lo < 0 && b->hi <= 0 && depth < MAX_REDUCTIONS)
        return floordiv(m, dim_scale(m, a, -1), dim_scale(m, b, -1), depth + 1);
    if (!a || !b || !divide(m, a, b, &v)) return NULL;
    if (!v.n) return v.quotient;
    Dim *x = depth < MAX_REDUCTIONS ? nested(m, v.n, v.d, depth) : NULL;
    if (!x && depth < MAX_REDUCTIONS && (v.n != a || v.d != b)) x = floordiv(m, v.n, v.d, depth + 1);
    else if (!x) x = dim_of_atom(m, ATOM_FLOORDIV, v.n, v.d, NULL);
    return v.sign > 0 ? dim_add(m, v.quotient, x) : dim_sub(m, v.quotient, x);
}

/* (x % (b*c) * k) % b = (x * k) % b. */
static Dim *without_inner_mods(Module *m, Dim *a, int64_t b)
{
    Dim *sum = dim_const(m, 0);
    bool any = false;
    for (uint32_t i = 0; i < a->nterms; i++) {
        const Term *t = &a->term[i];
        int64_t c, kc;
        bool inner = t->natoms == 1 && t->atom[0]->kind == ATOM_MOD && dim_is_const(t->atom[0]->b, &c)
                     && size_mul(t->coef, c, &kc) && kc % b == 0;
        any |= inner;
        sum = dim_add(m, sum, inner ? dim_scale(m, t->atom[0]->a, t->coef) : dim_of_terms(m, t, 1));
    }
    return any ? sum : a;
}

static Dim *mod(Module *m, Dim *a, Dim *b, int depth)
{
    Division v = {.n = NULL};
    int64_t number;
    /* The sign is the divisor's: a % b = -((-a) % (-b)). */
    if (a && b && b->lo < 0 && b->hi <= 0 && depth < MAX_REDUCTIONS) {
        Dim *r = mod(m, dim_scale(m, a, -1), dim_scale(m, b, -1), depth + 1);
        return r ? dim_scale(m, r, -1) : NULL;
    }
    if (a && b && depth < MAX_REDUCTIONS && dim_is_const(b, &number) && number > 1) {
        Dim *plain = without_inner_mods(m, a, number);
        if (plain != a) return mod(m, plain, b, depth + 1);
    }
    if (!a || !b || !divide(m, a, b, &v)) return NULL;
    if (!v.n) return v.rest;
    Dim *x;
    if (depth < MAX_REDUCTIONS && (v.n != a || v.d != b)) {
        x = mod(m, v.n, v.d, depth + 1);
    } else {
        Dim *q = floordiv(m, v.n, v.d, depth);
        bool atom = q && q->nterms == 1 && q->term[0].coef == 1 && q->term[0].natoms == 1
                    && q->term[0].atom[0]->kind == ATOM_FLOORDIV;
        x = dim_of_atom(m, ATOM_MOD, v.n, v.d, atom ? q->term[0].atom[0] : NULL);
    }
    if (v.sign < 0) x = dim_sub(m, dim_sub(m, v.d, dim_const(m, 1)), x);
    return dim_add(m, dim_mul(m, v.scale, x), dim_const(m, v.offset));
}

Dim *dim_floordiv(Module *m, Dim *a, Dim *b)
{
    return a && b && b->nterms ? floordiv(m, a, b, 0) : NULL;
}

Dim *dim_mod(Module *m, Dim *a, Dim *b)
{
    return a && b && b->nterms ? mod(m, a, b, 0) : NULL;
}

Dim *dim_ceildiv(Module *m, Dim *a, Dim *b)
{
    Dim *q = a && b ? dim_floordiv(m, dim_scale(m, a, -1), b) : NULL;
    return q ? dim_scale(m, q, -1) : NULL;
}

static Dim *least(Module *m, Dim *a, Dim *b, AtomKind kind)
{
    if (!a || !b) return NULL;
    if (dim_is_le(m, a, b)) return kind == ATOM_MIN ? a : b;
    if (dim_is_le(m, b, a)) return kind == ATOM_MIN ? b : a;
    return dim_order(a, b) < 0 ? dim_of_atom(m, kind, a, b, NULL) : dim_of_atom(m, kind, b, a, NULL);
}

Dim *dim_min(Module *m, Dim *a, Dim *b) { return least(m, a, b, ATOM_MIN); }
Dim *dim_max(Module *m, Dim *a, Dim *b) { return least(m, a, b, ATOM_MAX); }

/* dim.c - dims: polynomials over atoms, canonical and interned, so that equal dims are equal pointers.
 * This file: the table, sums and products, substitution, values, text. dim_div.c: floordiv, mod, min, max.
 * dim_prove.c: inequalities.
 *
 * Two identities hold for every polynomial that is made here:
 *   k*c*(a // c)            = k*a      where c divides a by the facts (H % 8 == 0)
 *   k*c*(a // c) + k*(a % c) = k*a
 */
#include "ir/internal.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* ---- saturating arithmetic, for ranges ---- */

int64_t sat_add(int64_t a, int64_t b)
{
    int64_t r;
    if (a == INT64_MIN || b == INT64_MIN) return INT64_MIN; /* right for a lower bound also beside a plus infinity */
    if (a == INT64_MAX || b == INT64_MAX) return INT64_MAX;
    if (size_add(a, b, &r)) return r;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t sat_mul(int64_t a, int64_t b)
{
    int64_t r;
    if (!a || !b) return 0;
    bool infinite = a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX;
    if (!infinite && size_mul(a, b, &r)) return r;
    return (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
}

int64_t gcd64(int64_t a, int64_t b)
{
    uint64_t x = a < 0 ? -(uint64_t)a : (uint64_t)a, y = b < 0 ? -(uint64_t)b : (uint64_t)b;
    while (y) {
        uint64_t t = x % y;
        x = y;
        y = t;
    }
    return x > INT64_MAX ? INT64_MAX : (int64_t)x;
}

/* ---- order ---- */

int atom_order(const Atom *a, const Atom *b)
{
    if (a == b) return 0;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    int c = a->kind == ATOM_SYM ? strcmp(a->name, b->name) : dim_order(a->a, b->a);
    if (!c && a->kind != ATOM_SYM) c = dim_order(a->b, b->b);
    if (!c) c = a->id < b->id ? -1 : 1;         /* symbols of two scopes */
    return c;
}

/* Higher degrees first, the constant last. */
int term_order(const Term *a, const Term *b)
{
    if (a->natoms != b->natoms) return a->natoms > b->natoms ? -1 : 1;
    for (uint32_t i = 0; i < a->natoms; i++) {
        int c = atom_order(a->atom[i], b->atom[i]);
        if (c) return c;
    }
    return 0;
}

int dim_order(Dim *a, Dim *b)
{
    if (a == b) return 0;
    for (uint32_t i = 0; i < a->nterms && i < b->nterms; i++) {
        int c = term_order(&a->term[i], &b->term[i]);
        if (c) return c;
        if (a->term[i].coef != b->term[i].coef) return a->term[i].coef < b->term[i].coef ? -1 : 1;
    }
    return a->nterms < b->nterms ? -1 : a->nterms > b->nterms;
}

static int term_order_void(const void *a, const void *b)
{
    return term_order(a, b);
}

/* ---- ranges ---- */

static void atom_range(Atom *x)
{
    if (x->kind == ATOM_SYM) {
        if (x->extent && x->extent->hi != INT64_MAX) x->hi = x->extent->hi - 1;
        return;
    }
    int64_t alo = x->a->lo, ahi = x->a->hi, blo = x->b->lo, bhi = x->b->hi;
    switch (x->kind) {
    case ATOM_FLOORDIV:
        x->lo = INT64_MIN, x->hi = INT64_MAX;
        if (blo < 1) blo = 1;                           /* the divisor is positive */
        if (alo != INT64_MIN) {                         /* by the largest divisor if >= 0, by the smallest if below */
            if (alo < 0) (void)size_floordiv(alo, blo, &x->lo);
            else if (bhi < 1 || bhi == INT64_MAX) x->lo = 0;
            else x->lo = alo / bhi;
        }
        if (ahi != INT64_MAX) {
            if (ahi >= 0) x->hi = ahi / blo;
            else if (bhi < 1 || bhi == INT64_MAX) x->hi = -1;
            else (void)size_floordiv(ahi, bhi, &x->hi);
        }
        break;
    case ATOM_MOD:
        x->lo = 0;
        x->hi = bhi == INT64_MAX || bhi < 1 ? INT64_MAX : bhi - 1;
        if (alo >= 0 && ahi < x->hi) x->hi = ahi;
        break;
    case ATOM_MIN:
        x->lo = alo < blo ? alo : blo;
        x->hi = ahi < bhi ? ahi : bhi;
        break;
    case ATOM_MAX:
        x->lo = alo > blo ? alo : blo;
        x->hi = ahi > bhi ? ahi : bhi;
        break;
    default:
        break;
    }
}

static void dim_range(struct Dim *d)
{
    int64_t lo = 0, hi = 0;
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        int64_t tlo = t->coef, thi = t->coef;
        for (uint32_t k = 0; k < t->natoms; k++) {
            int64_t alo = t->atom[k]->lo, ahi = t->atom[k]->hi;
            int64_t p[4] = {sat_mul(tlo, alo), sat_mul(tlo, ahi), sat_mul(thi, alo), sat_mul(thi, ahi)};
            tlo = thi = p[0];
            for (int j = 1; j < 4; j++) {
                if (p[j] < tlo) tlo = p[j];
                if (p[j] > thi) thi = p[j];
            }
        }
        lo = sat_add(lo, tlo);
        hi = hi == INT64_MAX || thi == INT64_MAX ? INT64_MAX : sat_add(hi, thi);
    }
    d->lo = lo;
    d->hi = hi;
}

/* A fact changed: ranges of all dims anew. Operands stand before what is made of them. */
static void ranges_again(DimTable *t)
{
    for (uint32_t i = 0; i < t->all.n; i++) {
        struct Dim *d = t->all.at[i];
        for (uint32_t j = 0; j < d->nterms; j++)
            for (uint32_t k = 0; k < d->term[j].natoms; k++)
                atom_range((Atom *)d->term[j].atom[k]);
        dim_range(d);
    }
}

/* ---- the table ---- */

DimTable *dim_table_new(Arena *a)
{
    DimTable *t = arena_new(a, DimTable);
    t->dims = map_new(a);
    t->atoms = map_new(a);
    t->syms = map_new(a);
    return t;
}

/* The interned dim of terms that are canonical already. */
static Dim *dim_intern(Module *m, const Term *term, uint32_t n)
{
    DimTable *table = m->dims;
    uint32_t words = 0, weight = 0;
    for (uint32_t i = 0; i < n; i++) {
        words += 2 + term[i].natoms;
        weight++;
        for (uint32_t k = 0; k < term[i].natoms; k++) weight += term[i].atom[k]->weight;
        if (weight > MAX_DIM_WEIGHT) return NULL;
    }
    int64_t small[64], *key = words <= COUNT(small) ? small : arena_array(m->arena, int64_t, words);
    uint32_t w = 0;
    for (uint32_t i = 0; i < n; i++) {
        key[w++] = term[i].coef;
        key[w++] = term[i].natoms;
        for (uint32_t k = 0; k < term[i].natoms; k++) key[w++] = term[i].atom[k]->id;
    }
    struct Dim *d = map_get(table->dims, key, w * sizeof *key);
    if (d) return d;
    d = arena_new(m->arena, struct Dim);
    d->nterms = n;
    d->term = arena_copy(m->arena, term, n * sizeof *term);
    for (uint32_t i = 0; i < n; i++)
        d->term[i].atom =
            term[i].natoms ? arena_copy(m->arena, term[i].atom, term[i].natoms * sizeof *term[i].atom) : NULL;
    d->id = table->all.n;
    dim_range(d);
    vec_push(m->arena, &table->all, d);
    map_set(table->dims, key, w * sizeof *key, d);
    return d;
}

static Dim *dim_just(Module *m, const Atom *x)
{
    Term t = {.coef = 1, .natoms = 1, .atom = &x};
    return dim_intern(m, &t, 1);
}

Dim *dim_const(Module *m, int64_t v)
{
    if (v == INT64_MIN) return NULL;            /* its text could not be read back */
    Term t = {.coef = v};
    return dim_intern(m, &t, v != 0);
}

Dim *dim_of_atom(Module *m, AtomKind kind, Dim *a, Dim *b, const Atom *quotient)
{
    uint32_t key[3] = {kind, a->id, b->id}, depth = 0, weight = 1;
    Atom *x = map_get(m->dims->atoms, key, sizeof key);
    if (x) return dim_just(m, x);
    Dim *operand[2] = {a, b};
    for (int o = 0; o < 2; o++)
        for (uint32_t i = 0; i < operand[o]->nterms; i++) {
            const Term *t = &operand[o]->term[i];
            weight++;
            for (uint32_t k = 0; k < t->natoms; k++) {
                weight += t->atom[k]->weight;
                if (t->atom[k]->depth >= depth) depth = t->atom[k]->depth + 1;
            }
        }
    if (depth > MAX_DIM_DEPTH || weight > MAX_DIM_WEIGHT) return NULL;
    x = arena_new(m->arena, Atom);
    *x = (Atom){ .kind = kind, .id = m->dims->natoms++, .a = a, .b = b, .multiple = 1, .quotient = quotient,
                 .depth = depth, .weight = weight };
    atom_range(x);
    map_set(m->dims->atoms, key, sizeof key, x);
    return dim_just(m, x);
}

static Atom *sym_new(Module *m, const void *scope, const char *name)
{
    Atom *x = arena_new(m->arena, Atom);
    *x = (Atom){ .kind = ATOM_SYM, .id = m->dims->natoms++, .name = arena_strndup(m->arena, name, strlen(name)),
                 .scope = scope, .lo = 0, .hi = INT64_MAX, .multiple = 1, .weight = 1 };
    return x;
}

Dim *dim_sym(Module *m, const void *scope, const char *name)
{
    Str key = {.arena = m->arena};
    str_addn(&key, (const char *)&scope, sizeof scope);
    str_add(&key, name);
    Atom *x = map_get(m->dims->syms, key.at, key.n);
    if (!x) {
        x = sym_new(m, scope, name);
        map_set(m->dims->syms, key.at, key.n, x);
    }
    return dim_just(m, x);
}

Dim *dim_var(Module *m, const void *scope, const char *name, Dim *extent)
{
    Atom *x = sym_new(m, scope, name);
    x->extent = extent;
    atom_range(x);
    return dim_just(m, x);
}

void dim_bound(Module *m, Dim *sym, int64_t lo, int64_t hi)
{
    Atom *x = (Atom *)dim_as_sym(sym);
    if (!x || (lo <= x->lo && hi >= x->hi)) return;
    if (lo > x->lo) x->lo = lo;
    if (hi < x->hi) x->hi = hi;
    ranges_again(m->dims);
}

void dim_multiple(Module *m, Dim *sym, int64_t divisor)
{
    Atom *x = (Atom *)dim_as_sym(sym);
    int64_t both;
    if (!x || divisor < 1) return;
    if (size_mul(x->multiple / gcd64(x->multiple, divisor), divisor, &both)) x->multiple = both;
}

/* ---- sums and products ---- */

/* Sort, put equal monomials together, drop zeros. false: overflow. */
static bool terms_combine(Term *t, uint32_t *n)
{
    uint32_t w = 0;
    if (*n > 1) qsort(t, *n, sizeof *t, term_order_void);
    for (uint32_t i = 0; i < *n;) {
        Term sum = t[i++];
        for (; i < *n && !term_order(&sum, &t[i]); i++)
            if (!size_add(sum.coef, t[i].coef, &sum.coef)) return false;
        if (sum.coef == INT64_MIN) return false;
        if (sum.coef) t[w++] = sum;
    }
    *n = w;
    return true;
}

/* coef * (the atoms of both). false: overflow or too high a degree. */
static bool term_mul(Module *m, const Term *a, const Term *b, Term *r)
{
    Term t = {.natoms = a->natoms + b->natoms};
    if (t.natoms > MAX_DEGREE || !size_mul(a->coef, b->coef, &t.coef)) return false;
    if (!a->natoms || !b->natoms) {
        t.atom = a->natoms ? a->atom : b->atom;
    } else {
        t.atom = arena_array(m->arena, const Atom *, t.natoms);
        for (uint32_t i = 0, j = 0, w = 0; w < t.natoms; w++) {
            bool left = j == b->natoms || (i < a->natoms && atom_order(a->atom[i], b->atom[j]) <= 0);
            t.atom[w] = left ? a->atom[i++] : b->atom[j++];
        }
    }
    *r = t;
    return true;
}

/* The monomial of t without the one atom at place k. */
static Term term_without(Module *m, const Term *t, uint32_t k)
{
    Term r = {.coef = t->coef, .natoms = t->natoms - 1};
    if (!r.natoms) return r;
    r.atom = arena_array(m->arena, const Atom *, r.natoms);
    for (uint32_t i = 0, w = 0; i < t->natoms; i++)
        if (i != k) r.atom[w++] = t->atom[i];
    return r;
}

/* Index of the term with t's atoms and coefficient, or n. */
static uint32_t term_find(const Term *all, uint32_t n, const Term *t)
{
    for (uint32_t i = 0; i < n; i++)
        if (all[i].coef == t->coef && !term_order(&all[i], t)) return i;
    return n;
}

/* Apply one of the identities at the top of the file: `rest` times x->a goes in, term i (and j) goes out. */
static bool terms_identity(Module *m, const Term *t, uint32_t n, uint32_t *drop, uint32_t *drop2, Term *rest, Dim **by)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < t[i].natoms; k++) {
            const Atom *x = t[i].atom[k];
            int64_t c;
            if (x->kind == ATOM_FLOORDIV && dim_is_const(x->b, &c) && t[i].coef % c == 0 && dim_divides(x->a, c)) {
                *rest = term_without(m, &t[i], k);
                rest->coef /= c;
                *by = x->a;
                *drop = *drop2 = i;
                return true;
            }
            if (x->kind != ATOM_MOD || !x->quotient || x->b->nterms != 1) continue;
            Term quotient = {.coef = 1, .natoms = 1, .atom = (const Atom **)&x->quotient}, partner;
            *rest = term_without(m, &t[i], k);
            if (!term_mul(m, rest, &x->b->term[0], &partner) || !term_mul(m, &partner, &quotient, &partner)) continue;
            uint32_t j = term_find(t, n, &partner);
            if (j == n) continue;
            *by = x->a;
            *drop = i, *drop2 = j;
            return true;
        }
    return false;
}

Dim *dim_of_terms(Module *m, const Term *term, uint32_t n)
{
    Term small[16], rest, *t = small;
    uint32_t cap = COUNT(small), drop, drop2;
    Dim *by;
    if (n > cap) t = arena_array(m->arena, Term, cap = n);
    if (n) memcpy(t, term, n * sizeof *t);
    if (!terms_combine(t, &n)) return NULL;
    for (int round = 0; round < 64 && terms_identity(m, t, n, &drop, &drop2, &rest, &by); round++) {
        Term *next = arena_array(m->arena, Term, n + by->nterms);
        uint32_t w = 0;
        for (uint32_t i = 0; i < n; i++)
            if (i != drop && i != drop2) next[w++] = t[i];
        for (uint32_t i = 0; i < by->nterms; i++)
            if (!term_mul(m, &rest, &by->term[i], &next[w++])) return NULL;
        t = next, n = w;
        if (!terms_combine(t, &n)) return NULL;
    }
    return n > MAX_TERMS ? NULL : dim_intern(m, t, n);
}

static Dim *dim_sum(Module *m, Dim *a, Dim *b, int64_t sign)
{
    if (!a || !b) return NULL;
    if (!b->nterms) return a;
    Term small[32],
        *t = a->nterms + b->nterms <= COUNT(small) ? small : arena_array(m->arena, Term, a->nterms + b->nterms);
    if (a->nterms) memcpy(t, a->term, a->nterms * sizeof *t);
    for (uint32_t i = 0; i < b->nterms; i++) {
        t[a->nterms + i] = b->term[i];
        t[a->nterms + i].coef *= sign;          /* never INT64_MIN */
    }
    return dim_of_terms(m, t, a->nterms + b->nterms);
}

Dim *dim_add(Module *m, Dim *a, Dim *b) { return dim_sum(m, a, b, 1); }
Dim *dim_sub(Module *m, Dim *a, Dim *b) { return dim_sum(m, a, b, -1); }

Dim *dim_mul(Module *m, Dim *a, Dim *b)
{
    if (!a || !b) return NULL;
    uint32_t n = a->nterms * b->nterms;         /* both <= MAX_TERMS */
    if (n > 16 * MAX_TERMS) return NULL;
    Term small[16], *t = n <= COUNT(small) ? small : arena_array(m->arena, Term, n);
    for (uint32_t i = 0; i < n; i++)
        if (!term_mul(m, &a->term[i / b->nterms], &b->term[i % b->nterms], &t[i])) return NULL;
    return dim_of_terms(m, t, n);
}

Dim *dim_scale(Module *m, Dim *d, int64_t k)
{
    return dim_mul(m, d, dim_const(m, k));
}

/* ---- questions ---- */

bool dim_is_const(Dim *d, int64_t *v)
{
    if (d->nterms > 1 || (d->nterms && d->term[0].natoms)) return false;
    *v = d->nterms ? d->term[0].coef : 0;
    return true;
}

bool dim_equals(Dim *d, int64_t v)
{
    int64_t c;
    return d && dim_is_const(d, &c) && c == v;
}

const Atom *dim_as_sym(Dim *d)
{
    bool just = d->nterms == 1 && d->term[0].coef == 1 && d->term[0].natoms == 1;
    return just && d->term[0].atom[0]->kind == ATOM_SYM ? d->term[0].atom[0] : NULL;
}

bool dim_divides(Dim *d, int64_t c)
{
    for (uint32_t i = 0; i < d->nterms; i++) {
        int64_t left = c / gcd64(c, d->term[i].coef);
        for (uint32_t k = 0; k < d->term[i].natoms; k++) left /= gcd64(left, d->term[i].atom[k]->multiple);
        if (left != 1) return false;
    }
    return true;
}

static bool atom_uses(const Atom *x, const Atom *sym)
{
    return x == sym || (x->kind != ATOM_SYM && (dim_uses(x->a, sym) || dim_uses(x->b, sym)));
}

bool dim_uses(Dim *d, const Atom *sym)
{
    for (uint32_t i = 0; i < d->nterms; i++)
        for (uint32_t k = 0; k < d->term[i].natoms; k++)
            if (atom_uses(d->term[i].atom[k], sym)) return true;
    return false;
}

bool dim_linear(Module *m, Dim *d, const Atom *sym, Dim **coef, Dim **rest)
{
    Term *c = arena_array(m->arena, Term, d->nterms + 1), *r = arena_array(m->arena, Term, d->nterms + 1);
    uint32_t nc = 0, nr = 0;
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        uint32_t times = 0, at = 0;
        for (uint32_t k = 0; k < t->natoms; k++) {
            if (t->atom[k] == sym) times++, at = k;
            else if (atom_uses(t->atom[k], sym)) return false;
        }
        if (times > 1) return false;
        if (times) c[nc++] = term_without(m, t, at);
        else r[nr++] = *t;
    }
    *coef = dim_of_terms(m, c, nc);
    *rest = dim_of_terms(m, r, nr);
    return *coef && *rest;
}

/* ---- substitution and values ---- */

static Dim *atom_subst(Module *m, const Atom *x, uint32_t n, const Atom *const *from, Dim *const *to)
{
    for (uint32_t i = 0; i < n; i++)
        if (from[i] == x) return to[i];
    if (x->kind == ATOM_SYM) return dim_just(m, x);
    Dim *a = dim_subst(m, x->a, n, from, to), *b = dim_subst(m, x->b, n, from, to);
    if (!a || !b) return NULL;
    if (a == x->a && b == x->b) return dim_just(m, x);
    switch (x->kind) {
    case ATOM_FLOORDIV: return dim_floordiv(m, a, b);
    case ATOM_MOD:      return dim_mod(m, a, b);
    case ATOM_MIN:      return dim_min(m, a, b);
    default:            return dim_max(m, a, b);
    }
}

Dim *dim_subst(Module *m, Dim *d, uint32_t n, const Atom *const *from, Dim *const *to)
{
    bool used = false;
    for (uint32_t i = 0; d && i < n && !used; i++) used = dim_uses(d, from[i]);
    if (!used) return d;
    Dim *sum = dim_const(m, 0);
    for (uint32_t i = 0; sum && i < d->nterms; i++) {
        Dim *product = dim_const(m, d->term[i].coef);
        for (uint32_t k = 0; product && k < d->term[i].natoms; k++)
            product = dim_mul(m, product, atom_subst(m, d->term[i].atom[k], n, from, to));
        sum = dim_add(m, sum, product);
    }
    return sum;
}

static bool atom_value(const Atom *x, DimLookup *lookup, void *user, int64_t *v)
{
    int64_t a, b;
    if (x->kind == ATOM_SYM) return lookup(user, x, v);
    if (!dim_value(x->a, lookup, user, &a) || !dim_value(x->b, lookup, user, &b)) return false;
    switch (x->kind) {
    case ATOM_FLOORDIV: return b > 0 && size_floordiv(a, b, v);
    case ATOM_MOD:      return b > 0 && size_mod(a, b, v);
    case ATOM_MIN:      *v = a < b ? a : b; return true;
    default:            *v = a > b ? a : b; return true;
    }
}

bool dim_value(Dim *d, DimLookup *lookup, void *user, int64_t *value)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < d->nterms; i++) {
        int64_t product = d->term[i].coef, v;
        for (uint32_t k = 0; k < d->term[i].natoms; k++)
            if (!atom_value(d->term[i].atom[k], lookup, user, &v) || !size_mul(product, v, &product)) return false;
        if (!size_add(sum, product, &sum)) return false;
    }
    *value = sum;
    return true;
}

/* ---- text ---- */

static void atom_print(Str *s, const Atom *x, bool in_product);

/* Does d stand as an operand of // without brackets? */
static bool dim_is_word(Dim *d)
{
    if (d->nterms != 1) return d->nterms == 0;
    const Term *t = &d->term[0];
    if (!t->natoms) return t->coef > 0;
    AtomKind k = t->atom[0]->kind;
    return t->coef == 1 && t->natoms == 1 && k != ATOM_FLOORDIV && k != ATOM_MOD;
}

static void operand_print(Str *s, Dim *d)
{
    bool word = dim_is_word(d);
    if (!word) str_char(s, '(');
    dim_print(s, d);
    if (!word) str_char(s, ')');
}

static void atom_print(Str *s, const Atom *x, bool in_product)
{
    if (x->kind == ATOM_SYM) {
        str_add(s, x->name);
    } else if (x->kind == ATOM_MIN || x->kind == ATOM_MAX) {
        str_add(s, x->kind == ATOM_MIN ? "min(" : "max(");
        dim_print(s, x->a);
        str_add(s, ", ");
        dim_print(s, x->b);
        str_char(s, ')');
    } else {
        if (in_product) str_char(s, '(');
        operand_print(s, x->a);
        str_add(s, x->kind == ATOM_FLOORDIV ? " // " : " % ");
        operand_print(s, x->b);
        if (in_product) str_char(s, ')');
    }
}

void dim_print(Str *s, Dim *d)
{
    if (!d->nterms) str_char(s, '0');
    for (uint32_t i = 0; i < d->nterms; i++) {
        const Term *t = &d->term[i];
        int64_t c = t->coef;
        if (i) str_add(s, c < 0 ? " - " : " + ");
        else if (c < 0) str_char(s, '-');
        if (c < 0) c = -c;
        if (c != 1 || !t->natoms) str_fmt(s, "%lld", (long long)c);
        bool product = c != 1 || t->natoms > 1 || (!i && t->coef < 0);
        for (uint32_t k = 0; k < t->natoms; k++) {
            if (k || c != 1) str_char(s, '*');
            atom_print(s, t->atom[k], product);
        }
    }
}

const char *dim_text(Arena *a, Dim *d)
{
    Str s = {.arena = a};
    if (d) dim_print(&s, d);
    else str_add(&s, "(overflow)");
    return s.at;
}

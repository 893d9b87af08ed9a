/* test_dim.c - dims: canonical forms, divisions that fold, proofs, text. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct World {
    Arena   arena;
    Module *m;
    Dim    *B, *T, *H, *W;
    int     scope;
} World;

static int make(void **state)
{
    World *w = calloc(1, sizeof *w);
    w->m = module_new(&w->arena, NULL, "m");
    w->T = dim_sym(w->m, &w->scope, "T");       /* T before B: text does not depend on it */
    w->B = dim_sym(w->m, &w->scope, "B");
    w->H = dim_sym(w->m, &w->scope, "H");
    w->W = dim_sym(w->m, &w->scope, "W");
    *state = w;
    return 0;
}

static int drop(void **state)
{
    World *w = *state;
    arena_free(&w->arena);
    free(w);
    return 0;
}

#define WORLD                                                                                                          \
    World *w = *state;                                                                                                 \
    Module *m = w->m;                                                                                                  \
    Dim *B = w->B, *T = w->T, *H = w->H;                                                                               \
    (void)B, (void)T, (void)H, (void)m
#define K(v) dim_const(m, v)
#define ADD(a, b) dim_add(m, a, b)
#define SUB(a, b) dim_sub(m, a, b)
#define MUL(a, b) dim_mul(m, a, b)
#define DIV(a, b) dim_floordiv(m, a, b)
#define MOD(a, b) dim_mod(m, a, b)
#define SAME(a, b) assert_ptr_equal(a, b)
#define TEXT(d, s) assert_string_equal(dim_text(&w->arena, d), s)

static void sums_and_products(void **state)
{
    WORLD;
    SAME(dim_sym(m, &w->scope, "B"), B);
    assert_ptr_not_equal(dim_sym(m, m, "B"), B);
    SAME(ADD(B, T), ADD(T, B));
    SAME(SUB(ADD(B, T), T), B);
    SAME(MUL(ADD(B, T), SUB(B, T)), SUB(MUL(B, B), MUL(T, T)));
    SAME(SUB(B, B), K(0));
    SAME(MUL(B, K(0)), K(0));
    TEXT(ADD(MUL(K(2), MUL(T, B)), K(1)), "2*B*T + 1");
    TEXT(SUB(K(1), B), "-B + 1");
    TEXT(SUB(T, ADD(MUL(K(2), B), K(3))), "-2*B + T - 3");
    TEXT(K(0), "0");
    TEXT(K(-5), "-5");
    assert_null(MUL(MUL(K(INT64_MAX), B), K(2)));
    assert_null(ADD(K(INT64_MAX), K(1)));
    Dim *big = ADD(B, T);
    for (int i = 0; i < 20 && big; i++) big = MUL(big, ADD(ADD(B, T), ADD(H, w->W)));
    assert_null(big);                           /* too large is NULL, not endless */
}

static void floordivs(void **state)
{
    WORLD;
    SAME(ADD(DIV(SUB(H, K(1)), K(2)), K(1)), DIV(ADD(H, K(1)), K(2)));
    TEXT(DIV(ADD(H, K(1)), K(2)), "(H + 1) // 2");
    SAME(dim_ceildiv(m, H, K(2)), DIV(ADD(H, K(1)), K(2)));
    SAME(dim_ceildiv(m, H, K(7)), DIV(ADD(H, K(6)), K(7)));
    SAME(DIV(MUL(K(6), B), K(3)), MUL(K(2), B));
    SAME(DIV(ADD(MUL(K(6), B), K(5)), K(3)), ADD(MUL(K(2), B), K(1)));
    SAME(DIV(ADD(MUL(K(2), B), K(1)), K(4)), DIV(B, K(2)));
    SAME(DIV(MUL(K(3), B), K(2)), ADD(B, DIV(B, K(2))));
    SAME(DIV(DIV(B, K(4)), K(3)), DIV(B, K(12)));
    SAME(DIV(ADD(DIV(SUB(H, K(1)), K(2)), K(1)), K(2)), DIV(ADD(H, K(1)), K(4)));
    SAME(DIV(SUB(MUL(K(2), B), MUL(K(3), T)), K(4)), SUB(DIV(ADD(MUL(K(2), B), T), K(4)), T));
    SAME(DIV(K(-7), K(2)), K(-4));
    SAME(DIV(K(7), K(-2)), K(-4));
    assert_null(DIV(B, K(0)));
    SAME(DIV(MUL(B, T), T), B);
    SAME(DIV(MUL(MUL(B, T), K(6)), MUL(T, K(2))), MUL(K(3), B));
    SAME(DIV(MUL(B, T), MUL(T, H)), DIV(B, H));
    SAME(DIV(T, ADD(T, K(1))), K(0));
    SAME(DIV(SUB(MUL(B, B), MUL(T, T)), SUB(B, T)), ADD(B, T));
    SAME(DIV(K(1), MUL(K(2), ADD(T, K(1)))), K(0));
    TEXT(dim_ceildiv(m, B, T), "(B - 1) // T + 1");
    TEXT(MUL(K(2), DIV(B, K(3))), "2*(B // 3)");
    TEXT(SUB(T, DIV(B, K(3))), "T - B // 3");
}

static void mods(void **state)
{
    WORLD;
    SAME(MOD(MUL(K(6), B), K(3)), K(0));
    SAME(MOD(ADD(MUL(K(3), B), K(7)), K(3)), K(1));
    SAME(MOD(ADD(MUL(K(4), B), K(1)), K(8)), ADD(MUL(K(4), MOD(B, K(2))), K(1)));
    SAME(MOD(MOD(B, K(12)), K(4)), MOD(B, K(4)));
    SAME(ADD(MUL(K(3), DIV(B, K(3))), MOD(B, K(3))), B);
    SAME(ADD(MUL(K(12), DIV(MUL(K(11), B), K(12))), MOD(MUL(K(11), B), K(12))), MUL(K(11), B));
    SAME(ADD(MUL(MUL(T, K(3)), DIV(B, K(3))), MUL(T, MOD(B, K(3)))), MUL(B, T));
    SAME(ADD(MUL(T, DIV(B, T)), MOD(B, T)), B);
    Dim *a = ADD(MUL(K(12), DIV(B, K(12))), MUL(K(4), MOD(DIV(B, K(4)), K(3))));
    SAME(ADD(a, MOD(B, K(4))), B);
    SAME(MOD(K(-7), K(3)), K(2));
    SAME(MOD(K(7), K(-3)), K(-2));
    SAME(MOD(ADD(MUL(B, T), K(0)), T), K(0));
    assert_null(MOD(B, K(0)));
    TEXT(MUL(K(2), MOD(ADD(B, K(1)), K(3))), "2*((B + 1) % 3)");
}

static void facts(void **state)
{
    WORLD;
    dim_multiple(m, H, 8);
    dim_bound(m, T, 1, 64);
    SAME(MOD(H, K(4)), K(0));
    SAME(MUL(K(4), DIV(H, K(4))), H);
    SAME(ADD(DIV(SUB(H, K(1)), K(2)), K(1)), DIV(H, K(2)));
    SAME(DIV(MUL(K(3), H), K(16)), DIV(MUL(K(3), H), K(16)));
    SAME(DIV(SUB(T, K(1)), K(64)), K(0));
    SAME(DIV(T, K(65)), K(0));
    SAME(MOD(T, K(65)), T);
    SAME(dim_min(m, T, K(64)), T);
    SAME(dim_max(m, T, K(1)), T);
    assert_true(dim_is_le(m, B, MUL(B, T)));
    assert_true(dim_is_le(m, T, K(64)));
    assert_false(dim_is_le(m, T, K(63)));
    assert_true(dim_is_ne(m, H, ADD(MUL(K(8), B), K(4))));
    assert_true(dim_is_ne(m, T, K(65)));
    assert_false(dim_is_ne(m, T, B));
}

static void facts_reach_older_dims(void **state)
{
    WORLD;
    Dim *d = ADD(DIV(B, K(2)), T);
    assert_int_equal(d->hi, INT64_MAX);
    dim_bound(m, B, 0, 10);
    dim_bound(m, T, 2, 3);
    assert_int_equal(d->lo, 2);
    assert_int_equal(d->hi, 8);
}

static void variables(void **state)
{
    WORLD;
    Dim *i = dim_var(m, m, "i", B), *j = dim_var(m, m, "j", T), *k = dim_var(m, m, "k", K(12)),
        *n = dim_var(m, m, "n", MUL(B, T));
    Dim *flat = ADD(MUL(i, T), j);
    SAME(DIV(flat, T), i);
    SAME(MOD(flat, T), j);
    SAME(DIV(ADD(MUL(i, K(12)), k), K(12)), i);
    SAME(DIV(ADD(MUL(i, K(12)), k), K(4)), ADD(MUL(K(3), i), DIV(k, K(4))));
    SAME(DIV(MOD(k, K(12)), K(12)), K(0));
    SAME(ADD(MUL(DIV(n, T), T), MOD(n, T)), n);
    assert_true(dim_is_lt(m, flat, MUL(B, T)));
    assert_true(dim_is_lt(m, DIV(n, T), B));
    assert_false(dim_is_lt(m, ADD(j, K(1)), T));
    assert_true(dim_is_le(m, ADD(j, K(1)), T));
    assert_true(dim_is_le(m, SUB(SUB(T, K(1)), j), T));
    Dim *wide = ADD(T, K(1)), *o = dim_var(m, m, "o", wide);
    SAME(DIV(ADD(MUL(i, wide), o), wide), i);
    SAME(MOD(ADD(MUL(i, wide), o), wide), o);
    Dim *out = ADD(DIV(SUB(H, K(3)), K(2)), K(1)), *p = dim_var(m, m, "p", out);
    assert_true(dim_is_lt(m, ADD(MUL(K(2), p), K(2)), H));      /* the last window lies inside */
    assert_false(dim_is_lt(m, ADD(MUL(K(2), p), K(3)), H));
}

static void proofs(void **state)
{
    WORLD;
    assert_true(dim_is_le(m, K(0), B));
    assert_false(dim_is_le(m, K(1), B));
    assert_true(dim_is_le(m, MUL(K(2), DIV(B, K(2))), B));
    assert_true(dim_is_le(m, B, ADD(MUL(K(2), DIV(B, K(2))), K(1))));
    assert_true(dim_is_lt(m, MOD(B, K(5)), K(5)));
    assert_true(dim_is_le(m, MOD(B, K(5)), B));
    assert_true(dim_is_le(m, dim_min(m, B, T), T));
    assert_true(dim_is_le(m, T, dim_max(m, B, T)));
    assert_true(dim_is_ne(m, MUL(K(2), B), ADD(MUL(K(2), T), K(1))));
    assert_true(dim_is_ne(m, B, ADD(B, K(1))));
    SAME(dim_min(m, ADD(B, K(1)), B), B);
    SAME(dim_max(m, T, B), dim_max(m, B, T));
}

static bool lookup(void *user, const Atom *sym, int64_t *v)
{
    int64_t *values = user;
    *v = sym->name[0] == 'B'   ? values[0]
         : sym->name[0] == 'T' ? values[1]
         : sym->name[0] == 'H' ? values[2]
                               : values[3];
    return true;
}

/* Random expressions: whatever normal form they take, their values are those of the arithmetic. */
static void random_values(void **state)
{
    WORLD;
    uint64_t seed = 1;
    enum { N = 200 };
    for (int round = 0; round < 60; round++) {
        Dim *d[N];
        int64_t v[N], at[4];
        for (int i = 0; i < 4; i++)
            at[i] = (int64_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 60) + 1;
        Dim *leaf[4] = {B, T, H, w->W};
        for (int i = 0; i < 4; i++) d[i] = leaf[i], v[i] = at[i];
        int n = 4;
        for (int tries = 0; tries < 400 && n < N; tries++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint32_t r = (uint32_t)(seed >> 33), a = (r >> 8) % (uint32_t)n, b = (r >> 16) % (uint32_t)n;
            int64_t c = (r >> 3) % 13 + 1, x = 0;
            Dim *y = NULL;
            bool by_dim = (r >> 28 & 3) == 0 && v[b] > 0 && d[b]->lo >= 0;
            switch (r % 7) {
            case 0: y = ADD(d[a], d[b]); x = v[a] + v[b]; break;
            case 1: y = SUB(d[a], d[b]); x = v[a] - v[b]; break;
            case 2: y = MUL(d[a], K(c - 6)); x = v[a] * (c - 6); break;
            case 3: y = DIV(d[a], by_dim ? d[b] : K(c)); c = by_dim ? v[b] : c; x = v[a] / c - (v[a] % c < 0); break;
            case 4: y = MOD(d[a], by_dim ? d[b] : K(c)); c = by_dim ? v[b] : c; x = v[a] % c; x += x < 0 ? c : 0; break;
            case 5: y = dim_max(m, d[a], d[b]); x = v[a] > v[b] ? v[a] : v[b]; break;
            case 6: y = ADD(d[a], K(c)); x = v[a] + c; break;
            }
            if (!y || x > 1000000 || x < -1000000) continue;
            int64_t got;
            bool known = dim_value(y, lookup, at, &got);
            if (!known) continue;               /* a divisor that is 0 here inside */
            if (got != x) print_message("%s\n", dim_text(&w->arena, y));
            assert_int_equal(got, x);
            assert_true(y->lo <= x && x <= y->hi);
            if (dim_is_le(m, d[a], d[b])) assert_true(v[a] <= v[b]);
            if (dim_is_ne(m, d[a], d[b])) assert_true(v[a] != v[b]);
            d[n] = y, v[n++] = x;
        }
    }
}

static void substitution(void **state)
{
    WORLD;
    const Atom *b = dim_as_sym(B);
    Dim *d = ADD(DIV(ADD(B, K(1)), K(2)), MUL(B, T)), *five = K(5), *c, *r;
    SAME(dim_subst(m, d, 1, &b, &five), ADD(K(3), MUL(K(5), T)));
    assert_true(dim_uses(d, b));
    assert_false(dim_uses(d, dim_as_sym(H)));
    assert_false(dim_linear(m, d, b, &c, &r));
    assert_true(dim_linear(m, d, dim_as_sym(T), &c, &r));
    SAME(c, B);
    SAME(r, DIV(ADD(B, K(1)), K(2)));
    assert_null(dim_as_sym(d));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        T(sums_and_products), T(floordivs), T(mods), T(facts), T(facts_reach_older_dims), T(variables), T(proofs),
        T(random_values), T(substitution),
    };
    return cmocka_run_group_tests_name("dim", tests, NULL, NULL);
}

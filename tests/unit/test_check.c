/* test_check.c - the checker: what expressions are worth (through the IR evaluator), what the IR of a program is,
 * names of params, and limits. Messages have golden tests, in tests/check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "frontend/frontend.h"

static Module *compile(Arena *a, const char *text, const FrontendOptions *o)
{
    Diags d = {.arena = a};
    Module *m = frontend_compile_text(a, &d, "test.dl", text, strlen(text), o);
    if (m) {
        const char *error = NULL;
        if (!ir_verify(a, m, "frontend", &error)) fail_msg("%s\n%s", text, error);
        return m;
    }
    Str s = {.arena = a};
    diag_print(&d, &s, false);
    print_message("%s\n%s\n", text, s.at);
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------- */

typedef struct Case { const char *text; uint32_t n; double value[50]; } Case;
static const Case cases[] = {
#include "tests/unit/check_cases.inc"
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const Case *k = &cases[i];
        Arena a = {0};
        const char *error = NULL, *text = arena_printf(&a, "export fn f() -> (y: _) = %s\n", k->text);
        Module *m = compile(&a, text, NULL);
        if (!m) fail_msg("%s does not compile", k->text);
        Tensor r = {0};
        if (!ir_eval(&a, m->funcs.at[0], NULL, NULL, true, &r, &error)) fail_msg("%s: %s", k->text, error);
        if (tensor_count(&r) != k->n) fail_msg("%s: %lld elements instead of %u", k->text, (long long)tensor_count(&r), k->n);
        for (uint32_t j = 0; j < k->n; j++) {
            double got = tensor_get(&r, j);
            if (!(fabs(got - k->value[j]) <= 1e-6 * (1 + fabs(k->value[j]))))       /* constants are written with 9 digits */
                fail_msg("%s: element %u is %.9g instead of %.9g", k->text, j, got, k->value[j]);
        }
        arena_free(&a);
    }
}

/* ---- programs -------------------------------------------------------------------------------------------- */

static const char net_text[] =
    "arg width = 4\n"
    "module Block(dim: int) {\n"
    "    a = Linear(dim, dim) as \"attention.dense\"\n"
    "    layers = [Linear(dim, dim, bias = false), relu, BatchNorm1(dim)]\n"
    "    fn forward(x: f32[B, dim]) -> f32[B, dim] = x + layers(a(x))\n"
    "}\n"
    "module BatchNorm1(dim: int) {\n"
    "    param scale: f32[dim]\n"
    "    state mean = zeros(f32[dim])\n"
    "    fn forward(x) = (x - self.mean) * scale\n"
    "}\n"
    "net = [Block(width) for i in range(2)] as \"h\"\n"
    "tied = net[0].a\n"
    "other = Linear(3, 3)\n"
    "opt = AdamW(net)\n"
    "export fn f(x: f32[B, width]) -> (y: f32[B, width]) = net(x)\n"
    "export fn g(x: f32[B, width]) -> (y: f32[B, width]) = tied(x)\n"
    "export train fn step(x: f32[B, width]) -> (loss: f32) { return sum(grad(sum(net(x)), x)) }\n";

static void test_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "h.0.attention.dense.weight", "h.0.attention.dense.bias", "h.0.layers.0.weight", "h.0.layers.2.scale", "h.0.layers.2.mean",
        "h.1.attention.dense.weight", "h.1.attention.dense.bias", "h.1.layers.0.weight", "h.1.layers.2.scale", "h.1.layers.2.mean"};
    Arena a = {0};
    Module *m = compile(&a, net_text, NULL);
    assert_non_null(m);
    assert_int_equal(m->params.n, COUNT(paths));        /* not `other`: no export reaches it */
    for (uint32_t i = 0; i < m->params.n; i++) {
        assert_string_equal(m->params.at[i]->path, paths[i]);
        assert_int_equal(m->params.at[i]->index, i);
        assert_int_equal(m->params.at[i]->state, strstr(paths[i], "mean") != NULL);
        assert_int_equal(m->params.at[i]->must_load, strstr(paths[i], "scale") != NULL);
    }
    assert_string_equal(m->params.at[0]->aliases.at[0], "tied.weight");
    assert_int_equal(m->funcs.n, 4);                    /* f, g, step, init */
    assert_string_equal(m->funcs.at[3]->name, "init");
    assert_int_equal(m->funcs.at[3]->results.n, 8);     /* two are loaded */
    assert_int_equal(m->funcs.at[1]->args.n, 3);        /* g: x, and the params it reaches */
    arena_free(&a);
}

static void test_arg(void **state)
{
    (void)state;
    Arena a = {0};
    FrontendOptions o = {.name = "other", .only = "g"};
    o.set = malloc(sizeof *o.set);
    o.set[0].name = "width";
    o.set[0].value = "6";
    o.nset = 1;
    Module *m = compile(&a, net_text, &o);
    assert_non_null(m);
    assert_string_equal(m->name, "other");
    assert_int_equal(m->funcs.n, 2);
    assert_true(dim_equals(m->funcs.at[0]->args.at[0].node->type->dim[1], 6));
    o.set[0].value = "[6]";
    assert_null(compile(&a, net_text, &o));
    o.set[0].name = "with";
    assert_null(compile(&a, net_text, &o));
    free(o.set);
    arena_free(&a);
}

/* The init function gives the same numbers whatever else the program holds, and those of the asked distribution. */
static void test_init(void **state)
{
    (void)state;
    static const char one[] = "module M() { param w = normal(f32[1000], mean = 3, std = 0.5)\n fn forward(x) = x * w }\nnet = M()\n"
                              "export fn f(x: f32[1000]) -> (y: f32[1000]) = net(x)\n";
    static const char two[] = "module M() { param w = normal(f32[1000], mean = 3, std = 0.5)\n fn forward(x) = x * w }\nfirst = M()\nnet = M()\n"
                              "export fn f(x: f32[1000]) -> (y: f32[1000]) = net(first(x))\n";
    Arena a = {0};
    int64_t seed = 7;
    const char *error;
    Tensor in = {.dtype = DT_i64, .data = &seed}, r[2][2] = {0};
    Module *m = compile(&a, one, NULL), *n = compile(&a, two, NULL);
    assert_true(m && n);
    assert_true(ir_eval(&a, func_find(m, "init"), &in, NULL, false, r[0], &error));
    assert_true(ir_eval(&a, func_find(n, "init"), &in, NULL, false, r[1], &error));
    double sum = 0, square = 0, differ = 0;
    for (int64_t i = 0; i < 1000; i++) {
        double v = tensor_get(&r[0][0], i);
        sum += v;
        square += v * v;
        assert_true(v == tensor_get(&r[1][1], i));      /* net.w in both */
        differ += v != tensor_get(&r[1][0], i);         /* first.w */
    }
    assert_true(fabs(sum / 1000 - 3) < 0.06);           /* 4 standard errors: 4 * 0.5 / sqrt(1000) */
    assert_true(fabs(sqrt(square / 1000 - sum * sum / 1e6) - 0.5) < 0.05);
    assert_true(differ > 990);
    arena_free(&a);
}

/* What only the call knows is required at entry; facts bound dims; indices that are inputs are marked. */
static void test_requires(void **state)
{
    (void)state;
    Arena a = {0};
    Module *m = compile(&a,
        "table = Embedding(10, 4)\n"
        "export fn f(x: f32[N, H], y: f32[M, H], ids: i32[N]) -> (z: f32[N, H]) with H <= 64, H % 4 == 0 {\n"
        "    return x + y + sum(table(ids)) + sum(reshape(x, [N, H // 4, 4])[:, 2:])\n"
        "}\n", NULL);
    assert_non_null(m);
    const Func *f = m->funcs.at[0];
    assert_int_equal(f->dims.n, 3);
    assert_int_equal(f->requires.n, 4);
    assert_string_equal(f->requires.at[0].text, "H <= 64");
    assert_string_equal(f->requires.at[1].text, "H % 4 == 0");
    assert_string_equal(f->requires.at[2].text, "N == M");
    assert_string_equal(f->requires.at[3].text, "H // 4 >= 2");
    const Atom *h = dim_as_sym(f->dims.at[1]);
    assert_int_equal(h->hi, 64);
    assert_int_equal(h->multiple, 4);
    assert_true(f->args.at[2].is_index && dim_equals(f->args.at[2].limit, 10));
    arena_free(&a);
}

/* Programs that would take for ever, or the whole stack, end with an error. */
static void test_limits(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "x = [0 for i in range(1000000000)]\n",
        "x = [1]\nfor i in range(64) { x = x + x }\n",
        "x = \"a\"\nfor i in range(64) { x = x + x }\n",
        "x = []\nfor i in range(100000) { x = [x] }\ny = x == x\nz = x(f32(1))\n",
        "x = [1]\nfor i in range(64) { x = [x, x] }\ny = f32(x)\n",
        "fn f(g, n) = g(g, n + 1)\nx = f(f, 0)\n",
        "module M(m) { inner = m(m) }\nx = M(M)\n",
        "for i in range(1000000) { for j in range(1000000) { x = i } }\n",
        "x = zeros(f32[1000000000000, 1000000000000])\n",
        "x = 2 ^ 100\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        Arena a = {0};
        Diags d = {.arena = &a};
        const char *text = arena_printf(&a, "%sexport fn f(x: f32[B]) -> (y: f32[B]) = x\n", texts[i]);
        if (frontend_compile_text(&a, &d, "test.dl", text, strlen(text), NULL)) fail_msg("compiles: %s", texts[i]);
        assert_true(d.errors > 0);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_paths), cmocka_unit_test(test_arg),
        cmocka_unit_test(test_init), cmocka_unit_test(test_requires), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_reduce.c - the reducer of random programs: artificial failures, whose smallest programs are known. Every program that it
 * keeps must be valid, fail, and come back from its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random/random.h"

typedef struct Wanted { Op op; DType dtype; uint32_t calls; } Wanted;

/* Fails where a node of this operator and dtype has elements for the first binding. */
static bool has_op(void *user, const RandomProgram *p)
{
    Wanted *w = user;
    const Func *f = p->m->funcs.at[0];
    w->calls++;
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        const Node *n = f->body.nodes.at[i];
        int64_t v, count = 1;
        if (n->op != w->op || n->type->kind != TYPE_TENSOR || n->type->dtype != w->dtype) continue;
        for (uint32_t k = 0; k < n->type->rank; k++) count *= dims_value(f, p->dims[0], n->type->dim[k], &v) ? v : 0;
        if (count > 0) return true;
    }
    return false;
}

/* The program of `text`, reduced: fails the test where it is no valid program that still fails. */
static RandomProgram reduced(Arena *a, const char *text, Wanted *w)
{
    RandomProgram p;
    const char *wrong = program_read(a, "test.ir", text, strlen(text), &p);
    if (wrong) fail_msg("%s", wrong);
    assert_true(has_op(w, &p));
    RandomProgram small = reduce(a, &p, has_op, w), again;
    const char *error = NULL;
    assert_true(has_op(w, &small));
    if (!ir_verify(a, small.m, "reduce", &error)) fail_msg("%s", error);
    Str s = {.arena = a}, twice = {.arena = a};
    program_print(&s, &small, "a note\nof two lines");
    wrong = program_read(a, "reduced.ir", s.at, s.n, &again);
    if (wrong) fail_msg("%s\n%s", wrong, s.at);
    program_print(&twice, &again, "a note\nof two lines");
    assert_string_equal(s.at, twice.at);
    return small;
}

#define TOP(dims) "# random: exact, data 7, dims " dims ", dims 2 2\nir 1\nmodule \"t\"\n"

/* Everything around one operator goes, and dims become small. */
static void one_operator(void **state)
{
    (void)state;
    Arena a = {0};
    Wanted w = {.op = OP_reverse, .dtype = DT_f32};
    RandomProgram p = reduced(&a,
        TOP("5 9") "param \"p\" : f32[7,3]\n\nfunc export @f(B, T) {\n"
        "  %0 = input \"x\" : f32[B,7,3]\n"
        "  %1 = param \"p\" : f32[7,3]\n"
        "  %2 = broadcast %1 {axes = [1, 2]} : f32[B,7,3]\n"
        "  %3 = add %0, %2 : f32[B,7,3]\n"
        "  %4 = reverse %3 {axes = [0, 2]} : f32[B,7,3]\n"
        "  %5 = neg %4 : f32[B,7,3]\n"
        "  %6 = reduce %5 {kind = sum, axes = [1]} : f32[B,3]\n"
        "  return \"a\" %6, \"b\" %3, \"p\" %1 -> \"p\"\n}\n", &w);
    const Func *f = p.m->funcs.at[0];
    assert_int_equal(f->body.nodes.n, 2);
    assert_int_equal(f->args.n, 1);
    assert_int_equal(f->results.n, 1);
    assert_int_equal(p.m->params.n, 0);
    assert_int_equal(p.nbindings, 1);
    Type *t = f->results.at[0].node->type;
    assert_int_equal(t->rank, 3);
    for (uint32_t i = 0; i < t->rank; i++) assert_true(dim_equals(t->dim[i], 1));
    arena_free(&a);
}

/* What the failure needs stays: a contraction keeps its operands, one may be a constant. */
static void contraction(void **state)
{
    (void)state;
    Arena a = {0};
    Wanted w = {.op = OP_dot, .dtype = DT_f64};
    RandomProgram p = reduced(&a,
        TOP("4 4") "\nfunc export @f(B, T) {\n"
        "  %0 = input \"x\" : f64[B,6]\n"
        "  %1 = input \"y\" : f64[T,6]\n"
        "  %2 = abs %0 : f64[B,6]\n"
        "  %3 = dot %2, %1 {contract = [1]x[1]} : f64[B,T]\n"
        "  %4 = transpose %3 {perm = [1, 0]} : f64[T,B]\n"
        "  %5 = isfinite %4 : bool[T,B]\n"
        "  %6 = reduce %5 {kind = and, axes = [0, 1]} : bool[]\n"
        "  guard %6 \"a value\"\n"
        "  return \"a\" %4\n}\n", &w);
    const Func *f = p.m->funcs.at[0];
    assert_int_equal(f->guards.n, 0);
    const Node *dot = f->results.at[0].node;
    assert_true(dot->op == OP_dot);
    assert_true(f->body.nodes.n <= 5);
    assert_true(dim_equals(dot->arg[0]->type->dim[1], 1));
    arena_free(&a);
}

/* Generated programs: smaller, never larger, in bounded many tries. */
static void generated(void **state)
{
    (void)state;
    static const Op ops[] = {OP_mul, OP_reduce, OP_slice, OP_concat, OP_conv, OP_dot};
    uint32_t tried = 0;
    for (uint64_t seed = 1; seed < 60; seed++) {
        Arena a = {0};
        RandomProgram p;
        Wanted w = {.op = ops[seed % COUNT(ops)], .dtype = DT_f32};
        if (generate(&a, seed, &(GenerateOptions){.exact = seed % 2, .updates = seed % 3 == 0}, &p) && has_op(&w, &p)) {
            uint32_t before = p.m->funcs.at[0]->body.nodes.n;
            Str s = {.arena = &a};
            program_print(&s, &p, NULL);
            RandomProgram small = reduced(&a, s.at, &w);
            assert_true(small.m->funcs.at[0]->body.nodes.n <= before);
            s.n = 0;
            program_print(&s, &small, NULL);
            if (small.m->funcs.at[0]->body.nodes.n > 12) fail_msg("seed %llu: large\n%s", (unsigned long long)seed, s.at);
            assert_true(w.calls < 4000);
            tried++;
        }
        arena_free(&a);
    }
    assert_true(tried > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_operator), cmocka_unit_test(contraction), cmocka_unit_test(generated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

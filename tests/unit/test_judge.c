/* test_judge.c - what random programs are judged by: a wrong value must not pass, a rounded one must, and exact means exact. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random/random.h"

static RandomProgram program(Arena *a, bool exact, const char *body)
{
    RandomProgram p;
    const char *text = arena_printf(a, "# random: %s, data 5, dims 6\nir 1\nmodule \"t\"\n\nfunc export @f(B) {\n%s}\n", exact ? "exact" : "approximate", body);
    const char *wrong = program_read(a, "test.ir", text, strlen(text), &p);
    if (wrong) fail_msg("%s\n%s", wrong, text);
    return p;
}

/* Is the result accepted with element 2 multiplied and added to? */
static bool accepts(bool exact, const char *body, double times, double plus)
{
    Arena a = {0};
    RandomProgram p = program(&a, exact, body);
    Tensor in[RANDOM_ARGS], got;
    const char *error = NULL;
    draw_inputs(&a, &p, p.dims[0], in);
    Judge *j = judge_new(&a, &p, p.dims[0], in, &error);
    if (!j) fail_msg("%s", error);
    got = *judge_truth(j, 0);
    DType t = p.m->funcs.at[0]->results.at[0].node->type->dtype;
    Tensor wide = got;
    got.dtype = t;
    got.data = arena_alloc(&a, (size_t)tensor_count(&got) * 8);
    for (int64_t i = 0; i < tensor_count(&got); i++) tensor_set(&got, i, i == 2 ? tensor_get(&wide, i) * times + plus : tensor_get(&wide, i));
    char text[512] = "";
    bool ok = judge_result(j, 0, &got, text, sizeof text);
    if (!ok && !text[0]) fail_msg("no reason");
    arena_free(&a);
    return ok;
}

static const char smooth[] = "  %0 = input \"x\" : f32[B]\n  %1 = exp %0 : f32[B]\n  %2 = sqrt %1 : f32[B]\n  return \"y\" %2\n";
static const char cancels[] = "  %0 = input \"x\" : f32[B]\n  %1 = const 1000000.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[B]\n"
                              "  %3 = add %0, %2 : f32[B]\n  %4 = sub %3, %2 : f32[B]\n  return \"y\" %4\n";
static const char jumps[] = "  %0 = input \"x\" : f32[B]\n  %1 = tanh %0 : f32[B]\n  %2 = sub %1, %1 : f32[B]\n  %3 = tanh %0 : f32[B]\n"
                            "  %4 = sub %1, %3 : f32[B]\n  %5 = sign %4 : f32[B]\n  return \"y\" %5\n";
static const char steady[] = "  %0 = input \"x\" : f32[B]\n  %1 = sign %0 : f32[B]\n  %2 = cast %1 : i32[B]\n  return \"y\" %2\n";
static const char double_smooth[] = "  %0 = input \"x\" : f64[B]\n  %1 = exp %0 : f64[B]\n  return \"y\" %1\n";

static void approximate(void **state)
{
    (void)state;
    assert_true(accepts(false, smooth, 1, 0));
    assert_true(accepts(false, smooth, 1 + 2e-7, 0));           /* a rounding or two */
    assert_false(accepts(false, smooth, 1 + 2e-5, 0));          /* well-conditioned: no excuse */
    assert_false(accepts(false, smooth, NAN, 0));
    assert_false(accepts(false, double_smooth, 1 + 1e-10, 0));  /* what would do in f32 */
    assert_true(accepts(false, cancels, 1, 0.05));              /* 1e6 has 1/16 between floats */
    assert_false(accepts(false, cancels, 1, 50));
    assert_true(accepts(false, jumps, 1, 1));                   /* the sign of a rounding error */
    assert_false(accepts(false, steady, 1, 1));                 /* counts and indices away from jumps: exactly */
}

static const char whole[] = "  %0 = input \"x\" : f32[B]\n  %1 = add %0, %0 : f32[B]\n  return \"y\" %1\n";
static const char zeros[] = "  %0 = input \"x\" : f32[B]\n  %1 = sub %0, %0 : f32[B]\n  return \"y\" %1\n";
static const char longs[] = "  %0 = iota {axis = 0} : i64[B]\n  %1 = const 4611686018427387904 : i64[]\n  %2 = broadcast %1 {axes = []} : i64[B]\n"
                            "  %3 = add %0, %2 : i64[B]\n  return \"y\" %3\n";

static void exact(void **state)
{
    (void)state;
    assert_true(accepts(true, whole, 1, 0));
    assert_false(accepts(true, whole, 1, 1e-6));
    assert_true(accepts(true, zeros, -1, 0));                   /* -0 */
    assert_false(accepts(true, longs, 1, 0));                   /* 2^62 + 2 does not survive a double, and must be seen */
}

static bool rounds_nothing(const char *body)
{
    Arena a = {0};
    RandomProgram p = program(&a, true, body);
    Tensor in[RANDOM_ARGS];
    draw_inputs(&a, &p, p.dims[0], in);
    bool ok = is_exact(&a, p.m->funcs.at[0], in, p.dims[0]);
    arena_free(&a);
    return ok;
}

static void exactness(void **state)
{
    (void)state;
    assert_true(rounds_nothing(whole));
    assert_false(rounds_nothing(smooth));
    assert_true(rounds_nothing("  %0 = input \"x\" : f32[B,4]\n  %1 = dot %0, %0 {contract = [1]x[1]} : f32[B,B]\n  return \"y\" %1\n"));
    assert_true(rounds_nothing("  %0 = input \"x\" : f32[B]\n  %1 = const 4.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[B]\n  %3 = div %0, %2 : f32[B]\n  return \"y\" %3\n"));
    assert_false(rounds_nothing("  %0 = iota {axis = 0} : f32[B]\n  %1 = const 3.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[B]\n  %3 = div %0, %2 : f32[B]\n  return \"y\" %3\n"));
    /* 6 * 4e6: the sum might round on the way. */
    assert_false(rounds_nothing("  %0 = const 4000001.0 : f32[]\n  %1 = broadcast %0 {axes = []} : f32[B]\n  %2 = reduce %1 {kind = sum, axes = [0]} : f32[]\n  return \"y\" %2\n"));
    assert_true(rounds_nothing("  %0 = const 4000001.0 : f64[]\n  %1 = broadcast %0 {axes = []} : f64[B]\n  %2 = reduce %1 {kind = sum, axes = [0]} : f64[]\n  return \"y\" %2\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(approximate), cmocka_unit_test(exact), cmocka_unit_test(exactness)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

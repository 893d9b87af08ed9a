/* test_lower.c - kernels mean what the graph means: every module is run by the evaluator and, fused and unfused, kernel by
 * kernel by tests/unit/interpret.c, on the same random inputs. No code is generated here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "interpret.h"
#include "random_ir.h"
#include "support.h"
#include "passes/passes.h"

/* Evaluator against kernels, fused and unfused, of two modules of the same text (passes change one of them). */
static void compare_modules(Arena *a, Module *m, const Module *reference, bool fused, const int64_t *dims, const char *what)
{
    const char *error = NULL;
    PassOptions passes = {.level = 2, .verify = true};
    if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s: %s", what, error);
    Program *p = program_build(a, m, &(CodegenOptions){.no_fuse = !fused}, &error);
    if (!p) fail_msg("%s: %s", what, error);
    const Func *f = reference->funcs.at[0];
    Tensor in[64], passed[64], want[4], got[4];
    uint64_t seed = 7;
    for (uint32_t i = 0; i < f->args.n; i++) in[i] = random_tensor(a, f, f->args.at[i].node->type, dims, &seed);
    if (!ir_eval(a, f, in, dims, true, want, &error)) fail_msg("%s: evaluator: %s", what, error);
    /* Passes may have dropped params. */
    const Func *g = p->funcs.at[0]->func;
    for (uint32_t i = 0; i < g->args.n; i++)
        for (uint32_t k = 0; k < f->args.n; k++)
            if (!strcmp(g->args.at[i].name, f->args.at[k].name)) passed[i] = in[k];
    assert_true(interpret(a, p->funcs.at[0], passed, dims, got));
    for (uint32_t r = 0; r < f->results.n; r++)
        for (int64_t i = 0; i < tensor_count(&want[r]); i++) {
            double x = tensor_get(&want[r], i), y = ((double *)got[r].data)[i];
            if (!(fabs(x - y) <= 2e-5 * (1 + fabs(x))) && !(isnan(x) && isnan(y)) && x != y)
                fail_msg("%s, %s, result %u element %lld: evaluator %g, kernels %g", what, fused ? "fused" : "unfused", r, (long long)i, x, y);
        }
}

static void compare(const char *body, const int64_t *dims)
{
    Arena a = {0};
    const char *text = arena_printf(&a, "ir 1\nmodule \"t\"\n\n%s", body);
    for (int fused = 0; fused < 2; fused++) compare_modules(&a, must_read_ir(&a, text), must_read_ir(&a, text), fused, dims, body);
    arena_free(&a);
}

#define TEST(name, dims_text, body)                                     \
    static void name(void **state)                                      \
    {                                                                   \
        (void)state;                                                    \
        static const int64_t dims[] = {3, 5};                           \
        compare("func export @f(" dims_text ") {\n" body "}\n", dims);  \
    }

TEST(reshapes_split_and_merge, "B, T",
     "  %0 = input \"x\" : f32[B,T,12]\n"
     "  %1 = reshape %0 : f32[B,T,3,4]\n"
     "  %2 = transpose %1 {perm = [2, 0, 1, 3]} : f32[3,B,T,4]\n"
     "  %3 = reshape %2 : f32[3,B*T,4]\n"
     "  %4 = exp %3 : f32[3,B*T,4]\n"
     "  %5 = reshape %4 : f32[12*B*T]\n"
     "  return \"out\" %5\n")
TEST(slices_and_reverses, "B",
     "  %0 = input \"x\" : f32[B,9]\n"
     "  %1 = slice %0 {start = [0, 1], step = [1, 2]} : f32[B,4]\n"
     "  %2 = reverse %1 {axes = [0, 1]} : f32[B,4]\n"
     "  %3 = neg %2 : f32[B,4]\n"
     "  return \"out\" %3\n")
TEST(pads_of_values_and_of_loads, "B",
     "  %0 = input \"x\" : f32[B,4]\n"
     "  %1 = exp %0 : f32[B,4]\n"
     "  %2 = const 2.5 : f32[]\n"
     "  %3 = pad %1, %2 {lo = [1, 0], hi = [0, 2]} : f32[B + 1,6]\n"
     "  %4 = const 0.0 : f32[]\n"
     "  %5 = pad %3, %4 {lo = [0, 1], hi = [1, 0]} : f32[B + 2,7]\n"
     "  %6 = abs %5 : f32[B + 2,7]\n"
     "  return \"out\" %6\n")
TEST(concats_of_three, "B, T",
     "  %0 = input \"x\" : f32[B,4]\n"
     "  %1 = input \"y\" : f32[T,4]\n"
     "  %2 = tanh %1 : f32[T,4]\n"
     "  %3 = concat %0, %2, %0 {axis = 0} : f32[2*B + T,4]\n"
     "  %4 = neg %3 : f32[2*B + T,4]\n"
     "  return \"out\" %4\n")
TEST(gathers_along_and_of_rows, "B, T",
     "  %0 = input \"x\" : f32[7,4]\n"
     "  %1 = input \"ids\" : i32[B,T]\n"
     "  %2 = gather %0, %1 {axis = 0} : f32[B,T,4]\n"
     "  %3 = exp %2 : f32[B,T,4]\n"
     "  %4 = input \"pick\" : i32[B,T,1]\n"
     "  %5 = take_along %3, %4 {axis = 2} : f32[B,T,1]\n"
     "  return \"a\" %3, \"b\" %5\n")
TEST(dynamic_slices_and_updates, "B",
     "  %0 = input \"x\" : f32[8,B]\n"
     "  %1 = input \"start\" : i32[]\n"
     "  %2 = dslice %0, %1 {axis = 0} : f32[4,B]\n"
     "  %3 = exp %2 : f32[4,B]\n"
     "  %4 = dupdate %0, %3, %1 {axis = 0} : f32[8,B]\n"
     "  return \"a\" %2, \"b\" %4\n")
TEST(softmax_of_products, "B, T",
     "  %0 = input \"q\" : f32[B,2,T,4]\n"
     "  %1 = input \"k\" : f32[B,2,T,4]\n"
     "  %2 = dot %0, %1 {contract = [3]x[3], batch = [0, 1]x[0, 1]} : f32[B,2,T,T]\n"
     "  %3 = reduce %2 {kind = max, axes = [3]} : f32[B,2,T]\n"
     "  %4 = broadcast %3 {axes = [0, 1, 2]} : f32[B,2,T,T]\n"
     "  %5 = sub %2, %4 : f32[B,2,T,T]\n"
     "  %6 = exp %5 : f32[B,2,T,T]\n"
     "  %7 = reduce %6 {kind = sum, axes = [3]} : f32[B,2,T]\n"
     "  %8 = broadcast %7 {axes = [0, 1, 2]} : f32[B,2,T,T]\n"
     "  %9 = div %6, %8 : f32[B,2,T,T]\n"
     "  %10 = dot %9, %0 {contract = [3]x[2], batch = [0, 1]x[0, 1]} : f32[B,2,T,4]\n"
     "  %11 = transpose %10 {perm = [0, 2, 1, 3]} : f32[B,T,2,4]\n"
     "  %12 = reshape %11 : f32[B,T,8]\n"
     "  return \"out\" %12\n")
TEST(columns_become_rows, "B",
     "  %0 = input \"x\" : f32[B,6]\n"
     "  %1 = input \"w\" : f32[6,4]\n"
     "  %2 = dot %0, %1 {contract = [1]x[0]} : f32[B,4]\n"
     "  %3 = transpose %2 {perm = [1, 0]} : f32[4,B]\n"
     "  %4 = tanh %3 : f32[4,B]\n"
     "  return \"out\" %4\n")
TEST(norm_over_the_last_axis, "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = reduce %0 {kind = sum, axes = [1]} : f32[B]\n"
     "  %2 = reshape %1 : f32[B,1]\n"
     "  %3 = tanh %2 : f32[B,1]\n"
     "  %4 = reshape %3 : f32[B]\n"
     "  %5 = broadcast %4 {axes = [0]} : f32[B,T]\n"
     "  %6 = sub %0, %5 : f32[B,T]\n"
     "  %7 = mul %6, %6 : f32[B,T]\n"
     "  %8 = reduce %7 {kind = sum, axes = [1]} : f32[B]\n"
     "  %9 = sqrt %8 : f32[B]\n"
     "  %10 = broadcast %9 {axes = [0]} : f32[B,T]\n"
     "  %11 = div %6, %10 : f32[B,T]\n"
     "  return \"out\" %11\n")
TEST(reductions_over_outer_axes, "B, T",
     "  %0 = input \"x\" : f32[B,4,T]\n"
     "  %1 = reduce %0 {kind = sum, axes = [0, 2]} : f32[4]\n"
     "  %2 = reduce %0 {kind = max, axes = [0]} : f32[4,T]\n"
     "  %3 = argreduce %0 {kind = max, axes = [1]} : i32[B,T]\n"
     "  return \"a\" %1, \"b\" %2, \"c\" %3\n")
TEST(convolution_with_everything, "B",
     "  %0 = input \"x\" : f32[B,4,7,6]\n"
     "  %1 = input \"w\" : f32[6,2,3,2]\n"
     "  %2 = conv %0, %1 {groups = 2, stride = [2, 1], dilation = [1, 2], spread = [1, 1], lo = [1, 0], hi = [1, 1]} : f32[B,6,4,5]\n"
     "  %3 = const 0.0 : f32[]\n"
     "  %4 = broadcast %3 {axes = []} : f32[B,6,4,5]\n"
     "  %5 = max %2, %4 : f32[B,6,4,5]\n"
     "  return \"out\" %5\n")
TEST(transposed_convolution, "B",
     "  %0 = input \"x\" : f32[B,3,4,4]\n"
     "  %1 = input \"w\" : f32[2,3,3,3]\n"
     "  %2 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [2, 2], lo = [1, 1], hi = [2, 2]} : f32[B,2,8,8]\n"
     "  return \"out\" %2\n")
TEST(depthwise_convolution, "B",
     "  %0 = input \"x\" : f32[B,3,5,5]\n"
     "  %1 = input \"w\" : f32[3,1,3,3]\n"
     "  %2 = conv %0, %1 {groups = 3, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [1, 1], hi = [1, 1]} : f32[B,3,5,5]\n"
     "  %3 = tanh %2 : f32[B,3,5,5]\n"
     "  return \"out\" %3\n")
TEST(pooling, "B",
     "  %0 = input \"x\" : f32[B,2,7,7]\n"
     "  %1 = tanh %0 : f32[B,2,7,7]\n"
     "  %2 = window %1 {kind = max, size = [1, 1, 3, 3], stride = [1, 1, 2, 2], lo = [0, 0, 1, 1], hi = [0, 0, 1, 1]} : f32[B,2,4,4]\n"
     "  %3 = window %1 {kind = sum, size = [1, 1, 2, 2], stride = [1, 1, 2, 2], lo = [0, 0, 0, 0], hi = [0, 0, 0, 0]} : f32[B,2,3,3]\n"
     "  return \"a\" %2, \"b\" %3\n")
TEST(integer_products, "B",
     "  %0 = input \"x\" : i32[B,6]\n"
     "  %1 = input \"w\" : i32[6,4]\n"
     "  %2 = dot %0, %1 {contract = [1]x[0]} : i32[B,4]\n"
     "  return \"out\" %2\n")
TEST(results_that_nothing_computes, "B",
     "  %0 = input \"x\" : f32[B]\n"
     "  %1 = neg %0 : f32[B]\n"
     "  return \"a\" %0, \"b\" %1, \"c\" %1\n")
TEST(masks_of_positions, "B, T",
     "  %0 = input \"x\" : f32[B,T]\n"
     "  %1 = iota {axis = 0} : i32[B,T]\n"
     "  %2 = iota {axis = 1} : i32[B,T]\n"
     "  %3 = ge %1, %2 : bool[B,T]\n"
     "  %4 = const -inf : f32[]\n"
     "  %5 = broadcast %4 {axes = []} : f32[B,T]\n"
     "  %6 = select %3, %0, %5 : f32[B,T]\n"
     "  return \"out\" %6\n")

static void random_programs(void **state)
{
    (void)state;
    static const int64_t dims[][2] = {{3, 5}, {1, 1}, {2, 4}};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Arena a = {0};
        const char *what = arena_printf(&a, "random program %llu", (unsigned long long)seed);
        for (int fused = 0; fused < 2; fused++)
            compare_modules(&a, random_module(&a, seed), random_module(&a, seed), fused, dims[seed % COUNT(dims)], what);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshapes_split_and_merge), cmocka_unit_test(slices_and_reverses), cmocka_unit_test(pads_of_values_and_of_loads),
        cmocka_unit_test(concats_of_three), cmocka_unit_test(gathers_along_and_of_rows), cmocka_unit_test(dynamic_slices_and_updates),
        cmocka_unit_test(softmax_of_products), cmocka_unit_test(columns_become_rows), cmocka_unit_test(norm_over_the_last_axis),
        cmocka_unit_test(reductions_over_outer_axes), cmocka_unit_test(convolution_with_everything), cmocka_unit_test(transposed_convolution),
        cmocka_unit_test(depthwise_convolution), cmocka_unit_test(pooling), cmocka_unit_test(integer_products),
        cmocka_unit_test(results_that_nothing_computes), cmocka_unit_test(masks_of_positions),
        cmocka_unit_test(random_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

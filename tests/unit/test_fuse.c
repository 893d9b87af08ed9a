/* test_fuse.c - which values share a kernel, and the memory plan replayed by a checker that knows nothing of how it
 * was made: every byte a step reads must have been written last by the value it wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codegen/fuse.h"
#include "passes/passes.h"
#include "support.h"

static Program *build(Arena *a, const char *text, CodegenOptions o)
{
    Module *m = must_read_ir(a, text);
    const char *error = NULL;
    PassOptions passes = {.level = 2, .verify = true};
    if (!passes_run(m, &passes, NULL, &error)) fail_msg("%s", error);
    Program *p = program_build(a, m, &o, &error);
    if (!p) fail_msg("%s", error);
    return p;
}

#define MLP                                                     \
    "ir 1\n"                                                    \
    "module \"t\"\n"                                            \
    "param \"w\" : f32[32,16]\n"                                \
    "param \"b\" : f32[32]\n"                                   \
    "\n"                                                        \
    "func export @f(B) {\n"                                     \
    "  %0 = input \"x\" : f32[B,16]\n"                          \
    "  %1 = param \"w\" : f32[32,16]\n"                         \
    "  %2 = param \"b\" : f32[32]\n"                            \
    "  %3 = transpose %1 {perm = [1, 0]} : f32[16,32]\n"        \
    "  %4 = dot %0, %3 {contract = [1]x[0]} : f32[B,32]\n"      \
    "  %5 = broadcast %2 {axes = [1]} : f32[B,32]\n"            \
    "  %6 = add %4, %5 : f32[B,32]\n"                           \
    "  %7 = tanh %6 : f32[B,32]\n"                              \
    "  return \"out\" %7\n"                                     \
    "}\n"

static void bias_and_activation_are_the_epilogue(void **state)
{
    (void)state;
    Arena a = {0};
    Program *p = build(&a, MLP, (CodegenOptions){0});
    assert_int_equal(p->funcs.at[0]->steps.n, 1);
    const Kernel *k = p->funcs.at[0]->steps.at[0].kernel;
    assert_int_equal(k->class, KERNEL_CONTRACT);
    assert_non_null(strstr(k->text, "contract %0, %1"));
    assert_non_null(strstr(k->text, "tanh"));
    arena_free(&a);
}

static void unfused_every_operator_is_a_kernel(void **state)
{
    (void)state;
    Arena a = {0};
    Program *p = build(&a, MLP, (CodegenOptions){.no_fuse = true});
    assert_int_equal(p->funcs.at[0]->steps.n, 3);
    arena_free(&a);
}

#define SOFTMAX(B)                                              \
    "ir 1\n"                                                    \
    "module \"t\"\n"                                            \
    "\n"                                                        \
    "func export @f" B " {\n"                                   \
    "  %0 = input \"x\" : f32[7,9]\n"                           \
    "  %1 = reduce %0 {kind = max, axes = [1]} : f32[7]\n"      \
    "  %2 = broadcast %1 {axes = [0]} : f32[7,9]\n"             \
    "  %3 = sub %0, %2 : f32[7,9]\n"                            \
    "  %4 = exp %3 : f32[7,9]\n"                                \
    "  %5 = reduce %4 {kind = sum, axes = [1]} : f32[7]\n"      \
    "  %6 = broadcast %5 {axes = [0]} : f32[7,9]\n"             \
    "  %7 = div %4, %6 : f32[7,9]\n"                            \
    "  return \"out\" %7\n"                                     \
    "}\n"

static void softmax_is_one_kernel_of_three_sweeps(void **state)
{
    (void)state;
    Arena a = {0};
    Program *p = build(&a, SOFTMAX("()"), (CodegenOptions){0});
    assert_int_equal(p->funcs.at[0]->steps.n, 1);
    const Kernel *k = p->funcs.at[0]->steps.at[0].kernel;
    assert_int_equal(k->class, KERNEL_REDUCE);
    uint32_t sweeps = 0;
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].sweep > sweeps) sweeps = k->body.at[i].sweep;
    assert_int_equal(sweeps, 2);                        /* and the last pass stores */
    arena_free(&a);
}

static void views_are_index_maps(void **state)
{
    (void)state;
    Arena a = {0};
    Program *p = build(&a,
        "ir 1\n"
        "module \"t\"\n"
        "\n"
        "func export @f(B, T) {\n"
        "  %0 = input \"x\" : f32[B,T,12]\n"
        "  %1 = reshape %0 : f32[B,T,3,4]\n"
        "  %2 = transpose %1 {perm = [0, 2, 1, 3]} : f32[B,3,T,4]\n"
        "  %3 = exp %2 : f32[B,3,T,4]\n"
        "  return \"out\" %3\n"
        "}\n", (CodegenOptions){0});
    assert_int_equal(p->funcs.at[0]->steps.n, 1);
    const char *text = p->funcs.at[0]->steps.at[0].kernel->text;
    assert_null(strstr(text, "//"));                    /* no division is left in the addresses */
    assert_null(strstr(text, "% "));
    arena_free(&a);
}

static void equal_layers_share_their_kernels(void **state)
{
    (void)state;
    Arena a = {0};
    Str s = {.arena = &a};
    str_add(&s, "ir 1\nmodule \"t\"\n");
    for (int i = 0; i < 4; i++) str_fmt(&s, "param \"w%d\" : f32[16,16]\n", i);
    str_add(&s, "\nfunc export @f(B) {\n  %0 = input \"x\" : f32[B,16]\n");
    for (int i = 0; i < 4; i++) str_fmt(&s, "  %%%d = param \"w%d\" : f32[16,16]\n", i + 1, i);
    int x = 0, next = 5;
    for (int i = 0; i < 4; i++) {
        str_fmt(&s, "  %%%d = dot %%%d, %%%d {contract = [1]x[0]} : f32[B,16]\n", next, x, i + 1);
        str_fmt(&s, "  %%%d = tanh %%%d : f32[B,16]\n", next + 1, next);
        x = next + 1;
        next += 2;
    }
    str_fmt(&s, "  return \"out\" %%%d\n}\n", x);
    Program *p = build(&a, s.at, (CodegenOptions){0});
    assert_int_equal(p->funcs.at[0]->steps.n, 4);
    assert_int_equal(p->kernels.n, 1);
    arena_free(&a);
}

/* ---- the memory plan -------------------------------------------------------------------------------------------- */

/* Replay: `owner` says for every 64 bytes of the workspace which buffer wrote them last. */
static void replay(const ProgramFunc *f)
{
    assert_true(f->work >= 0);
    size_t lines = (size_t)(f->work + 63) / 64;
    uint32_t *owner = calloc(lines + 1, sizeof *owner);
    for (uint32_t s = 0; s < f->steps.n; s++) {
        const Step *step = &f->steps.at[s];
        for (int writing = 0; writing < 2; writing++)
            for (uint32_t o = 0; o < step->kernel->operands.n; o++) {
                const Buffer *b = &f->buffers.at[step->buffer[o]];
                if (b->kind != BUFFER_WORK || step->kernel->operands.at[o].written != (bool)writing) continue;
                int64_t count = 0;
                assert_true(dim_is_const(b->count, &count));
                assert_true(b->offset >= 0 && b->offset % 64 == 0);
                int64_t end = b->offset + count * (int64_t)dtype_size(b->dtype);
                assert_true(end <= f->work);
                for (int64_t at = b->offset; at < end; at += 64) {
                    if (writing) owner[at / 64] = step->buffer[o] + 1;
                    else assert_int_equal(owner[at / 64], step->buffer[o] + 1);
                }
            }
    }
    free(owner);
}

/* A chain with a residual that lives across it, products and norms: lifetimes of every kind. */
static const char *residual_text(Arena *a, int layers)
{
    Str s = {.arena = a};
    str_add(&s, "ir 1\nmodule \"t\"\nparam \"w\" : f32[64,64]\n\nfunc export @f() {\n  %0 = input \"x\" : f32[32,64]\n");
    str_add(&s, "  %1 = param \"w\" : f32[64,64]\n");
    int x = 0, n = 2;
    for (int i = 0; i < layers; i++) {
        str_fmt(&s, "  %%%d = dot %%%d, %%1 {contract = [1]x[0]} : f32[32,64]\n", n, x);
        str_fmt(&s, "  %%%d = tanh %%%d : f32[32,64]\n", n + 1, n);
        str_fmt(&s, "  %%%d = dot %%%d, %%1 {contract = [1]x[0]} : f32[32,64]\n", n + 2, n + 1);
        str_fmt(&s, "  %%%d = add %%%d, %%%d : f32[32,64]\n", n + 3, n + 2, x);
        str_fmt(&s, "  %%%d = reduce %%%d {kind = max, axes = [1]} : f32[32]\n", n + 4, n + 3);
        str_fmt(&s, "  %%%d = broadcast %%%d {axes = [0]} : f32[32,64]\n", n + 5, n + 4);
        str_fmt(&s, "  %%%d = sub %%%d, %%%d : f32[32,64]\n", n + 6, n + 3, n + 5);
        x = n + 6;
        n += 7;
    }
    str_fmt(&s, "  return \"out\" %%%d\n}\n", x);
    return s.at;
}

static void no_value_is_overwritten_before_its_last_read(void **state)
{
    (void)state;
    for (int layers = 1; layers <= 6; layers++) {
        Arena a = {0};
        const char *text = residual_text(&a, layers);
        replay(build(&a, text, (CodegenOptions){0})->funcs.at[0]);
        replay(build(&a, text, (CodegenOptions){.no_fuse = true})->funcs.at[0]);
        replay(build(&a, text, (CodegenOptions){.no_plan = true})->funcs.at[0]);
        arena_free(&a);
    }
}

static void workspace_does_not_grow_with_depth(void **state)
{
    (void)state;
    Arena a = {0};
    int64_t two = build(&a, residual_text(&a, 2), (CodegenOptions){0})->funcs.at[0]->work;
    int64_t six = build(&a, residual_text(&a, 6), (CodegenOptions){0})->funcs.at[0]->work;
    assert_int_equal(two, six);
    int64_t unplanned = build(&a, residual_text(&a, 6), (CodegenOptions){.no_plan = true})->funcs.at[0]->work;
    assert_true(unplanned > 2 * six);
    arena_free(&a);
}

static void storage_is_taken_over_in_place(void **state)
{
    (void)state;
    Arena a = {0};
    Program *p = build(&a, SOFTMAX("()"), (CodegenOptions){.no_fuse = true});
    const ProgramFunc *f = p->funcs.at[0];
    replay(f);
    uint32_t shared = 0;
    for (uint32_t i = 0; i < f->buffers.n; i++) shared += f->buffers.at[i].shares != NO_BUFFER;
    assert_true(shared >= 1);                           /* exp over the difference */
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_and_activation_are_the_epilogue),
        cmocka_unit_test(unfused_every_operator_is_a_kernel),
        cmocka_unit_test(softmax_is_one_kernel_of_three_sweeps),
        cmocka_unit_test(views_are_index_maps),
        cmocka_unit_test(equal_layers_share_their_kernels),
        cmocka_unit_test(no_value_is_overwritten_before_its_last_read),
        cmocka_unit_test(workspace_does_not_grow_with_depth),
        cmocka_unit_test(storage_is_taken_over_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

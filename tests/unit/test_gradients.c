/* test_gradients.c - every gradient rule against central differences in f64, and gradients of gradients against differences
 * of gradients. Each case is the text of a function; the test adds a random weighted sum as the loss, and `grad` by every
 * float input. Inputs stay away from kinks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"
#include "random_ir.h"
#include "support.h"

typedef struct Case {
    const char *name, *body;            /* inputs, nodes and `return "y" %n` */
    bool        positive;               /* inputs in (0.5, 1.5) instead of (-1, 1) */
    bool        twice;                  /* second order too */
} Case;

static Module *read_module(Arena *a, const char *body)
{
    return must_read_ir(a, arena_printf(a, "ir 1\nmodule \"t\"\n\nfunc export @f(B, T) {\n%s}\n", body));
}

static Node *all_sum(Func *f, Node *x) { return x->type->rank ? ir_reduce(f, RED_sum, x, (1u << x->type->rank) - 1, (Span){0}) : x; }

static bool is_float_input(const Arg *arg) { return dtype_is_float(arg->node->type->dtype) && strcmp(arg->name, "weights"); }

/* loss = sum(weights * y), and `order` times: the sum of squares of its gradients becomes the loss. Results: the loss, then its
 * gradient by every float input. */
static Module *with_loss(Arena *a, const char *body, int order)
{
    Module *m = read_module(a, body);
    Func *f = m->funcs.at[0];
    Node *y = f->results.at[0].node;
    f->results.n = 0;
    Node *w = func_arg(f, ARG_INPUT, "weights", y->type, NULL, (Span){0});
    Node *loss = all_sum(f, ir_binary(f, OP_mul, w, y, (Span){0}));
    uint32_t inputs = f->args.n;
    for (int k = 0;; k++) {
        Node *arg[16] = {loss};
        uint32_t n = 1;
        for (uint32_t i = 0; i < inputs; i++)
            if (is_float_input(&f->args.at[i])) arg[n++] = f->args.at[i].node;
        Node *g = ir_node(f, OP_grad, n, arg, NULL, NULL, (Span){0});
        if (!g) fail_msg("%s", ir_error(m));
        if (k == order) {
            func_result(f, "loss", loss, NULL);
            for (uint32_t i = 0; i + 1 < n; i++) func_result(f, arena_printf(a, "d%u", i), ir_get(f, g, i, (Span){0}), NULL);
            break;
        }
        Node *sum = NULL;
        for (uint32_t i = 0; i + 1 < n; i++) {
            Node *d = ir_get(f, g, i, (Span){0}), *square = all_sum(f, ir_binary(f, OP_mul, d, d, (Span){0}));
            sum = sum ? ir_binary(f, OP_add, sum, square, (Span){0}) : square;
        }
        loss = sum;
    }
    pass_autodiff(m);
    if (m->diags->errors) {
        Str s = {.arena = a};
        diag_print(m->diags, &s, false);
        fail_msg("%s", s.at);
    }
    const char *error = NULL;
    if (!ir_verify(a, m, "autodiff", &error)) fail_msg("%s", error);
    return m;
}

static double loss_at(Arena *a, const Func *f, const Tensor *in, const int64_t *dims, Tensor *out)
{
    const char *error = NULL;
    if (!ir_eval(a, f, in, dims, true, out, &error)) fail_msg("%s", error);
    return tensor_get(&out[0], 0);
}

static void check(const Case *c, int order, const int64_t *dims, uint64_t seed)
{
    Arena a = {0};
    const Func *f = with_loss(&a, c->body, order)->funcs.at[0];
    Tensor in[16], out[16], moved[16];
    for (uint32_t i = 0; i < f->args.n; i++) {
        Type *t = f->args.at[i].node->type;
        in[i] = random_tensor(&a, f, t, dims, &seed);
        if (!dtype_is_float(t->dtype)) continue;
        Tensor wide = in[i];                            /* f64, so that small steps are exact enough */
        wide.dtype = DT_f64;
        wide.data = arena_alloc(&a, (size_t)(tensor_count(&wide) + 1) * 8);
        for (int64_t k = 0; k < tensor_count(&wide); k++) {
            double v = tensor_get(&in[i], k);
            tensor_set(&wide, k, c->positive ? 1 + v / 2 : v);
        }
        in[i] = wide;
    }
    loss_at(&a, f, in, dims, out);
    for (uint32_t i = 0, r = 1; i < f->args.n; i++) {
        if (!is_float_input(&f->args.at[i])) continue;
        double *data = in[i].data;
        for (int64_t k = 0; k < tensor_count(&in[i]); k++) {
            Arena scratch = {0};
            double x = data[k], h = 1e-5;
            data[k] = x + h;
            double above = loss_at(&scratch, f, in, dims, moved);
            data[k] = x - h;
            double below = loss_at(&scratch, f, in, dims, moved);
            data[k] = x;
            double want = (above - below) / (2 * h), got = tensor_get(&out[r], k);
            if (!(fabs(got - want) <= 1e-7 + 1e-6 * fabs(want)))
                fail_msg("%s, order %d: gradient %u element %lld is %.12g, differences say %.12g", c->name, order + 1, r, (long long)k, got, want);
            arena_free(&scratch);
        }
        r++;
    }
    arena_free(&a);
}

#define UNARY(op) {#op, "  %0 = input \"x\" : f32[B,T]\n  %1 = " #op " %0 : f32[B,T]\n  return \"y\" %1\n", false, true}
#define UNARY_POSITIVE(op) {#op, "  %0 = input \"x\" : f32[B,T]\n  %1 = " #op " %0 : f32[B,T]\n  return \"y\" %1\n", true, true}
#define BINARY(op) {#op, "  %0 = input \"a\" : f32[B,T]\n  %1 = input \"b\" : f32[B,T]\n  %2 = " #op " %0, %1 : f32[B,T]\n  return \"y\" %2\n", true, true}

static const Case cases[] = {
    UNARY(neg), UNARY(abs), UNARY(exp), UNARY(expm1), UNARY(sin), UNARY(cos), UNARY(tanh), UNARY(erf), UNARY(sigmoid),
    UNARY_POSITIVE(log), UNARY_POSITIVE(log1p), UNARY_POSITIVE(sqrt), UNARY_POSITIVE(rsqrt),
    BINARY(add), BINARY(sub), BINARY(mul), BINARY(div), BINARY(pow), BINARY(max), BINARY(min),
    {"mod", "  %0 = input \"a\" : f32[3]\n  %1 = input \"b\" : f32[3]\n  %2 = const 0.3 : f32[]\n  %3 = broadcast %2 {axes = []} : f32[3]\n"
            "  %4 = mul %1, %3 : f32[3]\n  %5 = mod %0, %4 : f32[3]\n  return \"y\" %5\n", true, false},
    {"select", "  %0 = input \"a\" : f32[B,T]\n  %1 = input \"b\" : f32[B,T]\n  %2 = iota {axis = 1} : i32[B,T]\n  %3 = const 2 : i32[]\n"
               "  %4 = broadcast %3 {axes = []} : i32[B,T]\n  %5 = lt %2, %4 : bool[B,T]\n  %6 = select %5, %0, %1 : f32[B,T]\n  return \"y\" %6\n", false, false},
    {"reshape and transpose", "  %0 = input \"x\" : f32[B,6]\n  %1 = reshape %0 : f32[B,2,3]\n  %2 = transpose %1 {perm = [2, 0, 1]} : f32[3,B,2]\n"
                              "  %3 = mul %2, %2 : f32[3,B,2]\n  return \"y\" %3\n", false, true},
    {"broadcast", "  %0 = input \"x\" : f32[T,1]\n  %1 = broadcast %0 {axes = [1, 2]} : f32[B,T,4]\n  %2 = mul %1, %1 : f32[B,T,4]\n  return \"y\" %2\n", false, true},
    {"slice with steps", "  %0 = input \"x\" : f32[B,9]\n  %1 = slice %0 {start = [0, 1], step = [1, 3]} : f32[B,3]\n  %2 = exp %1 : f32[B,3]\n  return \"y\" %2\n", false, true},
    {"pad", "  %0 = input \"x\" : f32[B,4]\n  %1 = input \"v\" : f32[]\n  %2 = pad %0, %1 {lo = [1, 0], hi = [0, 2]} : f32[B + 1,6]\n"
            "  %3 = mul %2, %2 : f32[B + 1,6]\n  return \"y\" %3\n", false, true},
    {"concat", "  %0 = input \"a\" : f32[B,2]\n  %1 = input \"b\" : f32[T,2]\n  %2 = concat %0, %1, %0 {axis = 0} : f32[2*B + T,2]\n"
               "  %3 = mul %2, %2 : f32[2*B + T,2]\n  return \"y\" %3\n", false, true},
    {"reverse", "  %0 = input \"x\" : f32[B,T]\n  %1 = reverse %0 {axes = [1]} : f32[B,T]\n  %2 = exp %1 : f32[B,T]\n  return \"y\" %2\n", false, true},
    {"gather", "  %0 = input \"x\" : f32[2,4,3]\n  %1 = input \"ids\" : i32[B,2]\n  %2 = gather %0, %1 {axis = 1} : f32[2,B,2,3]\n"
               "  %3 = mul %2, %2 : f32[2,B,2,3]\n  return \"y\" %3\n", false, true},
    {"take_along one", "  %0 = input \"x\" : f32[B,4]\n  %1 = input \"ids\" : i32[B,1]\n  %2 = take_along %0, %1 {axis = 1} : f32[B,1]\n"
                       "  %3 = exp %2 : f32[B,1]\n  return \"y\" %3\n", false, true},
    {"take_along many", "  %0 = input \"x\" : f32[B,4]\n  %1 = input \"ids\" : i32[B,5]\n  %2 = take_along %0, %1 {axis = 1} : f32[B,5]\n"
                        "  %3 = mul %2, %2 : f32[B,5]\n  return \"y\" %3\n", false, true},
    {"dslice and dupdate", "  %0 = input \"x\" : f32[7,2]\n  %1 = input \"i\" : i32[]\n  %2 = dslice %0, %1 {axis = 0} : f32[3,2]\n  %3 = exp %2 : f32[3,2]\n"
                           "  %4 = dupdate %0, %3, %1 {axis = 0} : f32[7,2]\n  %5 = mul %4, %4 : f32[7,2]\n  return \"y\" %5\n", false, true},
    {"sum over some axes", "  %0 = input \"x\" : f32[B,T,3]\n  %1 = mul %0, %0 : f32[B,T,3]\n  %2 = reduce %1 {kind = sum, axes = [0, 2]} : f32[T]\n  return \"y\" %2\n", false, true},
    {"prod", "  %0 = input \"x\" : f32[2,3,2]\n  %1 = reduce %0 {kind = prod, axes = [0, 2]} : f32[3]\n  return \"y\" %1\n", false, false},
    {"max and min", "  %0 = input \"x\" : f32[B,T]\n  %1 = reduce %0 {kind = max, axes = [1]} : f32[B]\n  %2 = reduce %0 {kind = min, axes = [1]} : f32[B]\n"
                    "  %3 = mul %1, %2 : f32[B]\n  return \"y\" %3\n", false, true},
    {"window sum", "  %0 = input \"x\" : f32[B,5,6]\n  %1 = window %0 {kind = sum, size = [1, 3, 2], stride = [1, 2, 1], lo = [0, 1, 0], hi = [0, 1, 1]} : f32[B,3,6]\n"
                   "  %2 = mul %1, %1 : f32[B,3,6]\n  return \"y\" %2\n", false, true},
    {"window max", "  %0 = input \"x\" : f32[B,5,6]\n  %1 = window %0 {kind = max, size = [1, 3, 2], stride = [1, 2, 2], lo = [0, 1, 0], hi = [0, 1, 0]} : f32[B,3,3]\n"
                   "  %2 = mul %1, %1 : f32[B,3,3]\n  return \"y\" %2\n", false, true},
    {"dot with batches", "  %0 = input \"a\" : f32[2,B,3,4]\n  %1 = input \"b\" : f32[4,2,T,3]\n"
                         "  %2 = dot %0, %1 {contract = [2, 3]x[3, 0], batch = [0]x[1]} : f32[2,B,T]\n  return \"y\" %2\n", false, true},
    {"dot of matrices", "  %0 = input \"a\" : f32[4,B]\n  %1 = input \"b\" : f32[T,4]\n  %2 = dot %0, %1 {contract = [0]x[1]} : f32[B,T]\n  %3 = tanh %2 : f32[B,T]\n  return \"y\" %3\n", false, true},
    {"conv", "  %0 = input \"x\" : f32[2,3,5,4]\n  %1 = input \"w\" : f32[2,3,3,2]\n"
             "  %2 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [1, 0], hi = [1, 1]} : f32[2,2,5,4]\n  return \"y\" %2\n", false, true},
    {"conv with strides, dilation and groups", "  %0 = input \"x\" : f32[2,4,7,6]\n  %1 = input \"w\" : f32[6,2,3,2]\n"
             "  %2 = conv %0, %1 {groups = 2, stride = [2, 1], dilation = [1, 2], spread = [1, 1], lo = [1, 0], hi = [1, 1]} : f32[2,6,4,5]\n  return \"y\" %2\n", false, true},
    {"transposed conv", "  %0 = input \"x\" : f32[1,2,3,3]\n  %1 = input \"w\" : f32[2,2,3,3]\n"
             "  %2 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [2, 2], lo = [1, 1], hi = [2, 2]} : f32[1,2,6,6]\n  return \"y\" %2\n", false, true},
    {"depthwise conv", "  %0 = input \"x\" : f32[1,3,5,5]\n  %1 = input \"w\" : f32[3,1,3,3]\n"
             "  %2 = conv %0, %1 {groups = 3, stride = [2, 2], dilation = [1, 1], spread = [1, 1], lo = [1, 1], hi = [1, 1]} : f32[1,3,3,3]\n  return \"y\" %2\n", false, true},
    {"running sum", "  %0 = input \"x\" : f32[B,T]\n  %1 = cumulate %0 {kind = sum, axes = [1]} : f32[B,T]\n  %2 = mul %1, %1 : f32[B,T]\n  return \"y\" %2\n", false, true},
    {"sort", "  %0 = input \"x\" : f32[B,T]\n  %1 = sort %0 {axis = 1} : (f32[B,T],i32[B,T])\n  %2 = get %1 {member = 0} : f32[B,T]\n"
             "  %3 = mul %2, %2 : f32[B,T]\n  return \"y\" %3\n", false, true},
    {"top_k", "  %0 = input \"x\" : f32[B,T]\n  %1 = top_k %0 {axis = 1} : (f32[B,2],i32[B,2])\n  %2 = get %1 {member = 0} : f32[B,2]\n"
              "  %3 = mul %2, %2 : f32[B,2]\n  return \"y\" %3\n", false, true},
    {"scatter sum", "  %0 = input \"x\" : f32[4,2]\n  %1 = input \"ids\" : i32[T]\n  %2 = input \"v\" : f32[T,2]\n"
                    "  %3 = scatter %0, %1, %2 {kind = sum} : f32[4,2]\n  %4 = mul %3, %3 : f32[4,2]\n  return \"y\" %4\n", false, true},
};

static void rules_match_differences(void **state)
{
    (void)state;
    static const int64_t dims[][2] = {{2, 4}, {3, 5}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t d = 0; d < COUNT(dims); d++) {
            check(&cases[i], 0, dims[d], 11 + i);
            if (cases[i].twice && d == 0) check(&cases[i], 1, dims[d], 11 + i);
        }
}

static void no_gradient_passes_a_stop(void **state)
{
    (void)state;
    Arena a = {0};
    const Func *f = with_loss(&a, "  %0 = input \"x\" : f32[3]\n  %1 = stop %0 : f32[3]\n  %2 = mul %0, %1 : f32[3]\n  return \"y\" %2\n", 0)->funcs.at[0];
    Tensor in[2], out[2];
    uint64_t seed = 3;
    for (uint32_t i = 0; i < 2; i++) in[i] = random_tensor(&a, f, f->args.at[i].node->type, NULL, &seed);
    loss_at(&a, f, in, (int64_t[]){1, 1}, out);
    for (int64_t k = 0; k < 3; k++) assert_true(fabs(tensor_get(&out[1], k) - tensor_get(&in[0], k) * tensor_get(&in[1], k)) < 1e-7);   /* not twice that */
    arena_free(&a);
}

static void what_nobody_asks_for_is_not_computed(void **state)
{
    (void)state;
    Arena a = {0};
    Module *m = read_module(&a, "  %0 = input \"x\" : f32[B,3]\n  %1 = input \"w\" : f32[3,2]\n  %2 = dot %0, %1 {contract = [1]x[0]} : f32[B,2]\n  return \"y\" %2\n");
    Func *f = m->funcs.at[0];
    Node *g = ir_node(f, OP_grad, 2, (Node *[]){all_sum(f, f->results.at[0].node), f->args.at[1].node}, NULL, NULL, (Span){0});
    f->results.n = 0;
    func_result(f, "dw", ir_get(f, g, 0, (Span){0}), NULL);
    pass_autodiff(m);
    pass_simplify(m);
    pass_dce(m);
    uint32_t dots = 0;
    for (uint32_t i = 0; i < f->body.nodes.n; i++) dots += f->body.nodes.at[i]->op == OP_dot;
    assert_int_equal(dots, 1);                          /* x by dy alone: no dx, and y itself is not needed */
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_match_differences),
        cmocka_unit_test(no_gradient_passes_a_stop),
        cmocka_unit_test(what_nobody_asks_for_is_not_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
 * gradient by every float input. `pass`: runs before autodiff; or NULL. */
static Module *with_loss_after(Arena *a, const char *body, int order, void (*pass)(Module *m))
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
    if (pass) pass(m);
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

static Module *with_loss(Arena *a, const char *body, int order) { return with_loss_after(a, body, order, NULL); }

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

/* A body with two carries, a yield, and what is the same; `more` ends the attribute. */
#define LOOP(name, more, start, ran) \
    {name, "  %0 = input \"x\" : f32[T,B]\n  %1 = input \"h\" : f32[B]\n  %2 = input \"w\" : f32[B,B]\n  %3 = input \"s\" : f32[]\n" \
     "  %4 = const " start "\n" \
     "  %5 = loop %0, %4, %1, %3, %2 {length = T, sequences = 1, carries = 3" more "} do {\n" \
     "    %0 = input \"i\" : i64[]\n    %1 = input \"x\" : f32[B]\n    %2 = input \"first\" : " ran "[]\n    %3 = input \"h\" : f32[B]\n    %4 = input \"s\" : f32[]\n" \
     "    %5 = input \"w\" : f32[B,B]\n    %6 = dot %3, %5 {contract = [0]x[0]} : f32[B]\n    %7 = mul %6, %1 : f32[B]\n    %8 = tanh %7 : f32[B]\n" \
     "    %9 = reduce %8 {kind = sum, axes = [0]} : f32[]\n    %10 = add %4, %9 : f32[]\n    %11 = cast %0 : f32[]\n    %12 = mul %10, %11 : f32[]\n" \
     "    %13 = const 1 : i64[]\n    %14 = lt %0, %13 : bool[]\n    %15 = cast %14 : " ran "[]\n" \
     "    return \"y\" %12, \"first\" %15, \"h\" %8, \"s\" %10\n" \
     "  } : (f32[T], " ran "[], f32[B], f32[])\n" \
     "  %6 = get %5 {member = 0} : f32[T]\n  %7 = get %5 {member = 3} : f32[]\n  %8 = broadcast %7 {axes = []} : f32[T]\n  %9 = mul %6, %8 : f32[T]\n" \
     "  return \"y\" %9\n", false, true}

static const Case cases[] = {
    LOOP("loop", "", "5 : i32[]", "i32"), LOOP("loop that ends early", ", condition = true", "true : bool[]", "bool"),
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
    {"prod", "  %0 = input \"x\" : f32[2,3,2]\n  %1 = reduce %0 {kind = prod, axes = [0, 2]} : f32[3]\n  return \"y\" %1\n", false, true},
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
    {"running product", "  %0 = input \"x\" : f32[B,T]\n  %1 = cumulate %0 {kind = prod, axes = [1]} : f32[B,T]\n  return \"y\" %1\n", true, true},
    {"running product, backwards", "  %0 = input \"x\" : f32[B,T]\n  %1 = cumulate %0 {kind = prod, axes = [0], reverse = true} : f32[B,T]\n  return \"y\" %1\n", true, true},
    {"running maximum", "  %0 = input \"x\" : f32[B,T]\n  %1 = cumulate %0 {kind = max, axes = [1]} : f32[B,T]\n  %2 = mul %1, %1 : f32[B,T]\n  return \"y\" %2\n", false, true},
    {"running minimum, backwards", "  %0 = input \"x\" : f32[B,T]\n  %1 = cumulate %0 {kind = min, axes = [1], reverse = true} : f32[B,T]\n  %2 = mul %1, %1 : f32[B,T]\n  return \"y\" %2\n", false, true},
    {"sort", "  %0 = input \"x\" : f32[B,T]\n  %1 = sort %0 {axis = 1} : (f32[B,T],i32[B,T])\n  %2 = get %1 {member = 0} : f32[B,T]\n"
             "  %3 = mul %2, %2 : f32[B,T]\n  return \"y\" %3\n", false, true},
    {"top_k", "  %0 = input \"x\" : f32[B,T]\n  %1 = top_k %0 {axis = 1} : (f32[B,2],i32[B,2])\n  %2 = get %1 {member = 0} : f32[B,2]\n"
              "  %3 = mul %2, %2 : f32[B,2]\n  return \"y\" %3\n", false, true},
    {"top_k of many", "  %0 = input \"x\" : f32[2,12]\n  %1 = top_k %0 {axis = 1} : (f32[2,9],i32[2,9])\n  %2 = get %1 {member = 0} : f32[2,9]\n"
              "  %3 = mul %2, %2 : f32[2,9]\n  return \"y\" %3\n", false, true},
    {"scatter max", "  %0 = input \"x\" : f32[4,2]\n  %1 = input \"ids\" : i32[T]\n  %2 = input \"v\" : f32[T,2]\n"
                    "  %3 = scatter %0, %1, %2 {kind = max} : f32[4,2]\n  %4 = mul %3, %3 : f32[4,2]\n  return \"y\" %4\n", false, true},
    {"scatter that replaces", "  %0 = input \"x\" : f32[4,2]\n  %1 = input \"ids\" : i32[T,2]\n  %2 = input \"v\" : f32[T,2,2]\n"
                    "  %3 = scatter %0, %1, %2 {kind = none} : f32[4,2]\n  %4 = mul %3, %3 : f32[4,2]\n  return \"y\" %4\n", false, true},
    {"relu", "  %0 = input \"x\" : f32[B,T]\n  %1 = const 0.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[B,T]\n  %3 = le %0, %2 : bool[B,T]\n"
             "  %4 = select %3, %2, %0 : f32[B,T]\n  %5 = mul %4, %4 : f32[B,T]\n  return \"y\" %5\n", false, true},
    {"relu the other way", "  %0 = input \"x\" : f32[B,T]\n  %1 = const 0.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[B,T]\n  %3 = lt %2, %0 : bool[B,T]\n"
             "  %4 = select %3, %0, %2 : f32[B,T]\n  %5 = exp %4 : f32[B,T]\n  return \"y\" %5\n", false, true},
    {"window sum side by side", "  %0 = input \"x\" : f32[B,4,7]\n  %1 = window %0 {kind = sum, size = [1, 2, 3], stride = [1, 2, 3], lo = [0, 0, 0], hi = [0, 0, 0]} : f32[B,2,2]\n"
                   "  %2 = mul %1, %1 : f32[B,2,2]\n  return \"y\" %2\n", false, true},
    {"window max side by side", "  %0 = input \"x\" : f32[B,4,7]\n  %1 = window %0 {kind = max, size = [1, 2, 3], stride = [1, 2, 3], lo = [0, 0, 0], hi = [0, 0, 0]} : f32[B,2,2]\n"
                   "  %2 = mul %1, %1 : f32[B,2,2]\n  return \"y\" %2\n", false, true},
    {"conv of one axis, cropped", "  %0 = input \"x\" : f32[B,2,9]\n  %1 = input \"w\" : f32[3,2,2]\n"
             "  %2 = conv %0, %1 {groups = 1, stride = [3], dilation = [2], spread = [1], lo = [-1], hi = [1]} : f32[B,3,3]\n  return \"y\" %2\n", false, true},
    {"transposed conv with stride, dilation and groups", "  %0 = input \"x\" : f32[1,4,3,2]\n  %1 = input \"w\" : f32[2,2,2,3]\n"
             "  %2 = conv %0, %1 {groups = 2, stride = [2, 1], dilation = [2, 1], spread = [3, 2], lo = [2, 2], hi = [1, 2]} : f32[1,2,4,5]\n  return \"y\" %2\n", false, true},
    {"conv in space", "  %0 = input \"x\" : f32[1,2,3,3,3]\n  %1 = input \"w\" : f32[2,2,2,1,2]\n"
             "  %2 = conv %0, %1 {groups = 1, stride = [1, 1, 2], dilation = [1, 1, 1], spread = [1, 1, 1], lo = [1, 0, 0], hi = [0, 0, 1]} : f32[1,2,3,3,2]\n  return \"y\" %2\n", false, true},
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

/* The gradient by x of the sum of y weighted with 1, 2, 3, ..., where the rules have a choice: what PyTorch's are. */
static void gradient_at(const char *body, uint32_t n, const double *x, const double *want)
{
    Arena a = {0};
    const Func *f = with_loss(&a, body, 0)->funcs.at[0];
    Tensor in[2], out[2];
    uint64_t seed = 1;
    for (uint32_t i = 0; i < 2; i++) in[i] = random_tensor(&a, f, f->args.at[i].node->type, NULL, &seed);
    for (uint32_t k = 0; k < n; k++) tensor_set(&in[0], k, x[k]);
    for (int64_t k = 0; k < tensor_count(&in[1]); k++) tensor_set(&in[1], k, (double)(k + 1));
    loss_at(&a, f, in, (int64_t[]){1, 1}, out);
    for (uint32_t k = 0; k < n; k++)
        if (fabs(tensor_get(&out[1], k) - want[k]) > 1e-12) fail_msg("%s\nelement %u: %g instead of %g", body, k, tensor_get(&out[1], k), want[k]);
    arena_free(&a);
}

#define AT(n, body, x, ...) gradient_at("  %0 = input \"x\" : f32[" #n "]\n" body, n, (const double[])x, (const double[])__VA_ARGS__)
#define X(...) {__VA_ARGS__}

static void ties_are_pytorchs(void **state)
{
    (void)state;
    /* torch.cummax: the last of equals; torch.amax: shared evenly; max_pool: the first. */
    AT(5, "  %1 = cumulate %0 {kind = max, axes = [0]} : f32[5]\n  return \"y\" %1\n", X(1, 3, 3, 2, 4), {1, 2, 7, 0, 5});
    AT(5, "  %1 = cumulate %0 {kind = min, axes = [0], reverse = true} : f32[5]\n  return \"y\" %1\n", X(1, 3, 3, 4, 3), {1, 2, 3, 0, 9});
    AT(4, "  %1 = reduce %0 {kind = max, axes = [0]} : f32[]\n  return \"y\" %1\n", X(1, 3, 3, 2), {0, 0.5, 0.5, 0});
    AT(4, "  %1 = window %0 {kind = max, size = [2], stride = [2], lo = [0], hi = [0]} : f32[2]\n  return \"y\" %1\n", X(3, 3, 1, 1), {1, 0, 2, 0});
    AT(4, "  %1 = window %0 {kind = max, size = [3], stride = [1], lo = [0], hi = [0]} : f32[2]\n  return \"y\" %1\n", X(3, 3, 1, 3), {1, 2, 0, 0});
    /* torch.cumprod, through zeros: only the first has a slope behind it. */
    AT(4, "  %1 = cumulate %0 {kind = prod, axes = [0]} : f32[4]\n  return \"y\" %1\n", X(2, 0, 3, 5), {1, 2 * 2 + 3 * 6 + 4 * 30, 0, 0});
    AT(4, "  %1 = cumulate %0 {kind = prod, axes = [0]} : f32[4]\n  return \"y\" %1\n", X(2, 0, 0, 5), {1, 2 * 2, 0, 0});
    AT(3, "  %1 = reduce %0 {kind = prod, axes = [0]} : f32[]\n  return \"y\" %1\n", X(2, 0, 3), {0, 6, 0});
    /* relu has no slope at 0; maximum shares it. */
    AT(3, "  %1 = const 0.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[3]\n  %3 = le %0, %2 : bool[3]\n  %4 = select %3, %2, %0 : f32[3]\n  return \"y\" %4\n", X(-1, 0, 2), {0, 0, 3});
    AT(3, "  %1 = const 0.0 : f32[]\n  %2 = broadcast %1 {axes = []} : f32[3]\n  %3 = max %0, %2 : f32[3]\n  return \"y\" %3\n", X(-1, 0, 2), {0, 1, 3});
    /* scatter_reduce amax: shared by all that are the maximum, its own element too; index_put: the last stays. */
    AT(4, "  %1 = const [1.0, 9.0] : f32[2]\n  %2 = const [0, 0, 1, 1] : i32[4]\n  %3 = scatter %1, %2, %0 {kind = max} : f32[2]\n  return \"y\" %3\n", X(5, 5, 9, 2), {0.5, 0.5, 1, 0});
    AT(4, "  %1 = const [1.0, 9.0] : f32[2]\n  %2 = const [0, 0, 1, 1] : i32[4]\n  %3 = scatter %1, %2, %0 {kind = none} : f32[2]\n  return \"y\" %3\n", X(5, 5, 9, 2), {0, 1, 0, 2});
}

/* The gradient of sum(weights * y) by the only other input, and of the sum of its squares; `want` is f of x and w. */
static void custom_is(const char *body, int order, double (*want)(double x, double w))
{
    Arena a = {0};
    const Func *f = with_loss(&a, body, order)->funcs.at[0];
    Tensor in[2], out[2];
    uint64_t seed = 5;
    for (uint32_t i = 0; i < 2; i++) {
        in[i] = random_tensor(&a, f, f->args.at[i].node->type, NULL, &seed);
        for (int64_t k = 0; k < 3; k++) tensor_set(&in[i], k, 3 * tensor_get(&in[i], k));
    }
    loss_at(&a, f, in, (int64_t[]){1, 1}, out);
    for (int64_t k = 0; k < 3; k++) {
        double x = tensor_get(&in[0], k), w = tensor_get(&in[1], k), got = tensor_get(&out[1], k);
        if (fabs(got - want(x, w)) > 1e-9) fail_msg("x %g, w %g: %.12g instead of %.12g", x, w, got, want(x, w));
    }
    arena_free(&a);
}

static double straight(double x, double w) { (void)x; return w; }
static double reversed(double x, double w) { (void)x; return -2 * w; }
static double clipped(double x, double w) { (void)x; return fmin(fmax(w, -0.5), 0.5); }
static double by_input(double x, double w) { return 3 * x * x * w; }
static double by_input_twice(double x, double w) { return 2 * (3 * x * x * w) * (6 * x * w); }

/* y = x, but its gradient that of x^3: also of the second order, which sees the gradient's nodes. */
static const char cube[] = "  %0 = input \"x\" : f32[3]\n  %1 = hole : f32[3]\n  %2 = const 3.0 : f32[]\n  %3 = broadcast %2 {axes = []} : f32[3]\n  %4 = mul %0, %0 : f32[3]\n"
    "  %5 = mul %4, %3 : f32[3]\n  %6 = mul %1, %5 : f32[3]\n  %7 = custom %0, %1, %0, %6 : f32[3]\n  return \"y\" %7\n";

static void custom_gradients(void **state)
{
    (void)state;
    custom_is("  %0 = input \"x\" : f32[3]\n  %1 = round %0 : f32[3]\n  %2 = hole : f32[3]\n  %3 = custom %1, %2, %0, %2 : f32[3]\n  return \"y\" %3\n", 0, straight);
    custom_is("  %0 = input \"x\" : f32[3]\n  %1 = hole : f32[3]\n  %2 = neg %1 : f32[3]\n  %3 = custom %0, %1, %0, %2 : f32[3]\n  %4 = add %3, %3 : f32[3]\n  return \"y\" %4\n", 0, reversed);
    custom_is("  %0 = input \"x\" : f32[3]\n  %1 = hole : f32[3]\n  %2 = const 0.5 : f32[]\n  %3 = broadcast %2 {axes = []} : f32[3]\n  %4 = neg %3 : f32[3]\n"
              "  %5 = min %1, %3 : f32[3]\n  %6 = max %5, %4 : f32[3]\n  %7 = custom %0, %1, %0, %6 : f32[3]\n  return \"y\" %7\n", 0, clipped);
    custom_is(cube, 0, by_input);
    custom_is(cube, 1, by_input_twice);
}

static void custom_leaves_nothing_behind(void **state)
{
    (void)state;
    Arena a = {0};
    Module *m = read_module(&a, "  %0 = input \"x\" : f32[3]\n  %1 = exp %0 : f32[3]\n  %2 = hole : f32[3]\n  %3 = mul %2, %0 : f32[3]\n  %4 = custom %1, %2, %0, %3 : f32[3]\n  return \"y\" %4\n");
    const Func *f = m->funcs.at[0];
    pass_autodiff(m);
    assert_int_equal(f->body.nodes.n, 2);               /* no grad: x and its exp */
    assert_int_equal(f->results.at[0].node->op, OP_exp);
    arena_free(&a);
}

/* Regions of four nodes, as if each were a recompute(...). */
static void tag_regions(Module *m)
{
    const Func *f = m->funcs.at[0];
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->op != OP_grad) f->body.nodes.at[i]->remat = 1 + i / 4;
}

static void check_recomputed(const char *name, const char *body, int order)
{
    Arena a = {0};
    Tensor in[16], out[2][16];
    int64_t dims[] = {2, 4};
    uint32_t results = 0;
    for (int tagged = 0; tagged < 2; tagged++) {
        const Func *f = with_loss_after(&a, body, order, tagged ? tag_regions : NULL)->funcs.at[0];
        uint64_t seed = 4;
        for (uint32_t i = 0; i < f->args.n; i++) in[i] = random_tensor(&a, f, f->args.at[i].node->type, dims, &seed);
        loss_at(&a, f, in, dims, out[tagged]);
        results = f->results.n;
    }
    for (uint32_t r = 0; r < results; r++)
        for (int64_t k = 0; k < tensor_count(&out[0][r]); k++) {
            double want = tensor_get(&out[0][r], k), got = tensor_get(&out[1][r], k);
            /* In the second order a value and its clone are summed apart: the same terms, in another order. */
            if (fabs(got - want) > (order ? 1e-13 * (1 + fabs(want)) : 0)) fail_msg("%s, order %d: result %u is %.17g, not %.17g", name, order + 1, r, got, want);
        }
    arena_free(&a);
}

/* Computed again or kept: the same values. */
static void regions_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int order = 0; order < 1 + cases[i].twice; order++) check_recomputed(cases[i].name, cases[i].body, order);
    check_recomputed("custom", cube, 0);
    check_recomputed("custom", cube, 1);
}

/* Causal attention with a bias, as the library writes it, of q, k and v by inputs named so. */
static const char attention[] =
    "  %0 = input \"q\" : f32[2,B,T,3]\n  %1 = input \"k\" : f32[2,B,T,3]\n  %2 = input \"v\" : f32[2,B,T,2]\n  %3 = input \"bias\" : f32[T,T]\n"
    "  %4 = iota {axis = 0} : i32[T,T]\n  %5 = iota {axis = 1} : i32[T,T]\n  %6 = ge %4, %5 : bool[T,T]\n"
    "  %7 = transpose %1 {perm = [0, 1, 3, 2]} : f32[2,B,3,T]\n  %8 = dot %0, %7 {contract = [3]x[2], batch = [0, 1]x[0, 1]} : f32[2,B,T,T]\n"
    "  %9 = const 0.57735026 : f32[]\n  %10 = broadcast %9 {axes = []} : f32[2,B,T,T]\n  %11 = mul %8, %10 : f32[2,B,T,T]\n"
    "  %12 = broadcast %3 {axes = [2, 3]} : f32[2,B,T,T]\n  %13 = add %11, %12 : f32[2,B,T,T]\n"
    "  %14 = const -inf : f32[]\n  %15 = broadcast %14 {axes = []} : f32[2,B,T,T]\n  %16 = broadcast %6 {axes = [2, 3]} : bool[2,B,T,T]\n"
    "  %17 = select %16, %13, %15 : f32[2,B,T,T]\n  %18 = reduce %17 {kind = max, axes = [3]} : f32[2,B,T]\n  %19 = reshape %18 : f32[2,B,T,1]\n"
    "  %20 = stop %19 : f32[2,B,T,1]\n  %21 = broadcast %20 {axes = [0, 1, 2, 3]} : f32[2,B,T,T]\n  %22 = sub %17, %21 : f32[2,B,T,T]\n"
    "  %23 = exp %22 : f32[2,B,T,T]\n  %24 = reduce %23 {kind = sum, axes = [3]} : f32[2,B,T]\n  %25 = reshape %24 : f32[2,B,T,1]\n"
    "  %26 = broadcast %25 {axes = [0, 1, 2, 3]} : f32[2,B,T,T]\n  %27 = div %23, %26 : f32[2,B,T,T]\n"
    "  %28 = dot %27, %2 {contract = [3]x[2], batch = [0, 1]x[0, 1]} : f32[2,B,T,2]\n  return \"y\" %28\n";

/* The rule of the composite gives what the rules of its body give, also when it is differentiated in turn. */
static void raised_attention(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        Arena a = {0};
        Tensor in[8], out[2][8];
        int64_t dims[] = {2, 5};
        for (int raised = 0; raised < 2; raised++) {
            const Func *f = with_loss_after(&a, attention, order, raised ? pass_raise : NULL)->funcs.at[0];
            uint64_t seed = 9;
            for (uint32_t i = 0; i < f->args.n; i++) in[i] = random_tensor(&a, f, f->args.at[i].node->type, dims, &seed);
            loss_at(&a, f, in, dims, out[raised]);
            uint32_t kept = 0;                          /* matrices of the forward pass that the backward pass reads */
            for (uint32_t i = 0; i < f->body.nodes.n && order == 0; i++) {
                const Node *n = f->body.nodes.at[i];
                for (uint32_t k = 0; n->made != MADE_FORWARD && k < n->nargs; k++)
                    kept += n->arg[k]->made == MADE_FORWARD && n->arg[k]->type->rank == 4 && n->arg[k]->type->dim[2] == n->arg[k]->type->dim[3] &&
                            (n->arg[k]->op == OP_div || n->arg[k]->op == OP_exp || n->arg[k]->op == OP_dot);
            }
            if (order == 0) assert_true(raised ? kept == 0 : kept > 0);
        }
        for (uint32_t r = 0; r < 5; r++)
            for (int64_t k = 0; k < tensor_count(&out[0][r]); k++) {
                double want = tensor_get(&out[0][r], k), got = tensor_get(&out[1][r], k);
                if (!(fabs(got - want) <= 1e-10 * (1 + fabs(want)))) fail_msg("order %d, result %u: %.15g instead of %.15g", order + 1, r, got, want);
            }
        arena_free(&a);
    }
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

/* Two convolutions with pooling and a linear layer. */
static const char net[] =
    "  %0 = input \"x\" : f32[B,1,12,12]\n  %1 = input \"w1\" : f32[4,1,5,5]\n  %2 = input \"b1\" : f32[4]\n  %3 = input \"w2\" : f32[6,4,3,3]\n"
    "  %4 = input \"b2\" : f32[6]\n  %5 = input \"w3\" : f32[10,6]\n"
    "  %6 = conv %0, %1 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [0, 0], hi = [0, 0]} : f32[B,4,8,8]\n"
    "  %7 = broadcast %2 {axes = [1]} : f32[B,4,8,8]\n  %8 = add %6, %7 : f32[B,4,8,8]\n  %9 = tanh %8 : f32[B,4,8,8]\n"
    "  %10 = window %9 {kind = max, size = [1, 1, 2, 2], stride = [1, 1, 2, 2], lo = [0, 0, 0, 0], hi = [0, 0, 0, 0]} : f32[B,4,4,4]\n"
    "  %11 = conv %10, %3 {groups = 1, stride = [1, 1], dilation = [1, 1], spread = [1, 1], lo = [0, 0], hi = [0, 0]} : f32[B,6,2,2]\n"
    "  %12 = broadcast %4 {axes = [1]} : f32[B,6,2,2]\n  %13 = add %11, %12 : f32[B,6,2,2]\n  %14 = tanh %13 : f32[B,6,2,2]\n"
    "  %15 = window %14 {kind = sum, size = [1, 1, 2, 2], stride = [1, 1, 2, 2], lo = [0, 0, 0, 0], hi = [0, 0, 0, 0]} : f32[B,6,1,1]\n"
    "  %16 = reshape %15 : f32[B,6]\n  %17 = dot %16, %5 {contract = [1]x[1]} : f32[B,10]\n  return \"y\" %17\n";

/* How often an operator stands in the forward and backward pass of `net`, differentiated by its arguments from `first` on. */
static void counts(uint32_t first, uint32_t *count)
{
    Arena a = {0};
    Module *m = read_module(&a, net);
    Func *f = m->funcs.at[0];
    Node *y = f->results.at[0].node, *arg[8] = {all_sum(f, ir_binary(f, OP_mul, y, y, (Span){0}))};
    uint32_t n = 1;
    for (uint32_t i = first; i < f->args.n; i++) arg[n++] = f->args.at[i].node;
    Node *g = ir_node(f, OP_grad, n, arg, NULL, NULL, (Span){0});
    f->results.n = 0;
    for (uint32_t i = 0; i + 1 < n; i++) func_result(f, arena_printf(&a, "d%u", i), ir_get(f, g, i, (Span){0}), NULL);
    const char *error = NULL;
    if (!passes_run(m, &(PassOptions){.level = 2, .verify = true}, NULL, &error)) fail_msg("%s", error);
    memset(count, 0, OP_COUNT * sizeof *count);
    for (uint32_t i = 0; i < f->body.nodes.n; i++) count[f->body.nodes.at[i]->op]++;
    arena_free(&a);
}

static void backward_work_is_counted(void **state)
{
    (void)state;
    uint32_t all[OP_COUNT], params[OP_COUNT], last[OP_COUNT];
    counts(0, all);
    counts(1, params);
    counts(5, last);
    assert_int_equal(all[OP_conv], 6);                  /* 2 forward, 2 by weights, 2 by images */
    assert_int_equal(params[OP_conv], 5);               /* nobody asked for the gradient by the image */
    assert_int_equal(last[OP_conv], 2);                 /* all but the last weight is frozen: forward alone, */
    assert_int_equal(params[OP_dot], 3);
    assert_int_equal(params[OP_reverse], 1);            /* the kernel of the one gradient by images, turned */
    assert_int_equal(params[OP_window], 2);             /* pooling goes back by selecting and repeating: */
    assert_int_equal(params[OP_pad], 0);                /* nothing is padded, */
    assert_int_equal(params[OP_slice], 0);              /* cut out, */
    assert_int_equal(params[OP_argreduce], 1);          /* and one position a window is found */
    assert_int_equal(params[OP_reduce], 2);             /* the biases; the loss itself is not asked for */
    assert_int_equal(last[OP_dot], 2);                  /* and one product back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_match_differences),
        cmocka_unit_test(no_gradient_passes_a_stop),
        cmocka_unit_test(ties_are_pytorchs),
        cmocka_unit_test(custom_gradients),
        cmocka_unit_test(custom_leaves_nothing_behind),
        cmocka_unit_test(regions_change_nothing),
        cmocka_unit_test(raised_attention),
        cmocka_unit_test(what_nobody_asks_for_is_not_computed),
        cmocka_unit_test(backward_work_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

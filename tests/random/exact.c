/* exact.c - does a program compute without rounding?
 *
 * All floats of a value are multiples of 2^-grain, of magnitude at most `most`: where most * 2^grain fits the significand, with
 * some room, every sum of products of them is exact in any order, fused or not, as long as the sum of magnitudes fits too. The
 * numbers come from an evaluation, so a mean over 4 elements is exact and one over 3 is not.
 */
#include "tests/random/random.h"

#include <math.h>
#include <string.h>

typedef struct Span64 { double most; int grain; bool wild; } Span64;   /* wild: infinite or NaN somewhere */

static Span64 span_of(const Tensor *t)
{
    Span64 s = {0};
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) {
        double v = tensor_get(t, i);
        if (!isfinite(v)) {
            s.wild = true;
            continue;
        }
        if (v == 0) continue;
        if (fabs(v) > s.most) s.most = fabs(v);
        while (s.grain < 64 && ldexp(v, s.grain) != floor(ldexp(v, s.grain))) s.grain++;
    }
    return s;
}

static bool fits(DType t, double most, int grain) { return ldexp(most, grain) <= ldexp(1, t == DT_f64 ? 50 : 22); }

/* How many terms one element of n's result sums (or multiplies) at most; 0: it does not. */
static double terms_of(const Node *n, const Tensor *value)
{
    const Tensor *x = n->nargs ? &value[n->arg[0]->id] : NULL;
    double count = 1;
    switch (n->op) {
    case OP_reduce:
        for (uint32_t i = 0; i < x->rank; i++)
            if (n->attr.reduce.axes >> i & 1) count *= (double)x->dim[i];
        return count;
    case OP_cumulate:
        for (uint32_t i = 0; i < x->rank; i++)
            if (n->attr.reduce.axes >> i & 1) count *= (double)x->dim[i];
        return count;
    case OP_window:
        for (uint32_t i = 0; i < x->rank; i++) count *= (double)n->attr.window.size[i];
        return count;
    case OP_dot:
        for (uint32_t i = 0; i < n->attr.dot.ncontract; i++) count *= (double)x->dim[n->attr.dot.lcontract[i]];
        return count;
    case OP_conv: {
        const Tensor *w = &value[n->arg[1]->id];
        for (uint32_t i = 1; i < w->rank; i++) count *= (double)w->dim[i];
        return count;
    }
    case OP_scatter: return 1 + (double)tensor_count(&value[n->arg[1]->id]);
    default: return 0;
    }
}

static bool node_is_exact(const Node *n, const Tensor *value)
{
    Span64 y = span_of(&value[n->id]);
    if (!fits(n->type->dtype, y.most, y.grain)) return false;
    switch (n->op) {
    case OP_exp: case OP_expm1: case OP_log: case OP_log1p: case OP_sqrt: case OP_rsqrt: case OP_sin: case OP_cos: case OP_tanh:
    case OP_erf: case OP_sigmoid: case OP_pow: return false;
    default: break;
    }
    double terms = terms_of(n, value);
    if (terms == 0) return true;
    Span64 x = span_of(&value[n->arg[0]->id]);
    if (n->op == OP_dot || n->op == OP_conv) {
        Span64 w = span_of(&value[n->arg[1]->id]);
        /* 0 * inf is NaN, and what padding multiplies is nobody's promise. */
        return !x.wild && !w.wild && fits(n->type->dtype, terms * x.most * w.most, x.grain + w.grain);
    }
    if (n->op == OP_scatter) {
        Span64 v = span_of(&value[n->arg[2]->id]);
        if (v.most > x.most) x.most = v.most;
        if (v.grain > x.grain) x.grain = v.grain;
        x.wild |= v.wild;
    }
    switch (n->attr.reduce.kind) {
    case RED_sum: return !x.wild && fits(n->type->dtype, terms * x.most, x.grain);
    case RED_prod: return !x.wild && (x.most <= 1 || terms < 60) && fits(n->type->dtype, pow(x.most, terms), x.grain * (int)terms);
    default: return true;
    }
}

bool is_exact(Arena *a, Func *f, const Tensor *inputs, const int64_t *dims)
{
    uint32_t n = f->body.nodes.n, shown = 0;
    Tensor *value = arena_array(a, Tensor, n + 1), *result = arena_array(a, Tensor, n + 1);
    Func all = *f;                      /* every tensor is a result */
    memset(&all.results, 0, sizeof all.results);
    memset(&all.guards, 0, sizeof all.guards);
    for (uint32_t i = 0; i < n; i++)
        if (f->body.nodes.at[i]->type->kind == TYPE_TENSOR) vec_push(a, &all.results, ((Result){.name = "", .node = f->body.nodes.at[i]}));
    const char *error = NULL;
    if (!ir_eval(a, &all, inputs, dims, false, result, &error)) return false;
    for (uint32_t i = 0; i < n; i++)
        if (f->body.nodes.at[i]->type->kind == TYPE_TENSOR) value[i] = result[shown++];
    for (uint32_t i = 0; i < n; i++) {
        const Node *x = f->body.nodes.at[i];
        if (x->type->kind == TYPE_TENSOR && dtype_is_float(x->type->dtype) && !node_is_exact(x, value)) return false;
    }
    return true;
}

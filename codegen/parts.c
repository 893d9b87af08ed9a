/* parts.c - contractions of great depth and few results, as the gradient of a convolution's weight is: every image gives a
 * part of its own, and a second kernel adds the parts up. The panels of one part stay in cache, parts run on
 * different threads, and the order of the sum does not depend on them.
 */
#include "codegen/kernel.h"

enum {
    MIN_PART_DEPTH = 64,                /* below, writing the parts costs more than is won */
    MAX_RESULTS = 1 << 18               /* elements of a part */
};

/* The depth without its first axis, and the number of results, are known and of the right size. */
static bool pays(const Kernel *k, uint32_t first, int64_t *results)
{
    Dim *depth = dim_const(k->module, 1), *count = depth;
    int64_t v;
    for (uint32_t i = 0; i < k->axes.n && depth && count; i++) {
        if (k->axes.at[i].role == AXIS_DEPTH && i != first) depth = dim_mul(k->module, depth, k->axes.at[i].extent);
        else if (k->axes.at[i].role != AXIS_DEPTH) count = dim_mul(k->module, count, k->axes.at[i].extent);
    }
    if (!depth || !count || !dim_is_const(depth, &v) || v < MIN_PART_DEPTH) return false;
    return dim_is_const(count, results) && *results > 0 && *results <= MAX_RESULTS;
}

static Kernel *sum_of_parts(Arena *a, const Kernel *k, Dim *parts, int64_t results)
{
    Module *m = k->module;
    Kernel *sum = arena_new(a, Kernel);
    sum->class = KERNEL_REDUCE;
    sum->module = m;
    sum->span = k->span;
    DType t = k->operands.at[k->stores.at[0].operand].dtype;
    KAxis item = {AXIS_PARALLEL, NULL, dim_const(m, results)}, part = {AXIS_REDUCED, NULL, parts};
    item.var = dim_var(m, sum, "i", item.extent);
    part.var = dim_var(m, sum, "r", part.extent);
    Dim *at = dim_add(m, dim_mul(m, part.var, item.extent), item.var);
    if (!at) return NULL;
    vec_push(a, &sum->axes, item);
    vec_push(a, &sum->axes, part);
    KOperand in = {.dtype = t}, out = {.dtype = t, .written = true};
    vec_push(a, &sum->operands, in);
    vec_push(a, &sum->operands, out);
    Inst load = {.kind = K_load, .dtype = t, .operand = 0, .pred = NO_INST, .at = at, .span = k->span};
    Inst add = {.kind = K_reduce, .dtype = t, .red = RED_sum, .nargs = 1, .arg = {0}, .pred = NO_INST, .span = k->span};
    vec_push(a, &sum->body, load);
    vec_push(a, &sum->body, add);
    KStore store = {.operand = 1, .inst = 1, .at = item.var, .row = true};
    vec_push(a, &sum->stores, store);
    kernel_finish(a, sum);
    return sum;
}

void kernel_split_depth(Arena *a, Kernel *k)
{
    uint32_t first = 0, depths = 0;
    int64_t results;
    for (uint32_t i = k->axes.n; i-- > 0;)
        if (k->axes.at[i].role == AXIS_DEPTH) first = i, depths++;
    KStore *store = &k->stores.at[0];
    if (depths < 2 || k->stores.n != 1 || k->body.at[store->inst].kind != K_contract || !pays(k, first, &results)) return;
    KAxis part = k->axes.at[first];
    Dim *count = dim_mul(k->module, part.extent, dim_const(k->module, results));
    Dim *at = dim_add(k->module, dim_mul(k->module, part.var, dim_const(k->module, results)), store->at);
    Kernel *sum = count && at ? sum_of_parts(a, k, part.extent, results) : NULL;
    if (!sum) return;
    for (uint32_t i = first; i > 0; i--) k->axes.at[i] = k->axes.at[i - 1];
    part.role = AXIS_BATCH;
    k->axes.at[0] = part;
    store->at = at;
    k->sum = sum;
    k->parts = count;
}

/* eval_loop.c - loops: the body is evaluated once an iteration, as a function of its own, over slices, carries and what
 * stays the same. */
#include "ir/eval.h"

#include <string.h>

enum { MAX_LOOP_DEPTH = 64 };

typedef struct Loop {
    Eval   *e;
    const Func *body;
    uint32_t sequences, carries, yields;
    Value  *in;                         /* of the body: number, slices, carries, the rest */
    Value  *out;                        /* yields, carries */
} Loop;

/* Row i of a sequence, and the number of the iteration, in memory of their own: the body may give them back. */
static bool set_inputs(Loop *l, const Value *const *arg, int64_t i)
{
    int64_t *number = value_alloc(l->e, &l->in[0]);
    if (!number) return false;
    *number = i;
    for (uint32_t k = 0; k < l->sequences; k++) {
        Value *row = &l->in[1 + k];
        char *to = value_alloc(l->e, row);
        size_t bytes = (size_t)row->count * dtype_size(row->dtype);
        if (!to) return false;
        if (bytes) memcpy(to, (const char *)value_data(arg[k]) + (size_t)i * bytes, bytes);
    }
    return true;
}

/* One iteration in memory of its own but for the values. */
static bool iterate(Loop *l)
{
    Arena scratch = {0};
    Eval *e = l->e, inner = {.arena = &scratch, .f = l->body, .dims = e->dims, .as_f64 = e->as_f64, .live = e->live, .limit = e->limit, .args = l->in,
                             .depth = e->depth + 1, .max_iterations = e->max_iterations};
    bool ok = eval_run(&inner, l->out);
    e->live = inner.live;
    if (!ok && !e->error) e->error = arena_strndup(e->arena, inner.error, strlen(inner.error));
    arena_free(&scratch);
    return ok;
}

static void stack(Loop *l, Value *out, int64_t i)
{
    for (uint32_t k = 0; k < l->yields; k++) {
        size_t bytes = (size_t)l->out[k].count * dtype_size(l->out[k].dtype);
        if (bytes) memcpy((char *)value_data(&out->member[k]) + (size_t)i * bytes, value_data(&l->out[k]), bytes);
        value_drop(l->e, &l->out[k]);
    }
}

static bool goes_on(const Loop *l)
{
    return data_get_int(DT_bool, value_data(&l->in[1 + l->sequences]), 0) != 0;
}

RULE(loop)
{
    const Func *f = n->attr.loop.body;
    Loop l = {.e = e, .body = f, .sequences = n->attr.loop.sequences, .carries = n->attr.loop.carries};
    int64_t length = e->max_iterations, i = 0;
    bool counted = n->attr.loop.length;
    l.yields = f->results.n - l.carries;
    l.in = arena_array(e->arena, Value, f->args.n);
    l.out = arena_array(e->arena, Value, f->results.n + 1);
    if (e->depth == MAX_LOOP_DEPTH) return eval_fail(e, "loops and calls are nested too deep");
    if (counted && !dim_now(e, n->attr.loop.length, &length)) return false;
    for (uint32_t k = 0; k < f->args.n; k++)
        if (!value_shape(e, f->args.at[k].node->type, &l.in[k])) return false;
    for (uint32_t k = l.sequences; k < n->nargs; k++) value_share(&l.in[1 + k], arg[k]);
    for (uint32_t k = 0; k < l.yields; k++) {           /* what is not reached stays zero */
        Value *v = &out->member[k];
        void *data = value_alloc(e, v);
        if (!data) return false;
        memset(data, 0, (size_t)v->count * dtype_size(v->dtype));
    }
    bool ok = true;
    for (; ok && i < length && (!n->attr.loop.condition || goes_on(&l)); i++) {
        ok = set_inputs(&l, arg, i) && iterate(&l);
        for (uint32_t k = 0; k <= l.sequences; k++) value_drop(e, &l.in[k]);
        if (!ok) break;
        stack(&l, out, i);
        for (uint32_t k = 0; k < l.carries; k++) {
            Value *carry = &l.in[1 + l.sequences + k];
            value_drop(e, carry);
            carry->buffer = l.out[l.yields + k].buffer;
        }
    }
    if (ok && !counted && i == length && goes_on(&l)) ok = eval_fail(e, "still running after %lld iterations", (long long)length);
    for (uint32_t k = 0; ok && k < l.carries; k++) value_share(&out->member[l.yields + k], &l.in[1 + l.sequences + k]);
    for (uint32_t k = 0; k < f->args.n; k++) value_drop(e, &l.in[k]);
    return ok;
}

/* eval.c - the reference evaluator: the driver, values and their memory, and the operators that make values from
 * nowhere. Slow and obvious; never optimised beyond plain loops. eval.h says how it rounds. */
#include "ir/eval.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CALL_DEPTH = 64 };
#define MAX_LIVE ((int64_t)4 << 30)             /* bytes a call may use */

/* ---- errors ---- */

static const char *place_text(Eval *e, Span at)
{
    const Module *m = e->f->module;
    if (!m->diags || !at.file || at.file > m->diags->sources.n) return "";
    uint32_t line, column;
    diag_position(m->diags, at, &line, &column);
    return arena_printf(e->arena, "%s:%u:%u: ", m->diags->sources.at[at.file - 1].path, line, column);
}

bool eval_fail(Eval *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(e->arena, fmt, ap);
    va_end(ap);
    if (!e->error)
        e->error = e->node
                       ? arena_printf(e->arena, "%s%s: %s", place_text(e, e->node->span), op_name(e->node->op), text)
                       : text;
    return false;
}

bool index_fits(Eval *e, int64_t i, int64_t n)
{
    return (i >= 0 && i < n) || eval_fail(e, "index out of range: %lld, of %lld", (long long)i, (long long)n);
}

/* ---- memory ---- */

static Buffer *buffer_new(Eval *e, int64_t n, int64_t size)
{
    int64_t bytes, live;
    if (!size_mul(n, size, &bytes) || !size_add(e->live, bytes, &live) || live > e->limit) {
        eval_fail(e, "too large: over %lld bytes in use", (long long)e->limit);
        return NULL;
    }
    Buffer *b = malloc(sizeof *b);
    void *data = b ? malloc(bytes ? (size_t)bytes : 1) : NULL;
    if (!data) {
        free(b);
        eval_fail(e, "out of memory");
        return NULL;
    }
    *b = (Buffer){ .refs = 1, .bytes = bytes, .data = data };
    e->live = live;
    return b;
}

static void buffer_drop(Eval *e, Buffer *b)
{
    if (!b || --b->refs) return;
    e->live -= b->bytes;
    if (!b->borrowed) free(b->data);
    free(b);
}

void value_drop(Eval *e, Value *v)
{
    for (uint32_t i = 0; i < v->nmembers; i++) buffer_drop(e, v->member[i].buffer);
    buffer_drop(e, v->buffer);
    v->buffer = NULL;
    v->nmembers = 0;
}

void *value_data(const Value *v)
{
    return v->buffer ? v->buffer->data : NULL;
}

void *value_alloc(Eval *e, Value *v)
{
    v->buffer = buffer_new(e, v->count, (int64_t)dtype_size(v->dtype));
    return value_data(v);
}

void value_share(Value *to, const Value *from)
{
    to->buffer = from->buffer;
    if (to->buffer) to->buffer->refs++;
}

void *temp_alloc(Eval *e, int64_t n, int64_t size)
{
    Buffer *b = buffer_new(e, n, size);
    if (!b) return NULL;
    vec_push(e->arena, &e->temps, b);
    return b->data;
}

static void temps_drop(Eval *e)
{
    while (e->temps.n) buffer_drop(e, e->temps.at[--e->temps.n]);
}

/* ---- values ---- */

bool is_float_value(const Value *v) { return dtype_is_float(v->dtype); }

const double *floats_of(Eval *e, const Value *v)
{
    const void *data = value_data(v);
    if (v->dtype == DT_f64) return data;
    double *wide = temp_alloc(e, v->count, sizeof *wide);
    if (!wide) return NULL;
    if (v->dtype == DT_f32)
        for (int64_t i = 0; i < v->count; i++) wide[i] = ((const float *)data)[i];
    else
        for (int64_t i = 0; i < v->count; i++) wide[i] = data_get(v->dtype, data, i);
    return wide;
}

const int64_t *ints_of(Eval *e, const Value *v)
{
    if (v->dtype == DT_i64) return value_data(v);
    int64_t *wide = temp_alloc(e, v->count, sizeof *wide);
    for (int64_t i = 0; wide && i < v->count; i++) wide[i] = data_get_int(v->dtype, value_data(v), i);
    return wide;
}

void *wide_result(Eval *e, Value *v)
{
    if (!value_alloc(e, v)) return NULL;
    return v->dtype == DT_f64 || v->dtype == DT_i64 ? value_data(v) : temp_alloc(e, v->count, 8);
}

void wide_done(Value *v, const void *wide)
{
    void *data = value_data(v);
    if (data == wide) return;
    if (v->dtype == DT_f32)
        for (int64_t i = 0; i < v->count; i++) ((float *)data)[i] = (float)((const double *)wide)[i];
    else if (is_float_value(v))
        for (int64_t i = 0; i < v->count; i++) data_set(v->dtype, data, i, ((const double *)wide)[i]);
    else
        for (int64_t i = 0; i < v->count; i++) data_set_int(v->dtype, data, i, ((const int64_t *)wide)[i]);
}

void strides_of(const Value *v, int64_t *stride)
{
    int64_t s = v->count != 0;                  /* without elements the products may overflow, and nobody needs them */
    for (uint32_t i = v->rank; i-- > 0;) {
        stride[i] = s;
        s *= v->count ? v->dim[i] : 0;
    }
}

bool odometer(uint32_t rank, const int64_t *dim, int64_t *at)
{
    for (uint32_t i = rank; i-- > 0;) {
        if (++at[i] < dim[i]) return true;
        at[i] = 0;
    }
    return false;
}

/* ---- dims ---- */

static bool symbol_value(void *user, const Atom *sym, int64_t *v)
{
    const Eval *e = user;
    for (uint32_t i = 0; e->dims && i < e->f->dims.n; i++)
        if (dim_as_sym(e->f->dims.at[i]) == sym) {
            *v = e->dims[i];
            return true;
        }
    return false;
}

bool dim_now(Eval *e, Dim *d, int64_t *v)
{
    return dim_value(d, symbol_value, e, v) || eval_fail(e, "%s overflows or is unknown", dim_text(e->arena, d));
}

static DType stored(const Eval *e, DType t)
{
    return e->as_f64 && dtype_is_float(t) ? DT_f64 : t;
}

bool value_shape(Eval *e, Type *t, Value *v)
{
    memset(v, 0, sizeof *v);
    if (t->kind == TYPE_TUPLE) {
        v->member = arena_array(e->arena, Value, (size_t)t->rank + 1);
        for (uint32_t i = 0; i < t->rank; i++)
            if (!value_shape(e, t->member[i], &v->member[i])) return false;
        v->nmembers = t->rank;
        return true;
    }
    v->dtype = stored(e, t->dtype);
    v->rank = t->rank;
    v->count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (!dim_now(e, t->dim[i], &v->dim[i])) return false;
        if (v->dim[i] < 0)
            return eval_fail(e, "a dim is %lld: %s", (long long)v->dim[i], dim_text(e->arena, t->dim[i]));
        if (!size_mul(v->count, v->dim[i], &v->count)) return eval_fail(e, "too large: %s", type_text(e->arena, t));
    }
    return true;
}

/* ---- sources, tuples, calls ---- */

RULE(arg)
{
    (void)arg;
    const Value *v = &e->args[n->attr.arg];
    for (uint32_t i = 0; i < out->rank; i++)
        if (out->dim[i] != v->dim[i])
            return eval_fail(e, "dim %u of %s is %lld", i, e->f->args.at[n->attr.arg].name, (long long)v->dim[i]);
    value_share(out, v);
    return true;
}

RULE(const)
{
    (void)arg;
    char *data = value_alloc(e, out);
    if (!data) return false;
    DType t = n->type->dtype;
    if (t == out->dtype) memcpy(data, n->attr.lit.data, (size_t)out->count * dtype_size(t));
    else
        for (int64_t i = 0; i < out->count; i++) data_set(out->dtype, data, i, data_get(t, n->attr.lit.data, i));
    return true;
}

RULE(dim)
{
    (void)arg;
    int64_t *data = value_alloc(e, out);
    return data && dim_now(e, n->attr.dim, data);
}

RULE(iota)
{
    (void)arg;
    int64_t stride[MAX_RANK];
    void *data = value_alloc(e, out);
    strides_of(out, stride);
    for (int64_t i = 0; data && i < out->count; i++)
        data_set_int(out->dtype, data, i, i / stride[n->attr.axis] % out->dim[n->attr.axis]);
    return data != NULL;
}

RULE(rng)
{
    uint64_t key = (uint64_t)*(int64_t *)value_data(arg[0]), step = (uint64_t)*(int64_t *)value_data(arg[1]),
             s = n->attr.rng.stream;
    void *data = value_alloc(e, out);
    for (int64_t i = 0; data && i < out->count; i++) {
        uint64_t at = (uint64_t)i;
        if (n->type->dtype == DT_i32) {
            ((int32_t *)data)[i] = (int32_t)rng_bits(key, s, step, at);
        } else if (n->type->dtype == DT_f32) {
            data_set(out->dtype, data, i, (double)(rng_bits(key, s, step, at) >> 8) * 0x1p-24);
        } else {
            uint64_t bits = (uint64_t)rng_bits(key, s, step, 2 * at + 1) << 32 | rng_bits(key, s, step, 2 * at);
            data_set(out->dtype, data, i, (double)(bits >> 11) * 0x1p-53);
        }
    }
    return data != NULL;
}

RULE(tuple)
{
    (void)e;
    for (uint32_t i = 0; i < n->nargs; i++) value_share(&out->member[i], arg[i]);
    return true;
}

RULE(get)
{
    (void)e;
    value_share(out, &arg[0]->member[n->attr.axis]);
    return true;
}

RULE(call)
{
    Func *f = n->attr.callee;
    const Atom **from = arena_array(e->arena, const Atom *, (size_t)f->dims.n + 1);
    Dim **to = arena_array(e->arena, Dim *, (size_t)f->dims.n + 1);
    int64_t *dims = arena_array(e->arena, int64_t, (size_t)f->dims.n + 1);
    Value *args = arena_array(e->arena, Value, (size_t)n->nargs + 1),
          *results = arena_array(e->arena, Value, (size_t)f->results.n + 1);
    const char *error;
    if (e->depth == MAX_CALL_DEPTH) return eval_fail(e, "calls are nested too deep");
    if (!call_bind(f->module, f, n->nargs, n->arg, from, to, &error)) return eval_fail(e, "%s", error);
    for (uint32_t i = 0; i < f->dims.n; i++)
        if (!dim_now(e, to[i], &dims[i])) return false;
    for (uint32_t i = 0; i < n->nargs; i++) args[i] = *arg[i];
    Eval inner = { .arena = e->arena, .f = f, .dims = dims, .as_f64 = e->as_f64, .live = e->live, .limit = e->limit,
                   .args = args, .depth = e->depth + 1, .max_iterations = e->max_iterations };
    bool ok = eval_run(&inner, results);
    e->live = inner.live;
    for (uint32_t i = 0; ok && i < f->results.n; i++)
        (f->results.n == 1 ? out : &out->member[i])->buffer = results[i].buffer;
    if (!ok) e->error = inner.error;
    return ok;
}

/* ---- the driver ---- */

RULE(stop)
{
    value_share(out, arg[0]);
    return true;
}

RULE(custom)
{
    value_share(out, arg[0]);
    return true;
}

RULE(hole)
{
    (void)n, (void)arg;
    void *data = value_alloc(e, out);
    if (data) memset(data, 0, (size_t)out->count * dtype_size(out->dtype));
    return data != NULL;
}

/* Gradients are made of other operators: the autodiff pass comes first. */
RULE(grad)
{
    return eval_fail(e, "gradients are computed after the autodiff pass");
}

static EvalRule *const eval_rule[OP_COUNT] = {
#define OP(name, args, attr, shape, eval, grad, class) [OP_##name] = eval_##eval,
#include "ir/ops.def"
#undef OP
};

static bool run_node(Eval *e, const Node *n, const Value *const *arg, Value *out)
{
    e->node = n;
    bool ok = value_shape(e, n->type, out) && eval_rule[n->op](e, n, arg, out);
    temps_drop(e);
    e->node = NULL;
    return ok;
}

static bool check_requires(Eval *e)
{
    for (uint32_t i = 0; i < e->f->requires.n; i++) {
        const Require *r = &e->f->requires.at[i];
        int64_t a, b;
        if (!dim_now(e, r->a, &a) || !dim_now(e, r->b, &b)) return false;
        bool ok = r->rel == REL_EQ ? a == b : r->rel == REL_NE ? a != b : r->rel == REL_LT ? a < b : a <= b;
        if (!ok)
            return eval_fail(e, "%s%s does not hold: %lld and %lld", place_text(e, r->span),
                             r->text ? r->text : "a requirement", (long long)a, (long long)b);
    }
    for (uint32_t i = 0; i < e->f->dims.n; i++) {
        const Atom *x = dim_as_sym(e->f->dims.at[i]);
        int64_t v = e->dims[i];
        if (v < x->lo || v > x->hi || v % x->multiple)
            return eval_fail(e, "%s = %lld is not as declared", x->name, (long long)v);
    }
    return true;
}

static bool check_indices(Eval *e)
{
    for (uint32_t i = 0; i < e->f->args.n; i++) {
        const Arg *a = &e->f->args.at[i];
        int64_t limit;
        if (!a->is_index) continue;
        if (!dim_now(e, a->limit, &limit)) return false;
        for (int64_t k = 0; k < e->args[i].count; k++) {
            int64_t v = data_get_int(e->args[i].dtype, value_data(&e->args[i]), k);
            if (v < 0 || v >= limit)
                return eval_fail(e, "%s: index out of range: %lld, of %lld", a->name, (long long)v, (long long)limit);
        }
    }
    return true;
}

bool eval_run(Eval *e, Value *results)
{
    const Func *f = e->f;
    uint32_t n = f->body.nodes.n, most = 0;
    Value *value = arena_array(e->arena, Value, (size_t)n + 1);
    uint32_t *last = arena_array(e->arena, uint32_t, (size_t)n + 1);
    bool ok = check_requires(e) && check_indices(e);
    for (uint32_t i = 0; i < n; i++) {
        const Node *x = f->body.nodes.at[i];
        last[i] = i;
        if (x->nargs > most) most = x->nargs;
        for (uint32_t k = 0; k < x->nargs; k++) last[x->arg[k]->id] = i;
    }
    for (uint32_t i = 0; i < f->results.n; i++) last[f->results.at[i].node->id] = n;
    for (uint32_t i = 0; i < f->guards.n; i++) last[f->guards.at[i].ok->id] = n;
    const Value **arg = arena_array(e->arena, const Value *, (size_t)most + 1);
    for (uint32_t i = 0; ok && i < n; i++) {
        const Node *x = f->body.nodes.at[i];
        for (uint32_t k = 0; k < x->nargs; k++) arg[k] = &value[x->arg[k]->id];
        ok = run_node(e, x, arg, &value[i]);
        for (uint32_t k = 0; k < x->nargs; k++)
            if (last[x->arg[k]->id] == i) value_drop(e, &value[x->arg[k]->id]);
        if (last[i] == i) value_drop(e, &value[i]);
    }
    for (uint32_t i = 0; ok && i < f->guards.n; i++) {
        const Value *v = &value[f->guards.at[i].ok->id];
        if (!data_get_int(v->dtype, value_data(v), 0)) ok = eval_fail(e, "%s is not finite", f->guards.at[i].what);
    }
    for (uint32_t i = 0; ok && i < f->results.n; i++) {
        results[i] = value[f->results.at[i].node->id];
        value_share(&results[i], &results[i]);
    }
    for (uint32_t i = 0; i < n; i++) value_drop(e, &value[i]);
    return ok;
}

/* A value over the caller's memory; floats are converted where they are evaluated as f64. */
static bool value_of_tensor(Eval *e, const Tensor *t, Value *v)
{
    memset(v, 0, sizeof *v);
    v->dtype = stored(e, t->dtype);
    v->rank = t->rank;
    memcpy(v->dim, t->dim, t->rank * sizeof *t->dim);
    v->count = tensor_count(t);
    if (v->count < 0 || (v->count && !t->data)) return eval_fail(e, "an input has no elements");
    if (v->dtype != t->dtype) {
        double *wide = value_alloc(e, v);
        for (int64_t i = 0; wide && i < v->count; i++) wide[i] = tensor_get(t, i);
        return wide != NULL;
    }
    v->buffer = malloc(sizeof *v->buffer);
    if (!v->buffer) return eval_fail(e, "out of memory");
    *v->buffer = (Buffer){.refs = 1, .borrowed = true, .data = t->data ? t->data : v->buffer}; /* none: never read */
    return true;
}

static void tensor_of_value(Eval *e, const Value *v, Tensor *t)
{
    *t = (Tensor){ .dtype = v->dtype, .rank = v->rank };
    memcpy(t->dim, v->dim, v->rank * sizeof *v->dim);
    t->data = arena_copy(e->arena, value_data(v), (size_t)v->count * dtype_size(v->dtype));
}

static bool bind(Eval *e, const Tensor *inputs, int64_t *dims)
{
    const Func *f = e->f;
    for (uint32_t i = 0; i < f->args.n; i++) {
        Type *t = f->args.at[i].node->type;
        const Tensor *x = &inputs[i];
        if (x->rank != t->rank || (x->dtype != t->dtype && x->dtype != stored(e, t->dtype)))
            return eval_fail(e, "%s is %s of rank %u, not %s", f->args.at[i].name, dtype_name(x->dtype), x->rank,
                             type_text(e->arena, t));
        for (uint32_t k = 0; k < t->rank; k++)
            for (uint32_t s = 0; s < f->dims.n; s++)
                if (t->dim[k] == f->dims.at[s] && dims[s] < 0) dims[s] = x->dim[k];
    }
    for (uint32_t s = 0; s < f->dims.n; s++)
        if (dims[s] < 0) return eval_fail(e, "dim %s is unknown", dim_as_sym(f->dims.at[s])->name);
    for (uint32_t i = 0; i < f->args.n; i++) {
        Type *t = f->args.at[i].node->type;
        for (uint32_t k = 0; k < t->rank; k++) {
            int64_t want;
            if (!dim_now(e, t->dim[k], &want)) return false;
            if (want != inputs[i].dim[k])
                return eval_fail(e, "%s: dim %u is %lld, not %s = %lld", f->args.at[i].name, k,
                                 (long long)inputs[i].dim[k], dim_text(e->arena, t->dim[k]), (long long)want);
        }
    }
    return true;
}

bool ir_eval(Arena *a, const Func *f, const Tensor *inputs, const int64_t *dims, bool as_f64, Tensor *results,
             const char **error)
{
    return ir_eval_bounded(a, f, inputs, dims, as_f64, MAX_ITERATIONS, results, error);
}

bool ir_eval_bounded(Arena *a, const Func *f, const Tensor *inputs, const int64_t *dims, bool as_f64,
                     int64_t max_iterations, Tensor *results, const char **error)
{
    int64_t *known = arena_array(a, int64_t, (size_t)f->dims.n + 1);
    for (uint32_t i = 0; i < f->dims.n; i++) known[i] = dims ? dims[i] : -1;
    Eval e = {.arena = a, .f = f, .dims = known, .as_f64 = as_f64, .limit = MAX_LIVE, .max_iterations = max_iterations};
    Value *args = arena_array(a, Value, (size_t)f->args.n + 1), *out = arena_array(a, Value, (size_t)f->results.n + 1);
    bool ok = bind(&e, inputs, known);
    for (uint32_t i = 0; ok && i < f->args.n; i++) ok = value_of_tensor(&e, &inputs[i], &args[i]);
    e.args = args;
    ok = ok && eval_run(&e, out);
    for (uint32_t i = 0; ok && i < f->results.n; i++) tensor_of_value(&e, &out[i], &results[i]);
    for (uint32_t i = 0; i < f->results.n; i++) value_drop(&e, &out[i]);
    for (uint32_t i = 0; i < f->args.n; i++) value_drop(&e, &args[i]);
    if (!ok) *error = e.error;
    return ok;
}

bool ir_eval_node(Arena *a, const Node *n, const Tensor *args, int64_t limit, Tensor *result)
{
    if (n->op == OP_arg || n->op == OP_rng || op_class(n->op) == CLASS_TUP || n->type->kind != TYPE_TENSOR)
        return false;
    Eval e = {.arena = a, .f = n->func, .limit = MAX_LIVE};
    Value *v = arena_array(a, Value, (size_t)n->nargs + 1), out;
    const Value **arg = arena_array(a, const Value *, (size_t)n->nargs + 1);
    int64_t bytes;
    bool ok = value_shape(&e, n->type, &out);
    ok = ok && size_mul(out.count, (int64_t)dtype_size(out.dtype), &bytes) && bytes <= limit;
    for (uint32_t i = 0; i < n->nargs; i++) {
        ok = ok && value_of_tensor(&e, &args[i], &v[i]);
        arg[i] = &v[i];
    }
    ok = ok && run_node(&e, n, arg, &out);
    if (ok) tensor_of_value(&e, &out, result);
    value_drop(&e, &out);
    for (uint32_t i = 0; i < n->nargs; i++) value_drop(&e, &v[i]);
    return ok;
}

/* interpret.c - see interpret.h. */
#include "interpret.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Run {
    Arena            *arena;
    const ProgramFunc *f;
    const int64_t    *dims;             /* of the function */
    double          **buffer;           /* by buffer number */
    const Step       *step;
    int64_t           at[MAX_RANK * 4]; /* by axis of the kernel */
    double           *reduced;          /* by inst: value of a reduction at this row */
    bool             *known;
    bool              fault;
} Run;

static double inst_value(Run *r, uint32_t i);

static bool func_dim(void *user, const Atom *sym, int64_t *v)
{
    const Run *r = user;
    for (uint32_t i = 0; i < r->f->func->dims.n; i++)
        if (dim_as_sym(r->f->func->dims.at[i]) == sym) return *v = r->dims[i], true;
    return false;
}

static bool kernel_dim(void *user, const Atom *sym, int64_t *v)
{
    Run *r = user;
    const Kernel *k = r->step->kernel;
    for (uint32_t i = 0; i < k->axes.n; i++)
        if (dim_as_sym(k->axes.at[i].var) == sym) return *v = r->at[i], true;
    for (uint32_t i = 0; i < k->body.n; i++)
        if (k->body.at[i].as_index == sym) return *v = (int64_t)inst_value(r, i), true;
    return dim_value(r->step->dim[strtol(sym->name + 1, NULL, 10)], func_dim, r, v);
}

static int64_t eval_dim(Run *r, Dim *d)
{
    int64_t v = 0;
    if (!dim_value(d, kernel_dim, r, &v)) abort();
    return v;
}

static bool is_reduced(AxisRole role) { return role == AXIS_REDUCED || role == AXIS_DEPTH; }

/* Next point over the axes that are reduced (or not); false after the last. */
static bool advance(Run *r, bool reduced)
{
    const Kernel *k = r->step->kernel;
    for (uint32_t i = k->axes.n; i-- > 0;) {
        if (is_reduced(k->axes.at[i].role) != reduced) continue;
        if (++r->at[i] < eval_dim(r, k->axes.at[i].extent)) return true;
        r->at[i] = 0;
    }
    return false;
}

static bool empty_space(Run *r, bool reduced)
{
    const Kernel *k = r->step->kernel;
    for (uint32_t i = 0; i < k->axes.n; i++)
        if (is_reduced(k->axes.at[i].role) == reduced && eval_dim(r, k->axes.at[i].extent) == 0) return true;
    return false;
}

static double combine(RedKind kind, double a, double b)
{
    switch (kind) {
    case RED_sum: return a + b;
    case RED_prod: return a * b;
    case RED_max: return isnan(a) || a >= b ? a : b;
    case RED_min: return isnan(a) || a <= b ? a : b;
    case RED_or: return a != 0 || b != 0;
    case RED_and: return a != 0 && b != 0;
    default: abort();
    }
}

static double reduce_value(Run *r, const Inst *in)
{
    int64_t saved[COUNT(r->at)];
    memcpy(saved, r->at, sizeof saved);
    const Kernel *k = r->step->kernel;
    double acc = in->red == RED_prod || in->red == RED_and ? 1 : in->red == RED_max ? -INFINITY : in->red == RED_min ? INFINITY : 0, best = 0;
    for (uint32_t i = 0; i < k->axes.n; i++)
        if (is_reduced(k->axes.at[i].role)) r->at[i] = 0;
    bool any = !empty_space(r, true);
    int64_t position = 0, flat = 0;
    while (any) {
        double x = inst_value(r, in->arg[0]);
        if (in->kind == K_contract) {
            acc += x * inst_value(r, in->arg[1]);
        } else if (in->kind == K_argreduce) {
            if (flat == 0 || (in->red == RED_max ? x > best : x < best)) best = x, position = flat;
        } else {
            acc = combine(in->red, acc, x);
        }
        flat++;
        any = advance(r, true);
    }
    memcpy(r->at, saved, sizeof saved);
    return in->kind == K_argreduce ? (double)position : acc;
}

static double op_value(Run *r, const Inst *in)
{
    double x[3];
    for (uint32_t i = 0; i < in->nargs; i++) {
        if (in->op == OP_select && i && (i == 1) != (x[0] != 0)) continue;     /* the other side may be undefined */
        x[i] = inst_value(r, in->arg[i]);
    }
    switch (in->op) {
    case OP_neg: return -x[0];
    case OP_abs: return fabs(x[0]);
    case OP_exp: return exp(x[0]);
    case OP_log: return log(x[0]);
    case OP_sqrt: return sqrt(x[0]);
    case OP_rsqrt: return 1 / sqrt(x[0]);
    case OP_tanh: return tanh(x[0]);
    case OP_erf: return erf(x[0]);
    case OP_sigmoid: return 1 / (1 + exp(-x[0]));
    case OP_sin: return sin(x[0]);
    case OP_cos: return cos(x[0]);
    case OP_floor: return floor(x[0]);
    case OP_not: return x[0] == 0;
    case OP_cast: return dtype_is_int(in->dtype) ? trunc(x[0]) : in->dtype == DT_bool ? x[0] != 0 : x[0];
    case OP_add: return x[0] + x[1];
    case OP_sub: return x[0] - x[1];
    case OP_mul: return x[0] * x[1];
    case OP_div: return x[0] / x[1];
    case OP_floordiv: return x[1] == 0 ? 0 : floor(x[0] / x[1]);
    case OP_mod: return x[1] == 0 ? 0 : x[0] - x[1] * floor(x[0] / x[1]);
    case OP_pow: return pow(x[0], x[1]);
    case OP_max: return isnan(x[0]) || x[0] >= x[1] ? x[0] : x[1];
    case OP_min: return isnan(x[0]) || x[0] <= x[1] ? x[0] : x[1];
    case OP_and: return x[0] != 0 && x[1] != 0;
    case OP_or: return x[0] != 0 || x[1] != 0;
    case OP_eq: return x[0] == x[1];
    case OP_ne: return x[0] != x[1];
    case OP_lt: return x[0] < x[1];
    case OP_le: return x[0] <= x[1];
    case OP_gt: return x[0] > x[1];
    case OP_ge: return x[0] >= x[1];
    case OP_select: return x[0] != 0 ? x[1] : x[2];
    default: abort();                   /* extend it with the tests */
    }
}

static double inst_value(Run *r, uint32_t i)
{
    const Inst *in = &r->step->kernel->body.at[i];
    switch (in->kind) {
    case K_const: return dtype_is_float(in->dtype) ? in->value : (double)in->ivalue;
    case K_index: return (double)eval_dim(r, in->at);
    case K_load: {
        if (in->pred != NO_INST && inst_value(r, in->pred) == 0) return 0;
        const Buffer *b = &r->f->buffers.at[r->step->buffer[in->operand]];
        int64_t at = eval_dim(r, in->at), count = 0;
        if (!dim_value(b->count, func_dim, r, &count) || at < 0 || at >= count) abort();   /* an address outside its buffer */
        return r->buffer[r->step->buffer[in->operand]][at];
    }
    case K_op: return op_value(r, in);
    case K_check: {
        double x = inst_value(r, in->arg[0]);
        bool ok = x >= 0 && x < (double)eval_dim(r, in->at);
        r->fault |= !ok;
        return ok;
    }
    case K_rng: abort();
    default:
        if (!r->known[i]) {
            r->reduced[i] = reduce_value(r, in);
            r->known[i] = true;
        }
        return r->reduced[i];
    }
}

static void run_step(Run *r, const Step *step)
{
    r->step = step;
    const Kernel *k = step->kernel;
    memset(r->at, 0, sizeof r->at);
    r->reduced = arena_array(r->arena, double, k->body.n + 1);
    r->known = arena_array(r->arena, bool, k->body.n + 1);
    if (empty_space(r, false)) return;
    do {
        memset(r->known, 0, k->body.n);
        for (uint32_t s = 0; s < k->stores.n; s++) {
            const KStore *store = &k->stores.at[s];
            if (!store->row && empty_space(r, true)) continue;
            do {
                double v = inst_value(r, store->inst);
                if (k->operands.at[store->operand].dtype == DT_f32) v = (double)(float)v;
                r->buffer[step->buffer[store->operand]][eval_dim(r, store->at)] = v;
            } while (!store->row && advance(r, true));
        }
    } while (advance(r, false));
}

bool interpret(Arena *a, const ProgramFunc *f, const Tensor *inputs, const int64_t *dims, Tensor *results)
{
    Run r = {.arena = a, .f = f, .dims = dims, .buffer = arena_array(a, double *, f->buffers.n + 1)};
    for (uint32_t i = 0; i < f->buffers.n; i++) {
        const Buffer *b = &f->buffers.at[i];
        int64_t count = 0;
        if (!dim_value(b->count, func_dim, &r, &count)) abort();
        r.buffer[i] = arena_array(a, double, (size_t)count + 1);
        Tensor t = {.dtype = b->dtype, .rank = 1, .dim = {count}, .data = (void *)b->data};
        if (b->kind == BUFFER_INPUT || b->kind == BUFFER_PARAM)
            for (uint32_t k = 0; k < f->func->args.n; k++)
                if (f->func->args.at[k].node == b->value) t = inputs[k];
        for (int64_t k = 0; k < count && t.data; k++) r.buffer[i][k] = tensor_get(&t, k);
    }
    for (uint32_t s = 0; s < f->steps.n; s++) run_step(&r, &f->steps.at[s]);
    for (uint32_t i = 0; i < f->func->results.n; i++) {
        const Node *n = f->func->results.at[i].node;
        Tensor *t = &results[i];
        *t = (Tensor){.dtype = DT_f64, .rank = n->type->rank};
        for (uint32_t k = 0; k < t->rank; k++)
            if (!dim_value(n->type->dim[k], func_dim, &r, &t->dim[k])) abort();
        for (uint32_t b = f->buffers.n; b-- > 0;)       /* the first: others hold parts of it */
            if (f->buffers.at[b].value == n) t->data = r.buffer[b];
    }
    return !r.fault;
}

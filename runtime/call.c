/* call.c - one call: check everything, bind the buffers, run the steps. All that can fail comes before the first
 * write to a param or state. */
#include "runtime/internal.h"

#include <string.h>

/* Elementary operations that make it worth to wake one more thread: some tens of microseconds of work. */
enum { WORK_A_THREAD = 1 << 16, PIECES_A_THREAD = 4 };

/* ---- floating-point modes -------------------------------------------------------------------------------------- */

/* The host may have changed rounding or flush-to-zero; the numbers must not depend on it. */
#if defined(__x86_64__)
static uint32_t modes_enter(void)
{
    uint32_t old = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80);                     /* round to nearest, subnormals kept, no traps */
    return old;
}

static void modes_leave(uint32_t old)
{
    __builtin_ia32_ldmxcsr(old);
}
#else
static uint32_t modes_enter(void) { return 0; }
static void modes_leave(uint32_t old) { (void)old; }
#endif

/* ---- packed operands -------------------------------------------------------------------------------------------------- */

/* What a step's kernel sees. */
static RtEnv step_env(const RtFunc *f, const RtStep *s, const RtFuncState *fs, int64_t *fault)
{
    const uint32_t *list = f->list + s->list;
    for (uint32_t i = 0; i < s->nbuf; i++) fs->buf[i] = fs->ptr[list[i]];
    for (uint32_t i = 0; i < s->ndim; i++) fs->dim[i] = fs->value[list[s->nbuf + i]];
    return (RtEnv){fs->buf, fs->dim, fault};
}

/* When one of the params that a step reads changed last. */
static uint64_t params_version(const RtInstance *m, const RtFunc *f, const RtStep *s)
{
    uint64_t last = 1;
    for (uint32_t i = 0; i < s->nbuf; i++) {
        const RtBuffer *b = &f->buf[f->list[s->list + i]];
        if (b->kind == RT_BUF_PARAM && m->slot[b->index].version > last) last = m->slot[b->index].version;
    }
    return last;
}

static int prepare(RtInstance *m, const RtFunc *f, const RtFuncState *fs, const RtStep *s, int32_t slot, bool is_b)
{
    RtPacked *p = &m->packed[slot];
    if (p->version >= params_version(m, f, s)) return DLC_OK;       /* another function did it, or others changed */
    if (!p->data) {
        int64_t bytes = rt_prepared_size(s->contract, fs->value, is_b);
        void *data = rt_alloc(&m->memory, bytes);
        if (!data) return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory for packed parameters", f->name);
        p->data = data;
        p->bytes = bytes;
    }
    int64_t fault = 0;
    RtEnv env = step_env(f, s, fs, &fault);
    rt_prepare(s->contract, fs->value, is_b, &env, p->data);
    p->version = m->version;
    return DLC_OK;
}

/* Constant operands in their packed form, if params changed since the last time. */
static int prepare_all(RtInstance *m, const RtFunc *f, RtFuncState *fs)
{
    if (fs->prepared == m->version) return DLC_OK;
    for (uint32_t i = 0; i < f->nsteps; i++) {
        const RtStep *s = &f->step[i];
        int status = DLC_OK;
        if (s->kind != RT_STEP_CONTRACT) continue;
        if (s->contract->prepared_a >= 0) status = prepare(m, f, fs, s, s->contract->prepared_a, false);
        if (!status && s->contract->prepared_b >= 0) status = prepare(m, f, fs, s, s->contract->prepared_b, true);
        if (status) return status;
    }
    fs->prepared = m->version;
    return DLC_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

/* A step that several threads work on. */
typedef struct Job {
    const RtStep   *step;
    const RtEnv    *env;
    const RtPlan   *plan;               /* of a contraction */
    const void     *packed_a, *packed_b;
    _Atomic int64_t next;               /* item to do next */
    int64_t         items, piece;
    char           *scratch;
    int64_t         scratch_bytes;      /* a thread */
} Job;

static void do_items(const Job *j, int64_t lo, int64_t hi, void *scratch)
{
    if (j->plan) rt_contract_run(j->step->contract, j->plan, j->env, j->packed_a, j->packed_b, lo, hi, scratch);
    else j->step->fn(j->env, lo, hi, scratch);
}

/* What thread number i does: pieces until none is left. */
static void job_work(void *arg, int i)
{
    Job *j = arg;
    uint32_t modes = modes_enter();
    void *scratch = j->scratch + i * j->scratch_bytes;
    for (;;) {
        int64_t lo = atomic_fetch_add_explicit(&j->next, j->piece, memory_order_relaxed);
        if (lo >= j->items) break;
        do_items(j, lo, j->items - lo < j->piece ? j->items : lo + j->piece, scratch);
    }
    modes_leave(modes);
}

/* How many threads a step of so much work is worth. */
static int threads_for(const RtInstance *m, int64_t work, int64_t items, int64_t split)
{
    int64_t n = m->threads;
    if (n <= 1) return 1;
    if (work / WORK_A_THREAD < n) n = work / WORK_A_THREAD;
    if (items / split < n) n = items / split;
    return n < 1 ? 1 : (int)n;
}

static void run_items(RtInstance *m, Job *j, int64_t work)
{
    int64_t split = j->plan || !j->step->split ? 1 : j->step->split;
    int n = threads_for(m, work, j->items, split);
    dlc_pool *pool = n > 1 ? rt_pool(m) : NULL;
    if (!pool) {
        do_items(j, 0, j->items, j->scratch);
        return;
    }
    /* Pieces are multiples of `split`; their number lets a slow thread have fewer. */
    int64_t pieces = (int64_t)n * PIECES_A_THREAD, each = (j->items + pieces - 1) / pieces;
    j->piece = (each + split - 1) / split * split;
    atomic_store_explicit(&j->next, 0, memory_order_relaxed);
    pool->run(pool, n, job_work, j);
}

static const void *packed(const RtInstance *m, int32_t i)
{
    return i < 0 ? NULL : m->packed[i].data;
}

static int fail_fault(RtInstance *m, const RtFunc *f, int64_t fault)
{
    return rt_fail(&m->error, DLC_BAD_INDEX, "%s: %s", f->name, f->site[fault - 1]);
}

/* All that can fail has run: did it? Then nothing was changed. */
static int may_commit(RtInstance *m, const RtFunc *f, const RtFuncState *fs, int64_t fault)
{
    if (fault) return fail_fault(m, f, fault);
    for (uint32_t i = 0; i < f->nguards; i++)
        if (!*fs->ptr[f->guard[i].buf])
            return rt_fail(&m->error, DLC_NOT_FINITE, "%s: %.300s is not finite; nothing was changed", f->name, f->guard[i].what);
    return DLC_OK;
}

int rt_run(RtInstance *m, const RtFunc *f, RtFuncState *fs)
{
    int64_t fault = 0;
    RtPlan *plan = fs->contract;
    uint32_t modes = modes_enter();
    int status = prepare_all(m, f, fs);
    for (uint32_t i = 0; i <= f->nsteps && !status; i++) {
        if (i == f->commit) status = may_commit(m, f, fs, fault);
        if (i == f->nsteps || status) break;
        const RtStep *s = &f->step[i];
        RtEnv env = step_env(f, s, fs, &fault);
        Job j = {.step = s, .env = &env, .items = fs->value[s->items], .scratch = m->scratch, .scratch_bytes = fs->scratch};
        if (s->kind == RT_STEP_CONTRACT) {
            j.plan = plan++;
            j.items = j.plan->tasks;
            j.packed_a = packed(m, s->contract->prepared_a);
            j.packed_b = packed(m, s->contract->prepared_b);
            if (s->contract->blas && s->contract->blas(s->contract, j.plan, &env, m->scratch) >= 0) continue;
        }
        if (j.items > 0) run_items(m, &j, fs->value[s->work]);
    }
    modes_leave(modes);
    return fault && !status ? fail_fault(m, f, fault) : status;
}

/* ---- getting ready ------------------------------------------------------------------------------------------------ */

static int grow(RtInstance *m, char **block, int64_t *have, int64_t need, const RtFunc *f)
{
    if (need <= *have) return DLC_OK;
    rt_free(&m->memory, *block, *have);                 /* nothing in it outlives a call */
    *have = 0;
    *block = rt_alloc(&m->memory, need);
    if (!*block) return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory for %lld bytes of workspace", f->name, (long long)need);
    *have = need;
    return DLC_OK;
}

/* Where nothing was reserved, the first call reserves the declared bounds; if there is no memory for those, itself. */
static int plan_bounds(RtInstance *m, const RtFunc *f, RtFuncState *fs)
{
    bool any = false;
    for (uint32_t i = 0; i < f->ndims; i++) any = any || f->bound[i] != INT64_MAX;
    if (!any) return DLC_OK;
    int64_t *value = rt_alloc(&m->memory, ((int64_t)f->npolys + f->ndims) * 8), *own = fs->value;
    if (!value) return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory", f->name);
    int64_t *dims = value + f->npolys;
    for (uint32_t i = 0; i < f->ndims; i++) dims[i] = f->bound[i] == INT64_MAX ? fs->dims[i] : f->bound[i];
    bool grown;
    RtError none;
    fs->value = value;
    bool ok = !rt_bind_dims(f, dims, value, &none) && !rt_plan_work(&m->memory, f, fs, dims, &grown, &none) &&
              !grow(m, &m->work, &m->work_bytes, fs->work, f);
    fs->value = own;
    rt_free(&m->memory, value, ((int64_t)f->npolys + f->ndims) * 8);
    if (!ok) {                                          /* as if the bounds had not been tried */
        rt_plan_forget(f, fs);
        m->error.text[0] = 0;
    }
    return DLC_OK;
}

/* fs->dims and fs->value are of this call: workspace and scratch for them. */
static int get_memory(RtInstance *m, const RtFunc *f, RtFuncState *fs, bool reserving)
{
    bool first = !fs->planned, grown;
    int status = DLC_OK;
    if (first && !reserving) status = plan_bounds(m, f, fs);
    if (!status) status = rt_plan_steps(f, fs->value, m->threads, fs->contract, &fs->scratch, &m->error);
    if (!status && m->fixed && !reserving && !first) {
        for (uint32_t i = 0; i < f->ndims; i++)
            if (fs->dims[i] > fs->capacity[i])
                return rt_fail(&m->error, DLC_CAPACITY, "%s: %s is %lld, above the reserved %lld of an instance with `fixed`",
                               f->name, f->dim[i], (long long)fs->dims[i], (long long)fs->capacity[i]);
    }
    if (!status) status = rt_plan_work(&m->memory, f, fs, fs->dims, &grown, &m->error);
    if (!status) status = grow(m, &m->work, &m->work_bytes, fs->work, f);
    if (status) rt_plan_forget(f, fs);                  /* so that a smaller call can be served */
    int64_t scratch = 0;
    if (!status && !size_mul(fs->scratch, m->threads, &scratch))
        status = rt_fail(&m->error, DLC_BAD_DIM, "%s: sizes overflow", f->name);
    if (!status) status = grow(m, &m->scratch, &m->scratch_bytes, scratch, f);
    return status;
}

static int ready(RtInstance *m, uint32_t i, const int64_t *dims, bool reserving, RtFuncState **state)
{
    const RtFunc *f = &m->model->func[i];
    if (!m->func[i]) m->func[i] = rt_func_state(&m->memory, f);
    RtFuncState *fs = *state = m->func[i];
    if (!fs) return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory", f->name);
    /* Called as the last time: all is known and in place. (Another function may have failed to grow the blocks.) */
    if (fs->bound && (!f->ndims || !memcmp(fs->dims, dims, f->ndims * sizeof *dims)) && m->work_bytes >= fs->work &&
        m->scratch_bytes >= fs->scratch * m->threads)
        return DLC_OK;
    fs->bound = false;
    int status = rt_bind_dims(f, dims, fs->value, &m->error);
    if (status) return status;
    if (f->ndims) memcpy(fs->dims, dims, f->ndims * sizeof *dims);
    status = get_memory(m, f, fs, reserving);
    fs->bound = status == DLC_OK;
    return status;
}

int rt_ready(RtInstance *m, uint32_t i, const int64_t *dims, RtFuncState **state)
{
    return ready(m, i, dims, false, state);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------ */

static int64_t tensor_bytes(const RtTensor *t, const int64_t *value)
{
    int64_t bytes = rt_dtype_size[t->dtype];            /* rt_bind_dims saw that it fits */
    for (uint32_t k = 0; k < t->rank; k++) bytes *= value[t->dim[k]];
    return bytes;
}

static bool overlap(const void *a, int64_t na, const void *b, int64_t nb)
{
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return na > 0 && nb > 0 && x < y + (uint64_t)nb && y < x + (uint64_t)na;
}

static int64_t element(const void *p, uint32_t dtype, int64_t i)
{
    switch (dtype) {
    case RT_i64: return ((const int64_t *)p)[i];
    case RT_i32: return ((const int32_t *)p)[i];
    case RT_i16: return ((const int16_t *)p)[i];
    case RT_i8: return ((const int8_t *)p)[i];
    default: return ((const uint8_t *)p)[i];
    }
}

static int check_indices(RtInstance *m, const RtFunc *f, const RtTensor *t, const void *p, const int64_t *value)
{
    int64_t n = tensor_bytes(t, value) / rt_dtype_size[t->dtype], limit = value[t->limit];
    for (int64_t i = 0; i < n; i++) {
        int64_t v = element(p, t->dtype, i);
        if (v >= 0 && v < limit) continue;
        return rt_fail(&m->error, DLC_BAD_INDEX, "%s: element %lld of %s is %lld, which is not in 0..%lld", f->name, (long long)i,
                       t->name, (long long)v, (long long)limit - 1);
    }
    return DLC_OK;
}

static int check_arguments(RtInstance *m, const RtFunc *f, const int64_t *value, const void *const *in, void *const *out)
{
    for (uint32_t i = 0; i < f->ninputs; i++) {
        if (!in[i] && tensor_bytes(&f->input[i], value))
            return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s: %s is NULL", f->name, f->input[i].name);
        int status = f->input[i].limit == UINT32_MAX ? DLC_OK : check_indices(m, f, &f->input[i], in[i], value);
        if (status) return status;
    }
    for (uint32_t i = 0; i < f->noutputs; i++) {
        const RtTensor *t = &f->output[i];
        int64_t bytes = tensor_bytes(t, value);
        if (t->param >= 0) continue;
        if (!out[i] && bytes) return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s: %s is NULL", f->name, t->name);
        for (uint32_t k = 0; k < f->ninputs; k++)
            if (overlap(out[i], bytes, in[k], tensor_bytes(&f->input[k], value)))
                return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s: the output %s overlaps the input %s", f->name, t->name,
                               f->input[k].name);
        for (uint32_t k = 0; k < i; k++)
            if (f->output[k].param < 0 && overlap(out[i], bytes, out[k], tensor_bytes(&f->output[k], value)))
                return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s: the outputs %s and %s overlap", f->name, f->output[k].name, t->name);
    }
    return DLC_OK;
}

static void bind_buffers(RtInstance *m, const RtFunc *f, RtFuncState *fs, const void *const *in, void *const *out)
{
    for (uint32_t i = 0; i < f->nbufs; i++) {
        const RtBuffer *b = &f->buf[i];
        char *p = NULL;
        switch (b->kind) {
        case RT_BUF_INPUT: p = (char *)(uintptr_t)in[b->index]; break;
        case RT_BUF_OUTPUT: p = f->output[b->index].param >= 0 ? m->slot[f->output[b->index].param].data : out[b->index]; break;
        case RT_BUF_PARAM: p = m->slot[b->index].data; break;
        case RT_BUF_CONST: p = (char *)(uintptr_t)b->data; break;
        case RT_BUF_WORK: p = m->work ? m->work + fs->offset[i] : NULL; break;
        case RT_BUF_SEED: p = (char *)&m->seed; break;
        case RT_BUF_STEP: p = (char *)&m->step; break;
        }
        fs->ptr[i] = p;
    }
}

/* ---- entry points ------------------------------------------------------------------------------------------------------- */

static int call(RtInstance *m, uint32_t func, const int64_t *dims, const void *const *in, void *const *out)
{
    const RtFunc *f = &m->model->func[func];
    RtFuncState *fs;
    /* Params first: computing initial values uses the same workspace. */
    int status = rt_need_params(m, f);
    if (!status) status = ready(m, func, dims, false, &fs);
    if (!status) status = check_arguments(m, f, fs->value, in, out);
    if (status) return status;
    bind_buffers(m, f, fs, in, out);
    status = rt_run(m, f, fs);
    if (status) return status;
    for (uint32_t i = 0; i < f->nchanged; i++) rt_changed(m, f->changed[i]);
    m->step += f->draws != 0;
    return DLC_OK;
}

static int check_func(RtInstance *m, uint32_t func, const int64_t *dims)
{
    if (func >= m->model->nfuncs || (int64_t)func == m->model->init)
        return rt_fail(&m->error, DLC_NOT_FOUND, "%s has no function number %u", m->model->name, func);
    if (m->model->func[func].ndims && !dims) return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s: dims is NULL", m->model->func[func].name);
    return DLC_OK;
}

int dlc_rt_call(RtInstance *m, uint32_t func, const int64_t *dims, const void *const *in, void *const *out)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    int status = check_func(m, func, dims);
    if (!status) status = call(m, func, dims, in, out);
    rt_leave(m);
    return status;
}

int dlc_rt_reserve(RtInstance *m, uint32_t func, const int64_t *dims)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    RtFuncState *fs;
    int status = check_func(m, func, dims);
    if (!status) status = ready(m, func, dims, true, &fs);
    rt_leave(m);
    return status;
}

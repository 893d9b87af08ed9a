/* instance.c - making and destroying an instance of a model, its options and its errors. */
#include "runtime/internal.h"

#include <string.h>

/* Why the last create of this thread failed: there is no instance to hold it. The one thing outside of instances. */
static _Thread_local RtError create_error;

bool rt_enter(RtInstance *m)
{
    if (atomic_exchange_explicit(&m->busy, 1, memory_order_acquire)) return false;
    m->error.text[0] = 0;
    return true;
}

void rt_leave(RtInstance *m)
{
    atomic_store_explicit(&m->busy, 0, memory_order_release);
}

const char *dlc_rt_error(RtInstance *m)
{
    return m ? m->error.text : create_error.text;
}

/* ---- options --------------------------------------------------------------------------------------------------- */

/* Fields of the options that this runtime has and the caller's header may not, or the other way round. */
static int read_options(const dlc_options *given, dlc_options *o, RtError *e)
{
    memset(o, 0, sizeof *o);
    if (!given) return DLC_OK;
    if (given->size < offsetof(dlc_options, threads) + sizeof given->threads)
        return rt_fail(e, DLC_BAD_ARGUMENT, "options: size is not set to the size of the options");
    for (size_t i = sizeof *o; i < given->size; i++)
        if (((const char *)given)[i])
            return rt_fail(e, DLC_BAD_ARGUMENT, "options: a field is set that this model's runtime is too old for");
    memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    if (o->threads < 0) return rt_fail(e, DLC_BAD_ARGUMENT, "options: threads is %d", o->threads);
    if (o->max_iterations < 0) return rt_fail(e, DLC_BAD_ARGUMENT, "options: max_iterations is negative");
    if (!o->allocate != !o->release) return rt_fail(e, DLC_BAD_ARGUMENT, "options: allocate and release go together");
    if (o->pool && (!o->pool->run || o->pool->threads < 1))
        return rt_fail(e, DLC_BAD_ARGUMENT, "options: a pool needs run and at least 1 thread");
    return DLC_OK;
}

static int choose_threads(const dlc_options *o)
{
    if (!o->pool) return o->threads ? o->threads : rt_cpu_count();
    return o->threads && o->threads < o->pool->threads ? o->threads : o->pool->threads;
}

static int check_cpu(const RtModel *model, RtError *e)
{
    RtCpu cpu;
    size_t n;
    rt_cpu_read(&cpu);
    const char *lacks = rt_cpu_lacks(&cpu, model->features, &n);
    if (!lacks) return DLC_OK;
    return rt_fail(e, DLC_CPU, "%s was compiled for %s and needs %.*s, which this CPU does not have; compile it with another --cpu",
                   model->name, model->target, (int)n, lacks);
}

/* ---- create and destroy ------------------------------------------------------------------------------------------ */

/* The arena's layout: every param at a multiple of RT_ALIGN. */
static bool lay_out(const RtModel *model, RtSlot *slot, int64_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < model->nparams; i++) {
        const RtParam *p = &model->param[i];
        int64_t count = 1;
        for (uint32_t k = 0; k < p->rank; k++)
            if (!size_mul(count, p->dim[k], &count)) return false;
        slot[i].offset = *total;
        if (!rt_bytes(count, p->dtype, &slot[i].bytes) || !size_add(*total, slot[i].bytes, total) ||
            !size_align(*total, RT_ALIGN, total))
            return false;
    }
    return true;
}

/* The instance and its small tables are one block. */
static RtInstance *new_instance(const RtModel *model, const RtMemory *memory, RtError *e)
{
    int64_t slots = (int64_t)sizeof(RtInstance), packed = slots + (int64_t)model->nparams * (int64_t)sizeof(RtSlot);
    int64_t funcs = packed + (int64_t)model->nprepared * (int64_t)sizeof(RtPacked);
    int64_t bytes = funcs + (int64_t)model->nfuncs * (int64_t)sizeof(RtFuncState *);
    char *p = rt_alloc_zero(memory, bytes);
    if (!p) {
        rt_fail(e, DLC_NO_MEMORY, "%s: no memory for an instance", model->name);
        return NULL;
    }
    RtInstance *m = (RtInstance *)(void *)p;
    m->model = model;
    m->memory = *memory;
    m->slot = (RtSlot *)(void *)(p + slots);
    m->packed = (RtPacked *)(void *)(p + packed);
    m->func = (RtFuncState **)(void *)(p + funcs);
    m->bytes = bytes;
    m->version = 1;
    if (!lay_out(model, m->slot, &m->arena_bytes)) {
        rt_fail(e, DLC_NO_MEMORY, "%s: the parameters are larger than any memory", model->name);
        rt_free(memory, p, bytes);
        return NULL;
    }
    return m;
}

RtInstance *dlc_rt_create(const RtModel *model, const dlc_options *options)
{
    RtError *e = &create_error;
    dlc_options o;
    e->text[0] = 0;
    if (read_options(options, &o, e) || check_cpu(model, e)) return NULL;
    RtMemory memory = rt_malloc;
    if (o.allocate) memory = (RtMemory){o.allocate, o.release, o.allocate_user};
    RtInstance *m = new_instance(model, &memory, e);
    if (!m) return NULL;
    m->fixed = o.fixed != 0;
    m->map = o.map != 0;
    m->seed = o.seed;
    m->pool = o.pool;
    m->threads = choose_threads(&o);
    return m;
}

void dlc_rt_destroy(RtInstance *m)
{
    if (!m) return;
    const RtMemory memory = m->memory;
    if (m->own_pool) rt_pool_destroy(m->pool);
    for (uint32_t i = 0; i < m->model->nfuncs; i++)
        if (m->func[i]) rt_free(&memory, m->func[i], m->func[i]->bytes);
    for (uint32_t i = 0; i < m->model->nprepared; i++) rt_free(&memory, m->packed[i].data, m->packed[i].bytes);
    rt_unmap(m->mapping, m->mapping_bytes);
    rt_free(&memory, m->arena, m->arena_bytes);
    rt_free(&memory, m->work, m->work_bytes);
    rt_free(&memory, m->scratch, m->scratch_bytes);
    rt_free(&memory, m->report, m->report_bytes);
    rt_free(&memory, m, m->bytes);
}

dlc_pool *rt_pool(RtInstance *m)
{
    if (!m->pool && m->threads > 1) {
        m->pool = rt_pool_create(&m->memory, m->threads);
        m->own_pool = m->pool != NULL;
    }
    return m->pool;                                     /* NULL: no memory for one; the caller works alone */
}

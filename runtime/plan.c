/* plan.c - workspaces: where the values inside a call live. Where all sizes are numbers the compiler placed them;
 * else they are placed here, once, for a capacity. Sizes grow with the dims, so a plan for the capacity serves
 * everything below it; should one not grow so, it is found out at the call that needs more.
 */
#include "base/pack.h"
#include "runtime/internal.h"

#include <string.h>

/* The arrays that a function's steps need. */
static void step_counts(const RtFunc *f, int64_t *contracts, int64_t *nbuf, int64_t *ndim)
{
    *contracts = *nbuf = *ndim = 0;
    for (uint32_t i = 0; i < f->nsteps; i++) {
        const RtStep *s = &f->step[i];
        *contracts += s->kind == RT_STEP_CONTRACT;
        if (s->nbuf > *nbuf) *nbuf = s->nbuf;
        if (s->ndim > *ndim) *ndim = s->ndim;
    }
}

/* One block: the struct, then its arrays. */
RtFuncState *rt_func_state(const RtMemory *a, const RtFunc *f)
{
    int64_t contracts, nbuf, ndim;
    step_counts(f, &contracts, &nbuf, &ndim);
    int64_t sizes[] = {
        sizeof(RtFuncState),    (int64_t)f->npolys * 8, (int64_t)f->ndims * 8, (int64_t)f->ndims * 8, (int64_t)f->nbufs * 8,
        (int64_t)f->nbufs * 8,  (int64_t)f->nbufs * 8,  nbuf * 8,              ndim * 8,              contracts * (int64_t)sizeof(RtPlan),
    };
    enum { PARTS = sizeof sizes / sizeof *sizes };
    int64_t at[PARTS], bytes = 0;
    for (int i = 0; i < PARTS; i++) {                   /* 32-bit counts: no sum can overflow */
        at[i] = bytes;
        bytes += (sizes[i] + 15) & ~(int64_t)15;
    }
    char *p = rt_alloc_zero(a, bytes);
    if (!p) return NULL;
    RtFuncState *fs = (RtFuncState *)(void *)p;
    fs->bytes = bytes;
    fs->value = (void *)(p + at[1]);
    fs->dims = (void *)(p + at[2]);
    fs->capacity = (void *)(p + at[3]);
    fs->size = (void *)(p + at[4]);
    fs->offset = (void *)(p + at[5]);
    fs->ptr = (void *)(p + at[6]);
    fs->buf = (void *)(p + at[7]);
    fs->dim = (void *)(p + at[8]);
    fs->contract = (void *)(p + at[9]);
    return fs;
}

int rt_plan_steps(const RtFunc *f, const int64_t *value, int threads, RtPlan *contract, int64_t *scratch, RtError *e)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < f->nsteps; i++) {
        const RtStep *s = &f->step[i];
        int64_t bytes = value[s->scratch];
        if (s->kind == RT_STEP_CONTRACT) {
            const RtContract *c = s->contract;
            if (!rt_contract_plan(c, value, threads, c->prepared_a >= 0, c->prepared_b >= 0, contract))
                return rt_fail(e, DLC_BAD_DIM, "%s: sizes overflow", f->name);
            int64_t blas = c->blas ? c->blas(c, contract, NULL, NULL) : 0;
            if (contract->scratch > bytes) bytes = contract->scratch;
            if (blas > bytes) bytes = blas;
            contract++;
        }
        if (bytes > most) most = bytes;
    }
    if (!size_align(most, RT_ALIGN, scratch)) return rt_fail(e, DLC_BAD_DIM, "%s: sizes overflow", f->name);
    return DLC_OK;
}

/* The buffer in whose place b lies. */
static uint32_t owner(const RtFunc *f, uint32_t b)
{
    while (f->buf[b].shares != UINT32_MAX) b = f->buf[b].shares;
    return b;
}

/* size[b] = the larger of it and b's bytes at these sizes, for buffers with a place of their own. *grown: one was smaller. */
static void raise_sizes(const RtFunc *f, const int64_t *value, int64_t *size, bool *grown)
{
    for (uint32_t b = 0; b < f->nbufs; b++) {
        int64_t bytes;
        if (f->buf[b].kind != RT_BUF_WORK || !rt_bytes(value[f->buf[b].count], f->buf[b].dtype, &bytes)) continue;
        uint32_t o = owner(f, b);
        if (bytes <= size[o]) continue;
        size[o] = bytes;
        *grown = true;
    }
}

/* Offsets for sizes. */
static int place(const RtMemory *a, const RtFunc *f, const int64_t *size, int64_t *offset, int64_t *total, RtError *e)
{
    if (f->work >= 0) {                                 /* the compiler did it */
        for (uint32_t b = 0; b < f->nbufs; b++)
            if (f->buf[b].kind == RT_BUF_WORK) offset[b] = f->buf[owner(f, b)].offset;
        *total = f->work;
        return DLC_OK;
    }
    int64_t scratch, items = (int64_t)f->nbufs * (int64_t)sizeof(PackItem), bytes;
    if (!pack_scratch(f->nbufs, &scratch) || !size_add(scratch, items, &bytes)) return rt_fail(e, DLC_NO_MEMORY, "%s: no memory", f->name);
    char *block = rt_alloc(a, bytes);
    if (!block) return rt_fail(e, DLC_NO_MEMORY, "%s: no memory for the plan of the workspace", f->name);
    PackItem *item = (PackItem *)(void *)(block + scratch);     /* scratch is a multiple of 8 */
    for (uint32_t b = 0; b < f->nbufs; b++) {
        bool own = f->buf[b].kind == RT_BUF_WORK && f->buf[b].shares == UINT32_MAX;
        item[b] = own ? (PackItem){size[b], f->buf[b].first, f->buf[b].last} : (PackItem){0, 0, 0};
    }
    bool ok = pack(item, f->nbufs, offset, total, block);
    rt_free(a, block, bytes);
    if (!ok) return rt_fail(e, DLC_BAD_DIM, "%s: sizes overflow", f->name);
    for (uint32_t b = 0; b < f->nbufs; b++) offset[b] = offset[owner(f, b)];
    return DLC_OK;
}

int rt_plan_work(const RtMemory *a, const RtFunc *f, RtFuncState *fs, const int64_t *dims, bool *grown, RtError *e)
{
    *grown = false;
    raise_sizes(f, fs->value, fs->size, grown);
    for (uint32_t i = 0; i < f->ndims; i++)
        if (dims[i] > fs->capacity[i]) fs->capacity[i] = dims[i], *grown = true;
    if (!*grown && fs->planned) return DLC_OK;
    *grown = true;
    fs->planned = false;
    int status = place(a, f, fs->size, fs->offset, &fs->work, e);
    fs->planned = status == DLC_OK;
    return status;
}

void rt_plan_forget(const RtFunc *f, RtFuncState *fs)
{
    fs->planned = fs->bound = false;
    if (f->nbufs) memset(fs->size, 0, f->nbufs * sizeof *fs->size);
    if (f->ndims) memset(fs->capacity, 0, f->ndims * sizeof *fs->capacity);
    fs->work = 0;
}

int64_t dlc_rt_workspace(const RtModel *model, uint32_t func, const int64_t *dims)
{
    if (func >= model->nfuncs || (int32_t)func == model->init) return -1;
    const RtFunc *f = &model->func[func];
    if (f->ndims && !dims) return -1;
    RtFuncState *fs = rt_func_state(&rt_malloc, f);
    if (!fs) return -1;
    bool grown;
    int status = rt_bind_dims(f, dims, fs->value, NULL);
    if (!status) status = rt_plan_work(&rt_malloc, f, fs, dims, &grown, NULL);
    int64_t bytes = status ? -1 : fs->work;
    rt_free(&rt_malloc, fs, fs->bytes);
    return bytes;
}

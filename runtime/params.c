/* params.c - params and states of an instance: their memory, initial values, reading and setting them by path. */
#include "runtime/internal.h"

#include <string.h>

int rt_arena(RtInstance *m)
{
    if (m->arena || !m->arena_bytes) return DLC_OK;
    m->arena = rt_alloc(&m->memory, m->arena_bytes);
    if (!m->arena)
        return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory for %lld bytes of parameters", m->model->name, (long long)m->arena_bytes);
    for (uint32_t i = 0; i < m->model->nparams; i++)
        if (!m->slot[i].has) m->slot[i].data = m->arena + m->slot[i].offset;
    return DLC_OK;
}

void rt_changed(RtInstance *m, uint32_t param)
{
    m->slot[param].version = ++m->version;
}

void rt_all_changed(RtInstance *m)
{
    m->version++;
    for (uint32_t i = 0; i < m->model->nparams; i++) m->slot[i].version = m->version;
}

/* ---- initial values ------------------------------------------------------------------------------------------------ */

/* What a run of init is to give: the absent params whose initial value needs only params of lower levels. */
static bool wanted(const RtInstance *m, const RtTensor *out, uint32_t level)
{
    return out->param >= 0 && out->level == level && !m->slot[out->param].has;
}

/* The other results of init have to go somewhere. */
static int64_t unwanted_bytes(const RtInstance *m, const RtFunc *f, uint32_t level)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < f->noutputs; i++)
        if (!wanted(m, &f->output[i], level)) bytes += (m->slot[f->output[i].param].bytes + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN;
    return bytes;                                       /* at most the arena's, which fits */
}

static void bind_init(RtInstance *m, const RtFunc *f, RtFuncState *fs, uint32_t level, char *unwanted)
{
    for (uint32_t i = 0; i < f->nbufs; i++) {
        const RtBuffer *b = &f->buf[i];
        char *p = NULL;
        switch (b->kind) {
        case RT_BUF_OUTPUT: {
            const RtTensor *out = &f->output[b->index];
            RtSlot *slot = &m->slot[out->param];
            p = slot->data;
            if (wanted(m, out, level)) break;
            p = unwanted;
            unwanted += (slot->bytes + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN;
            break;
        }
        case RT_BUF_PARAM: p = m->slot[b->index].data; break;
        case RT_BUF_CONST: p = (char *)(uintptr_t)b->data; break;
        case RT_BUF_WORK: p = m->work ? m->work + fs->offset[i] : NULL; break;
        case RT_BUF_SEED: p = (char *)&m->seed; break;
        case RT_BUF_STEP: p = (char *)&m->step; break;
        }
        fs->ptr[i] = p;
    }
}

static int run_init(RtInstance *m, const RtFunc *f, RtFuncState *fs, uint32_t level)
{
    int64_t bytes = unwanted_bytes(m, f, level);
    char *unwanted = NULL;
    if (bytes && !(unwanted = rt_alloc(&m->memory, bytes)))
        return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory for initial values", m->model->name);
    bind_init(m, f, fs, level, unwanted);
    int status = rt_run(m, f, fs);
    for (uint32_t i = 0; i < f->noutputs && !status; i++)
        if (wanted(m, &f->output[i], level)) m->slot[f->output[i].param].has = true;
    rt_free(&m->memory, unwanted, bytes);
    rt_all_changed(m);
    return status;
}

static int not_loaded(RtInstance *m, const char *who, uint32_t param)
{
    return rt_fail(&m->error, DLC_NOT_LOADED, "%s needs %s, which has no initial value: load it first", who, m->model->param[param].path);
}

int rt_init_absent(RtInstance *m)
{
    if (m->model->init < 0) return DLC_OK;
    const RtFunc *f = &m->model->func[m->model->init];
    uint32_t levels = 0;                                /* one more than the highest that is wanted */
    for (uint32_t i = 0; i < f->noutputs; i++) {
        const RtTensor *out = &f->output[i];
        if (wanted(m, out, out->level) && out->level >= levels) levels = out->level + 1;
    }
    RtFuncState *fs;
    int status = levels ? rt_arena(m) : DLC_OK;
    if (levels && !status) status = rt_ready(m, (uint32_t)m->model->init, NULL, &fs);
    for (uint32_t level = 0; level < levels && !status; level++) {
        bool any = false;
        for (uint32_t i = 0; i < f->noutputs; i++) any = any || wanted(m, &f->output[i], level);
        if (!any) continue;
        for (uint32_t i = 0; i < f->nparams && level > 0; i++)      /* computed from these */
            if (!m->slot[f->param[i]].has && m->model->param[f->param[i]].must_load)
                return not_loaded(m, "an initial value", f->param[i]);
        status = run_init(m, f, fs, level);
    }
    return status;
}

int rt_need_params(RtInstance *m, const RtFunc *f)
{
    bool absent = false;
    for (uint32_t i = 0; i < f->nparams; i++) {
        uint32_t p = f->param[i];
        if (m->slot[p].has) continue;
        if (m->model->param[p].must_load) return not_loaded(m, f->name, p);
        absent = true;
    }
    return absent ? rt_init_absent(m) : DLC_OK;
}

int dlc_rt_init(RtInstance *m, uint64_t seed)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    int status = rt_arena(m);
    if (!status) {
        m->seed = seed;
        m->step = 0;
        for (uint32_t i = 0; i < m->model->nparams; i++)
            if (!m->model->param[i].must_load) {
                m->slot[i].has = false;
                m->slot[i].data = m->arena + m->slot[i].offset;
            }
        rt_all_changed(m);
        status = rt_init_absent(m);
    }
    rt_leave(m);
    return status;
}

/* ---- by path ----------------------------------------------------------------------------------------------------------- */

int64_t rt_find_param(const RtModel *model, const char *path)
{
    for (uint32_t i = 0; i < model->nparams; i++) {
        const RtParam *p = &model->param[i];
        if (!strcmp(p->path, path)) return i;
        for (uint32_t k = 0; k < p->naliases; k++)
            if (!strcmp(p->alias[k], path)) return i;
    }
    return -1;
}

/* The slot for `path`, whose size must be `bytes`. */
static int find_slot(RtInstance *m, const char *path, const void *data, size_t bytes, RtSlot **slot)
{
    if (!path || !data) return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%s is NULL", path ? "data" : "path");
    int64_t i = rt_find_param(m->model, path);
    if (i < 0) return rt_fail(&m->error, DLC_NOT_FOUND, "%s has no parameter %.300s", m->model->name, path);
    *slot = &m->slot[i];
    if ((uint64_t)(*slot)->bytes != bytes)
        return rt_fail(&m->error, DLC_BAD_ARGUMENT, "%.300s has %lld bytes, not %zu", path, (long long)(*slot)->bytes, bytes);
    return DLC_OK;
}

int dlc_rt_get(RtInstance *m, const char *path, void *data, size_t bytes)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    RtSlot *slot = NULL;
    int status = find_slot(m, path, data, bytes, &slot);
    if (!status && !slot->has) {
        uint32_t i = (uint32_t)(slot - m->slot);
        status = m->model->param[i].must_load ? not_loaded(m, "get", i) : rt_init_absent(m);
    }
    if (!status) memcpy(data, slot->data, bytes);
    rt_leave(m);
    return status;
}

int dlc_rt_set(RtInstance *m, const char *path, const void *data, size_t bytes)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    RtSlot *slot = NULL;
    int status = find_slot(m, path, data, bytes, &slot);
    if (!status && !slot->has) status = rt_arena(m);    /* a mapped one is written in its private page */
    if (!status) {
        memcpy(slot->data, data, bytes);
        slot->has = true;
        rt_changed(m, (uint32_t)(slot - m->slot));
    }
    rt_leave(m);
    return status;
}

int dlc_rt_param_info(const RtModel *model, int index, dlc_param_info *info)
{
    if (index < 0 || (uint32_t)index >= model->nparams) return DLC_NOT_FOUND;
    if (!info) return DLC_BAD_ARGUMENT;
    const RtParam *p = &model->param[index];
    int64_t bytes = rt_dtype_size[p->dtype];
    for (uint32_t k = 0; k < p->rank; k++)
        if (!size_mul(bytes, p->dim[k], &bytes)) return DLC_BAD_DIM;
    *info = (dlc_param_info){
        .path = p->path, .dtype = (int)p->dtype, .rank = (int)p->rank, .dim = p->dim, .bytes = (size_t)bytes,
        .state = p->state != 0, .must_load = p->must_load != 0,
    };
    return DLC_OK;
}

/* dlc.c - opening artefacts by path: finding their descriptor, what is in them, and passing calls on. */
#include "host/dlc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"
#include "runtime/internal.h"

struct dlc_artefact {
    void               *handle;
    const RtDescriptor *d;
    const RtModel      *model;
    int                 functions;      /* without init */
};

struct dlc_instance {
    const RtDescriptor *d;
    RtInstance         *m;
};

_Static_assert((int)DLC_MAX_RANK == (int)RT_MAX_RANK, "ranks agree");
_Static_assert((int)DLC_F64 == (int)RT_f64 && (int)DLC_BOOL == (int)RT_bool, "dtypes agree");

/* ---- opening ------------------------------------------------------------------------------------------------------------- */

static dlc_artefact *fail(void *handle, char *error, size_t cap, const char *path, const char *why)
{
    if (cap) snprintf(error, cap, "%s: %s", path, why);
    if (handle) dlclose(handle);
    return NULL;
}

dlc_artefact *dlc_open(const char *path, char *error, size_t cap)
{
    char *with_slash = malloc(strlen(path) + 3);        /* dlopen searches the system for names without one */
    if (!with_slash) return fail(NULL, error, cap, path, "no memory");
    sprintf(with_slash, "%s%s", strchr(path, '/') ? "" : "./", path);
    void *handle = dlopen(with_slash, RTLD_NOW | RTLD_LOCAL);
    free(with_slash);
    if (!handle) {
        const char *why = dlerror();
        if (cap) snprintf(error, cap, "cannot open %s: %s", path, why ? why : "unknown error");
        return NULL;
    }
    /* Artefacts export nothing of a fixed name, so that two can live in one program. */
    const char *name = symbol_ending(handle, "_model_1");
    const RtDescriptor *d = name ? dlsym(handle, name) : NULL;
    if (!d) return fail(handle, error, cap, path, "not a model that dlc compiled");
    if (d->abi != RT_ABI || d->size < sizeof *d || d->model->abi != RT_ABI)
        return fail(handle, error, cap, path, "compiled by another version of dlc; compile the model again");
    dlc_artefact *a = malloc(sizeof *a);
    if (!a) return fail(handle, error, cap, path, "no memory");
    *a = (dlc_artefact){handle, d, d->model, (int)d->model->nfuncs - (d->model->init >= 0)};
    return a;
}

void dlc_close(dlc_artefact *a)
{
    if (!a) return;
    dlclose(a->handle);
    free(a);
}

/* ---- what is in it --------------------------------------------------------------------------------------------------------- */

const char *dlc_name(const dlc_artefact *a)
{
    return a->model->name;
}

const char *dlc_target(const dlc_artefact *a)
{
    return a->model->target;
}

int dlc_function_count(const dlc_artefact *a)
{
    return a->functions;
}

int dlc_find(const dlc_artefact *a, const char *function)
{
    for (int i = 0; i < a->functions; i++)
        if (!strcmp(a->model->func[i].name, function)) return i;
    return -1;
}

static const RtFunc *function(const dlc_artefact *a, int fn)
{
    return fn >= 0 && fn < a->functions ? &a->model->func[fn] : NULL;
}

int dlc_function(const dlc_artefact *a, int fn, dlc_function_info *info)
{
    const RtFunc *f = function(a, fn);
    if (!f) return DLC_NOT_FOUND;
    *info = (dlc_function_info){f->name, f->doc, (int)f->ndims, (int)f->ninputs, (int)f->noutputs, f->dim};
    return DLC_OK;
}

static const RtTensor *argument(const RtFunc *f, enum dlc_side side, int i)
{
    if (!f || i < 0 || (uint32_t)i >= (side == DLC_INPUT ? f->ninputs : f->noutputs)) return NULL;
    return side == DLC_INPUT ? &f->input[i] : &f->output[i];
}

static const int64_t *poly_code(const RtFunc *f, uint32_t poly)
{
    return f->code + f->poly[poly];
}

int dlc_argument(const dlc_artefact *a, int fn, enum dlc_side side, int i, dlc_argument_info *info)
{
    const RtFunc *f = function(a, fn);
    const RtTensor *t = argument(f, side, i);
    if (!t) return DLC_NOT_FOUND;
    *info = (dlc_argument_info){.name = t->name, .dtype = (int)t->dtype, .rank = (int)t->rank, .state = t->param >= 0};
    for (uint32_t k = 0; k < t->rank; k++) {
        const int64_t *c = poly_code(f, t->dim[k]);
        bool single = c[2] == RT_END;
        info->dim[k] = single && c[0] == RT_CONST ? c[1] : -1;
        info->symbol[k] = single && c[0] == RT_SYM ? (int)c[1] : -1;
    }
    info->limit = -1;
    if (side == DLC_INPUT && t->limit != UINT32_MAX) {
        const int64_t *c = poly_code(f, t->limit);
        if (c[0] == RT_CONST && c[2] == RT_END) info->limit = c[1];
    }
    return DLC_OK;
}

int dlc_param_count(const dlc_artefact *a)
{
    return (int)a->model->nparams;
}

int dlc_param(const dlc_artefact *a, int i, dlc_param_info *info)
{
    return a->d->param_info(a->model, i, info);
}

bool dlc_reads(const dlc_artefact *a, int fn, int param)
{
    const RtFunc *f = function(a, fn);
    for (uint32_t i = 0; f && i < f->nparams; i++)
        if (f->param[i] == (uint32_t)param) return true;
    return false;
}

size_t dlc_dtype_size(int dtype)
{
    return dtype >= DLC_F64 && dtype <= DLC_BOOL ? rt_dtype_size[dtype] : 0;
}

const char *dlc_dtype_name(int dtype)
{
    return rt_dtype_name(dtype >= DLC_F64 && dtype <= DLC_BOOL ? (uint32_t)dtype : 0);
}

const char *dlc_status_text(int status)
{
    static const char *const text[] = {"ok", "no memory", "bad argument", "bad dim", "index out of range", "not loaded", "bad file",
                                       "input or output failed", "not found", "busy", "CPU lacks features", "not finite", "above capacity"};
    return status >= 0 && (size_t)status < sizeof text / sizeof *text ? text[status] : "unknown status";
}

/* ---- shapes ------------------------------------------------------------------------------------------------------------------ */

/* Does the polynomial use only dims that are known? */
static bool known(const int64_t *code, const int64_t *dims)
{
    for (; *code != RT_END; code++) {
        if (*code == RT_CONST) code++;
        else if (*code == RT_SYM && dims[*++code] < 0) return false;
    }
    return true;
}

static int check_type(const RtFunc *f, const RtTensor *t, const dlc_tensor *given, char *error, size_t cap)
{
    if ((uint32_t)given->dtype != t->dtype) {
        snprintf(error, cap, "%s: %s is %s, not %s", f->name, t->name, dlc_dtype_name((int)t->dtype), dlc_dtype_name(given->dtype));
        return DLC_BAD_ARGUMENT;
    }
    if ((uint32_t)given->rank != t->rank) {
        snprintf(error, cap, "%s: %s has %u dims, not %d", f->name, t->name, t->rank, given->rank);
        return DLC_BAD_ARGUMENT;
    }
    return DLC_OK;
}

/* Bind the dims that tensors show alone (`alone`), or compare all others that can be computed. */
static int bind_tensor(const RtFunc *f, const RtTensor *t, const dlc_tensor *given, bool alone, int64_t *dims, char *error, size_t cap)
{
    for (uint32_t k = 0; k < t->rank; k++) {
        const int64_t *c = poly_code(f, t->dim[k]);
        int64_t want = -1;
        if (alone && c[0] == RT_SYM && c[2] == RT_END && dims[c[1]] < 0) dims[c[1]] = given->dim[k];
        if (alone || !known(c, dims) || (rt_poly(c, dims, &want) && want == given->dim[k])) continue;
        snprintf(error, cap, "%s: dim %u of %s is %lld, not %lld", f->name, k, t->name, (long long)given->dim[k], (long long)want);
        return DLC_BAD_DIM;
    }
    return DLC_OK;
}

int dlc_bind(const dlc_artefact *a, int fn, const dlc_tensor *inputs, int64_t *dims, char *error, size_t cap)
{
    const RtFunc *f = function(a, fn);
    if (!f) return DLC_NOT_FOUND;
    int status = DLC_OK;
    for (uint32_t i = 0; i < f->ninputs && !status; i++) status = check_type(f, &f->input[i], &inputs[i], error, cap);
    for (int alone = 1; alone >= 0; alone--)
        for (uint32_t i = 0; i < f->ninputs && !status; i++)
            status = bind_tensor(f, &f->input[i], &inputs[i], alone, dims, error, cap);
    return status;
}

int dlc_shape(const dlc_artefact *a, int fn, enum dlc_side side, int i, const int64_t *dims, int64_t *shape)
{
    const RtFunc *f = function(a, fn);
    const RtTensor *t = argument(f, side, i);
    if (!t) return DLC_NOT_FOUND;
    for (uint32_t k = 0; k < t->rank; k++)
        if (!rt_poly(poly_code(f, t->dim[k]), dims, &shape[k]) || shape[k] < 0) return DLC_BAD_DIM;
    return DLC_OK;
}

int64_t dlc_workspace(const dlc_artefact *a, int fn, const int64_t *dims)
{
    return fn < 0 ? -1 : a->d->workspace(a->model, (uint32_t)fn, dims);
}

/* ---- instances ------------------------------------------------------------------------------------------------------------------ */

dlc_instance *dlc_create(dlc_artefact *a, const dlc_options *options, char *error, size_t cap)
{
    dlc_instance *m = malloc(sizeof *m);
    RtInstance *inner = m ? a->d->create(a->model, options) : NULL;
    if (inner) {
        *m = (dlc_instance){a->d, inner};
        return m;
    }
    if (cap) snprintf(error, cap, "%s", m ? a->d->error(NULL) : "no memory");
    free(m);
    return NULL;
}

void dlc_destroy(dlc_instance *m)
{
    if (!m) return;
    m->d->destroy(m->m);
    free(m);
}

const char *dlc_error(dlc_instance *m)
{
    return m->d->error(m->m);
}

int dlc_call(dlc_instance *m, int fn, const int64_t *dims, const void *const *in, void *const *out)
{
    return m->d->call(m->m, (uint32_t)fn, dims, in, out);
}

int dlc_reserve(dlc_instance *m, int fn, const int64_t *dims)
{
    return m->d->reserve(m->m, (uint32_t)fn, dims);
}

int dlc_init(dlc_instance *m, uint64_t seed)
{
    return m->d->init(m->m, seed);
}

int dlc_load(dlc_instance *m, const char *path)
{
    return m->d->load(m->m, path);
}

int dlc_load_partial(dlc_instance *m, const char *path)
{
    return m->d->load_partial(m->m, path);
}

const char *dlc_load_report(dlc_instance *m)
{
    return m->d->load_report(m->m);
}

int dlc_save(dlc_instance *m, const char *path)
{
    return m->d->save(m->m, path);
}

int dlc_save_with(dlc_instance *m, const char *path, const bool *leave_out, const char *const *metadata)
{
    return m->d->save_with(m->m, path, leave_out, metadata);
}

int dlc_get(dlc_instance *m, const char *param, void *data, size_t bytes)
{
    return m->d->get(m->m, param, data, bytes);
}

int dlc_set(dlc_instance *m, const char *param, const void *data, size_t bytes)
{
    return m->d->set(m->m, param, data, bytes);
}

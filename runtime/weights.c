/* weights.c - loading and saving an instance's params and states as safetensors files. A load that fails has changed
 * nothing; a save that fails leaves the old file as it was.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void rt_unmap(void *mapping, int64_t bytes)
{
    if (mapping) munmap(mapping, (size_t)bytes);
}

/* ---- what matches what ----------------------------------------------------------------------------------------------- */

typedef struct Load {
    RtInstance           *m;
    RtSafetensors         file;
    const RtTensorEntry **entry;        /* [nparams] NULL: not in the file */
    bool                 *used;         /* [file.n] */
    char                 *block;        /* of both */
    int64_t               block_bytes;
    char                 *arena;        /* to be the instance's */
    char                 *mapping;
    int64_t               mapping_bytes;
    bool                  partial;
} Load;

/* Floats widen exactly; else the dtypes must be the same. */
static bool converts(uint32_t from, uint32_t to)
{
    if (from == to) return true;
    if (from == RT_f32) return to == RT_f64;
    return (from == RT_f16 || from == RT_bf16) && (to == RT_f32 || to == RT_f64);
}

/* "f32[512,784]" */
static void type_text(char *text, size_t cap, const char *dtype, uint32_t rank, const int64_t *dim)
{
    size_t n = (size_t)snprintf(text, cap, "%s[", dtype);
    for (uint32_t i = 0; i < rank && n < cap; i++) n += (size_t)snprintf(text + n, cap - n, "%s%lld", i ? "," : "", (long long)dim[i]);
    if (n < cap) snprintf(text + n, cap - n, "]");
}

static int check_entry(const Load *l, const RtParam *p, const RtTensorEntry *t)
{
    bool same = t->dtype && converts(t->dtype, p->dtype) && t->rank == p->rank;
    for (uint32_t i = 0; same && i < p->rank; i++) same = t->dim[i] == p->dim[i];
    if (same) return DLC_OK;
    char have[160], want[160];
    type_text(have, sizeof have, t->dtype ? rt_dtype_name(t->dtype) : t->dtype_name, t->rank, t->dim);
    type_text(want, sizeof want, rt_dtype_name(p->dtype), p->rank, p->dim);
    return rt_fail(&l->m->error, DLC_BAD_FILE, RT_PATH ": %.200s is %s, the model's is %s", l->file.path, p->path, have, want);
}

static const RtTensorEntry *find_entry(const Load *l, const RtParam *p)
{
    const RtTensorEntry *t = rt_safetensors_find(&l->file, p->path);
    for (uint32_t i = 0; i < p->naliases && !t; i++) t = rt_safetensors_find(&l->file, p->alias[i]);
    return t;
}

/* Find each param's tensor, whose type must fit. */
static int match(Load *l)
{
    for (uint32_t i = 0; i < l->m->model->nparams; i++) {
        const RtParam *p = &l->m->model->param[i];
        const RtTensorEntry *t = l->entry[i] = find_entry(l, p);
        int status = t ? check_entry(l, p, t) : DLC_OK;
        if (status) return status;
        if (t) l->used[t - l->file.tensor] = true;
    }
    return DLC_OK;
}

/* Is everything there that this load needs? A state that has an initial value may be missing. */
static int check_missing(Load *l)
{
    const RtModel *model = l->m->model;
    RtError *e = &l->m->error;
    uint32_t missing = 0, first = 0, found = 0;
    for (uint32_t i = 0; i < model->nparams; i++) {
        const RtParam *p = &model->param[i];
        found += l->entry[i] != NULL;
        if (!l->entry[i] && (!p->state || p->must_load) && !missing++) first = i;
    }
    if (l->partial && !found && model->nparams)
        return rt_fail(e, DLC_NOT_FOUND, RT_PATH " has none of the model's parameters", l->file.path);
    if (l->partial || !missing) return DLC_OK;
    if (missing == 1) return rt_fail(e, DLC_NOT_FOUND, RT_PATH " lacks the parameter %.200s", l->file.path, model->param[first].path);
    return rt_fail(e, DLC_NOT_FOUND, RT_PATH " lacks %.200s and %u more of the model's parameters", l->file.path, model->param[first].path,
                   missing - 1);
}

/* A line a tensor: "loaded NAME", "missing NAME", "extra NAME". */
static void write_report(const Load *l, RtText *t)
{
    for (uint32_t i = 0; i < l->m->model->nparams; i++) {
        rt_text(t, l->entry[i] ? "loaded " : "missing ");
        rt_text(t, l->m->model->param[i].path);
        rt_text(t, "\n");
    }
    for (uint32_t i = 0; i < l->file.n; i++) {
        if (l->used[i]) continue;
        rt_text(t, "extra ");
        rt_text(t, l->file.tensor[i].name);
        rt_text(t, "\n");
    }
    rt_text_add(t, "", 1);
}

static int make_report(Load *l)
{
    RtInstance *m = l->m;
    RtText t = {0};
    write_report(l, &t);
    char *report = rt_alloc(&m->memory, t.n);
    if (!report) return rt_fail(&m->error, DLC_NO_MEMORY, "no memory for the report of a load");
    rt_free(&m->memory, m->report, m->report_bytes);
    m->report = report;
    m->report_bytes = t.n;
    t = (RtText){.at = report};
    write_report(l, &t);
    return DLC_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff, bits;
    float f;
    if (exponent == 0) {                                /* a subnormal: a whole number of 2^-24 */
        f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The n elements at `from`, converted in place or from elsewhere; from lies at the end of the place or outside of it. */
static void widen(char *to, uint32_t to_dtype, const char *from, uint32_t dtype, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float f;
        uint16_t h;
        uint32_t bits;
        if (dtype == RT_f32) {
            memcpy(&f, from + 4 * i, sizeof f);
        } else {
            memcpy(&h, from + 2 * i, sizeof h);
            bits = (uint32_t)h << 16;
            if (dtype == RT_bf16) memcpy(&f, &bits, sizeof f);
            else f = half_to_float(h);
        }
        double d = f;
        if (to_dtype == RT_f32) memcpy(to + 4 * i, &f, sizeof f);
        else memcpy(to + 8 * i, &d, sizeof d);
    }
}

/* Read a tensor into its place of the arena. */
static int read_value(const Load *l, const RtParam *p, const RtSlot *slot, const RtTensorEntry *t)
{
    char *to = l->arena + slot->offset;
    if (t->dtype == p->dtype) {
        int status = rt_safetensors_read(&l->file, t, to, &l->m->error);
        for (int64_t i = 0; i < t->bytes && p->dtype == RT_bool && !status; i++) to[i] = to[i] != 0;
        return status;
    }
    char *end = to + slot->bytes - t->bytes;            /* narrow elements at the end, widened from the front */
    int status = rt_safetensors_read(&l->file, t, end, &l->m->error);
    if (!status) widen(to, p->dtype, end, t->dtype, slot->bytes / rt_dtype_size[p->dtype]);
    return status;
}

static bool can_map(const Load *l, const RtParam *p, const RtTensorEntry *t)
{
    return l->mapping && t->dtype == p->dtype && p->dtype != RT_bool && (l->file.data + t->begin) % rt_dtype_size[p->dtype] == 0;
}

static int map_file(Load *l)
{
    int64_t bytes = l->file.data + l->file.data_bytes;
    void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, l->file.fd, 0);
    if (p == MAP_FAILED) return rt_fail_errno(&l->m->error, DLC_IO, errno, "cannot map " RT_PATH, l->file.path);
    l->mapping = p;
    l->mapping_bytes = bytes;
    return DLC_OK;
}

/* Does a full load leave this param's value as it is? Only a partial one does. */
static bool keeps(const Load *l, uint32_t i)
{
    return !l->entry[i] && l->partial && l->m->slot[i].has;
}

/* All values, in a new arena: the old one is there until all was read. */
static int read_values(Load *l)
{
    RtInstance *m = l->m;
    int status = m->map ? map_file(l) : DLC_OK;
    bool any = false;                                   /* does anything lie in the arena? */
    for (uint32_t i = 0; i < m->model->nparams; i++) any = any || !l->entry[i] || !can_map(l, &m->model->param[i], l->entry[i]);
    if (status || !any || !m->arena_bytes) return status;
    l->arena = rt_alloc(&m->memory, m->arena_bytes);
    if (!l->arena)
        return rt_fail(&m->error, DLC_NO_MEMORY, "%s: no memory for %lld bytes of parameters", m->model->name, (long long)m->arena_bytes);
    for (uint32_t i = 0; i < m->model->nparams && !status; i++) {
        const RtSlot *slot = &m->slot[i];
        const RtTensorEntry *t = l->entry[i];
        if (keeps(l, i)) memcpy(l->arena + slot->offset, slot->data, (size_t)slot->bytes);
        else if (t && !can_map(l, &m->model->param[i], t)) status = read_value(l, &m->model->param[i], slot, t);
    }
    return status;
}

/* Nothing can fail any more. */
static void take_over(Load *l)
{
    RtInstance *m = l->m;
    for (uint32_t i = 0; i < m->model->nparams; i++) {
        RtSlot *slot = &m->slot[i];
        const RtTensorEntry *t = l->entry[i];
        slot->has = t || keeps(l, i);
        slot->data = t && can_map(l, &m->model->param[i], t) ? l->mapping + l->file.data + t->begin
                     : l->arena                              ? l->arena + slot->offset
                                                             : NULL;
    }
    rt_free(&m->memory, m->arena, m->arena_bytes);
    rt_unmap(m->mapping, m->mapping_bytes);
    m->arena = l->arena;
    m->mapping = l->mapping;
    m->mapping_bytes = l->mapping_bytes;
    rt_all_changed(m);
    if (!l->partial && l->file.calls.has) m->step = (int64_t)l->file.calls.value;
    if (!l->partial && l->file.seed.has) m->seed = l->file.seed.value;
    l->arena = l->mapping = NULL;
}

static int load_file(Load *l)
{
    RtInstance *m = l->m;
    int64_t entries = (int64_t)m->model->nparams * (int64_t)sizeof *l->entry;
    l->block_bytes = entries + l->file.n;
    l->block = rt_alloc_zero(&m->memory, l->block_bytes);
    if (!l->block) return rt_fail(&m->error, DLC_NO_MEMORY, RT_PATH ": no memory", l->file.path);
    l->entry = (const RtTensorEntry **)(void *)l->block;
    l->used = (bool *)(l->block + entries);
    int status = match(l);
    if (!status) status = make_report(l);
    if (!status) status = check_missing(l);
    if (!status) status = read_values(l);
    if (!status) take_over(l);
    rt_free(&m->memory, l->arena, m->arena_bytes);
    rt_unmap(l->mapping, l->mapping_bytes);
    rt_free(&m->memory, l->block, l->block_bytes);
    return status;
}

static int load(RtInstance *m, const char *path, bool partial)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    Load l = {.m = m, .partial = partial};
    int status = path ? rt_safetensors_open(&l.file, &m->memory, path, &m->error)
                      : rt_fail(&m->error, DLC_BAD_ARGUMENT, "load: path is NULL");
    if (!status) {
        status = load_file(&l);
        rt_safetensors_close(&l.file);
    }
    rt_leave(m);
    return status;
}

int dlc_rt_load(RtInstance *m, const char *path)
{
    return load(m, path, false);
}

int dlc_rt_load_partial(RtInstance *m, const char *path)
{
    return load(m, path, true);
}

const char *dlc_rt_load_report(RtInstance *m)
{
    return m && m->report ? m->report : "";
}

/* ---- saving --------------------------------------------------------------------------------------------------------------- */

/* Writers put wide elements first, so that each tensor is aligned to its own size. */
static const uint8_t width_order[] = {8, 4, 2, 1};

typedef int EachParam(void *user, uint32_t i);
static int each_param(const RtModel *model, const bool *leave_out, EachParam *f, void *user)
{
    int status = 0;
    for (size_t w = 0; w < sizeof width_order; w++)
        for (uint32_t i = 0; i < model->nparams && !status; i++)
            if (rt_dtype_size[model->param[i].dtype] == width_order[w] && !(leave_out && leave_out[i])) status = f(user, i);
    return status;
}

typedef struct Header {
    const RtInstance *m;
    const bool *leave_out;
    const char *const *metadata;
    RtText  text;
    int64_t offset;
} Header;

static int header_entry(void *user, uint32_t i)
{
    static const char file_dtype[RT_bool + 1][5] = {"", "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"};
    Header *h = user;
    const RtParam *p = &h->m->model->param[i];
    rt_text(&h->text, ",");
    rt_text_json(&h->text, p->path);
    rt_text(&h->text, ":{\"dtype\":\"");
    rt_text(&h->text, file_dtype[p->dtype]);
    rt_text(&h->text, "\",\"shape\":[");
    for (uint32_t k = 0; k < p->rank; k++) {
        if (k) rt_text(&h->text, ",");
        rt_text_int(&h->text, p->dim[k]);
    }
    rt_text(&h->text, "],\"data_offsets\":[");
    rt_text_int(&h->text, h->offset);
    rt_text(&h->text, ",");
    h->offset += h->m->slot[i].bytes;
    rt_text_int(&h->text, h->offset);
    rt_text(&h->text, "]}");
    return 0;
}

static bool draws(const RtModel *model)
{
    bool any = false;
    for (uint32_t i = 0; i < model->nfuncs; i++) any = any || model->func[i].draws;
    return any;
}

static void counter(RtText *t, const char *key, uint64_t v)
{
    rt_text(t, ",");
    rt_text_json(t, key);
    rt_text(t, ":\"");
    rt_text_unsigned(t, v);
    rt_text(t, "\"");
}

/* The length in 8 bytes, then JSON, padded with spaces so that the data is aligned to 8. */
static void write_header(Header *h)
{
    char length[8] = {0};
    h->offset = 0;
    rt_text_add(&h->text, length, 8);
    rt_text(&h->text, "{\"__metadata__\":{\"format\":\"pt\"");
    if (draws(h->m->model) && !h->leave_out) {          /* weights alone are not a state to go on from */
        counter(&h->text, RT_KEY_CALLS, (uint64_t)h->m->step);
        counter(&h->text, RT_KEY_SEED, h->m->seed);
    }
    for (const char *const *text = h->metadata; text && *text; text++) {
        rt_text(&h->text, (text - h->metadata) % 2 ? ":" : ",");
        rt_text_json(&h->text, *text);
    }
    rt_text(&h->text, "}");
    each_param(h->m->model, h->leave_out, header_entry, h);
    rt_text(&h->text, "}");
    while (h->text.n % 8) rt_text(&h->text, " ");
    for (int i = 0; i < 8 && h->text.at; i++) h->text.at[i] = (char)((uint64_t)(h->text.n - 8) >> 8 * i);
}

typedef struct Writer {
    RtInstance *m;
    const char *path, *temporary;
    const bool *leave_out;
    const char *const *metadata;
    int         fd;
} Writer;

static int write_bytes(Writer *w, const char *p, int64_t n)
{
    while (n > 0) {
        ssize_t done = write(w->fd, p, n > 1 << 30 ? 1 << 30 : (size_t)n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return rt_fail_errno(&w->m->error, DLC_IO, errno, "cannot write " RT_PATH, w->path);
        p += done;
        n -= done;
    }
    return DLC_OK;
}

static int write_value(void *user, uint32_t i)
{
    Writer *w = user;
    return write_bytes(w, w->m->slot[i].data, w->m->slot[i].bytes);
}

static int write_file(Writer *w)
{
    RtInstance *m = w->m;
    Header h = {.m = m, .leave_out = w->leave_out, .metadata = w->metadata};
    write_header(&h);
    int64_t bytes = h.text.n;
    char *text = rt_alloc(&m->memory, bytes);
    if (!text) return rt_fail(&m->error, DLC_NO_MEMORY, "save: no memory");
    h.text = (RtText){.at = text};
    write_header(&h);
    int status = write_bytes(w, text, bytes);
    rt_free(&m->memory, text, bytes);
    if (!status) status = each_param(m->model, w->leave_out, write_value, w);
    if (!status && fsync(w->fd)) status = rt_fail_errno(&m->error, DLC_IO, errno, "cannot write " RT_PATH, w->path);
    return status;
}

/* The rename must last too. Some file systems cannot sync a directory: then it is as durable as they make it. */
static void sync_directory(char *temporary)
{
    char *slash = strrchr(temporary, '/');
    if (slash) slash[slash == temporary] = 0;
    int fd = open(slash ? temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!fsync(fd);
    close(fd);
}

/* A new file beside `path`, "path.1a2b3c4d.tmp". */
static int open_temporary(Writer *w, char *temporary, size_t cap)
{
    struct stat old;
    bool exists = stat(w->path, &old) == 0;
    if (exists && !S_ISREG(old.st_mode)) return rt_fail(&w->m->error, DLC_IO, RT_PATH " exists and is not a regular file", w->path);
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint32_t salt = (uint32_t)now.tv_nsec ^ (uint32_t)getpid() << 12 ^ (uint32_t)((uintptr_t)w->m >> 4);
    for (int tries = 0; tries < 64; tries++, salt = salt * 1664525u + 1013904223u) {
        snprintf(temporary, cap, "%s.%08x.tmp", w->path, salt);
        w->fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 && exists) (void)!fchmod(w->fd, old.st_mode & 0777);
        if (w->fd >= 0 || errno != EEXIST) break;
    }
    if (w->fd < 0) return rt_fail_errno(&w->m->error, DLC_IO, errno, "cannot write " RT_PATH, w->path);
    return DLC_OK;
}

static int save(Writer w, char *temporary, size_t cap)
{
    RtInstance *m = w.m;
    const char *path = w.path;
    int status = open_temporary(&w, temporary, cap);
    if (status) return status;
    status = write_file(&w);
    if (close(w.fd) && !status) status = rt_fail_errno(&m->error, DLC_IO, errno, "cannot write " RT_PATH, path);
    if (!status && rename(temporary, path)) status = rt_fail_errno(&m->error, DLC_IO, errno, "cannot write " RT_PATH, path);
    if (status) unlink(temporary);
    else sync_directory(temporary);
    return status;
}

/* Every param has a value? */
static int check_complete(RtInstance *m)
{
    for (uint32_t i = 0; i < m->model->nparams; i++)
        if (!m->slot[i].has)
            return rt_fail(&m->error, DLC_NOT_LOADED, "save: %s has no value yet: load it first", m->model->param[i].path);
    return DLC_OK;
}

int dlc_rt_save_with(RtInstance *m, const char *path, const bool *leave_out, const char *const *metadata)
{
    if (!m) return DLC_BAD_ARGUMENT;
    if (!rt_enter(m)) return DLC_BUSY;
    int status = path ? rt_init_absent(m) : rt_fail(&m->error, DLC_BAD_ARGUMENT, "save: path is NULL");
    if (!status) status = check_complete(m);
    if (!status) {
        int64_t cap = (int64_t)strlen(path) + 16;
        char *temporary = rt_alloc(&m->memory, cap);
        Writer w = {.m = m, .path = path, .temporary = temporary, .leave_out = leave_out, .metadata = metadata};
        status = temporary ? save(w, temporary, (size_t)cap) : rt_fail(&m->error, DLC_NO_MEMORY, "save: no memory");
        rt_free(&m->memory, temporary, cap);
    }
    rt_leave(m);
    return status;
}

int dlc_rt_save(RtInstance *m, const char *path)
{
    return dlc_rt_save_with(m, path, NULL, NULL);
}

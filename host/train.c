/* train.c - a training run before it runs: which results are metrics, which one is monitored, what counts as weights. */
#include "host/train_internal.h"

#include <string.h>

#include "base/size.h"
#include "host/internal.h"
#include "ir/ir.h"

static bool fail(Arena *a, const char **error, const char *fmt, ...) PRINTF(3, 4);
static bool fail(Arena *a, const char **error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *error = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return false;
}

void train_note(const Train *t, const char *fmt, ...)
{
    if (!t->o.watch.note) return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->o.watch.note(t->o.watch.user, text);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------ */

static bool is_float(int dtype) { return dtype >= DLC_F64 && dtype <= DLC_BF16; }

static void add_metrics(Train *t, const TrainCall *c, bool validation)
{
    for (int i = 0; i < c->noutputs; i++) {
        const dlc_argument_info *r = &c->output[i];
        if (r->state || r->rank) continue;
        TrainMetric m = {arena_printf(t->arena, "%s%s", validation ? "val_" : "", r->name), validation, !is_float(r->dtype), i};
        vec_push(t->arena, &t->metrics, m);
    }
}

/* Results of `evaluate` with numbers for dims can be added up; others, as one label an example, are not looked at. */
static void add_tables(Train *t, const TrainCall *c)
{
    for (int i = 0; i < c->noutputs; i++) {
        const dlc_argument_info *r = &c->output[i];
        if (r->state || !r->rank) continue;
        TrainTable table = {.name = r->name, .output = i, .rank = r->rank, .count = 1};
        bool fixed = true;
        for (int k = 0; k < r->rank && fixed; k++) {
            table.dim[k] = r->dim[k];
            fixed = r->dim[k] >= 0 && size_mul(table.count, r->dim[k], &table.count);
        }
        if (!fixed) continue;
        table.sum = arena_array(t->arena, double, (size_t)table.count);
        vec_push(t->arena, &t->tables, table);
    }
}

static int find_metric(const Train *t, const char *name, size_t n)
{
    for (uint32_t i = 0; i < t->metrics.n; i++)
        if (strlen(t->metrics.at[i].name) == n && !memcmp(t->metrics.at[i].name, name, n)) return (int)i;
    return -1;
}

/* Metrics that are better when they are higher; what is not known as one is taken for a loss. */
static bool higher_is_better(const char *name)
{
    static const char *const word[] = {"acc", "score", "auc", "precision", "recall", "f1", "r2", "top", "correct", "iou", "bleu", "reward", "dice"};
    for (size_t i = 0; i < COUNT(word); i++)
        if (strstr(name, word[i])) return true;
    return false;
}

static bool unknown_metric(Train *t, const char *name, const char **error)
{
    const char **names = arena_array(t->arena, const char *, t->metrics.n + 1);
    Str all = {.arena = t->arena};
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        names[i] = t->metrics.at[i].name;
        str_fmt(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest(name, names, t->metrics.n);
    if (near) return fail(t->arena, error, "no metric '%s' to monitor; did you mean '%s'?", name, near);
    return fail(t->arena, error, "no metric '%s' to monitor; there %s", name, t->metrics.n ? arena_printf(t->arena, "are: %s", all.at) : "are none");
}

/* The one asked for; else val_loss, loss, or the first of validation, of training. */
static bool choose_monitor(Train *t, const char **error)
{
    const char *text = t->o.monitor;
    t->monitor = -1;
    if (text) {
        const char *colon = strchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : strlen(text);
        if (colon && strcmp(colon, ":max") && strcmp(colon, ":min"))
            return fail(t->arena, error, "what is monitored is NAME, NAME:max or NAME:min, not '%s'", text);
        t->monitor = find_metric(t, text, n);
        if (t->monitor < 0) return unknown_metric(t, arena_strndup(t->arena, text, n), error);
        t->maximise = colon ? !strcmp(colon, ":max") : higher_is_better(t->metrics.at[t->monitor].name);
        t->keeps_best = true;
        return true;
    }
    bool validates = t->o.validation != NULL;
    t->monitor = find_metric(t, validates ? "val_loss" : "loss", validates ? 8 : 4);
    for (uint32_t i = 0; i < t->metrics.n && t->monitor < 0; i++)
        if (t->metrics.at[i].validation == validates) t->monitor = (int)i;
    t->keeps_best = validates && t->monitor >= 0;
    if (t->monitor >= 0) t->maximise = higher_is_better(t->metrics.at[t->monitor].name);
    else if (t->o.patience || t->o.nplateau) return fail(t->arena, error, "there is no metric to monitor: neither function has a scalar result");
    return true;
}

bool train_better(const Train *t, double a, double b)
{
    return t->maximise ? a > b : a < b;
}

/* ---- params and states ------------------------------------------------------------------------------------------------------ */

static bool find_param(const dlc_artefact *artefact, const char *path, dlc_param_info *p)
{
    for (int i = 0; i < dlc_param_count(artefact); i++)
        if (!dlc_param(artefact, i, p) && !strcmp(p->path, path)) return true;
    return false;
}

/* A state of a float type that one multiplication can steer. */
static bool check_state(Arena *a, const dlc_artefact *artefact, const char *path, dlc_param_info *p, const char **error)
{
    int count = dlc_param_count(artefact);
    if (find_param(artefact, path, p)) return true;
    const char **names = arena_array(a, const char *, (size_t)count + 1);
    for (int i = 0; i < count; i++) {
        dlc_param_info info;
        names[i] = dlc_param(artefact, i, &info) ? "" : info.path;
    }
    const char *near = nearest(path, names, (size_t)count);
    return fail(a, error, near ? "the model has no state '%s'; did you mean '%s'?" : "the model has no state '%s'", path, near);
}

bool train_set(Arena *a, dlc_artefact *artefact, dlc_instance *m, const char *path, double value, const char **error)
{
    dlc_param_info p;
    if (!check_state(a, artefact, path, &p, error)) return false;
    size_t size = dlc_dtype_size(p.dtype);
    Tensor x = {.dtype = (DType)p.dtype, .rank = 1, .dim = {(int64_t)(p.bytes / size)}, .data = arena_alloc(a, p.bytes)};
    for (int64_t i = 0; i < x.dim[0]; i++) tensor_set(&x, i, value);
    if (x.dim[0] && !is_float(p.dtype) && tensor_get(&x, 0) != value)
        return fail(a, error, "%s is %s, which cannot be %g", path, dlc_dtype_name(p.dtype), value);
    if (dlc_set(m, p.path, x.data, p.bytes)) return fail(a, error, "%s", dlc_error(m));
    return true;
}

static bool check_plateaus(Train *t, const char **error)
{
    for (uint32_t i = 0; i < t->o.nplateau; i++) {
        dlc_param_info p;
        if (!check_state(t->arena, t->o.artefact, t->o.plateau[i].path, &p, error)) return false;
        if (!is_float(p.dtype) || p.rank)
            return fail(t->arena, error, "%s is no scalar of a float type, so no plateau can lower it", p.path);
    }
    return true;
}

/* Does the function change params or states? */
static bool has_effects(const dlc_artefact *artefact, int fn)
{
    dlc_argument_info r;
    for (int i = 0; dlc_argument(artefact, fn, DLC_OUTPUT, i, &r) == DLC_OK; i++)
        if (r.state) return true;
    return false;
}

/* The weights are the params, and those states that a function without effects computes from: the running means of a norm,
 * not an optimizer's moments. Where all functions have effects, it is everything: NULL. */
static bool *not_weights(Arena *a, const dlc_artefact *artefact)
{
    int nparams = dlc_param_count(artefact), pure = 0;
    bool *leave_out = arena_array(a, bool, (size_t)nparams + 1);
    for (int i = 0; i < nparams; i++) {
        dlc_param_info p;
        leave_out[i] = dlc_param(artefact, i, &p) == DLC_OK && p.state;
    }
    for (int fn = 0; fn < dlc_function_count(artefact); fn++) {
        if (has_effects(artefact, fn)) continue;
        pure++;
        for (int i = 0; i < nparams; i++)
            if (dlc_reads(artefact, fn, i)) leave_out[i] = false;
    }
    return pure ? leave_out : NULL;
}

/* ---- together ---------------------------------------------------------------------------------------------------------------- */

Train *train_new(Arena *a, const TrainOptions *o, const char **error)
{
    Train *t = arena_new(a, Train);
    TrainInner *inner = t->inner = arena_new(a, TrainInner);
    t->arena = a;
    t->o = *o;
    if (!t->o.validation) t->o.evaluate = -1;
    t->o.plateau = arena_copy(a, o->plateau, o->nplateau * sizeof *o->plateau);
    if (!train_call_init(a, o->artefact, o->step, o->step_dims, &inner->step, error)) return NULL;
    add_metrics(t, &inner->step, false);
    if (t->o.evaluate >= 0) {
        if (!train_call_init(a, o->artefact, t->o.evaluate, o->evaluate_dims, &inner->evaluate, error)) return NULL;
        add_metrics(t, &inner->evaluate, true);
        add_tables(t, &inner->evaluate);
    }
    t->sum = arena_array(a, double, t->metrics.n + 1);
    t->weight = arena_array(a, double, t->metrics.n + 1);
    inner->description = dataset_describe(o->data);
    inner->leave_out = not_weights(a, o->artefact);
    t->epoch_batches = dataset_batches(o->data, o->batch);
    if (t->epoch_batches < 1) {
        fail(a, error, "%lld examples are not one batch of %lld", (long long)dataset_count(o->data), (long long)o->batch);
        return NULL;
    }
    if (!choose_monitor(t, error) || !check_plateaus(t, error)) return NULL;
    return t;
}

void train_free(Train *t)
{
    if (!t) return;
    train_call_free(&t->inner->step);
    train_call_free(&t->inner->evaluate);
}

/* train_loop.c - training itself: steps over batches, and at the end of each period validation, a record and a checkpoint.
 * All that the rest of a run depends on is in Train and in the instance, and both are in a checkpoint; so a run that was
 * interrupted anywhere and resumed computes the same bits as one that was not.
 */
#include "host/train_internal.h"

#include <math.h>
#include <string.h>

#include "ir/ir.h"

typedef enum Go { GO_ON, GO_STOP, GO_FAIL } Go;         /* GO_STOP: somebody asked for it */

static bool stop_wanted(const Train *t) { return t->o.stop && *t->o.stop; }

static Go fail(Train *t, const char *fmt, ...) PRINTF(2, 3);
static Go fail(Train *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->inner->error, sizeof t->inner->error, fmt, ap);
    va_end(ap);
    return GO_FAIL;
}

/* ---- metrics --------------------------------------------------------------------------------------------------------------- */

/* Add what a call returned on `count` examples to the sums of the metrics of its side. */
static void add_results(Train *t, const TrainCall *c, bool validation, int64_t count)
{
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        const TrainMetric *m = &t->metrics.at[i];
        if (m->validation != validation) continue;
        double v = train_result(c, m->output, 0);
        t->sum[i] += m->count ? v : v * (double)count;
        t->weight[i] += (double)count;
    }
    for (uint32_t i = 0; i < t->tables.n && validation; i++) {
        TrainTable *table = &t->tables.at[i];
        for (int64_t k = 0; k < table->count; k++) table->sum[k] += train_result(c, table->output, k);
    }
}

static void clear_sums(Train *t, bool validation)
{
    for (uint32_t i = 0; i < t->metrics.n; i++)
        if (t->metrics.at[i].validation == validation) t->sum[i] = t->weight[i] = 0;
    for (uint32_t i = 0; i < t->tables.n && validation; i++)
        memset(t->tables.at[i].sum, 0, (size_t)t->tables.at[i].count * sizeof(double));
}

static double metric_value(const Train *t, uint32_t i)
{
    if (t->weight[i] == 0) return NAN;
    return t->metrics.at[i].count ? t->sum[i] : t->sum[i] / t->weight[i];
}

/* ---- validation and records --------------------------------------------------------------------------------------------------- */

static Go validate(Train *t)
{
    if (t->o.evaluate < 0) return GO_ON;
    const char *error = NULL;
    char text[1024];
    TrainCall *c = &t->inner->evaluate;
    clear_sums(t, true);
    t->validating = true;
    t->validation_batch = 0;
    int64_t fixed = dataset_batch_size(t->o.validation), size = fixed > 0 ? fixed : t->o.batch;
    t->validation_batches = dataset_batches(t->o.validation, size);
    Batches *b = batches_open(t->o.validation, &(BatchOptions){.size = size, .seed = t->o.seed, .prefetch = true}, &error);
    Batch batch;
    Go go = b ? GO_ON : fail(t, "validation: %s", error);
    while (go == GO_ON && batches_next(b, &batch, &error)) {
        if (train_call(&t->o, c, &batch, text, sizeof text)) {
            go = fail(t, "validation: %s (batch %lld)", text, (long long)batch.index + 1);
            break;
        }
        add_results(t, c, true, batch.count);
        t->validation_batch++;
        if (t->o.watch.batch) t->o.watch.batch(t->o.watch.user, t);
        if (stop_wanted(t)) go = GO_STOP;
    }
    if (go == GO_ON && error) go = fail(t, "validation: %s", error);
    batches_close(b);
    t->validating = false;
    return go;
}

/* Lower the states whose plateau has lasted long enough. */
static Go lower_plateaus(Train *t, bool better)
{
    for (uint32_t i = 0; i < t->o.nplateau; i++) {
        TrainPlateau *p = &t->o.plateau[i];
        p->stale = better ? 0 : p->stale + 1;
        if (p->stale < p->patience) continue;
        p->stale = 0;
        for (int k = 0; k < dlc_param_count(t->o.artefact); k++) {
            dlc_param_info info;
            double store = 0;
            if (dlc_param(t->o.artefact, k, &info) || strcmp(info.path, p->path) || info.bytes > sizeof store) continue;
            if (dlc_get(t->o.instance, p->path, &store, info.bytes)) return fail(t, "%s", dlc_error(t->o.instance));
            Tensor x = {.dtype = (DType)info.dtype, .rank = 1, .dim = {1}, .data = &store};
            double before = tensor_get(&x, 0);
            tensor_set(&x, 0, before * p->factor);
            if (dlc_set(t->o.instance, p->path, &store, info.bytes)) return fail(t, "%s", dlc_error(t->o.instance));
            train_note(t, "%s was not better for %lld periods: %s is now %.4g, before %.4g", t->metrics.at[t->monitor].name,
                       (long long)p->patience, p->path, tensor_get(&x, 0), before);
        }
    }
    return GO_ON;
}

/* Seconds of training over all runs; the clock of this one starts at run_start. */
static double seconds_now(const Train *t) { return t->seconds + time_now() - t->run_start; }

/* The end of a period. The weights are written before the checkpoint that says so: killed between the two, a resumed run
 * comes here again and writes the same. */
static Go end_period(Train *t)
{
    Go go = validate(t);
    if (go != GO_ON) return go;
    TrainRecord r = {.epoch = t->epoch + 1, .step = t->step, .examples = t->examples, .seconds = seconds_now(t)};
    const TrainRecord *last = t->history.n ? &t->history.at[t->history.n - 1] : NULL;
    double seconds = r.seconds - (last ? last->seconds : 0);
    r.rate = seconds > 0 ? (double)(r.examples - (last ? last->examples : 0)) / seconds : 0;
    r.value = arena_array(t->arena, double, t->metrics.n + 1);
    for (uint32_t i = 0; i < t->metrics.n; i++) r.value[i] = metric_value(t, i);
    if (t->monitor >= 0) {
        double v = r.value[t->monitor];
        bool better = v == v && (!t->best_step || train_better(t, v, t->best));
        bool saved = !better || !t->keeps_best || train_save_weights(t);
        if (better && saved) {                          /* what is not on disk is not the best one */
            r.best = true;
            t->best = v;
            t->best_epoch = r.epoch;
            t->best_step = t->step;
        }
        t->stale = better ? 0 : t->stale + 1;
        go = lower_plateaus(t, better);
        if (go != GO_ON) return go;
    }
    vec_push(t->arena, &t->history, r);
    t->period_steps = 0;
    clear_sums(t, false);
    train_save_checkpoint(t);
    if (t->o.watch.record) t->o.watch.record(t->o.watch.user, t, &t->history.at[t->history.n - 1]);
    return GO_ON;
}

/* ---- steps ------------------------------------------------------------------------------------------------------------------------ */

static bool finished(const Train *t)
{
    return (t->o.steps && t->step >= t->o.steps) || (!t->o.steps && t->epoch >= t->o.epochs);
}

static bool lost_patience(const Train *t) { return t->o.patience && t->stale >= t->o.patience; }

/* A step that is not finite has changed nothing: it is left out. */
static Go skip_step(Train *t, const char *why)
{
    t->skipped++;
    t->skipped_in_row++;
    if (t->skipped <= 10) train_note(t, "step %lld is skipped: %s", (long long)t->step + 1, why);
    else if (t->skipped % 100 == 0) train_note(t, "%lld steps skipped so far; the last: %s", (long long)t->skipped, why);
    if (t->o.max_skipped && t->skipped_in_row >= t->o.max_skipped)
        return fail(t, "%lld steps in a row were not finite: %s", (long long)t->skipped_in_row, why);
    return GO_ON;
}

static Go run_step(Train *t, const Batch *b)
{
    char text[1024];
    TrainCall *c = &t->inner->step;
    int status = train_call(&t->o, c, b, text, sizeof text);
    if (status == DLC_NOT_FINITE) {
        Go go = skip_step(t, text);
        if (go != GO_ON) return go;
    } else if (status) {
        return fail(t, "%s (epoch %lld, batch %lld)", text, (long long)t->epoch + 1, (long long)b->index + 1);
    } else {
        add_results(t, c, false, b->count);
        t->skipped_in_row = 0;
    }
    t->step++;
    t->batch++;
    t->period_steps++;
    t->examples += b->count;
    if (t->o.watch.batch) t->o.watch.batch(t->o.watch.user, t);
    return GO_ON;
}

/* The batches of this epoch that are left. */
static Go run_epoch(Train *t)
{
    const char *error = NULL;
    BatchOptions o = {.size = t->o.batch, .seed = t->o.seed, .epoch = t->epoch, .first = t->batch, .shuffle = t->o.shuffle,
                      .augment = t->o.augment, .prefetch = true};
    Batches *b = batches_open(t->o.data, &o, &error);
    if (!b) return fail(t, "%s", error);
    Go go = GO_ON;
    Batch batch;
    while (go == GO_ON && !finished(t) && !lost_patience(t)) {
        if (stop_wanted(t)) go = GO_STOP;
        else if (!batches_next(b, &batch, &error)) break;
        else go = run_step(t, &batch);
        if (go == GO_ON && t->o.every && t->period_steps >= t->o.every) go = end_period(t);
    }
    if (go == GO_ON && error) go = fail(t, "%s", error);
    batches_close(b);
    return go;
}

static Go run(Train *t)
{
    Go go = GO_ON;
    /* A run that was stopped during validation comes back to it. */
    if (t->o.every && t->period_steps >= t->o.every) go = end_period(t);
    while (go == GO_ON && !finished(t) && !lost_patience(t)) {
        t->epoch_batches = dataset_batches(t->o.data, t->o.batch);
        go = run_epoch(t);
        if (go != GO_ON) break;
        bool whole = t->batch >= t->epoch_batches;
        if (!t->o.every && t->period_steps && (whole || finished(t))) go = end_period(t);
        if (go == GO_ON && whole) {
            t->epoch++;
            t->batch = 0;
        }
    }
    if (go == GO_ON && finished(t) && t->period_steps) go = end_period(t);
    return go;
}

/* What was reached goes to disk at the end of a run, whatever ended it. Weights that are not the best ones do not replace
 * others then: those of a run that failed are in its checkpoint only. */
static bool save_all(Train *t, Go go)
{
    bool ok = train_save_checkpoint(t), first = t->keeps_best && !t->best_step;
    if (t->inner->unsaved[0] || (go != GO_FAIL && (!t->keeps_best || first))) ok = train_save_weights(t) && ok;
    return ok;
}

TrainEnd train_run(Train *t, const char **error)
{
    *error = NULL;
    t->inner->error[0] = 0;
    t->run_start = time_now();
    t->run_step = t->step;
    t->run_examples = t->examples;
    uint32_t records = t->history.n;
    train_clean(t, t->o.out);
    train_clean(t, t->o.checkpoint);
    Go go = run(t);
    t->seconds = seconds_now(t);
    t->run_start = time_now();
    bool moved = t->step != t->run_step || t->history.n != records;
    bool saved = !moved || save_all(t, go);
    if (go == GO_FAIL) {
        *error = t->inner->error;
        return TRAIN_FAILED;
    }
    if (!saved) {
        *error = t->inner->unsaved[0] ? t->inner->unsaved[0] : t->inner->unsaved[1];
        return TRAIN_FAILED;
    }
    return go == GO_STOP ? TRAIN_STOPPED : lost_patience(t) ? TRAIN_EARLY : TRAIN_DONE;
}

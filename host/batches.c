/* batches.c - one epoch of a data set in batches: its order, and a thread that makes the next batch while the last is
 * used. Two slots take turns: the reader holds one, the thread fills the other. What a batch holds depends on its number
 * alone, never on who makes it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "host/dataset_internal.h"

enum { SLOTS = 2, ALIGNMENT = 64 };

typedef struct Slot {
    dlc_tensor  *in;
    const void **data;
    int64_t      count, index;
    bool         full;                  /* guarded by the mutex */
    const char  *error;
} Slot;

struct Batches {
    Arena        arena;
    Dataset     *d;
    BatchOptions o;
    int64_t     *order;                 /* examples of the epoch; NULL: as they stand */
    int64_t      phase, total;          /* phase: where the windows begin; total: batches */
    int64_t      next;                  /* to be given */
    double     **work;                  /* augmentation: 2 * elements doubles an input */
    void       **to;
    Slot         slot[SLOTS];
    bool         threaded, stop;        /* stop: guarded */
    pthread_t    thread;
    pthread_mutex_t mutex;
    pthread_cond_t  changed;
};

/* ---- one batch -------------------------------------------------------------------------------------------------------------------- */

/* The example in place i of the epoch. */
static int64_t example(const Batches *b, int64_t i)
{
    const Dataset *d = b->d;
    int64_t n = b->order ? b->order[i] : i;
    if (!d->windows) return d->row[n];
    int64_t starts = d->end - d->begin - d->length + 1;
    return d->begin + (b->phase + n * d->stride) % starts;
}

/* Fill the slot with batch number `index`. Errors live in b->arena: the thread's alone while it runs. */
static void fill(Batches *b, Slot *s, int64_t index)
{
    const Dataset *d = b->d;
    Arena scratch = {0};
    const char *why = NULL;
    int64_t first = index * b->o.size;
    s->index = index;
    s->count = d->count - first < b->o.size ? d->count - first : b->o.size;
    s->error = NULL;
    for (int64_t i = 0; i < s->count && !why; i++) {
        int64_t row = example(b, first + i);
        for (uint32_t k = 0; k < d->ninputs; k++) {
            const Input *in = &d->input[k];
            if (!in->batched) continue;
            b->to[k] = (char *)s->in[k].data + (size_t)(i * in->elements) * dlc_dtype_size(in->dtype);
            if (!b->work && !input_write(&scratch, in, row, b->to[k], &why)) break;
        }
        if (b->work) augment_example(&scratch, d, b->o.seed, b->o.epoch, row, b->work, b->to, &why);
        if (scratch.used > 1 << 20 && !why) arena_free(&scratch);
    }
    for (uint32_t k = 0; k < d->ninputs; k++)
        if (d->input[k].batched) s->in[k].dim[0] = s->count;
    if (why) s->error = arena_strndup(&b->arena, why, strlen(why));
    arena_free(&scratch);
}

/* ---- the thread --------------------------------------------------------------------------------------------------------------------- */

static void *prefetch(void *arg)
{
    Batches *b = arg;
    for (int64_t i = b->o.first; i < b->total; i++) {
        Slot *s = &b->slot[i % SLOTS];
        pthread_mutex_lock(&b->mutex);
        while (s->full && !b->stop) pthread_cond_wait(&b->changed, &b->mutex);
        bool stop = b->stop;
        pthread_mutex_unlock(&b->mutex);
        if (stop) break;
        fill(b, s, i);
        pthread_mutex_lock(&b->mutex);
        s->full = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->mutex);
        if (s->error) break;
    }
    return NULL;
}

/* Where no thread can be had, batches are made by the caller. Signals are the caller's business. */
static void start_thread(Batches *b)
{
    sigset_t all, before;
    if (pthread_mutex_init(&b->mutex, NULL)) return;
    if (pthread_cond_init(&b->changed, NULL)) {
        pthread_mutex_destroy(&b->mutex);
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    b->threaded = !pthread_create(&b->thread, NULL, prefetch, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (b->threaded) return;
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mutex);
}

static void stop_thread(Batches *b)
{
    if (!b->threaded) return;
    pthread_mutex_lock(&b->mutex);
    b->stop = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->mutex);
}

/* ---- an epoch ------------------------------------------------------------------------------------------------------------------------- */

static void *aligned(Arena *a, int64_t bytes)
{
    uintptr_t p = (uintptr_t)arena_alloc(a, (size_t)bytes + ALIGNMENT);
    return (void *)((p + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

static bool make_slot(Batches *b, Slot *s)
{
    const Dataset *d = b->d;
    int64_t most = b->o.size < d->count ? b->o.size : d->count;
    s->in = arena_array(&b->arena, dlc_tensor, d->ninputs);
    s->data = arena_array(&b->arena, const void *, d->ninputs);
    for (uint32_t k = 0; k < d->ninputs; k++) {
        const Input *in = &d->input[k];
        dlc_tensor *t = &s->in[k];
        int64_t bytes;
        *t = in->array;
        if (in->batched) {
            *t = (dlc_tensor){.dtype = in->dtype, .rank = in->rank + 1, .dim = {most}};
            memcpy(t->dim + 1, in->dim, (size_t)in->rank * sizeof *in->dim);
            if (!shape_bytes(t->dtype, t->rank, t->dim, &bytes) || bytes > INT64_C(1) << 40) return false;
            t->data = aligned(&b->arena, bytes);
        }
        s->data[k] = t->data;
    }
    return true;
}

static void make_order(Batches *b)
{
    const Dataset *d = b->d;
    if (!b->o.shuffle) return;
    b->order = arena_array(&b->arena, int64_t, (size_t)d->count);
    draw_order(DRAW_ORDER, b->o.seed, b->o.epoch, b->order, d->count);
    if (d->windows) b->phase = draw_below(DRAW_PHASE, b->o.seed, b->o.epoch, 0, d->end - d->begin - d->length + 1);
}

static void make_work(Batches *b)
{
    const Dataset *d = b->d;
    b->to = arena_array(&b->arena, void *, d->ninputs);
    if (!d->augment || !b->o.augment) return;
    b->work = arena_array(&b->arena, double *, d->ninputs);
    for (uint32_t k = 0; k < d->ninputs; k++)
        if (d->input[k].batched) b->work[k] = arena_array(&b->arena, double, (size_t)d->input[k].elements * 2);
}

Batches *batches_open(Dataset *d, const BatchOptions *o, const char **error)
{
    int64_t total = dataset_batches(d, o->size);
    if (o->size < 1) return data_fail(d->arena, error, "a batch has at least one example"), NULL;
    if (d->batch_size && o->size != d->batch_size)
        return data_fail(d->arena, error, "the function takes batches of %lld, not of %lld", (long long)d->batch_size, (long long)o->size), NULL;
    if (!total) return data_fail(d->arena, error, "%lld examples are not one batch of %lld", (long long)d->count, (long long)o->size), NULL;
    if (o->first < 0 || o->first > total || o->epoch < 0)
        return data_fail(d->arena, error, "epoch %lld has %lld batches and no number %lld", (long long)o->epoch, (long long)total, (long long)o->first), NULL;
    Batches *b = calloc(1, sizeof *b);
    if (!b) return data_fail(d->arena, error, "no memory"), NULL;
    b->d = d, b->o = *o, b->total = total, b->next = o->first;
    for (int i = 0; i < SLOTS; i++)
        if (!make_slot(b, &b->slot[i])) {
            batches_close(b);
            return data_fail(d->arena, error, "batches of %lld examples are too large", (long long)o->size), NULL;
        }
    make_order(b);
    make_work(b);
    if (o->prefetch) start_thread(b);
    return b;
}

bool batches_next(Batches *b, Batch *batch, const char **error)
{
    *error = NULL;
    if (b->next >= b->total) return false;
    Slot *s = &b->slot[b->next % SLOTS], *last = &b->slot[(b->next + 1) % SLOTS];
    if (b->threaded) {
        pthread_mutex_lock(&b->mutex);
        if (b->next > b->o.first && last->full) {       /* the batch before this one is done with */
            last->full = false;
            pthread_cond_broadcast(&b->changed);
        }
        while (!s->full) pthread_cond_wait(&b->changed, &b->mutex);
        pthread_mutex_unlock(&b->mutex);
    } else {
        fill(b, s, b->next);
    }
    if (s->error) {
        *error = s->error;
        return false;                                   /* and again, if asked again */
    }
    *batch = (Batch){.in = s->in, .data = s->data, .count = s->count, .index = s->index};
    b->next++;
    return true;
}

void batches_close(Batches *b)
{
    if (!b) return;
    stop_thread(b);
    arena_free(&b->arena);
    free(b);
}

/* ---- all examples at once ----------------------------------------------------------------------------------------------------------------- */

dlc_tensor *dataset_tensors(Dataset *d, const char **error)
{
    Batches *b = batches_open(d, &(BatchOptions){.size = d->batch_size ? d->batch_size : d->count}, error);
    dlc_tensor *all = arena_array(d->arena, dlc_tensor, (size_t)d->ninputs + 1);
    Batch batch;
    const char *why = NULL;
    bool ok = b && batches_next(b, &batch, &why);
    for (uint32_t i = 0; ok && i < d->ninputs; i++) {
        int64_t bytes = 0;
        all[i] = batch.in[i];
        ok = shape_bytes(all[i].dtype, all[i].rank, all[i].dim, &bytes);
        all[i].data = memcpy(aligned(d->arena, bytes), batch.in[i].data, (size_t)bytes);
    }
    if (b && !ok) data_fail(d->arena, error, "%s", why ? why : "the examples are too large for one call");
    batches_close(b);
    return ok ? all : NULL;
}

/* train_checkpoint.c - what a training run leaves on disk. `out` has the weights. `checkpoint` has everything: params and
 * states with the runtime's own counters, and as one JSON text in the file's metadata ("dlc.train") the position in the
 * data, the sums of the period, the best metric, the history, and the facts that must not change. One file, so one rename
 * replaces all of it. What is read may have been written by anybody.
 *
 *   {"version":1,"facts":{"batch":"64"},"epoch":3,"in_epoch":0,"step":72,"examples":4311,...,
 *    "metrics":["loss","val_loss"],"sum":[0,0.5],"weight":[0,180],"history":[[1,24,1437,0.5,2874,true,[0.5,0.4]]]}
 */
#include "host/train_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

enum { VERSION = 1, MAX_HEADER = 100000000, MAX_RECORDS = 100000 };
static const int64_t MAX_COUNT = (int64_t)1 << 53;      /* of anything that is counted */

/* ---- writing ---------------------------------------------------------------------------------------------------------------- */

static void put_double(Str *s, double v)
{
    if (isfinite(v)) str_double(s, v);
    else str_add(s, "null");
}

static void put_doubles(Str *s, const double *v, uint32_t n)
{
    str_char(s, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i) str_char(s, ',');
        put_double(s, v[i]);
    }
    str_char(s, ']');
}

static void put_text(Str *s, const char *text) { str_json(s, text, strlen(text)); }

static void put_number(Str *s, const char *name, int64_t v) { str_fmt(s, ",\"%s\":%lld", name, (long long)v); }

static const char *checkpoint_text(Arena *a, const Train *t)
{
    Str s = {.arena = a};
    str_fmt(&s, "{\"version\":%d,\"facts\":{", VERSION);
    for (uint32_t i = 0; i < t->o.nfacts; i++) {
        if (i) str_char(&s, ',');
        put_text(&s, t->o.fact[i].name);
        str_char(&s, ':');
        put_text(&s, t->o.fact[i].value);
    }
    str_add(&s, "}");
    put_number(&s, "epoch", t->epoch);
    put_number(&s, "in_epoch", t->batch);
    put_number(&s, "step", t->step);
    put_number(&s, "examples", t->examples);
    put_number(&s, "period_steps", t->period_steps);
    put_number(&s, "skipped", t->skipped);
    put_number(&s, "skipped_in_row", t->skipped_in_row);
    put_number(&s, "best_epoch", t->best_epoch);
    put_number(&s, "best_step", t->best_step);
    put_number(&s, "stale", t->stale);
    str_add(&s, ",\"seconds\":");
    put_double(&s, t->seconds + (time_now() - t->run_start));
    str_add(&s, ",\"best\":");
    put_double(&s, t->best);
    str_add(&s, ",\"plateaus\":[");
    for (uint32_t i = 0; i < t->o.nplateau; i++) str_fmt(&s, "%s%lld", i ? "," : "", (long long)t->o.plateau[i].stale);
    str_add(&s, "],\"metrics\":[");
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        if (i) str_char(&s, ',');
        put_text(&s, t->metrics.at[i].name);
    }
    str_add(&s, "],\"sum\":");
    put_doubles(&s, t->sum, t->metrics.n);
    str_add(&s, ",\"weight\":");
    put_doubles(&s, t->weight, t->metrics.n);
    str_add(&s, ",\"history\":[");
    uint32_t first = t->history.n > MAX_RECORDS ? t->history.n - MAX_RECORDS : 0;
    for (uint32_t i = first; i < t->history.n; i++) {
        const TrainRecord *r = &t->history.at[i];
        str_fmt(&s, "%s[%lld,%lld,%lld,", i > first ? "," : "", (long long)r->epoch, (long long)r->step, (long long)r->examples);
        put_double(&s, r->seconds);
        str_char(&s, ',');
        put_double(&s, r->rate);
        str_add(&s, r->best ? ",true," : ",false,");
        put_doubles(&s, r->value, t->metrics.n);
        str_char(&s, ']');
    }
    str_add(&s, "]}");
    return s.at;
}

/* unsaved: where it is remembered that this file is not up to date. */
static bool save(Train *t, const char *path, const bool *leave_out, const char *const *metadata, const char **unsaved)
{
    int status = dlc_save_with(t->o.instance, path, leave_out, metadata);
    *unsaved = NULL;
    if (status == DLC_OK) return true;
    *unsaved = arena_printf(t->arena, "%s", dlc_error(t->o.instance));
    train_note(t, "%s; training goes on, and what was there before is whole", *unsaved);
    return false;
}

bool train_save_weights(Train *t)
{
    if (!t->o.out) return true;
    const char *metadata[] = {"dlc.data", t->inner->description, NULL};
    return save(t, t->o.out, t->inner->leave_out, metadata, &t->inner->unsaved[0]);
}

bool train_save_checkpoint(Train *t)
{
    if (!t->o.checkpoint) return true;
    Arena scratch = {0};
    const char *metadata[] = {"dlc.data", t->inner->description, "dlc.train", checkpoint_text(&scratch, t), NULL};
    bool ok = save(t, t->o.checkpoint, NULL, metadata, &t->inner->unsaved[1]);
    arena_free(&scratch);
    return ok;
}

/* Is `name` what the runtime calls the file that it writes before it renames it to `base`: base.0123abcd.tmp? */
static bool is_temporary(const char *name, const char *base)
{
    size_t n = strlen(base);
    return !strncmp(name, base, n) && name[n] == '.' && strspn(name + n + 1, "0123456789abcdef") == 8 && !strcmp(name + n + 9, ".tmp");
}

void train_clean(Train *t, const char *path)
{
    if (!path) return;
    const char *slash = strrchr(path, '/'), *folder = path_dir(t->arena, path);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (is_temporary(e->d_name, slash ? slash + 1 : path)) unlink(path_join(t->arena, folder, e->d_name));
    if (dir) closedir(dir);
}

/* ---- a text of a file's metadata ------------------------------------------------------------------------------------------------ */

static bool fail(Arena *a, const char **error, const char *fmt, ...) PRINTF(3, 4);
static bool fail(Arena *a, const char **error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *error = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return false;
}

static bool read_exactly(int fd, void *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, (char *)to + done, n - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

/* The header of a safetensors file. dlc_load says better what is wrong with one, so this says little. */
static bool read_header(Arena *a, int fd, const char *path, char **text, size_t *n, const char **error)
{
    unsigned char head[8];
    uint64_t length = 0;
    if (!read_exactly(fd, head, 8)) return fail(a, error, "%s is not a safetensors file: it has less than 8 bytes", path);
    for (int i = 0; i < 8; i++) length |= (uint64_t)head[i] << 8 * i;
    off_t size = lseek(fd, 0, SEEK_END);
    if (length > MAX_HEADER || size < 8 || length > (uint64_t)size - 8)
        return fail(a, error, "%s is not a safetensors file, or is truncated: its header does not fit it", path);
    *n = (size_t)length;
    *text = arena_alloc(a, *n + 1);
    if (lseek(fd, 8, SEEK_SET) != 8 || !read_exactly(fd, *text, *n)) return fail(a, error, "cannot read %s", path);
    return true;
}

static const char *string_value(Arena *a, const Json *j)
{
    char *to = arena_alloc(a, j->len + 1);
    return json_unescape(j->at, j->len, to, j->len + 1) < 0 ? NULL : to;
}

/* The string member `key` of the object "__metadata__". */
static const char *find_metadata(Arena *a, Json *j, const char *key)
{
    if (json_next(j) != JSON_OBJECT) return NULL;
    for (JsonToken token; (token = json_next(j)) == JSON_KEY;) {
        if (!json_is(j, "__metadata__")) {
            if (!json_skip(j, json_next(j))) return NULL;
            continue;
        }
        if (json_next(j) != JSON_OBJECT) return NULL;
        while (json_next(j) == JSON_KEY) {
            bool found = json_is(j, key);
            token = json_next(j);
            if (found) return token == JSON_STRING ? string_value(a, j) : NULL;
            if (!json_skip(j, token)) return NULL;
        }
        return NULL;
    }
    return NULL;
}

bool train_metadata(Arena *a, const char *path, const char *key, const char **text, const char **error)
{
    char *header = NULL;
    size_t n = 0;
    *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(a, error, "cannot open %s: %s", path, strerror(errno));
    bool ok = read_header(a, fd, path, &header, &n, error);
    close(fd);
    if (!ok) return false;
    Json j;
    json_start(&j, header, n);
    *text = find_metadata(a, &j, key);
    return true;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------- */

typedef struct Reading {
    Train      *t;
    Arena      *arena;
    Json        json;
    uint64_t    seen;                   /* a bit a fact */
    Str         changed;                /* "batch was 64, is 32; ..." */
    bool        metrics_differ;
    const char *why;                    /* it cannot be read */
} Reading;

static bool bad(Reading *r, const char *why)
{
    if (!r->why) r->why = r->json.error ? r->json.error : why;
    return false;
}

static bool read_number(Reading *r, int64_t *to)
{
    int64_t v;
    if (json_next(&r->json) != JSON_NUMBER || !json_int(&r->json, &v) || v < 0 || v > MAX_COUNT) return bad(r, "a number of things belongs here");
    *to = v;
    return true;
}

/* null: not a number. */
static bool read_double(Reading *r, double *to)
{
    char text[64];
    JsonToken token = json_next(&r->json);
    *to = NAN;
    if (token == JSON_NULL) return true;
    if (token != JSON_NUMBER || r->json.len >= sizeof text) return bad(r, "a number belongs here");
    memcpy(text, r->json.at, r->json.len);
    text[r->json.len] = 0;
    *to = strtod(text, NULL);
    return true;
}

/* Exactly n numbers. */
static bool read_doubles(Reading *r, double *to, uint32_t n)
{
    if (json_next(&r->json) != JSON_ARRAY) return bad(r, "a list belongs here");
    for (uint32_t i = 0; i < n; i++)
        if (!read_double(r, &to[i])) return false;
    return json_next(&r->json) == JSON_ARRAY_END || bad(r, "a list has the wrong length");
}

static void changed(Reading *r, const char *fmt, ...) PRINTF(2, 3);
static void changed(Reading *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_fmt(&r->changed, "%s%s", r->changed.n ? "; " : "", arena_vprintf(r->arena, fmt, ap));
    va_end(ap);
}

/* Long values (a description of data) are not shown, nor what could play tricks with a terminal. */
static bool is_plain(const char *text)
{
    size_t n = 0;
    while ((unsigned char)text[n] >= ' ' && text[n] != 0x7f) n++;
    return !text[n] && n <= 60;
}

static bool read_facts(Reading *r)
{
    if (json_next(&r->json) != JSON_OBJECT) return bad(r, "facts are an object");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_OBJECT_END;) {
        if (token != JSON_KEY) return bad(r, "facts are an object");
        const char *name = string_value(r->arena, &r->json);
        if (json_next(&r->json) != JSON_STRING) return bad(r, "a fact is a string");
        const char *value = string_value(r->arena, &r->json);
        if (!name || !value) return bad(r, "a string is broken");
        bool known = false;
        for (uint32_t i = 0; i < r->t->o.nfacts && i < 64; i++) {
            const TrainFact *f = &r->t->o.fact[i];
            if (strcmp(f->name, name)) continue;
            known = true;
            r->seen |= (uint64_t)1 << i;
            if (!strcmp(f->value, value)) continue;
            if (is_plain(value) && is_plain(f->value)) changed(r, "%s was %s, now %s", name, value, f->value);
            else changed(r, "%s changed", name);
        }
        if (!known) changed(r, "%s was %s", is_plain(name) ? name : "something", is_plain(value) ? value : "something else");
    }
    for (uint32_t i = 0; i < r->t->o.nfacts && i < 64; i++)
        if (!(r->seen >> i & 1)) changed(r, is_plain(r->t->o.fact[i].value) ? "%s is new: %s" : "%s is new", r->t->o.fact[i].name, r->t->o.fact[i].value);
    return true;
}

static bool read_metrics(Reading *r)
{
    uint32_t n = 0;
    if (json_next(&r->json) != JSON_ARRAY) return bad(r, "metrics are a list");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_ARRAY_END; n++) {
        if (token != JSON_STRING) return bad(r, "a metric is a string");
        if (n >= r->t->metrics.n || !json_is(&r->json, r->t->metrics.at[n].name)) r->metrics_differ = true;
    }
    if (n != r->t->metrics.n) r->metrics_differ = true;
    if (r->metrics_differ) changed(r, "the metrics are others");
    return true;
}

static bool read_plateaus(Reading *r)
{
    uint32_t n = 0;
    if (json_next(&r->json) != JSON_ARRAY) return bad(r, "plateaus are a list");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_ARRAY_END; n++) {
        int64_t v;
        if (token != JSON_NUMBER || !json_int(&r->json, &v) || v < 0 || v > MAX_COUNT) return bad(r, "a plateau is a number");
        if (n < r->t->o.nplateau) r->t->o.plateau[n].stale = v;
    }
    return true;
}

static bool read_record(Reading *r, TrainRecord *record)
{
    Train *t = r->t;
    record->value = arena_array(t->arena, double, t->metrics.n + 1);
    if (!read_number(r, &record->epoch) || !read_number(r, &record->step) || !read_number(r, &record->examples) ||
        !read_double(r, &record->seconds) || !read_double(r, &record->rate))
        return false;
    JsonToken token = json_next(&r->json);
    if (token != JSON_TRUE && token != JSON_FALSE) return bad(r, "true or false belongs here");
    record->best = token == JSON_TRUE;
    return read_doubles(r, record->value, t->metrics.n) && (json_next(&r->json) == JSON_ARRAY_END || bad(r, "a record is too long"));
}

static bool read_history(Reading *r)
{
    if (json_next(&r->json) != JSON_ARRAY) return bad(r, "history is a list");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_ARRAY_END;) {
        TrainRecord record = {0};
        if (token != JSON_ARRAY) return bad(r, "a record is a list");
        if (!read_record(r, &record)) return false;
        vec_push(r->t->arena, &r->t->history, record);
    }
    return true;
}

static bool read_member(Reading *r)
{
    Train *t = r->t;
    const Json *j = &r->json;
    const struct { const char *name; int64_t *to; } number[] = {
        {"epoch", &t->epoch}, {"in_epoch", &t->batch}, {"step", &t->step}, {"examples", &t->examples},
        {"period_steps", &t->period_steps}, {"skipped", &t->skipped}, {"skipped_in_row", &t->skipped_in_row},
        {"best_epoch", &t->best_epoch}, {"best_step", &t->best_step}, {"stale", &t->stale},
    };
    for (size_t i = 0; i < COUNT(number); i++)
        if (json_is(j, number[i].name)) return read_number(r, number[i].to);
    if (json_is(j, "seconds")) return read_double(r, &t->seconds);
    if (json_is(j, "best")) return read_double(r, &t->best);
    if (json_is(j, "facts")) return read_facts(r);
    if (json_is(j, "metrics")) return read_metrics(r);
    if (json_is(j, "plateaus")) return read_plateaus(r);
    bool values = json_is(j, "sum") || json_is(j, "weight") || json_is(j, "history");
    if (!values || r->metrics_differ) return json_skip(&r->json, json_next(&r->json)) || bad(r, "this is no JSON");
    if (json_is(j, "history")) return read_history(r);
    return read_doubles(r, json_is(j, "sum") ? t->sum : t->weight, t->metrics.n);
}

static bool read_checkpoint(Reading *r)
{
    static const char *const needed[] = {"version", "facts", "epoch", "in_epoch", "step", "examples", "period_steps", "skipped",
                                         "skipped_in_row", "best_epoch", "best_step", "stale", "seconds", "best", "plateaus",
                                         "metrics", "sum", "weight", "history"};
    uint32_t seen = 0;
    int64_t version = 0;
    if (json_next(&r->json) != JSON_OBJECT) return bad(r, "it is no object");
    for (JsonToken token; (token = json_next(&r->json)) != JSON_OBJECT_END;) {
        if (token != JSON_KEY) return bad(r, "a name belongs here");
        for (uint32_t i = 0; i < COUNT(needed); i++) {
            if (!json_is(&r->json, needed[i])) continue;
            if (seen >> i & 1) return bad(r, "a name is there twice");
            seen |= (uint32_t)1 << i;
        }
        bool is_version = json_is(&r->json, "version");
        if (is_version ? !read_number(r, &version) : !read_member(r)) return false;
        if (is_version && version != VERSION) return bad(r, "another version of dlc wrote it");
    }
    if (json_next(&r->json) != JSON_END) return bad(r, "something stands behind it");
    for (uint32_t i = 0; i < COUNT(needed); i++)
        if (!(seen >> i & 1)) return bad(r, arena_printf(r->arena, "it lacks %s", needed[i]));
    return true;
}

/* Numbers that a run would trip over. */
static bool check_position(Reading *r)
{
    Train *t = r->t;
    if (t->best_step > t->step || t->period_steps > t->step)
        return bad(r, "its position makes no sense");
    if (!(t->seconds >= 0)) t->seconds = 0;
    if (t->best != t->best) t->best_step = t->best_epoch = 0;
    for (uint32_t i = 0; i < t->metrics.n; i++)         /* null: the sum of the period is not finite */
        if (!(t->weight[i] >= 0)) return bad(r, "its sums make no sense");
    if (t->batch > t->epoch_batches) t->batch = t->epoch_batches;
    if (r->metrics_differ) t->best_step = t->best_epoch = t->stale = 0;
    return true;
}

bool train_read_state(Train *t, const char *path, const char *text, size_t n, bool force, const char **error)
{
    Arena scratch = {0};
    Reading r = {.t = t, .arena = &scratch, .changed = {.arena = &scratch}};
    json_start(&r.json, text, n);
    bool ok = (read_checkpoint(&r) && check_position(&r)) || fail(t->arena, error, "%s is a broken checkpoint: %s", path, r.why);
    if (ok && r.changed.n && force) train_note(t, "resumed all the same: %s", r.changed.at);
    if (ok && r.changed.n && !force)
        ok = fail(t->arena, error, "%s is of another run: %s (--force goes on all the same)", path, r.changed.at);
    arena_free(&scratch);
    return ok;
}

bool train_resume(Train *t, bool force, const char **error)
{
    const char *text, *path = t->o.checkpoint;
    if (!train_metadata(t->arena, path, "dlc.train", &text, error)) return false;
    if (!text) return fail(t->arena, error, "%s is no checkpoint of a training run: it has weights only; start from them with --weights", path);
    if (!train_read_state(t, path, text, strlen(text), force, error)) return false;
    return dlc_load(t->o.instance, path) == DLC_OK || fail(t->arena, error, "%s", dlc_error(t->o.instance));
}

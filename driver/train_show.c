/* train_show.c - what `dlc train` shows: a bar on a terminal, a line a period, the curves and what came out at the end; and
 * the files that follow a run: CSV, JSON lines, SVG, TensorBoard. */
#include "driver/train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the bar ---------------------------------------------------------------------------------------------------------------- */

static int terminal_width(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

static void hide_bar(TrainView *v)
{
    if (v->bar_shown) fputs("\r\033[K", stderr);
    v->bar_shown = false;
}

/* "0:07", "1:02:03" */
static void put_duration(Str *out, double seconds)
{
    if (!(seconds >= 0) || seconds > 1e7) {
        str_add(out, "-");
        return;
    }
    long n = (long)(seconds + 0.5);
    if (n >= 3600) str_fmt(out, "%ld:%02ld:%02ld", n / 3600, n / 60 % 60, n % 60);
    else str_fmt(out, "%ld:%02ld", n / 60, n % 60);
}

static int64_t total_steps(const Train *t) { return t->o.steps ? t->o.steps : t->o.epochs * t->epoch_batches; }

static void draw_bar(TrainView *v, const Train *t)
{
    enum { CELLS = 24 };
    Arena scratch = {0};
    Str line = {.arena = &scratch};
    int64_t at = t->validating ? t->validation_batch : t->batch, of = t->validating ? t->validation_batches : t->epoch_batches;
    double elapsed = time_now() - t->run_start;
    int64_t run = t->step - t->run_step;
    if (t->o.steps) str_fmt(&line, "epoch %lld ", (long long)t->epoch + 1);
    else str_fmt(&line, "epoch %lld/%lld ", (long long)t->epoch + 1, (long long)t->o.epochs);
    str_char(&line, '[');
    for (int i = 0; i < CELLS; i++) str_char(&line, of > 0 && i < at * CELLS / of ? '=' : i == (of > 0 ? at * CELLS / of : 0) ? '>' : ' ');
    str_fmt(&line, "] %lld/%lld%s", (long long)at, (long long)of, t->validating ? " validation" : "");
    for (uint32_t i = 0; i < t->metrics.n && !t->validating; i++) {
        const TrainMetric *m = &t->metrics.at[i];
        if (m->validation || m->count || t->weight[i] == 0) continue;
        str_fmt(&line, "  %s ", m->name);
        train_number(&line, t->sum[i] / t->weight[i]);
        break;
    }
    if (elapsed > 0 && run > 0) {
        str_fmt(&line, "  %.0f examples/s  ETA ", (double)(t->examples - t->run_examples) / elapsed);
        put_duration(&line, elapsed / (double)run * (double)(total_steps(t) - t->step));
    }
    fprintf(stderr, "\r%.*s\033[K", terminal_width(STDERR_FILENO) - 1, line.at);
    fflush(stderr);
    v->bar_shown = true;
    arena_free(&scratch);
}

void train_view_batch(void *view, const Train *t)
{
    TrainView *v = view;
    double now = time_now();
    if (!v->bar || now - v->drawn < 0.1) return;
    v->drawn = now;
    draw_bar(v, t);
}

/* ---- files --------------------------------------------------------------------------------------------------------------------- */

static void complain(TrainView *v, const char *error)
{
    if (!v->complained) train_view_note(v, error);
    v->complained = true;
}

static void write_one(TrainView *v, Arena *a, const char *path, const Str *text)
{
    const char *error = NULL;
    if (!file_write(a, path, text->at ? text->at : "", text->n, &error)) complain(v, error);
}

/* The whole history, again: so it is one history after a resumed run too. */
static void write_files(TrainView *v, const Train *t)
{
    Arena scratch = {0};
    Str csv = {.arena = &scratch}, jsonl = {.arena = &scratch}, svg = {.arena = &scratch};
    if (v->c->log) train_csv(&csv, t), write_one(v, &scratch, v->c->log, &csv);
    if (v->c->jsonl) train_jsonl(&jsonl, t), write_one(v, &scratch, v->c->jsonl, &jsonl);
    if (v->c->svg) {
        Chart *chart;
        uint32_t n = train_charts(&scratch, t, &chart);
        charts_svg(&svg, chart, n);
        write_one(v, &scratch, v->c->svg, &svg);
    }
    arena_free(&scratch);
    v->written = time_now();
}

/* TensorBoard follows a file as it grows: a file a run, and new records behind the old ones. */
static void open_events(TrainView *v, const Train *t)
{
    char host[64] = "localhost";
    v->event_start = (double)time(NULL) - t->seconds;
    v->event_records = t->history.n;
    gethostname(host, sizeof host - 1);
    if (mkdir(v->c->tensorboard, 0777) && errno != EEXIST) {
        complain(v, arena_printf(&v->s->arena, "cannot make the folder %s: %s", v->c->tensorboard, strerror(errno)));
        return;
    }
    const char *path = arena_printf(&v->s->arena, "%s/events.out.tfevents.%lld.%s.%ld.dlc", v->c->tensorboard, (long long)time(NULL), host, (long)getpid());
    v->events = fopen(path, "wb");
    if (!v->events) complain(v, arena_printf(&v->s->arena, "cannot write %s: %s", path, strerror(errno)));
}

static void write_events(TrainView *v, const Train *t)
{
    if (!v->events) return;
    Arena scratch = {0};
    Str out = {.arena = &scratch};
    if (ftell(v->events) == 0) train_tensorboard_begin(&out, v->event_start);
    train_tensorboard(&out, t, v->event_records, v->event_start);
    v->event_records = t->history.n;
    if (fwrite(out.at, 1, out.n, v->events) != out.n || fflush(v->events)) complain(v, "cannot write TensorBoard's file");
    arena_free(&scratch);
}

/* ---- lines ---------------------------------------------------------------------------------------------------------------------- */

static const char *tint(const TrainView *v, const char *code) { return !v->c->quiet && colour_on(stdout) ? code : ""; }

static void print_record(TrainView *v, const Train *t, const TrainRecord *r)
{
    Arena scratch = {0};
    Str line = {.arena = &scratch};
    if (t->o.steps) str_fmt(&line, "epoch %lld", (long long)r->epoch);
    else str_fmt(&line, "epoch %*lld/%lld", (int)snprintf(NULL, 0, "%lld", (long long)t->o.epochs), (long long)r->epoch, (long long)t->o.epochs);
    str_fmt(&line, "  step %lld  %.1f s  %.0f examples/s", (long long)r->step, r->seconds, r->rate);
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        bool monitored = (int)i == t->monitor && r->best;
        str_fmt(&line, "  %s%s ", monitored ? tint(v, "\033[1m") : "", t->metrics.at[i].name);
        train_number(&line, r->value[i]);
        if (monitored) str_add(&line, tint(v, "\033[0m"));
    }
    if (r->best && t->keeps_best) str_add(&line, "  best");
    printf("%s\n", line.at);
    fflush(stdout);
    arena_free(&scratch);
}

static void print_json_record(const Train *t)
{
    Arena scratch = {0};
    Str out = {.arena = &scratch};
    Train last = *t;                                    /* a history of the last record alone */
    last.history.at += t->history.n - 1;
    last.history.n = 1;
    train_jsonl(&out, &last);
    fputs(out.at, stdout);
    fflush(stdout);
    arena_free(&scratch);
}

void train_view_record(void *view, const Train *t, const TrainRecord *r)
{
    TrainView *v = view;
    hide_bar(v);
    if (v->s->json) print_json_record(t);
    else if (!v->c->quiet) print_record(v, t, r);
    write_events(v, t);
    if (time_now() - v->written > 1) write_files(v, t);
}

void train_view_note(void *view, const char *text)
{
    TrainView *v = view;
    hide_bar(v);
    fprintf(stderr, "dlc: %s\n", text);
}

void train_view_begin(TrainView *v, const Train *t)
{
    v->bar = !v->c->quiet && isatty(STDERR_FILENO);
    v->written = time_now();
    if (v->c->tensorboard) open_events(v, t);
    write_events(v, t);
}

/* ---- at the end ------------------------------------------------------------------------------------------------------------------- */

/* Rows of the last axis, right-aligned; of what is large, the beginning. */
static void print_table(const TrainTable *table)
{
    enum { ROWS = 40, COLUMNS = 24 };
    Arena scratch = {0};
    int64_t columns = table->dim[table->rank - 1], rows = columns ? table->count / columns : 0;
    printf("%s[", table->name);
    for (int i = 0; i < table->rank; i++) printf("%s%lld", i ? "," : "", (long long)table->dim[i]);
    printf("], of the last validation:\n");
    int width = 1;
    for (int64_t i = 0; i < table->count; i++) {
        Str text = {.arena = &scratch};
        train_number(&text, table->sum[i]);
        if ((int)text.n > width) width = (int)text.n;
    }
    for (int64_t r = 0; r < rows && r < ROWS; r++) {
        for (int64_t c = 0; c < columns && c < COLUMNS; c++) {
            Str text = {.arena = &scratch};
            train_number(&text, table->sum[r * columns + c]);
            printf(" %*s", width, text.at);
        }
        printf(columns > COLUMNS ? " ...\n" : "\n");
    }
    if (rows > ROWS) printf(" ... %lld more rows\n", (long long)(rows - ROWS));
    arena_free(&scratch);
}

static bool is_utf8(void)
{
    const char *all = getenv("LC_ALL"), *ctype = getenv("LC_CTYPE"), *lang = getenv("LANG");
    const char *name = all && *all ? all : ctype && *ctype ? ctype : lang ? lang : "";
    return strcasestr(name, "utf-8") || strcasestr(name, "utf8");
}

static void print_curves(const Train *t)
{
    Arena scratch = {0};
    Chart *chart;
    int width = isatty(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) - 14 : 64;
    uint32_t n = train_charts(&scratch, t, &chart);
    for (uint32_t i = 0; i < n; i++) {
        Str out = {.arena = &scratch};
        chart_text(&out, &chart[i], width > 100 ? 100 : width, 10, is_utf8());
        fputs(out.at, stdout);
    }
    arena_free(&scratch);
}

static void print_result_json(TrainView *v, const Train *t, TrainEnd end, double seconds)
{
    static const char *const name[] = {"done", "early", "interrupted", "failed"};
    Str out = {.arena = &v->s->arena};
    str_add(&out, "{\"model\": ");
    str_json(&out, v->name, strlen(v->name));
    str_fmt(&out, ", \"end\": \"%s\", \"epochs\": %lld, \"steps\": %lld, \"skipped\": %lld, \"examples\": %lld, \"seconds\": %.3f, \"examples_per_second\": %.1f",
            name[end], (long long)t->epoch, (long long)t->step, (long long)t->skipped, (long long)t->examples, t->seconds,
            seconds > 0 ? (double)(t->examples - t->run_examples) / seconds : 0);
    if (t->monitor >= 0 && t->best_step) {
        str_add(&out, ", \"monitor\": ");
        str_json(&out, t->metrics.at[t->monitor].name, strlen(t->metrics.at[t->monitor].name));
        str_add(&out, ", \"best\": ");
        str_double(&out, t->best);
        str_fmt(&out, ", \"best_epoch\": %lld", (long long)t->best_epoch);
    }
    str_add(&out, ", \"weights\": ");
    str_json(&out, t->o.out, strlen(t->o.out));
    str_add(&out, ", \"checkpoint\": ");
    str_json(&out, t->o.checkpoint, strlen(t->o.checkpoint));
    for (uint32_t i = 0; i < t->tables.n && t->validation_batch; i++) {        /* not where nothing was left to do */
        const TrainTable *table = &t->tables.at[i];
        str_add(&out, ", ");
        str_json(&out, table->name, strlen(table->name));
        str_add(&out, ": ");
        dlc_tensor x = {.data = table->sum, .dtype = DLC_F64, .rank = table->rank};
        memcpy(x.dim, table->dim, sizeof x.dim);
        json_tensor(&out, &x);
    }
    printf("%s}\n", out.at);
}

/* "mlp: 10 epochs, 240 steps, 3.2 s, 4500 examples/s, best val_loss 0.1234 in epoch 9; mlp.safetensors 1.2 MiB" */
static void print_result(TrainView *v, const Train *t, TrainEnd end, double seconds)
{
    Str line = {.arena = &v->s->arena};
    struct stat st;
    int64_t run = t->examples - t->run_examples;
    str_fmt(&line, "%s: %lld epoch%s, %lld step%s", v->name, (long long)t->epoch, t->epoch == 1 ? "" : "s", (long long)t->step, t->step == 1 ? "" : "s");
    if (t->skipped) str_fmt(&line, " (%lld skipped)", (long long)t->skipped);
    str_fmt(&line, ", %.1f s", t->seconds);
    if (seconds > 0 && run > 0) str_fmt(&line, ", %.0f examples/s", (double)run / seconds);
    if (t->keeps_best && t->best_step) {
        str_fmt(&line, ", best %s ", t->metrics.at[t->monitor].name);
        train_number(&line, t->best);
        str_fmt(&line, " in epoch %lld", (long long)t->best_epoch);
    } else if (t->monitor >= 0 && t->history.n) {
        str_fmt(&line, ", %s ", t->metrics.at[t->monitor].name);
        train_number(&line, t->history.at[t->history.n - 1].value[t->monitor]);
    }
    if (end == TRAIN_EARLY) str_fmt(&line, ", stopped early (not better for %lld periods)", (long long)t->o.patience);
    if (stat(t->o.out, &st) == 0) str_fmt(&line, "; %s %s", t->o.out, size_text(&v->s->arena, (double)st.st_size));
    printf("%s\n", line.at);
    if (end == TRAIN_STOPPED)
        printf("interrupted in epoch %lld, after step %lld: %s has everything, and --resume goes on from there\n", (long long)t->epoch + 1,
               (long long)t->step, t->o.checkpoint);
}

void train_view_end(TrainView *v, const Train *t, TrainEnd end, double seconds)
{
    hide_bar(v);
    write_files(v, t);
    if (v->events && fclose(v->events)) complain(v, "cannot write TensorBoard's file");
    v->events = NULL;
    if (v->s->json) {
        print_result_json(v, t, end, seconds);
        return;
    }
    if (v->c->plot || (!v->c->quiet && isatty(STDOUT_FILENO) && t->history.n > 1)) print_curves(t);
    if (v->c->quiet || end == TRAIN_FAILED) return;
    for (uint32_t i = 0; i < t->tables.n && t->validation_batch; i++) print_table(&t->tables.at[i]);
    print_result(v, t, end, seconds);
}

/* train.c - `dlc train`: compile a model, open its data, and run the training loop of host/train.h on them. */
#include "driver/train.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

/* What one run is made of. */
typedef struct Training {
    Session      *s;
    TrainCommand *c;
    const char   *path;                 /* of the model */
    Module       *module;
    dlc_artefact *artefact;
    dlc_instance *instance;
    int           step, evaluate;
    int64_t      *step_dims, *evaluate_dims;
    Dataset      *data, *validation;
    TrainPlateau *plateau;
    VEC(TrainFact) facts;
    Train        *train;
} Training;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* ---- functions ------------------------------------------------------------------------------------------------------------- */

/* --step; without it the only `export train fn`, or the one called `step`. */
static bool find_step(Training *r)
{
    const char *one = NULL;
    Str all = {.arena = &r->s->arena};
    uint32_t n = 0;
    if (r->c->step) {
        r->step = find_function(r->s, r->artefact, r->c->step);
        return r->step >= 0;
    }
    for (uint32_t i = 0; i < r->module->funcs.n; i++) {
        const Func *f = r->module->funcs.at[i];
        if (!f->exported || !f->train) continue;
        str_fmt(&all, "%s%s", n++ ? ", " : "", f->name);
        if (n == 1 || !strcmp(f->name, "step")) one = f->name;
    }
    if (n == 1 || (n && !strcmp(one, "step"))) {
        r->step = dlc_find(r->artefact, one);
        return true;
    }
    if (n) session_error(r->s, "which training step? --step NAME; there are: %s", all.at);
    else session_error(r->s, "%s has no `export train fn` to train with", r->path);
    return false;
}

/* `evaluate`, or --evaluate; -1: there is no validation. */
static bool find_evaluate(Training *r)
{
    const TrainCommand *c = r->c;
    bool wanted = c->validate.n || c->validation;
    r->evaluate = -1;
    if (c->evaluate) {
        r->evaluate = find_function(r->s, r->artefact, c->evaluate);
        if (r->evaluate < 0) return false;
        if (!wanted) return session_error(r->s, "--evaluate needs data: --validation FRACTION of the training data, or --validate NAME=FILE"), false;
    } else if (wanted) {
        r->evaluate = dlc_find(r->artefact, "evaluate");
        if (r->evaluate < 0) return session_error(r->s, "validation needs an `export fn evaluate`, or --evaluate NAME"), false;
    }
    return true;
}

/* A step without an update is a mistake. */
static bool check_step(Training *r)
{
    dlc_function_info f;
    dlc_argument_info result;
    dlc_function(r->artefact, r->step, &f);
    for (int i = 0; i < f.noutputs; i++)
        if (dlc_argument(r->artefact, r->step, DLC_OUTPUT, i, &result) == DLC_OK && result.state) return true;
    session_error(r->s, "%s changes no param, so there is nothing to train; an optimizer's `update(grad(loss, net))` would", f.name);
    return false;
}

static bool find_functions(Training *r)
{
    return find_step(r) && check_step(r) && find_evaluate(r);
}

/* --dim NAME=N: of one of the two functions. */
static bool find_dims(Training *r)
{
    dlc_function_info f, g = {0};
    dlc_function(r->artefact, r->step, &f);
    if (r->evaluate >= 0) dlc_function(r->artefact, r->evaluate, &g);
    const char **names = arena_array(&r->s->arena, const char *, (size_t)(f.ndims + g.ndims) + 1);
    for (int i = 0; i < f.ndims; i++) names[i] = f.dim[i];
    for (int i = 0; i < g.ndims; i++) names[f.ndims + i] = g.dim[i];
    if (!check_dims(r->s, &r->c->dims, names, (size_t)(f.ndims + g.ndims))) return false;
    r->step_dims = arena_array(&r->s->arena, int64_t, (size_t)f.ndims + 1);
    r->evaluate_dims = arena_array(&r->s->arena, int64_t, (size_t)g.ndims + 1);
    for (int i = 0; i < f.ndims; i++)
        if (!given_dim(&r->c->dims, f.dim[i], &r->step_dims[i])) r->step_dims[i] = -1;
    for (int i = 0; i < g.ndims; i++)
        if (!given_dim(&r->c->dims, g.dim[i], &r->evaluate_dims[i])) r->evaluate_dims[i] = -1;
    return true;
}

/* ---- data -------------------------------------------------------------------------------------------------------------------- */

/* A tenth: "0.1", "10%". */
static bool read_fraction(Training *r, double *fraction)
{
    const char *text = r->c->validation;
    char *end;
    *fraction = strtod(text, &end);
    if (end != text && *end == '%') *fraction /= 100, end++;
    if (end != text && !*end && *fraction > 0 && *fraction < 1) return true;
    session_error(r->s, "--validation wants a fraction between 0 and 1, not '%s'", text);
    return false;
}

/* --validate FILE.csv where the training data are a csv; else NAME=FILE. */
static bool open_validation(Training *r)
{
    const TrainCommand *c = r->c;
    Arena *a = &r->s->arena;
    const char *error = NULL;
    double fraction;
    if (c->validation) {
        if (c->validate.n) return session_error(r->s, "--validation takes a part of the training data, --validate other files: one of them"), false;
        if (!read_fraction(r, &fraction)) return false;
        Dataset *part = dataset_split(r->data, fraction, (uint64_t)c->seed, &error);
        r->validation = part ? dataset_for(part, r->evaluate, &error) : NULL;
    } else {
        DatasetOptions o = {.artefact = r->artefact, .fn = r->evaluate, .dims = r->evaluate_dims, .description = dataset_describe(r->data)};
        bool csv = c->csv != NULL;
        if (csv && c->validate.n == 1) o.csv = c->validate.at[0], o.target = c->target;
        else o.spec = c->validate.at, o.nspec = c->validate.n;
        r->validation = dataset_open(a, &o, &error);
    }
    if (!r->validation) session_error(r->s, "validation: %s", error);
    return r->validation != NULL;
}

static bool open_data(Training *r)
{
    const TrainCommand *c = r->c;
    const char *error = NULL;
    DatasetOptions o = {.artefact = r->artefact, .fn = r->step, .dims = r->step_dims, .spec = c->data.at, .nspec = c->data.n, .csv = c->csv,
                        .target = c->target, .augment = c->augment.at, .naugment = c->augment.n};
    r->data = dataset_open(&r->s->arena, &o, &error);
    if (!r->data) return session_error(r->s, "%s", error), false;
    return r->evaluate < 0 || open_validation(r);
}

/* ---- what must be the same when a run is resumed --------------------------------------------------------------------------------- */

static void add_fact(Training *r, const char *name, const char *value)
{
    TrainFact f = {name, value};
    vec_push(&r->s->arena, &r->facts, f);
}

static void add_fact_list(Training *r, const char *name, const TextList *list)
{
    Str s = {.arena = &r->s->arena};
    for (uint32_t i = 0; i < list->n; i++) str_fmt(&s, "%s%s", i ? " " : "", list->at[i]);
    if (list->n) add_fact(r, name, s.at);
}

static const char *number(Training *r, int64_t n) { return arena_printf(&r->s->arena, "%lld", (long long)n); }

/* The model counts as what the frontend made of it: comments do not. */
static const char *model_fact(Training *r)
{
    Str text = {.arena = &r->s->arena};
    ir_print(&text, r->module);
    return arena_printf(&r->s->arena, "%016llx", (unsigned long long)hash_bytes(text.at, text.n, 0));
}

static void find_facts(Training *r)
{
    const TrainCommand *c = r->c;
    dlc_function_info f;
    dlc_function(r->artefact, r->step, &f);
    add_fact(r, "the model", model_fact(r));
    add_fact(r, "--step", f.name);
    add_fact(r, "--batch", number(r, c->batch));
    add_fact(r, "--seed", number(r, c->seed));
    add_fact(r, "-O", number(r, r->s->level));
    if (r->s->f32_as) add_fact(r, "--f32-as", r->s->f32_as);
    if (r->s->blas_name) add_fact(r, "--blas", r->s->blas_name);
    if (c->no_shuffle) add_fact(r, "--no-shuffle", "on");
    if (c->every) add_fact(r, "--every", number(r, c->every));
    if (c->monitor) add_fact(r, "--monitor", c->monitor);
    add_fact_list(r, "the data", &c->data);
    if (c->csv) add_fact(r, "--csv", c->csv);
    if (c->target) add_fact(r, "--target", c->target);
    add_fact(r, "the number of examples", number(r, dataset_count(r->data)));
    add_fact(r, "what the data look like", dataset_describe(r->data));
    if (c->validation) add_fact(r, "--validation", c->validation);
    add_fact_list(r, "--validate", &c->validate);
    add_fact_list(r, "--augment", &c->augment);
    add_fact_list(r, "--dim", &c->dims);
    add_fact_list(r, "--set-state", &c->set_state);
    add_fact_list(r, "--plateau", &c->plateau);
}

/* ---- weights and states --------------------------------------------------------------------------------------------------------- */

/* What a partial load found: how many, and which not. */
static void print_report(Training *r, const char *report)
{
    enum { SHOWN = 8 };
    uint32_t count[3] = {0};
    static const char *const word[] = {"loaded ", "missing ", "extra "};
    Str names[3] = {{.arena = &r->s->arena}, {.arena = &r->s->arena}, {.arena = &r->s->arena}};
    for (const char *line = report; *line;) {
        size_t n = strcspn(line, "\n");
        for (int k = 0; k < 3; k++) {
            size_t m = strlen(word[k]);
            if (n < m || memcmp(line, word[k], m)) continue;
            if (count[k]++ < SHOWN) str_fmt(&names[k], "%s%.*s", names[k].n ? ", " : "", (int)(n - m), line + m);
        }
        line += n + (line[n] == '\n');
    }
    fprintf(stderr, "%s: %u loaded", r->c->weights, count[0]);
    if (count[1]) fprintf(stderr, "; %u start anew: %s%s", count[1], names[1].at, count[1] > SHOWN ? ", ..." : "");
    if (count[2]) fprintf(stderr, "; %u not in the model: %s%s", count[2], names[2].at, count[2] > SHOWN ? ", ..." : "");
    fputc('\n', stderr);
}

static bool load_weights(Training *r)
{
    const TrainCommand *c = r->c;
    if (!c->weights) return true;
    int status = c->partial ? dlc_load_partial(r->instance, c->weights) : dlc_load(r->instance, c->weights);
    if (status) {
        session_error(r->s, "%s", dlc_error(r->instance));
        if (c->partial || status != DLC_NOT_FOUND) return false;
        session_error(r->s, "--partial takes what is there, and starts the rest anew");
        return false;
    }
    if (c->partial && !c->quiet) print_report(r, dlc_load_report(r->instance));
    return true;
}

/* PATH=VALUE */
static bool set_states(Training *r)
{
    for (uint32_t i = 0; i < r->c->set_state.n; i++) {
        const char *text = r->c->set_state.at[i], *eq = strchr(text, '='), *error = NULL;
        char *end = NULL;
        double value = eq ? strtod(eq + 1, &end) : 0;
        if (!eq || end == eq + 1 || *end) return session_error(r->s, "--set-state wants PATH=NUMBER, not '%s'", text), false;
        const char *path = arena_strndup(&r->s->arena, text, (size_t)(eq - text));
        if (!train_set(&r->s->arena, r->artefact, r->instance, path, value, &error)) return session_error(r->s, "%s", error), false;
    }
    return true;
}

/* PATH=FACTOR[,PATIENCE] */
static bool read_plateaus(Training *r)
{
    Arena *a = &r->s->arena;
    r->plateau = arena_array(a, TrainPlateau, r->c->plateau.n + 1);
    for (uint32_t i = 0; i < r->c->plateau.n; i++) {
        const char *text = r->c->plateau.at[i], *eq = strchr(text, '=');
        char *end = NULL;
        double factor = eq ? strtod(eq + 1, &end) : 0;
        long long patience = 3;
        bool ok = eq && end != eq + 1 && isfinite(factor) && factor > 0;
        if (ok && *end == ',') {
            const char *from = end + 1;
            patience = strtoll(from, &end, 10);
            ok = end != from && patience > 0;
        }
        if (!ok || *end) return session_error(r->s, "--plateau wants PATH=FACTOR[,PATIENCE], not '%s'", text), false;
        r->plateau[i] = (TrainPlateau){arena_strndup(a, text, (size_t)(eq - text)), factor, patience, 0};
    }
    return true;
}

/* ---- files that are written --------------------------------------------------------------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Is `out` one of the files that are read? */
static bool is_input(Training *r, const TextList *specs, const char *out)
{
    for (uint32_t i = 0; i < specs->n; i++) {
        DataSpec spec;
        const char *error;
        if (data_spec(&r->s->arena, specs->at[i], &spec, &error) && spec.path && same_file(spec.path, out)) return true;
    }
    return false;
}

static bool find_outputs(Training *r)
{
    TrainCommand *c = r->c;
    Arena *a = &r->s->arena;
    struct stat st;
    if (!c->out) c->out = arena_printf(a, "%s.safetensors", path_stem(a, r->path));
    if (!ends_with(c->out, ".safetensors")) return session_error(r->s, "-o %s: weights are .safetensors files", c->out), false;
    const char *name = arena_printf(a, "%.*s.checkpoint.safetensors", (int)(strlen(c->out) - strlen(".safetensors")), c->out);
    if (!c->checkpoint) c->checkpoint = name;
    else if (ends_with(c->checkpoint, "/") || (stat(c->checkpoint, &st) == 0 && S_ISDIR(st.st_mode)))
        c->checkpoint = path_join(a, c->checkpoint, strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
    if (!ends_with(c->checkpoint, ".safetensors")) return session_error(r->s, "--checkpoint %s: checkpoints are .safetensors files", c->checkpoint), false;
    if (!strcmp(c->out, c->checkpoint)) return session_error(r->s, "-o and --checkpoint are the same file, %s", c->out), false;
    for (int i = 0; i < 2; i++) {
        const char *out = i ? c->checkpoint : c->out;
        if (is_input(r, &c->data, out) || is_input(r, &c->validate, out))
            return session_error(r->s, "%s is written, but it is also data to read; -o names another file", out), false;
        if (access(path_dir(a, out), W_OK | X_OK)) return session_error(r->s, "cannot write %s: %s", out, strerror(errno)), false;
    }
    return true;
}

/* ---- a run ------------------------------------------------------------------------------------------------------------------------------ */

/* The one thing that a signal handler can reach. */
static volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = signal; }

/* The first signal asks for the end of the run; a second one is deadly. */
static void handle_signals(bool on)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct sigaction old;
        action.sa_handler = on ? interrupt : SIG_DFL;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
    }
}

static bool prepare(Training *r, TrainView *view)
{
    const TrainCommand *c = r->c;
    const char *error = NULL;
    if (!find_functions(r) || !find_dims(r) || !find_outputs(r) || !read_plateaus(r) || !open_data(r)) return false;
    int64_t fixed = dataset_batch_size(r->data);
    if (fixed > 0) r->c->batch = (int)fixed;
    find_facts(r);
    TrainOptions o = {
        .artefact = r->artefact, .instance = r->instance, .step = r->step, .evaluate = r->evaluate, .step_dims = r->step_dims,
        .evaluate_dims = r->evaluate_dims, .data = r->data, .validation = r->validation, .batch = c->batch, .epochs = c->epochs,
        .steps = c->steps, .every = c->every, .seed = (uint64_t)c->seed, .shuffle = !c->no_shuffle, .augment = c->augment.n > 0,
        .patience = c->patience, .max_skipped = c->max_skipped, .monitor = c->monitor, .plateau = r->plateau, .nplateau = c->plateau.n,
        .out = c->out, .checkpoint = c->checkpoint, .fact = r->facts.at, .nfacts = r->facts.n, .stop = &interrupted,
        .watch = {view, train_view_batch, train_view_record, train_view_note},
    };
    r->train = train_new(&r->s->arena, &o, &error);
    bool ok = r->train != NULL;
    if (ok && c->resume) ok = train_resume(r->train, c->force, &error);
    if (!ok) return session_error(r->s, "%s", error), false;
    if (c->resume) return !c->force || set_states(r);
    if (!c->quiet && access(c->checkpoint, F_OK) == 0)
        train_view_note(view, arena_printf(&r->s->arena, "%s is of an earlier run and will be replaced; --resume would go on from it", c->checkpoint));
    return load_weights(r) && set_states(r);
}

static int train(Training *r)
{
    TrainView view = {.s = r->s, .c = r->c, .name = dlc_name(r->artefact)};
    if (!prepare(r, &view)) return EXIT_INPUT;
    const char *error = NULL;
    Train *t = r->train;
    if (!r->c->quiet && !r->s->json) {
        printf("%s: %s; %lld examples", dlc_name(r->artefact), dataset_summary(r->data), (long long)dataset_count(r->data));
        if (r->validation) printf(", %lld to validate", (long long)dataset_count(r->validation));
        if (r->c->resume) printf("; resumed after step %lld", (long long)t->step);
        printf("\n");
        fflush(stdout);
    }
    train_view_begin(&view, t);
    handle_signals(true);
    double start = time_now();
    TrainEnd end = train_run(t, &error);
    handle_signals(false);
    train_view_end(&view, t, end, time_now() - start);
    if (end == TRAIN_FAILED) session_error(r->s, "%s", error);
    return end == TRAIN_FAILED ? EXIT_INPUT : end == TRAIN_STOPPED ? EXIT_INTERRUPTED : EXIT_OK;
}

static int run(Session *s, TrainCommand *c, const char *path)
{
    Training r = {.s = s, .c = c, .path = path};
    TempArtefact temp = {0};
    char error[512];
    int code = EXIT_INPUT;
    if (!compile_temporary(s, path, NULL, &temp)) return code;
    r.artefact = dlc_open(temp.so, error, sizeof error);
    remove_temporary(&temp);                            /* it stays mapped */
    r.module = session_frontend(s, path);               /* as it was before the passes */
    if (!r.artefact) {
        session_error(s, "%s", error);
        return code;
    }
    dlc_options options = {.size = sizeof options, .threads = c->threads, .seed = (uint64_t)c->seed};
    r.instance = r.module ? dlc_create(r.artefact, &options, error, sizeof error) : NULL;
    if (r.instance) code = train(&r);
    else if (r.module) session_error(s, "%s", error);
    train_free(r.train);
    dlc_destroy(r.instance);
    dlc_close(r.artefact);
    return code;
}

int command_train(int argc, char **argv)
{
    static const Command self = {
        "train", "dlc train MODEL.dl NAME=FILE... | --csv FILE --target COLUMN [OPTIONS]",
        "Train a model: run its `export train fn` over data, batch by batch, and write the weights.\n"
        "NAME is an input of the step; FILE is .npy, .npz, idx (.gz), .safetensors, .csv, text, or a folder of images:\n"
        "docs/data.md has the formats, docs/train.md an example.", NULL};
    Session s;
    session_begin(&s);
    TrainCommand c = {.epochs = 10, .batch = 64, .max_skipped = 10};
    TextList rest = {0};
    Option options[64] = {
        {0, "csv", "FILE", OPTION_TEXT, &c.csv, "a table, instead of NAME=FILE: its columns are the features"},
        {0, "target", "COLUMN", OPTION_TEXT, &c.target, "... but for this one, which is to be predicted"},
        {0, "validate", "NAME=FILE", OPTION_LIST, &c.validate, "data for `export fn evaluate` (FILE alone with --csv)"},
        {0, "validation", "FRACTION", OPTION_TEXT, &c.validation, "... or this part of the training data: 0.1"},
        {0, "augment", "WHAT", OPTION_LIST, &c.augment, "flip, crop=4, rotate=10, cutout=8, mixup=0.2 (docs/data.md)"},
        {0, "step", "NAME", OPTION_TEXT, &c.step, "the training step, where there are several (default: step)"},
        {0, "evaluate", "NAME", OPTION_TEXT, &c.evaluate, "the function that validates (default: evaluate)"},
        {0, "epochs", "N", OPTION_INT, &c.epochs, "times through the data (default 10)"},
        {0, "steps", "N", OPTION_INT, &c.steps, "batches in all, instead of epochs"},
        {0, "batch", "N", OPTION_INT, &c.batch, "examples a batch (default 64)"},
        {0, "every", "N", OPTION_INT, &c.every, "validate, report and save every N steps (default: every epoch)"},
        {0, "seed", "N", OPTION_INT, &c.seed, "of initial values, random draws and the order of examples (default 0)"},
        {0, "no-shuffle", NULL, OPTION_FLAG, &c.no_shuffle, "keep the order of the examples"},
        {0, "dim", "NAME=N", OPTION_LIST, &c.dims, "a dim that is not the batch: T=64"},
        {0, "weights", "FILE", OPTION_TEXT, &c.weights, "start from these"},
        {0, "partial", NULL, OPTION_FLAG, &c.partial, "... taking what matches by name, and saying what does not"},
        {0, "set-state", "PATH=VALUE", OPTION_LIST, &c.set_state, "set a state before the first step: a learning rate"},
        {0, "plateau", "PATH=F[,N]", OPTION_LIST, &c.plateau, "multiply a state by F when N periods (3) bring nothing better"},
        {0, "monitor", "METRIC", OPTION_TEXT, &c.monitor, "what `better` means; NAME:max or NAME:min (default: val_loss)"},
        {0, "patience", "N", OPTION_INT, &c.patience, "stop after N epochs (or periods of --every) without a better one"},
        {0, "max-skips", "N", OPTION_INT, &c.max_skipped, "give up after N steps in a row that are not finite (default 10; 0: never)"},
        {'o', "output", "FILE", OPTION_TEXT, &c.out, "the weights: the best ones, where validated (default: MODEL.safetensors)"},
        {0, "checkpoint", "FILE", OPTION_TEXT, &c.checkpoint, "everything, to resume from (default: MODEL.checkpoint.safetensors)"},
        {0, "resume", NULL, OPTION_FLAG, &c.resume, "go on from the checkpoint, as if never interrupted"},
        {0, "force", NULL, OPTION_FLAG, &c.force, "... even where the model, the data or options have changed"},
        {0, "log", "FILE", OPTION_TEXT, &c.log, "write the metrics as CSV"},
        {0, "jsonl", "FILE", OPTION_TEXT, &c.jsonl, "... as JSON lines"},
        {0, "tensorboard", "FOLDER", OPTION_TEXT, &c.tensorboard, "... for TensorBoard"},
        {0, "svg", "FILE", OPTION_TEXT, &c.svg, "... as curves"},
        {0, "plot", NULL, OPTION_FLAG, &c.plot, "show the curves at the end, also where no terminal is"},
        {0, "threads", "N", OPTION_INT, &c.threads, "default: one a CPU; the result is the same"},
        {0, "explain", NULL, OPTION_FLAG, &s.explain, "first print what every kernel does, and what the memory goes to"},
        {'q', "quiet", NULL, OPTION_FLAG, &c.quiet, "print nothing but warnings and errors"},
    };
    uint32_t n = 0;
    while (options[n].name) n++;
    s.dims = &c.dims;
    n += session_options(&s, options + n);
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    s.batch = c.batch;
    const char *path = NULL, *wrong = NULL;
    for (uint32_t i = 0; i < rest.n && !wrong; i++) {
        if (path && strchr(rest.at[i], '=')) vec_push(&s.arena, &c.data, rest.at[i]);
        else if (!path) path = rest.at[i];
        else wrong = arena_printf(&s.arena, "'%s' is not NAME=FILE", rest.at[i]);
    }
    if (!path) wrong = "which model?";
    else if (!wrong && !c.data.n && !c.csv) wrong = "which data? NAME=FILE, or --csv FILE --target COLUMN";
    else if (!wrong && c.batch < 1) wrong = "--batch is at least 1";
    else if (!wrong && c.partial && !c.weights) wrong = "--partial goes with --weights";
    else if (!wrong && c.force && !c.resume) wrong = "--force goes with --resume";
    if (wrong) {
        usage_error(&self, "%s", wrong);
        return arena_free(&s.arena), EXIT_USAGE;
    }
    code = run(&s, &c, path);
    s.json = s.json && code == EXIT_INPUT;              /* else what was printed was the JSON */
    int end = session_end(&s, code != EXIT_INPUT);
    return code == EXIT_OK ? end : code;
}

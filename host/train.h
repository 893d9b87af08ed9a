/* train.h - the training loop of `dlc train`, for the driver and later for Python: drives a compiled training step over a
 * dataset, validates, keeps the best and the last state on disk, and can go on from there bit for bit. It prints nothing:
 * who wants to see it work gives a TrainWatch.
 *
 *   Train *t = train_new(&arena, &(TrainOptions){.artefact = a, .instance = m, .step = fn, .evaluate = -1, .data = d,
 *                                                .batch = 64, .epochs = 10, .out = "mlp.safetensors"}, &error);
 *   if (!t || !train_resume(t, false, &error)) ...                  to go on from the checkpoint
 *   TrainEnd end = train_run(t, &error);
 *
 * Terms. A step is one batch. A period ends with the epoch, or after `every` steps: then come validation, a record (a row
 * of the history), and the checkpoint. Scalar results of the step are metrics by their names, those of `evaluate` with
 * val_ before them: floats are averaged over the period, weighted by examples; integers are counts and are added up. Other
 * results of `evaluate` (a confusion matrix) are added up.
 */
#ifndef DLC_TRAIN_H
#define DLC_TRAIN_H

#include <signal.h>

#include "host/dataset.h"

typedef struct Train Train;

typedef struct TrainMetric {
    const char *name;                   /* "loss", "val_accuracy" */
    bool validation;
    bool count;                         /* an integer: added up, not averaged */
    int  output;                        /* of its function */
} TrainMetric;

typedef struct TrainRecord {
    int64_t epoch;                      /* that it is in, from 1 */
    int64_t step, examples;             /* since the start of training, over all runs */
    double  seconds;                    /* the same */
    double  rate;                       /* examples a second in this period */
    bool    best;                       /* the monitored metric was never better */
    double *value;                      /* [nmetrics] NaN: not a number, or not known */
} TrainRecord;

/* A result of `evaluate` that is no scalar, added up over the last validation. */
typedef struct TrainTable {
    const char *name;
    int      output, rank;
    int64_t  dim[DLC_MAX_RANK], count;
    double  *sum;                       /* [count] */
} TrainTable;

/* A scalar state that is multiplied by `factor` when the monitored metric was not better for `patience` periods. */
typedef struct TrainPlateau {
    const char *path;
    double      factor;
    int64_t     patience, stale;
} TrainPlateau;

/* Something that alters the result, and so must be the same in a resumed run: what it is called and its value. */
typedef struct TrainFact { const char *name, *value; } TrainFact;

/* Any may be NULL. */
typedef struct TrainWatch {
    void *user;
    void (*batch)(void *user, const Train *t);          /* after each batch, of training and of validation */
    void (*record)(void *user, const Train *t, const TrainRecord *r);
    void (*note)(void *user, const char *text);         /* a skipped step, a file that could not be written, ... */
} TrainWatch;

typedef struct TrainOptions {
    dlc_artefact *artefact;
    dlc_instance *instance;
    int           step, evaluate;       /* functions; evaluate: -1: none */
    const int64_t *step_dims, *evaluate_dims;   /* -1: shown by the data. NULL: all are */
    Dataset      *data, *validation;    /* of step; of evaluate, or NULL */
    int64_t       batch, epochs, steps; /* steps: 0: as many as the epochs have */
    int64_t       every;                /* steps a period; 0: an epoch */
    uint64_t      seed;
    bool          shuffle, augment;
    int64_t       patience;             /* periods without a better metric before it stops; 0: never */
    int64_t       max_skipped;          /* steps in a row that were not finite before it gives up */
    const char   *monitor;              /* "val_accuracy", "val_accuracy:max"; NULL: val_loss, or what there is */
    TrainPlateau *plateau;
    uint32_t      nplateau;
    const char   *out, *checkpoint;     /* weights; everything. NULL: not written */
    const TrainFact *fact;
    uint32_t      nfacts;
    const volatile sig_atomic_t *stop;  /* nonzero: finish the step, save, return. NULL: never */
    TrainWatch    watch;
} TrainOptions;

typedef enum TrainEnd {
    TRAIN_DONE,                         /* all epochs, or all steps */
    TRAIN_EARLY,                        /* the metric was not better for `patience` periods */
    TRAIN_STOPPED,                      /* *stop was set; everything is saved */
    TRAIN_FAILED                        /* error says why; what was reached is saved if it could be */
} TrainEnd;

struct Train {
    Arena        *arena;
    TrainOptions  o;
    VEC(TrainMetric) metrics;
    VEC(TrainTable)  tables;
    VEC(TrainRecord) history;
    int           monitor;              /* among metrics; -1: none */
    bool          maximise, keeps_best; /* keeps_best: `out` has the best weights, not the last */
    /* position */
    int64_t       epoch, batch;         /* epochs finished; batches of this one that are done */
    int64_t       step, examples, period_steps;
    int64_t       skipped, skipped_in_row;
    double        seconds;
    /* sums of the period, a metric each, and the examples they are of */
    double       *sum, *weight;
    double        best;
    int64_t       best_epoch, best_step;        /* 0: none yet */
    int64_t       stale;                /* periods since then */
    /* for who watches */
    bool          validating;
    int64_t       validation_batch, validation_batches, epoch_batches;
    double        run_start;            /* time_now() */
    int64_t       run_step, run_examples;       /* at the start of this run */
    struct TrainInner *inner;
};

/* NULL: *error. Everything lives in `a`. */
Train *train_new(Arena *a, const TrainOptions *o, const char **error);
/* Go on from o.checkpoint. false: *error: no such file, a broken one, or facts that differ from those it was made with,
 * unless `force`. */
bool train_resume(Train *t, bool force, const char **error);
TrainEnd train_run(Train *t, const char **error);
void train_free(Train *t);              /* what is not in the arena; NULL is fine */
/* Is a better than b, in the monitored metric? */
bool train_better(const Train *t, double a, double b);
/* Set every element of a param or state of a float or integer dtype. */
bool train_set(Arena *a, dlc_artefact *artefact, dlc_instance *m, const char *path, double value, const char **error);

/* ---- train_checkpoint.c ---------------------------------------------------------------------------------------------- */

/* A text of a safetensors file's metadata; *text is NULL if it has none of that key. false: *error. */
bool train_metadata(Arena *a, const char *path, const char *key, const char **text, const char **error);

/* ---- train_log.c: the history as text --------------------------------------------------------------------------------- */

/* "epoch,step,examples,seconds,loss,..." and a line a record; with 17 digits where it takes them. */
void train_csv(Str *out, const Train *t);
/* {"epoch": 1, "step": 24, ..., "loss": 0.5} a line; what is not a number is null. */
void train_jsonl(Str *out, const Train *t);
/* A metric for people: 4 significant digits. */
void train_number(Str *out, double v);

/* ---- tensorboard.c ------------------------------------------------------------------------------------------------------ */

/* An event file of TensorBoard: its beginning, and the records from number `first` on; tags train/loss, validation/loss.
 * The wall time of a record is `start`, in seconds of Unix, and its seconds of training. */
void train_tensorboard_begin(Str *out, double start);
void train_tensorboard(Str *out, const Train *t, uint32_t first, double start);

/* ---- curve_svg.c, curve_text.c ------------------------------------------------------------------------------------------ */

typedef struct Curve {
    const char *name;
    uint32_t    n;
    const double *x, *y;                /* ascending x; y not finite: a gap */
} Curve;
typedef struct Chart {
    const char *title, *x_label, *y_label;
    const Curve *curve;
    uint32_t    n;
} Chart;

/* The charts of a history: one for the losses, one for each other metric name, training and validation together. */
uint32_t train_charts(Arena *a, const Train *t, Chart **charts);
/* The charts one below the other, as one SVG file. */
void charts_svg(Str *out, const Chart *chart, uint32_t n);
/* A chart of characters, `width` columns by `height` rows and its axes; ASCII if not `braille`. */
void chart_text(Str *out, const Chart *chart, int width, int height, bool braille);
/* Round numbers that divide [low, high]: at most `cap` of them; returns how many. */
uint32_t chart_ticks(double low, double high, uint32_t cap, double *tick);

#endif

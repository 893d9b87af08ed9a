/* train.h - what the files of `dlc train` share. */
#ifndef DLC_DRIVER_TRAIN_H
#define DLC_DRIVER_TRAIN_H

#include "driver/driver.h"
#include "host/train.h"

typedef struct TrainCommand {
    TextList    data, validate, dims, augment, set_state, plateau;
    const char *validation, *csv, *target, *step, *evaluate, *weights, *out, *checkpoint, *monitor;
    const char *log, *jsonl, *tensorboard, *svg;
    int         epochs, steps, batch, seed, threads, every, patience, max_skipped;
    bool        partial, resume, force, no_shuffle, plot, quiet;
} TrainCommand;

/* train_show.c: what a run shows while it goes on, and the files that follow it. */
typedef struct TrainView {
    Session    *s;
    const TrainCommand *c;
    const char *name;                   /* of the model */
    bool        bar;                    /* stderr is a terminal */
    bool        bar_shown;
    double      drawn, written;         /* time_now() of the last bar, of the last files */
    FILE       *events;                 /* of TensorBoard; NULL: none */
    uint32_t    event_records;          /* records that it has, or that older files have */
    double      event_start;
    bool        complained;             /* a file could not be written: said once */
} TrainView;

void train_view_begin(TrainView *v, const Train *t);
void train_view_batch(void *view, const Train *t);
void train_view_record(void *view, const Train *t, const TrainRecord *r);
void train_view_note(void *view, const char *text);
void train_view_end(TrainView *v, const Train *t, TrainEnd end, double seconds);

#endif

/* fuzz_checkpoint.c - any bytes as the training state of a checkpoint: refused, or a position that a run can go on from and write
 * down again. */
#include <stdlib.h>
#include <string.h>

#include "host/train_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const TrainFact facts[] = {{"--batch", "16"}, {"the model", "0123"}};
    Arena a = {0};
    TrainPlateau plateau = {"rate", 0.5, 3, 0};
    Train t = {.arena = &a, .o = {.fact = facts, .nfacts = 2, .plateau = &plateau, .nplateau = 1}, .epoch_batches = 5};
    vec_push(&a, &t.metrics, ((TrainMetric){"loss", false, false, 0}));
    vec_push(&a, &t.metrics, ((TrainMetric){"val_loss", true, false, 0}));
    t.sum = arena_array(&a, double, 3);
    t.weight = arena_array(&a, double, 3);
    const char *error = NULL;
    if (train_read_state(&t, "x", (const char *)data, n, n % 2, &error)) {
        Str out = {.arena = &a};
        if (t.epoch < 0 || t.batch < 0 || t.batch > t.epoch_batches || t.step < 0 || t.best_step > t.step || t.stale < 0) abort();
        train_csv(&out, &t);
        train_jsonl(&out, &t);
    } else if (!error) {
        abort();
    }
    arena_free(&a);
    return 0;
}

/* train_digits.c - train the MLP of models/mlp.dl on the digits, inside an ordinary application.
 *   dlc models/mlp.dl --set features=64 --set hidden=96 -o mlp.so && cc -I. models/embed/train_digits.c ./mlp.so -o train_digits
 *   ./train_digits models/data/digits.safetensors weights.safetensors */
#include "mlp.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 1347, TEST = 450, PIXELS = 64, BATCH = 50, STEPS = 1000 };
static uint8_t ink[(TRAIN + TEST) * PIXELS];
static float x[(TRAIN + TEST) * PIXELS], batch[BATCH * PIXELS];
static int32_t digit[TRAIN + TEST], y[BATCH];

int main(int argc, char **argv)
{
    FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
    uint64_t header;                    /* a safetensors file: the length of its header, that, then the tensors */
    if (!f || fread(&header, 8, 1, f) != 1 || fseek(f, (long)header, SEEK_CUR) ||
        fread(ink, PIXELS, TRAIN, f) != TRAIN || fread(digit, 4, TRAIN, f) != TRAIN ||
        fread(ink + TRAIN * PIXELS, PIXELS, TEST, f) != TEST || fread(digit + TRAIN, 4, TEST, f) != TEST)
        return fprintf(stderr, "usage: train_digits digits.safetensors WEIGHTS\n"), 2;
    for (int i = 0; i < (TRAIN + TEST) * PIXELS; i++) x[i] = ink[i] / 16.0f;

    mlp *m = mlp_create(NULL);
    float loss, accuracy;
    int failed = !m;
    for (int step = 0; !failed && step < STEPS; step++) {
        for (int i = 0; i < BATCH; i++) {
            int k = rand() % TRAIN;
            memcpy(batch + i * PIXELS, x + k * PIXELS, PIXELS * sizeof *x);
            y[i] = digit[k];
        }
        float rate = step < STEPS / 2 ? 3e-3f : 3e-4f;
        failed = mlp_set(m, "host.rate", &rate, sizeof rate) || mlp_step(m, BATCH, batch, y, &loss, &accuracy);
    }
    if (failed || mlp_evaluate(m, TEST, x + TRAIN * PIXELS, digit + TRAIN, &loss, &accuracy) || mlp_save(m, argv[2]))
        return fprintf(stderr, "train_digits: %s\n", mlp_error(m)), 1;
    printf("test accuracy %.1f %%\n", 100 * accuracy);
    mlp_destroy(m);
}

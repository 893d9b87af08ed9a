/* demo.c - what `./setup demo` runs: read handwritten digits, show some of them, count and time the rest.
 * An application of models/digits.dl; besides libc it needs digits.h and digits.so only.
 * usage: demo WEIGHTS DATA      safetensors; DATA has test_x u8[N, 8, 8] and test_y i32[N]
 */
#define _POSIX_C_SOURCE 199309L         /* clock_gettime */
#include "digits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE, CLASSES = 10, ACROSS = 4, SHOWN = 8 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *read_file(const char *path, long *size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *data = NULL;
    if (!fseek(f, 0, SEEK_END) && (*size = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET)
        && (data = malloc((size_t)*size + 1)) && fread(data, 1, (size_t)*size, f) != (size_t)*size) {
        free(data);
        data = NULL;
    }
    fclose(f);
    return data;
}

/* The bytes of a tensor in a safetensors file that we trust: u64 length of a JSON header, the header, the data. */
static const char *tensor(const char *file, long size, const char *name, long *bytes)
{
    uint64_t header;
    long begin, end;
    char key[64];
    if (size < 8)
        return NULL;
    memcpy(&header, file, 8);
    if (header > (uint64_t)size - 8)
        return NULL;
    snprintf(key, sizeof key, "\"%s\":{", name);
    const char *at = strstr(file + 8, key);
    const char *offsets = at ? strstr(at, "\"data_offsets\":[") : NULL;
    if (!offsets || sscanf(offsets, "\"data_offsets\":[%ld,%ld]", &begin, &end) != 2
        || begin < 0 || end < begin || end > size - 8 - (long)header)
        return NULL;
    *bytes = end - begin;
    return file + 8 + header + begin;
}

/* Pictures side by side, two characters a pixel. */
static void show(const uint8_t *images, const int32_t *labels, const int32_t *read, long n)
{
    static const char *const shade[] = {"  ", "░░", "▒▒", "▓▓", "██"};
    for (int row = 0; row < SIDE; row++) {
        for (long i = 0; i < n; i++) {
            for (int col = 0; col < SIDE; col++)
                fputs(shade[(images[i * PIXELS + row * SIDE + col] * 4 + 15) / 16 % 5], stdout);
            fputs(i + 1 < n ? "  " : "\n", stdout);
        }
    }
    for (long i = 0; i < n; i++)
        printf(read[i] == labels[i] ? "    reads %d       " : "  reads %d, is %d  ", (int)read[i], (int)labels[i]);
    fputs("\n\n", stdout);
}

int main(int argc, char **argv)
{
    long size, nx, ny;
    if (argc != 3) {
        fprintf(stderr, "usage: demo WEIGHTS DATA\n");
        return 2;
    }
    char *file = read_file(argv[2], &size);
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    file[size] = 0;
    const char *x = tensor(file, size, "test_x", &nx), *y = tensor(file, size, "test_y", &ny);
    long n = y ? ny / (long)sizeof(int32_t) : 0;
    if (!x || n < SHOWN || nx != n * PIXELS) {
        fprintf(stderr, "%s: no test_x u8[N, 8, 8] and test_y i32[N]\n", argv[2]);
        return 1;
    }
    const uint8_t *images = (const uint8_t *)x;
    int32_t *labels = malloc((size_t)ny), *read = malloc((size_t)ny);
    float *prob = malloc((size_t)n * CLASSES * sizeof *prob);
    digits *m = labels && read && prob ? digits_create(NULL) : NULL;
    if (!m || digits_load(m, argv[1]) || digits_label(m, n, images, read)) {
        fprintf(stderr, "demo: %s\n", digits_error(m));
        return 1;
    }
    memcpy(labels, y, (size_t)ny);

    for (long i = 0; i < SHOWN; i += ACROSS)
        show(images + i * PIXELS, labels + i, read + i, ACROSS);
    long right = 0;
    for (long i = 0; i < n; i++)
        right += read[i] == labels[i];
    printf("accuracy      %.1f %% (%ld of %ld right)\n", 100.0 * (double)right / (double)n, right, n);

    double start = seconds(), spent = 0;
    long done = 0;
    int status = 0;
    for (; !status && spent < 0.5; spent = seconds() - start, done += n)
        status = digits_classify(m, n, images, prob);
    double batch = spent / (double)done;
    start = seconds(), spent = 0, done = 0;
    for (; !status && spent < 0.5; spent = seconds() - start, done++)
        status = digits_classify(m, 1, images + done % n * PIXELS, prob);
    if (status) {
        fprintf(stderr, "demo: %s\n", digits_error(m));
        return 1;
    }
    printf("speed         %.0f images/s (%ld at a time), %.1f us for one alone\n", 1 / batch, n, 1e6 * spent / (double)done);

    digits_destroy(m);
    free(prob), free(read), free(labels), free(file);
    return 0;
}

/* Fuzz target: any bytes as a PNG or JPEG image. */
#include <string.h>

#include "host/dataset_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    Image image, small;
    const char *error = NULL;
    char *text = arena_copy(&a, data, n);
    if (image_parse(&a, "f", text, n, &image, &error)) {
        size_t bytes = (size_t)(image.height * image.width * 3);
        char *copy = arena_copy(&a, image.rgb, bytes);              /* reads all of it */
        if (memcmp(copy, image.rgb, bytes)) __builtin_trap();
        if (bytes < 1 << 20 && !image_resize(&a, &image, 5, 3, &small)) __builtin_trap();
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

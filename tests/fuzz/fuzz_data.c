/* Fuzz target: any bytes as a .npy or idx file. What is accepted has exactly the elements that its shape says. */
#include <string.h>

#include "host/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    dlc_tensor t;
    const char *error = NULL;
    if (data_parse(&a, "f", (const char *)data, n, &t, &error)) {
        int64_t bytes;
        if (!shape_bytes(t.dtype, t.rank, t.dim, &bytes)) __builtin_trap();
        char *copy = arena_copy(&a, t.data, (size_t)bytes);     /* reads all of it */
        if (bytes && memcmp(copy, t.data, (size_t)bytes)) __builtin_trap();
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

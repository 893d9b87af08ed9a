/* Fuzz target: any bytes as a .npz file. What is accepted has exactly the elements that its shape says. */
#include <string.h>

#include "host/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int named = 0; named < 2; named++) {
        Arena a = {0};
        dlc_tensor t;
        const char *error = NULL;
        char *text = arena_copy(&a, data, n);
        if (npz_parse(&a, "f", text, n, named ? "x" : NULL, &t, &error)) {
            int64_t bytes;
            if (!shape_bytes(t.dtype, t.rank, t.dim, &bytes)) __builtin_trap();
            char *copy = arena_copy(&a, t.data, (size_t)bytes);     /* reads all of it */
            if (bytes && memcmp(copy, t.data, (size_t)bytes)) __builtin_trap();
        } else if (!error) {
            __builtin_trap();
        }
        arena_free(&a);
    }
    return 0;
}

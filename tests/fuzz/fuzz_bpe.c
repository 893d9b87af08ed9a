/* Fuzz target: any bytes as GPT-2's vocabulary, then a zero, its merges, then a zero, a text. The text comes back from its ids. */
#include <string.h>

#include "host/tokenizer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    const char *error = NULL, *json = (const char *)data, *end = json + n;
    const char *merges = n ? memchr(json, 0, n) : NULL, *text = merges ? memchr(merges + 1, 0, (size_t)(end - merges) - 1) : NULL;
    if (!text) return 0;
    Tokenizer *t = tokenizer_new(&a, TOKENIZER_gpt2);
    if (gpt2_parse(t, "e", json, (size_t)(merges - json), "m", merges + 1, (size_t)(text - merges) - 1, &error)) {
        IdList ids = {0};
        Str back = {.arena = &a};
        size_t len = (size_t)(end - text) - 1;
        if (tokenizer_encode(t, text + 1, len, true, &ids, &error)) {
            for (uint32_t i = 0; i < ids.n; i++)
                if (!tokenizer_piece(t, i ? ids.at[i - 1] : -1, ids.at[i], &back)) __builtin_trap();
            if (back.n != len || (len && memcmp(back.at, text + 1, len))) __builtin_trap();
        } else if (!error) {
            __builtin_trap();
        }
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

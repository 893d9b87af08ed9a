/* Fuzz target: any bytes as a tokenizer of llama2.c. What is accepted turns any text into ids, and every id into text. */
#include "host/tokenizer_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    const char *error = NULL;
    Tokenizer *t = tokenizer_new(&a, TOKENIZER_llama2c);
    if (llama2c_parse(t, "f", (const char *)data, n, &error)) {
        IdList ids = {0};
        Str back = {.arena = &a};
        if (!tokenizer_encode(t, (const char *)data, n, true, &ids, &error) && !error) __builtin_trap();
        for (uint32_t i = 0; i < ids.n; i++)
            if (!tokenizer_piece(t, i ? ids.at[i - 1] : -1, ids.at[i], &back)) __builtin_trap();
        for (int32_t i = 0; i < tokenizer_size(t); i++) tokenizer_piece(t, -1, i, &back);
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

/* Fuzz target: any bytes as a safetensors file. The reader must refuse or give tensors that lie inside of the data, one
 * behind the other. */
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    RtSafetensors s;
    RtError e;
    if (n < 1) return 0;
    /* The first byte: how many bytes of data follow the header, which is all the rest. */
    if (rt_safetensors_parse(&s, &rt_malloc, "f", (const char *)data + 1, (int64_t)n - 1, data[0], &e)) return 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        const RtTensorEntry *t = &s.tensor[i];
        if (t->begin < 0 || t->bytes < 0 || t->begin + t->bytes > data[0]) abort();
        if (strlen(t->name) == t->name_len && rt_safetensors_find(&s, t->name) != t) abort();
        sum += t->bytes;
    }
    if (sum != data[0]) abort();
    rt_safetensors_close(&s);
    return 0;
}

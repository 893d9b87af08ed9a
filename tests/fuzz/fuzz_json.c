/* fuzz_json.c - any bytes to the JSON reader: it ends, stays inside, and what it accepts can be unescaped. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Json j;
    JsonToken t;
    char *to = malloc(n + 1);
    json_start(&j, (const char *)data, n);
    while ((t = json_next(&j)) != JSON_END && t != JSON_BAD) {
        int64_t value;
        if (j.pos > n) abort();
        if (t == JSON_NUMBER) json_int(&j, &value);
        if (t == JSON_KEY || t == JSON_STRING) {
            int64_t len = json_unescape(j.at, j.len, to, n + 1);
            if (len < 0 || (size_t)len > j.len) abort();
            if (json_is(&j, to) != (strlen(to) == (size_t)len)) abort();
        }
    }
    free(to);
    return 0;
}

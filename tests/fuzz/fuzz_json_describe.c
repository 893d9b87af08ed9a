/* Fuzz target: any text as the description of training data, which a checkpoint holds; used on a text and on a table. */
#include <string.h>

#include "host/dataset_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena a = {0};
    Described d;
    Csv csv;
    const char *error = NULL;
    static const char table[] = "u,v,w\n1,a,\n,b,2\n3,?,\"\"\n";
    char *text = arena_strndup(&a, (const char *)data, n);
    if (describe_read(&a, text, "x", &d, &error)) {
        Input in = {.name = "x", .dtype = DLC_F64, .batched = true, .limit = -1, .csv = &csv,
                    .spec = {.argument = "x", .path = "f", .scale = 1, .missing = (int)(n & 3)}};
        if (d.kind && d.column && csv_parse(&a, "f", table, sizeof table - 1, true, 0, &csv, &error) &&
            table_columns(&a, &in, NULL, 0, d.column, d.ncolumns, &error)) {
            double *v = arena_array(&a, double, (size_t)table_width(&in));
            for (int64_t i = 0; i < csv.nrows; i++)
                if (table_keeps(&in, i)) table_doubles(&in, i, v);
        }
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

/* Fuzz target: any bytes as a csv file, its columns as numbers. The two readings of the file agree. */
#include <string.h>

#include "host/dataset_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char separators[] = {0, ',', ';', '\t'};
    Arena a = {0};
    Csv csv;
    const char *error = NULL;
    if (n < 2) return 0;
    char *text = arena_copy(&a, data + 1, n - 1);
    if (csv_parse(&a, "f", text, n - 1, data[0] & 4, separators[data[0] & 3], &csv, &error)) {
        CsvReader r;
        CsvCell *cells = arena_array(&a, CsvCell, csv.ncolumns);
        int64_t rows = 0;
        csv_rewind(&csv, &r);
        for (; csv_row(&r, cells); rows++)
            for (uint32_t i = 0; i < csv.ncolumns; i++)
                if (strlen(csv_text(&a, &cells[i])) > cells[i].n) __builtin_trap();
        if (rows != csv.nrows) __builtin_trap();
        Input in = {.name = "x", .dtype = data[0] & 8 ? DLC_I32 : DLC_F64, .batched = true, .limit = -1, .csv = &csv,
                    .spec = {.argument = "x", .path = "f", .scale = 1, .missing = data[0] >> 4 & 3,
                             .given = data[0] & 128 ? 1u << DATA_categorical : 0}};
        if (table_columns(&a, &in, NULL, 0, NULL, 0, &error) && table_check(&a, &in, &error)) {
            int64_t *row = arena_array(&a, int64_t, (size_t)rows), width = table_width(&in);
            for (int64_t i = 0; i < rows; i++) row[i] = i;
            table_fit(&in, row, rows);
            double *v = arena_array(&a, double, (size_t)width);
            for (int64_t i = 0; i < rows; i++) {
                if (!table_keeps(&in, i)) continue;
                table_doubles(&in, i, v);
                for (int64_t k = 0; k < width; k++)
                    if (v[k] != v[k]) __builtin_trap();
            }
        } else if (!error) {
            __builtin_trap();
        }
    } else if (!error) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

/* output.c - results of a call: as text for people, as JSON, as .npy or .safetensors files. */
#include "driver/driver.h"

#include <string.h>

#include "base/size.h"
#include "host/data.h"

bool tensor_bytes(const dlc_tensor *t, int64_t *bytes)
{
    *bytes = (int64_t)dlc_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] < 0 || !size_mul(*bytes, t->dim[i], bytes)) return false;
    return *bytes < INT64_MAX / 2;
}

static int64_t count_of(const dlc_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

/* Artefacts number dtypes as the IR does. */
static Tensor as_ir(const dlc_tensor *t) { return (Tensor){.dtype = (DType)t->dtype, .rank = 1, .dim = {count_of(t)}, .data = t->data}; }

static void put_element(Str *out, const dlc_tensor *t, int64_t i)
{
    Tensor x = as_ir(t);
    double v = tensor_get(&x, i);
    if (t->dtype == DLC_BOOL) str_add(out, v != 0 ? "true" : "false");
    else if (t->dtype == DLC_I64) str_fmt(out, "%lld", (long long)((const int64_t *)t->data)[i]);
    else if (dtype_is_int((DType)t->dtype)) str_fmt(out, "%.0f", v);
    else str_fmt(out, "%.6g", v);
}

/* Rows of the last axis, one a line; the middle of what is long is left out. */
void print_tensor(Str *out, const char *name, const dlc_tensor *t)
{
    enum { ROWS = 8, COLUMNS = 12 };
    str_fmt(out, "%s: %s[", name, dlc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) str_fmt(out, "%s%lld", i ? "," : "", (long long)t->dim[i]);
    str_add(out, "]");
    int64_t n = count_of(t), columns = t->rank ? t->dim[t->rank - 1] : 1, rows = columns ? n / columns : 0;
    str_add(out, rows > 1 ? "\n" : " ");
    for (int64_t r = 0; r < rows; r++) {
        if (rows > ROWS && r == ROWS / 2) {
            str_fmt(out, "  ... %lld more\n", (long long)(rows - ROWS));
            r = rows - ROWS / 2;
        }
        if (rows > 1) str_add(out, " ");
        for (int64_t c = 0; c < columns; c++) {
            if (columns > COLUMNS && c == COLUMNS / 2) {
                str_add(out, " ...");
                c = columns - COLUMNS / 2;
            }
            str_char(out, ' ');
            put_element(out, t, r * columns + c);
        }
        str_char(out, '\n');
    }
    if (!rows) str_char(out, '\n');
}

static void json_axis(Str *out, const dlc_tensor *t, int axis, int64_t *next)
{
    if (axis == t->rank) {
        Tensor x = as_ir(t);
        double v = tensor_get(&x, *next);
        if (v - v != 0) str_add(out, "null");           /* JSON has no infinities and no NaN */
        else if (t->dtype == DLC_F32) str_float(out, (float)v);
        else put_element(out, t, *next);
        ++*next;
        return;
    }
    str_char(out, '[');
    for (int64_t i = 0; i < t->dim[axis]; i++) {
        if (i) str_char(out, ',');
        json_axis(out, t, axis + 1, next);
    }
    str_char(out, ']');
}

void json_tensor(Str *out, const dlc_tensor *t)
{
    int64_t next = 0;
    json_axis(out, t, 0, &next);
}

/* A safetensors file: 8 bytes of header length, a JSON header padded with spaces to a multiple of 8, the data. */
static bool write_safetensors(Session *s, const char *path, uint32_t n, const char *const *name, const dlc_tensor *t, const char **error)
{
    static const char *const dtype[] = {"", "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"};
    Str header = {.arena = &s->arena}, file = {.arena = &s->arena};
    size_t at = 0;
    str_char(&header, '{');
    for (uint32_t i = 0; i < n; i++) {
        size_t bytes = (size_t)count_of(&t[i]) * dlc_dtype_size(t[i].dtype);
        if (i) str_char(&header, ',');
        str_json(&header, name[i], strlen(name[i]));
        str_fmt(&header, ":{\"dtype\":\"%s\",\"shape\":[", dtype[t[i].dtype]);
        for (int k = 0; k < t[i].rank; k++) str_fmt(&header, "%s%lld", k ? "," : "", (long long)t[i].dim[k]);
        str_fmt(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    str_char(&header, '}');
    while (header.n % 8) str_char(&header, ' ');
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(header.n >> (8 * i));
    str_addn(&file, (const char *)length, 8);
    str_addn(&file, header.at, header.n);
    for (uint32_t i = 0; i < n; i++) str_addn(&file, t[i].data, (size_t)count_of(&t[i]) * dlc_dtype_size(t[i].dtype));
    return file_write(&s->arena, path, file.at, file.n, error);
}

bool write_results(Session *s, const char *path, uint32_t n, const char *const *name, const dlc_tensor *t)
{
    const char *error = NULL;
    size_t length = strlen(path);
    bool npy = length > 4 && !strcmp(path + length - 4, ".npy");
    bool safetensors = length > 12 && !strcmp(path + length - 12, ".safetensors");
    if (!npy && !safetensors) {
        session_error(s, "-o writes .npy or .safetensors, not %s", path);
        return false;
    }
    if (npy && n != 1) {
        session_error(s, "%s: a .npy file holds one result, the function has %u; write .safetensors", path, n);
        return false;
    }
    bool ok = npy ? data_write_npy(&s->arena, path, &t[0], &error) : write_safetensors(s, path, n, name, t, &error);
    if (!ok) session_error(s, "%s", error);
    return ok;
}

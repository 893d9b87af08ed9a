/* dataset_encode.c - an example as its argument wants it: read from its source, scaled or normalised, stored. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "host/dataset_internal.h"
#include "ir/ir.h"

static bool is_float(int dtype)
{
    return dtype >= DLC_F64 && dtype <= DLC_BF16;
}

static Tensor as_tensor(int dtype, const void *data)
{
    return (Tensor){.dtype = (DType)dtype, .data = (void *)(uintptr_t)data};
}

void store_doubles(int dtype, const double *v, int64_t n, void *out)
{
    if (dtype == DLC_F64) {
        memcpy(out, v, (size_t)n * sizeof *v);
    } else if (dtype == DLC_F32) {
        for (int64_t i = 0; i < n; i++) ((float *)out)[i] = (float)v[i];
    } else if (dtype == DLC_U8) {
        for (int64_t i = 0; i < n; i++) ((uint8_t *)out)[i] = (uint8_t)(v[i] < 0 ? 0 : v[i] > 255 ? 255 : v[i] + 0.5);
    } else {
        Tensor t = as_tensor(dtype, out);
        for (int64_t i = 0; i < n; i++) tensor_set(&t, i, is_float(dtype) ? v[i] : floor(v[i] + 0.5));
    }
}

/* ---- arrays -------------------------------------------------------------------------------------------------------------------- */

/* Elements of an example in the file: with onehot, fewer than the argument's. */
static int64_t array_elements(const Input *in)
{
    return in->spec.given >> DATA_onehot & 1 ? in->elements / in->dim[in->rank - 1] : in->elements;
}

static void array_doubles(const Input *in, int64_t row, double *out)
{
    Tensor t = as_tensor(in->array.dtype, in->array.data);
    int64_t n = array_elements(in), first = row * n;
    if (in->spec.given >> DATA_onehot & 1) {
        int64_t classes = in->dim[in->rank - 1];
        memset(out, 0, (size_t)in->elements * sizeof *out);
        for (int64_t i = 0; i < n; i++) out[i * classes + (int64_t)tensor_get(&t, first + i)] = 1;
        return;
    }
    if (in->array.dtype == DLC_U8)
        for (int64_t i = 0; i < n; i++) out[i] = ((const uint8_t *)in->array.data)[first + i] * in->spec.scale;
    else
        for (int64_t i = 0; i < n; i++) out[i] = tensor_get(&t, first + i) * in->spec.scale;
    for (int64_t i = 0; i < n && in->mean; i++) out[i] = (out[i] - in->mean[i]) / in->deviation[i];
}

static void fit_array(const Input *in, const int64_t *row, int64_t n)
{
    Arena scratch = {0};
    double *v = arena_array(&scratch, double, (size_t)in->elements);
    Input plain = *in;
    plain.mean = NULL;
    for (int64_t k = 0; k < in->elements; k++) in->mean[k] = in->deviation[k] = 0;
    for (int64_t i = 0; i < n; i++) {
        array_doubles(&plain, row[i], v);
        for (int64_t k = 0; k < in->elements; k++) in->mean[k] += v[k];
    }
    for (int64_t k = 0; k < in->elements && n; k++) in->mean[k] /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        array_doubles(&plain, row[i], v);
        for (int64_t k = 0; k < in->elements; k++) in->deviation[k] += (v[k] - in->mean[k]) * (v[k] - in->mean[k]);
    }
    for (int64_t k = 0; k < in->elements; k++) {
        in->deviation[k] = n ? sqrt(in->deviation[k] / (double)n) : 1;
        if (!(in->deviation[k] > 0)) in->deviation[k] = 1;
    }
    arena_free(&scratch);
}

static bool check_index(Arena *a, const Input *in, int64_t i, double v, int64_t limit, const char **error)
{
    if (v >= 0 && v < (double)limit) return true;
    const char *example = in->array.rank == 1 ? "" : arena_printf(a, " (example %" PRId64 ")", i / (array_elements(in) ? array_elements(in) : 1));
    return data_fail(a, error, "%s: element %" PRId64 "%s is %.17g, and %s takes values from 0 to %" PRId64, in->file, i, example, v, in->name, limit - 1);
}

/* Every element is checked before the first batch, so that none can fail later. */
static bool check_array(Arena *a, const Input *in, const char **error)
{
    bool onehot = in->spec.given >> DATA_onehot & 1, rounds = in->spec.given >> DATA_round & 1 || in->spec.scale != 1 || in->mean;
    int64_t n = in->count * array_elements(in), limit = onehot ? in->dim[in->rank - 1] : in->limit;
    if (onehot && (is_float(in->array.dtype) || in->array.dtype == DLC_BOOL))
        return data_fail(a, error, "%s: onehot makes vectors of class numbers, and %s holds %s", in->name, in->file, data_type(a, &in->array));
    Tensor from = as_tensor(in->array.dtype, in->array.data);
    bool indices = limit >= 0 && (onehot || !is_float(in->dtype));
    for (int64_t i = 0; i < n && indices; i++)
        if (!check_index(a, in, i, tensor_get(&from, i), limit, error)) return false;
    bool exact = in->dtype == in->array.dtype || (in->array.dtype == DLC_U8 && in->dtype <= DLC_I16 && in->dtype != DLC_BF16) ||
                 (is_float(in->dtype) && rounds);
    if (onehot || exact) return true;
    uint64_t room[1];
    for (int64_t i = 0; i < n; i++) {                   /* the conversion of one element, as `dlc run` checks it */
        size_t size = dlc_dtype_size(in->array.dtype);
        dlc_tensor one = {.dtype = in->array.dtype, .data = (char *)in->array.data + (size_t)i * size}, to = {.dtype = in->dtype, .data = room};
        if (data_exact(&one, &to)) continue;
        const char *hint = is_float(in->dtype) && is_float(in->array.dtype) ? "; ',round' rounds" : "";
        return data_fail(a, error, "%s: %s is %s, the argument is %s: element %" PRId64 ", which is %.17g, would change%s", in->name, in->file,
                         data_type(a, &in->array), dlc_dtype_name(in->dtype), i, tensor_get(&from, i), hint);
    }
    return true;
}

/* ---- streams, classes ---------------------------------------------------------------------------------------------------------------- */

static bool check_stream(Arena *a, const Input *in, const char **error)
{
    const Stream *s = in->stream;
    static const double most[] = {[DLC_I64] = 0x1p53, [DLC_I32] = INT32_MAX, [DLC_I16] = INT16_MAX, [DLC_I8] = INT8_MAX, [DLC_U8] = UINT8_MAX, [DLC_BOOL] = 1};
    double highest = in->limit >= 0 && (double)(in->limit - 1) < most[in->dtype] ? (double)(in->limit - 1) : most[in->dtype];
    if (s->vocabulary && s->nvocabulary - 1.0 > highest)
        return data_fail(a, error, "%s: %s has %u different characters, and %s takes values from 0 to %.17g", in->name, in->file, s->nvocabulary,
                         in->name, highest);
    if ((double)s->highest > highest)
        return data_fail(a, error, "%s: number %" PRId64 " (from 0) is %" PRId64 ", and %s takes values from 0 to %.17g", in->file, s->highest_at,
                         s->highest, in->name, highest);
    return true;
}

static bool check_classes(Arena *a, const Input *in, const char **error)
{
    const Folder *f = in->folder;
    if (!f->nclasses) return data_fail(a, error, "%s: %s holds images and no folders of classes", in->name, in->file);
    int64_t limit = is_float(in->dtype) ? in->elements : in->limit;
    if (limit >= 0 && f->nclasses > limit)
        return data_fail(a, error, "%s: %s has %u classes, and %s takes %" PRId64, in->name, in->file, f->nclasses, in->name, limit);
    return true;
}

static void class_doubles(const Input *in, int64_t row, double *out)
{
    int32_t label = in->folder->label[row];
    if (!is_float(in->dtype)) *out = label;
    for (int64_t i = 0; i < in->elements && is_float(in->dtype); i++) out[i] = i == label;
}

/* ---- all kinds --------------------------------------------------------------------------------------------------------------------------- */

bool input_doubles(Arena *scratch, const Input *in, int64_t row, double *out, const char **error)
{
    switch (in->kind) {
    case SOURCE_TABLE: table_doubles(in, row, out); return true;
    case SOURCE_STREAM:
        for (int64_t i = 0; i < in->elements; i++) out[i] = (double)stream_at(in->stream, row + in->spec.shift + i);
        return true;
    case SOURCE_IMAGES: return images_doubles(scratch, in, row, out, error);
    case SOURCE_CLASSES: class_doubles(in, row, out); return true;
    default: array_doubles(in, row, out); return true;
    }
}

bool input_write(Arena *scratch, const Input *in, int64_t row, void *out, const char **error)
{
    bool plain = in->kind == SOURCE_ARRAY && !in->mean && !(in->spec.given >> DATA_onehot & 1);
    if (plain && in->dtype == in->array.dtype && in->spec.scale == 1) {
        size_t bytes = (size_t)in->elements * dlc_dtype_size(in->dtype);
        memcpy(out, (const char *)in->array.data + (size_t)row * bytes, bytes);
        return true;
    }
    if (plain && in->dtype == DLC_F32 && in->array.dtype == DLC_U8) {
        const uint8_t *from = (const uint8_t *)in->array.data + row * in->elements;
        for (int64_t i = 0; i < in->elements; i++) ((float *)out)[i] = (float)(from[i] * in->spec.scale);
        return true;
    }
    double *v = arena_array(scratch, double, (size_t)in->elements);
    if (!input_doubles(scratch, in, row, v, error)) return false;
    store_doubles(in->dtype, v, in->elements, out);
    return true;
}

bool input_check(Arena *a, const Input *in, const char **error)
{
    if (in->spec.scale != 1 && !is_float(in->dtype)) return data_fail(a, error, "%s: only floats can be scaled, and it is %s", in->name, dlc_dtype_name(in->dtype));
    switch (in->kind) {
    case SOURCE_TABLE: return table_check(a, in, error);
    case SOURCE_STREAM: return check_stream(a, in, error);
    case SOURCE_CLASSES: return check_classes(a, in, error);
    case SOURCE_ARRAY: return check_array(a, in, error);
    default: return true;
    }
}

void input_fit(const Input *in, const int64_t *row, int64_t n)
{
    if (in->kind == SOURCE_TABLE) table_fit(in, row, n);
    if (in->kind == SOURCE_ARRAY && in->mean) fit_array(in, row, n);
}

/* data_convert.c - data as an argument wants it: exactly, or not at all. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "host/internal.h"
#include "ir/ir.h"

_Static_assert((int)DLC_F64 == (int)DT_f64 && (int)DLC_BOOL == (int)DT_bool, "dlc.h numbers dtypes as ir.h does");

const char *data_type(Arena *a, const dlc_tensor *t)
{
    Str s = {.arena = a};
    str_fmt(&s, "%s[", dlc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) str_fmt(&s, "%s%" PRId64, i ? "," : "", t->dim[i]);
    str_add(&s, "]");
    return s.at;
}

bool data_fit(dlc_tensor *t, int rank, const int64_t *dim)
{
    int64_t fitted[DLC_MAX_RANK] = {0};
    int k = 0, spare = rank - t->rank;                  /* 1-dims to put in */
    for (int i = 0; i < rank; i++) {
        if (k < t->rank && (dim[i] < 0 || dim[i] == t->dim[k])) fitted[i] = t->dim[k++];
        else if (spare > 0 && (dim[i] == 1 || (k == t->rank && dim[i] < 0))) fitted[i] = 1, spare--;
        else return false;
    }
    if (k < t->rank) return false;
    t->rank = rank;
    memcpy(t->dim, fitted, sizeof t->dim);
    return true;
}

void data_flatten(dlc_tensor *t, int rank, const int64_t *dim)
{
    int64_t last = 1;
    if (rank < 1 || t->rank <= rank || dim[rank - 1] < 0) return;
    for (int i = rank - 1; i < t->rank; i++)
        if (!size_mul(last, t->dim[i], &last)) return;
    if (last != dim[rank - 1]) return;
    t->dim[rank - 1] = last;
    t->rank = rank;
}

static bool is_int(int dtype)
{
    return dtype >= DLC_I64 && dtype <= DLC_BOOL;
}

static int64_t get_int(const dlc_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case DLC_I64: return ((const int64_t *)t->data)[i];
    case DLC_I32: return ((const int32_t *)t->data)[i];
    case DLC_I16: return ((const int16_t *)t->data)[i];
    case DLC_I8: return ((const int8_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
    }
}

/* false: v is not a value of the dtype. */
static bool set_int(dlc_tensor *t, int64_t i, int64_t v)
{
    switch (t->dtype) {
    case DLC_I64: ((int64_t *)t->data)[i] = v; return true;
    case DLC_I32: ((int32_t *)t->data)[i] = (int32_t)v; return v >= INT32_MIN && v <= INT32_MAX;
    case DLC_I16: ((int16_t *)t->data)[i] = (int16_t)v; return v >= INT16_MIN && v <= INT16_MAX;
    case DLC_I8: ((int8_t *)t->data)[i] = (int8_t)v; return v >= INT8_MIN && v <= INT8_MAX;
    case DLC_U8: ((uint8_t *)t->data)[i] = (uint8_t)v; return v >= 0 && v <= UINT8_MAX;
    default: ((uint8_t *)t->data)[i] = (uint8_t)v; return v == 0 || v == 1;
    }
}

/* One element, unchanged in value. */
static bool convert(const dlc_tensor *from, dlc_tensor *to, const Tensor *source, Tensor *target, int64_t i)
{
    if (is_int(from->dtype) && is_int(to->dtype)) return set_int(to, i, get_int(from, i));
    double v = tensor_get(source, i);
    if (is_int(to->dtype)) return v == floor(v) && fabs(v) < 0x1p62 && set_int(to, i, (int64_t)v);
    if (from->dtype == DLC_I64) {
        int64_t n = get_int(from, i);
        if (fabs(v) >= 0x1p63 || (int64_t)v != n) return false;
    }
    tensor_set(target, i, v);
    double back = tensor_get(target, i);
    return back == v || (v != v && back != back);
}

bool data_exact(const dlc_tensor *from, dlc_tensor *to)
{
    Tensor source = {.dtype = (DType)from->dtype, .data = from->data}, target = {.dtype = (DType)to->dtype, .data = to->data};
    return convert(from, to, &source, &target, 0);
}

static bool refuse(Arena *a, const dlc_tensor *from, const char *name, int dtype, int rank, const char *why, const char **error)
{
    *error = arena_printf(a, "%s: the data is %s, the argument is %s with %d dim%s%s%s", name, data_type(a, from),
                          dlc_dtype_name(dtype), rank, rank == 1 ? "" : "s", *why ? ": " : "", why);
    return false;
}

bool data_convert(Arena *a, const dlc_tensor *from, const char *name, int dtype, int rank, double scale, dlc_tensor *to, const char **error)
{
    static const int64_t any[DLC_MAX_RANK] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    int64_t bytes;
    *to = *from;
    to->dtype = dtype;
    if (!data_fit(to, rank, any)) return refuse(a, from, name, dtype, rank, "", error);
    if (scale != 1 && is_int(dtype)) return refuse(a, from, name, dtype, rank, "only floats can be scaled", error);
    if (from->dtype == dtype && scale == 1) return true;
    if (!shape_bytes(dtype, rank, to->dim, &bytes)) return refuse(a, from, name, dtype, rank, "it is too large", error);
    int64_t count = bytes / (int64_t)dlc_dtype_size(dtype);
    to->data = arena_alloc(a, (size_t)bytes);
    Tensor source = {.dtype = (DType)from->dtype, .data = from->data}, target = {.dtype = (DType)dtype, .data = to->data};
    for (int64_t i = 0; i < count; i++) {
        if (scale != 1) tensor_set(&target, i, tensor_get(&source, i) * scale);
        else if (!convert(from, to, &source, &target, i)) {
            const char *why = arena_printf(a, "element %" PRId64 ", which is %.17g, would change", i, tensor_get(&source, i));
            return refuse(a, from, name, dtype, rank, why, error);
        }
    }
    return true;
}

/* dims.c - the sizes of a call: polynomials over its dims, and what must hold of them before anything runs. */
#include "runtime/internal.h"

#include <stdio.h>
#include <string.h>

const uint8_t rt_dtype_size[RT_bool + 1] = {
    [RT_f64] = 8, [RT_f32] = 4, [RT_f16] = 2, [RT_bf16] = 2, [RT_i64] = 8,
    [RT_i32] = 4, [RT_i16] = 2, [RT_i8] = 1,  [RT_u8] = 1,   [RT_bool] = 1,
};

const char *rt_dtype_name(uint32_t dtype)
{
    static const char name[RT_bool + 1][5] = {"none", "f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool"};
    return name[dtype <= RT_bool ? dtype : 0];
}

bool rt_bytes(int64_t count, uint32_t dtype, int64_t *bytes)
{
    return count >= 0 && size_mul(count, rt_dtype_size[dtype], bytes);
}

static bool apply(int64_t op, int64_t a, int64_t b, int64_t *r)
{
    switch (op) {
    case RT_ADD: return size_add(a, b, r);
    case RT_SUB: return size_sub(a, b, r);
    case RT_MUL: return size_mul(a, b, r);
    case RT_FLOORDIV: return size_floordiv(a, b, r);
    case RT_MOD: return size_mod(a, b, r);
    case RT_MIN: *r = a < b ? a : b; return true;
    case RT_MAX: *r = a > b ? a : b; return true;
    }
    return false;
}

bool rt_poly(const int64_t *code, const int64_t *dims, int64_t *value)
{
    int64_t stack[RT_STACK];
    uint32_t n = 0;
    for (; *code != RT_END; code++) {
        if (*code == RT_CONST || *code == RT_SYM) {
            if (n == RT_STACK) return false;
            int64_t v = *++code;
            stack[n++] = code[-1] == RT_SYM ? dims[v] : v;
        } else {
            if (n < 2 || !apply(*code, stack[n - 2], stack[n - 1], &stack[n - 2])) return false;
            n--;
        }
    }
    if (n != 1) return false;
    *value = stack[0];
    return true;
}

/* ---- messages ------------------------------------------------------------------------------------------------ */

/* A text of bounded length: "T is 2000, B is 3" for the dims that polynomials use. */
typedef struct Note { char text[160]; size_t n; } Note;

static void note_dims(Note *note, const RtFunc *f, const int64_t *dims, uint64_t *seen, uint32_t poly)
{
    for (const int64_t *c = f->code + f->poly[poly]; *c != RT_END; c++) {
        if (*c != RT_CONST && *c != RT_SYM) continue;
        int64_t i = *++c;
        if (c[-1] != RT_SYM || (i < 64 && *seen >> i & 1) || note->n >= sizeof note->text) continue;
        if (i < 64) *seen |= (uint64_t)1 << i;
        note->n += (size_t)snprintf(note->text + note->n, sizeof note->text - note->n, "%s%s is %lld", note->n ? ", " : "",
                                    f->dim[i], (long long)dims[i]);
    }
}

static int fail_require(RtError *e, const RtFunc *f, const RtRequire *r, const int64_t *dims)
{
    Note note = {.n = 0};
    uint64_t seen = 0;
    note_dims(&note, f, dims, &seen, r->a);
    note_dims(&note, f, dims, &seen, r->b);
    return rt_fail(e, DLC_BAD_DIM, "%s: %s does not hold%s%s (%s)", f->name, r->text, note.n ? ": " : "", note.text, r->where);
}

static int fail_large(RtError *e, const RtFunc *f, const int64_t *dims)
{
    Note note = {.n = 0};
    for (uint32_t i = 0; i < f->ndims && note.n < sizeof note.text; i++)
        note.n += (size_t)snprintf(note.text + note.n, sizeof note.text - note.n, "%s%s is %lld", i ? ", " : "", f->dim[i],
                                   (long long)dims[i]);
    return rt_fail(e, DLC_BAD_DIM, "%s: sizes overflow: %s", f->name, note.n ? note.text : "the model is too large");
}

/* ---- checks -------------------------------------------------------------------------------------------------- */

static bool holds(uint32_t rel, int64_t a, int64_t b)
{
    switch (rel) {
    case RT_EQ: return a == b;
    case RT_NE: return a != b;
    case RT_LT: return a < b;
    default: return a <= b;
    }
}

static int check_tensors(const RtFunc *f, const RtTensor *t, uint32_t n, const int64_t *dims, const int64_t *value, RtError *e)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t bytes = rt_dtype_size[t[i].dtype];
        bool fits = true;
        for (uint32_t k = 0; k < t[i].rank; k++) {
            int64_t d = value[t[i].dim[k]];
            if (d < 0)
                return rt_fail(e, DLC_BAD_DIM, "%s: dim %u of %s is %lld: it cannot be negative", f->name, k, t[i].name,
                               (long long)d);
            fits = fits && size_mul(bytes, d, &bytes);
        }
        if (!fits) return fail_large(e, f, dims);
    }
    return DLC_OK;
}

int rt_bind_dims(const RtFunc *f, const int64_t *dims, int64_t *value, RtError *e)
{
    for (uint32_t i = 0; i < f->ndims; i++)
        if (dims[i] < 0) return rt_fail(e, DLC_BAD_DIM, "%s: %s is %lld: it cannot be negative", f->name, f->dim[i], (long long)dims[i]);
    /* Requirements first: they guard the divisions and products in the rest. */
    for (uint32_t i = 0; i < f->nrequires; i++) {
        const RtRequire *r = &f->require[i];
        int64_t a, b;
        if (!rt_poly(f->code + f->poly[r->a], dims, &a) || !rt_poly(f->code + f->poly[r->b], dims, &b)) return fail_large(e, f, dims);
        if (!holds(r->rel, a, b)) return fail_require(e, f, r, dims);
    }
    for (uint32_t i = 0; i < f->npolys; i++)
        if (!rt_poly(f->code + f->poly[i], dims, &value[i])) return fail_large(e, f, dims);

    int status = check_tensors(f, f->input, f->ninputs, dims, value, e);
    if (!status) status = check_tensors(f, f->output, f->noutputs, dims, value, e);
    for (uint32_t i = 0; i < f->nbufs && !status; i++) {
        int64_t bytes;
        if (!rt_bytes(value[f->buf[i].count], f->buf[i].dtype, &bytes)) status = fail_large(e, f, dims);
    }
    return status;
}

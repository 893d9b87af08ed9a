/* type.c - dtypes and interned types. */
#include "ir/internal.h"

#include <string.h>

static const struct { const char *name; uint8_t size; } dtype_table[DT_COUNT] = {
    [DT_none] = {"none", 0}, [DT_f64] = {"f64", 8}, [DT_f32] = {"f32", 4}, [DT_f16] = {"f16", 2},
    [DT_bf16] = {"bf16", 2}, [DT_i64] = {"i64", 8}, [DT_i32] = {"i32", 4}, [DT_i16] = {"i16", 2},
    [DT_i8] = {"i8", 1},     [DT_u8] = {"u8", 1},   [DT_bool] = {"bool", 1},
};

const char *dtype_name(DType t) { return dtype_table[t].name; }
size_t dtype_size(DType t) { return dtype_table[t].size; }
bool dtype_is_float(DType t) { return t >= DT_f64 && t <= DT_bf16; }
bool dtype_is_int(DType t) { return t >= DT_i64 && t <= DT_u8; }
bool dtype_is_number(DType t) { return t >= DT_f64 && t <= DT_u8; }

bool dtype_find(const char *name, DType *t)
{
    for (int i = DT_f64; i < DT_COUNT; i++)
        if (!strcmp(name, dtype_table[i].name)) {
            *t = (DType)i;
            return true;
        }
    return false;
}

TypeTable *type_table_new(Arena *a)
{
    TypeTable *t = arena_new(a, TypeTable);
    t->types = map_new(a);
    return t;
}

Type *type_tensor(Module *m, DType dtype, uint32_t rank, Dim *const *dim)
{
    uint32_t key[3 + MAX_RANK] = {TYPE_TENSOR, dtype, rank};
    if (rank > MAX_RANK || dtype == DT_none) return NULL;
    for (uint32_t i = 0; i < rank; i++) {
        if (!dim[i]) return NULL;               /* the dim overflowed */
        key[3 + i] = dim[i]->id;
    }
    size_t n = (3 + rank) * sizeof *key;
    struct Type *t = map_get(m->types->types, key, n);
    if (t) return t;
    t = arena_new(m->arena, struct Type);
    *t = (struct Type){ .kind = TYPE_TENSOR, .dtype = dtype, .rank = rank, .id = m->types->n++ };
    t->dim = arena_copy(m->arena, dim, rank * sizeof *dim);
    map_set(m->types->types, key, n, t);
    return t;
}

Type *type_scalar(Module *m, DType t)
{
    return type_tensor(m, t, 0, NULL);
}

Type *type_tuple(Module *m, uint32_t n, Type *const *member)
{
    uint32_t *key = arena_array(m->arena, uint32_t, (size_t)n + 2);
    key[0] = TYPE_TUPLE;
    key[1] = n;
    for (uint32_t i = 0; i < n; i++) {
        if (!member[i]) return NULL;
        key[2 + i] = member[i]->id;
    }
    struct Type *t = map_get(m->types->types, key, (n + 2) * sizeof *key);
    if (t) return t;
    t = arena_new(m->arena, struct Type);
    *t = (struct Type){ .kind = TYPE_TUPLE, .rank = n, .id = m->types->n++ };
    t->member = arena_copy(m->arena, member, n * sizeof *member);
    map_set(m->types->types, key, (n + 2) * sizeof *key, t);
    return t;
}

Type *type_with_dtype(Module *m, Type *t, DType to)
{
    return type_tensor(m, to, t->rank, t->dim);
}

Dim *type_count(Module *m, Type *t)
{
    Dim *n = dim_const(m, 1);
    for (uint32_t i = 0; i < t->rank; i++) n = dim_mul(m, n, t->dim[i]);
    return n;
}

void type_print(Str *s, Type *t)
{
    bool tensor = t->kind == TYPE_TENSOR;
    if (tensor) str_add(s, dtype_name(t->dtype));
    str_char(s, tensor ? '[' : '(');
    for (uint32_t i = 0; i < t->rank; i++) {
        if (i) str_add(s, tensor ? "," : ", ");
        if (tensor) dim_print(s, t->dim[i]);
        else type_print(s, t->member[i]);
    }
    str_char(s, tensor ? ']' : ')');
}

const char *type_text(Arena *a, Type *t)
{
    Str s = {.arena = a};
    type_print(&s, t);
    return s.at;
}

/* op.c - the columns of ops.def that are plain data. */
#include "ir/internal.h"

#include <string.h>

static const struct { const char *name; int8_t args; uint8_t class, attr; } op_table[OP_COUNT] = {
#define OP(name, args, attr, shape, eval, grad, class) [OP_##name] = {#name, args, CLASS_##class, ATTR_##attr},
#include "ir/ops.def"
#undef OP
};

const char *op_name(Op op) { return op_table[op].name; }
OpClass op_class(Op op) { return (OpClass)op_table[op].class; }
int op_args(Op op) { return op_table[op].args; }
AttrKind op_attr(Op op) { return (AttrKind)op_table[op].attr; }

bool op_find(const char *name, Op *op)
{
    for (int i = 0; i < OP_COUNT; i++)
        if (!strcmp(name, op_table[i].name)) {
            *op = (Op)i;
            return true;
        }
    return false;
}

bool op_needs_type(Op op)
{
    switch (op) {
    case OP_arg: case OP_const: case OP_iota: case OP_rng: case OP_reshape: case OP_broadcast: case OP_slice:
    case OP_dslice: case OP_top_k: case OP_hole:
        return true;
    default:
        return false;
    }
}

static const char *const red_table[] = {
    [RED_none] = "none", [RED_sum] = "sum", [RED_prod] = "prod", [RED_max] = "max", [RED_min] = "min",
    [RED_or] = "or",     [RED_and] = "and",
};

const char *red_name(RedKind k) { return red_table[k]; }

bool red_find(const char *name, RedKind *k)
{
    for (size_t i = 0; i < COUNT(red_table); i++)
        if (!strcmp(name, red_table[i])) {
            *k = (RedKind)i;
            return true;
        }
    return false;
}

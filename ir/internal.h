/* internal.h - what the files of ir/ share among themselves. */
#ifndef DLC_IR_INTERNAL_H
#define DLC_IR_INTERNAL_H

#include "ir/ir.h"

/* ---- dim.c ---- */

/* Dims and atoms of a module. Keys are made of atom ids, so equal forms meet. */
typedef struct DimTable {
    Map *dims, *atoms, *syms;
    VEC(struct Dim *) all;              /* in order of creation: operands before what is made of them */
    uint32_t natoms;
} DimTable;

enum { MAX_TERMS = 256, MAX_DEGREE = 16, MAX_DIM_DEPTH = 48, MAX_DIM_WEIGHT = 1024 };

DimTable *dim_table_new(Arena *a);
/* Canonical dim of n terms in any order; the array is not kept. NULL: overflow or too large. */
Dim *dim_of_terms(Module *m, const Term *term, uint32_t n);
/* The dim that is just this atom, made if new. NULL: nested too deep. */
Dim *dim_of_atom(Module *m, AtomKind kind, Dim *a, Dim *b, const Atom *quotient);
Dim *dim_scale(Module *m, Dim *d, int64_t k);
/* Total order by structure (names, not ids), so that text does not depend on the order of creation. */
int  dim_order(Dim *a, Dim *b);
int  atom_order(const Atom *a, const Atom *b);
int  term_order(const Term *a, const Term *b);          /* by atoms only */
/* Is every value of d a multiple of c > 0, by coefficients and facts? */
bool dim_divides(Dim *d, int64_t c);
int64_t gcd64(int64_t a, int64_t b);                    /* of absolute values; gcd(0, b) = |b| */
int64_t sat_add(int64_t a, int64_t b);                  /* INT64_MIN and MAX are minus and plus infinity */
int64_t sat_mul(int64_t a, int64_t b);

/* ---- dim_prove.c ---- */
bool dim_is_nonneg(Module *m, Dim *d);                  /* provably >= 0; NULL is not */

/* ---- type.c ---- */

typedef struct TypeTable {
    Map *types;
    uint32_t n;
    const char *error;                  /* ir_error: the last failure of ir_node */
} TypeTable;
TypeTable *type_table_new(Arena *a);

/* ---- op.c: columns of ops.def ---- */

bool op_needs_type(Op op);              /* the operator cannot infer its type */
bool red_find(const char *name, RedKind *k);            /* also "none" */

/* ---- shape.c ---- */
/* Bind the symbols of `callee` from the types of the operands of a call. false: some stay unknown or differ. */
bool call_bind(Module *m, const Func *callee, uint32_t n, Node *const *arg, const Atom **from, Dim **to,
               const char **error);

/* ---- data.c: elements in memory ---- */
float    half_to_float(uint16_t h);
uint16_t half_of_double(double v);      /* rounds once, to nearest, ties to even */
float    bf16_to_float(uint16_t h);
uint16_t bf16_of_double(double v);
double   data_get(DType t, const void *data, int64_t i);        /* i64: rounded */
int64_t  data_get_int(DType t, const void *data, int64_t i);    /* integers and bool */
void     data_set(DType t, void *data, int64_t i, double v);    /* as `cast` does */
void     data_set_int(DType t, void *data, int64_t i, int64_t v);       /* wraps; floats round; bool: != 0 */
int64_t  int_lowest(DType t);
int64_t  int_highest(DType t);

#endif

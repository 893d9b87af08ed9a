/* generate.h - what the generator's files share. A pool of values grows by one random operator at a time; each choice looks for
 * operands that fit and gives NULL where there are none. */
#ifndef DLC_RANDOM_GENERATE_H
#define DLC_RANDOM_GENERATE_H

#include "tests/random/random.h"

enum { POOL = 96 };

typedef struct Gen {
    Arena   *arena;
    Module  *m;
    Func    *f;
    bool     exact;
    uint64_t seed;
    Node    *pool[POOL];
    uint32_t n, names;
    DType    base;                      /* what most floats are */
    Dim     *dim[2];                    /* symbols */
} Gen;

typedef Node *MakeNode(Gen *g);

uint32_t below(Gen *g, uint32_t n);
Dim     *num(Gen *g, int64_t v);
Dim     *random_dim(Gen *g);
Type    *random_type(Gen *g, uint32_t rank);
bool     is_const_type(Type *t);
/* A value of the pool: mostly a recent one, so that programs grow deep. */
Node    *pick(Gen *g);
/* ... of these dtypes; NULL: none was found. */
Node    *pick_number(Gen *g);
Node    *pick_float(Gen *g);
Node    *pick_bool(Gen *g);
/* Another value of type t: of the pool, cast, a param or input, a repeated scalar or vector. */
Node    *like(Gen *g, Type *t);
/* A new input, or a param where the dims are numbers. */
Node    *new_input(Gen *g, const char *prefix, Type *t);
/* An index below 3 (of a rank-1 type of random length, or `t`). */
Node    *indices(Gen *g, Type *t);
Node    *scalar(Gen *g, DType t, double v);

/* generate_map.c, generate_view.c, generate_sum.c: the operators; each NULL-terminated. */
extern MakeNode *const make_map[], *const make_view[], *const make_sum[];

#endif

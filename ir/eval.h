/* eval.h - what the files of the reference evaluator share. Each eval_X evaluates the operators of a name in the `eval`
 * column of ops.def: one node, from the values of its operands.
 *
 * Arithmetic. f32 (and f16, bf16, rounded after each operator) is computed elementwise in float, with libm's float
 * functions; f64 in double; integers wrap. Reductions, contractions and running sums of all floats are accumulated in
 * double in ascending order and rounded once: a correctly rounded reference, up to the rounding of the double sum.
 * Evaluated as f64, every float is held and computed in double, whatever its dtype.
 */
#ifndef DLC_IR_EVAL_H
#define DLC_IR_EVAL_H

#include "ir/internal.h"

/* Memory of a value; views that keep the order of elements share it. */
typedef struct Buffer {
    uint32_t refs;
    bool     borrowed;                  /* the caller's memory: not freed, not counted */
    int64_t  bytes;
    void    *data;
} Buffer;

typedef struct Value {
    DType    dtype;                     /* as stored: DT_f64 for every float where the function is evaluated as f64 */
    uint32_t rank;
    int64_t  dim[MAX_RANK], count;
    Buffer  *buffer;
    uint32_t nmembers;                  /* of a tuple, which has nothing of the above */
    struct Value *member;
} Value;

typedef struct Eval {
    Arena   *arena;                     /* errors, results */
    const Func *f;
    const int64_t *dims;                /* values of f->dims */
    bool     as_f64;
    int64_t  live, limit;               /* bytes in use, and how many may be */
    const char *error;
    const Node *node;                   /* the one that is evaluated */
    const Value *args;                  /* of the function */
    uint32_t depth;                     /* of calls and loops */
    int64_t  max_iterations;            /* of a loop without a length */
    VEC(Buffer *) temps;                /* freed after each node */
} Eval;

typedef bool EvalRule(Eval *e, const Node *n, const Value *const *arg, Value *out);
#define RULE(name) bool eval_##name(Eval *e, const Node *n, const Value *const *arg, Value *out)

/* ---- eval.c ---- */
bool  eval_fail(Eval *e, const char *fmt, ...) PRINTF(2, 3);    /* false; the node's place is put before the text */
bool  dim_now(Eval *e, Dim *d, int64_t *v);
void *value_alloc(Eval *e, Value *v);               /* memory for v's elements; NULL: e->error says why */
void *value_data(const Value *v);
void  value_drop(Eval *e, Value *v);
void  value_share(Value *to, const Value *from);    /* another reference; `to` keeps its dims */
void *temp_alloc(Eval *e, int64_t n, int64_t size); /* freed when the node is done */
/* Elements widened to double or int64_t: the value's own memory where it has that type, else a temporary. */
const double  *floats_of(Eval *e, const Value *v);
const int64_t *ints_of(Eval *e, const Value *v);
bool  is_float_value(const Value *v);
/* Room for the result in wide form (double or int64_t by v's dtype), and its conversion once it is filled. */
void *wide_result(Eval *e, Value *v);
void  wide_done(Value *v, const void *wide);
bool  index_fits(Eval *e, int64_t i, int64_t n);    /* 0 <= i < n, else an error */
/* Row-major strides in elements. */
void  strides_of(const Value *v, int64_t *stride);
/* Evaluate e->f from e->args and e->dims. Results hold references of their own. */
bool  eval_run(Eval *e, Value *results);
/* dtype, dims and count of a value of type t. */
bool  value_shape(Eval *e, Type *t, Value *v);
/* Step a row-major counter over dims; false at the end, when it is 0 again. */
bool  odometer(uint32_t rank, const int64_t *dim, int64_t *at);

RULE(arg); RULE(const); RULE(dim); RULE(iota); RULE(rng); RULE(tuple); RULE(get); RULE(call); RULE(stop);
RULE(grad); RULE(hole); RULE(custom);
/* eval_map.c */
RULE(unary); RULE(binary); RULE(compare); RULE(select); RULE(cast);
/* eval_view.c */
RULE(reshape); RULE(transpose); RULE(broadcast); RULE(slice); RULE(pad); RULE(concat); RULE(reverse); RULE(gather);
RULE(take_along); RULE(dslice); RULE(dupdate);
/* Copy a box of elements between strided places (strides in elements, which may be 0 or negative). */
void copy_strided(uint32_t rank, const int64_t *dim, size_t size, char *to, const int64_t *to_stride, const char *from,
                  const int64_t *from_stride);
/* eval_reduce.c */
RULE(reduce); RULE(argreduce); RULE(window); RULE(cumulate);
double  red_float(RedKind k, double a, double b);
int64_t red_int(RedKind k, int64_t a, int64_t b);
/* eval_contract.c */
RULE(dot); RULE(conv);
/* eval_loop.c */
RULE(loop);
/* eval_order.c */
RULE(sort); RULE(top_k); RULE(scatter);

#endif

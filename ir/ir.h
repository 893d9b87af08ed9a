/* ir.h - the tensor IR: SSA, functional, typed. A module holds functions; a function holds one block of
 * nodes in evaluation order. Everything lives in the module's arena and is never freed alone.
 *
 * Effects are explicit: a param or state comes in as an argument and, if changed, leaves as a result
 * that must alias it. A run-time loop is one node; its body is a Func of its own, which sees nothing but its arguments and
 * shares the symbols of the function around it.
 */
#ifndef DLC_IR_H
#define DLC_IR_H

#include "base/base.h"

typedef struct Module   Module;
typedef struct Func     Func;
typedef struct Block    Block;
typedef struct Node     Node;
typedef struct Param    Param;
typedef const struct Dim  Dim;
typedef const struct Type Type;

enum { MAX_RANK = 16 };

/* ---- dtypes ---------------------------------------------------------------------------------- */

typedef enum DType { DT_none, DT_f64, DT_f32, DT_f16, DT_bf16, DT_i64, DT_i32, DT_i16, DT_i8, DT_u8, DT_bool, DT_COUNT } DType;
const char *dtype_name(DType t);                        /* "f32" */
bool   dtype_find(const char *name, DType *t);
size_t dtype_size(DType t);                             /* bytes an element */
bool   dtype_is_float(DType t);
bool   dtype_is_int(DType t);                           /* integers; not bool */
bool   dtype_is_number(DType t);

/* ---- dim.c: dims ------------------------------------------------------------------------------- */

/* A dim is a polynomial with i64 coefficients over atoms, in canonical form and interned in its
 * module: equal dims are equal pointers. Atoms are symbols and floordiv, mod, min, max of dims.
 * ceil(a / b) is written -((-a) // b) and normalises to (a + b - 1) // b.
 * The same polynomials serve as index expressions in kernels, over iteration variables. */
typedef enum AtomKind { ATOM_SYM, ATOM_FLOORDIV, ATOM_MOD, ATOM_MIN, ATOM_MAX } AtomKind;
typedef struct Atom {
    AtomKind    kind;
    uint32_t    id;                     /* order of creation */
    const char *name;                   /* SYM: as the source spells it */
    const void *scope;                  /* SYM: the Func (or kernel) whose symbol it is; names of different scopes differ */
    Dim        *a, *b;                  /* the others: operands. b of floordiv and mod is positive */
    int64_t     lo, hi;                 /* range, from facts; INT64_MIN/MAX: unknown. A symbol of a signature has lo >= 0 */
    int64_t     multiple;               /* SYM: a known divisor, from facts (H % 8 == 0); 1 otherwise */
    Dim        *extent;                 /* SYM that is an iteration variable: 0 <= it < extent; else NULL */
    const struct Atom *quotient;        /* MOD: the atom that is a // b, if there is one: b * (a // b) + a % b = a */
    uint32_t    depth, weight;          /* nesting and size of the expression; both bounded */
} Atom;
typedef struct Term {
    int64_t      coef;                  /* never 0 */
    uint32_t     natoms;                /* 0: the constant term */
    const Atom **atom;                  /* sorted by structure and name, repeated for powers */
} Term;
struct Dim {
    uint32_t  nterms;                   /* 0: the constant 0 */
    Term     *term;                     /* canonical order; the constant term last */
    int64_t   lo, hi;                   /* range that follows from the atoms' (INT64_MIN/MAX: unknown) */
    uint32_t  id;                       /* unique in its module */
};

Dim *dim_const(Module *m, int64_t v);
/* A symbol. The first call for (scope, name) makes it with range 0.. and no facts. */
Dim *dim_sym(Module *m, const void *scope, const char *name);
/* An iteration variable, 0 <= it < extent. Always new. */
Dim *dim_var(Module *m, const void *scope, const char *name, Dim *extent);
/* Facts about a symbol; call before other dims are made of it. */
void dim_bound(Module *m, Dim *sym, int64_t lo, int64_t hi);    /* narrows */
void dim_multiple(Module *m, Dim *sym, int64_t divisor);
/* Arithmetic; NULL when a coefficient overflows. floordiv and mod: NULL also when b is 0; b < 0 is
 * rewritten. They fold when divisibility or ranges prove it: (a*b*k + r) // b = a*k + r // b, and
 * r // b = 0 where 0 <= r < b is provable, by numeric ranges or by the extents of variables. */
Dim *dim_add(Module *m, Dim *a, Dim *b);
Dim *dim_sub(Module *m, Dim *a, Dim *b);
Dim *dim_mul(Module *m, Dim *a, Dim *b);
Dim *dim_floordiv(Module *m, Dim *a, Dim *b);
Dim *dim_mod(Module *m, Dim *a, Dim *b);
Dim *dim_min(Module *m, Dim *a, Dim *b);
Dim *dim_max(Module *m, Dim *a, Dim *b);
Dim *dim_ceildiv(Module *m, Dim *a, Dim *b);
bool dim_is_const(Dim *d, int64_t *v);
bool dim_equals(Dim *d, int64_t v);                     /* is the constant v */
const Atom *dim_as_sym(Dim *d);                         /* its symbol if it is just one, else NULL */
/* What is provable. */
bool dim_is_le(Module *m, Dim *a, Dim *b);              /* a <= b always */
bool dim_is_lt(Module *m, Dim *a, Dim *b);
bool dim_is_ne(Module *m, Dim *a, Dim *b);              /* a != b always */
/* Does the symbol occur, also inside other atoms? */
bool dim_uses(Dim *d, const Atom *sym);
/* d = coef * sym + rest with neither using sym; false if sym occurs otherwise. */
bool dim_linear(Module *m, Dim *d, const Atom *sym, Dim **coef, Dim **rest);
/* Replace symbols: `to[i]` for `from[i]`. Renormalises. NULL on overflow. */
Dim *dim_subst(Module *m, Dim *d, uint32_t n, const Atom *const *from, Dim *const *to);
/* Value for given symbols (those whose scope is asked for by the callback); false: overflow or an unknown symbol. */
typedef bool DimLookup(void *user, const Atom *sym, int64_t *value);
bool dim_value(Dim *d, DimLookup *lookup, void *user, int64_t *value);
/* "2*B*T + 1", "(H + 1) // 2": readable back by the IR reader. */
void dim_print(Str *s, Dim *d);
const char *dim_text(Arena *a, Dim *d);

/* ---- type.c: types ------------------------------------------------------------------------------- */

/* Interned in its module: equal types are equal pointers. */
typedef enum TypeKind { TYPE_TENSOR, TYPE_TUPLE } TypeKind;
struct Type {
    TypeKind  kind;
    DType     dtype;                    /* tensor */
    uint32_t  rank;                     /* tensor: number of dims; tuple: number of members */
    Dim     **dim;                      /* tensor */
    Type    **member;                   /* tuple */
    uint32_t  id;
};
Type *type_tensor(Module *m, DType t, uint32_t rank, Dim *const *dim);
Type *type_scalar(Module *m, DType t);
Type *type_tuple(Module *m, uint32_t n, Type *const *member);
Type *type_with_dtype(Module *m, Type *t, DType to);
Dim  *type_count(Module *m, Type *t);                   /* product of the dims; NULL on overflow */
void  type_print(Str *s, Type *t);                      /* f32[B,784], (f32[], i32[]) */
const char *type_text(Arena *a, Type *t);

/* ---- nodes ------------------------------------------------------------------------------------------ */

typedef enum Op {
#define OP(name, args, attr, shape, eval, grad, class) OP_##name,
#include "ir/ops.def"
#undef OP
    OP_COUNT
} Op;
typedef enum OpClass { CLASS_SRC, CLASS_MAP, CLASS_VIEW, CLASS_RED, CLASS_DOT, CLASS_ORD, CLASS_SCT, CLASS_TUP } OpClass;
const char *op_name(Op op);
bool    op_find(const char *name, Op *op);
OpClass op_class(Op op);
int     op_args(Op op);                                 /* -1: any number */

typedef enum RedKind { RED_none, RED_sum, RED_prod, RED_max, RED_min, RED_or, RED_and } RedKind;  /* or, and: bool */
const char *red_name(RedKind k);

/* The attr column of ops.def: which member of Attr an operator carries. */
typedef enum AttrKind {
    ATTR_none, ATTR_arg, ATTR_lit, ATTR_dim, ATTR_axis, ATTR_rng, ATTR_dtype, ATTR_perm, ATTR_axes, ATTR_slice,
    ATTR_pad, ATTR_reduce, ATTR_window, ATTR_dot, ATTR_conv, ATTR_order, ATTR_callee, ATTR_loop
} AttrKind;
AttrKind op_attr(Op op);

typedef union Attr {
    uint32_t arg;                                       /* arg: index into Func.args */
    struct { const void *data; const double *exact; } lit;      /* const: row-major elements of the node's dtype; of a scalar
                                                         * that was rounded: the number before, for --f32-as (else NULL) */
    Dim     *dim;                                       /* dim */
    uint32_t axis;                                      /* iota, concat, gather, take_along, dslice, dupdate; get: member */
    struct { uint64_t stream; } rng;
    DType    dtype;                                     /* cast */
    uint8_t  perm[MAX_RANK];                            /* transpose, broadcast */
    uint32_t axes;                                      /* reverse: a bit an axis */
    struct { Dim **start; int64_t *step; } slice;       /* an entry an axis; step >= 1 */
    struct { Dim **lo, **hi; } pad;                     /* an entry an axis, >= 0 */
    struct { RedKind kind; uint32_t axes; bool reverse; } reduce;   /* axes: a bit an axis; cumulate: one, reverse: from the end */
    struct {                                            /* an entry an axis of the operand */
        RedKind kind; int64_t *size, *stride; Dim **lo, **hi;
    } window;
    struct {                                            /* axes by operand; pairs match up in order */
        uint8_t nbatch, ncontract;
        uint8_t lbatch[MAX_RANK], rbatch[MAX_RANK], lcontract[MAX_RANK], rcontract[MAX_RANK];
    } dot;
    struct {                                            /* an entry a space axis */
        int64_t groups, *stride, *dilation, *spread;    /* spread: zeros put between inputs + 1 (transposed convolution) */
        Dim **lo, **hi;                                 /* padding; may be negative (cropping) */
    } conv;
    struct { uint32_t axis; bool descending; } order;
    Func    *callee;
    struct {
        Func    *body;
        Dim     *length;                                /* NULL: as long as the condition holds; no sequences, nothing stacked */
        uint32_t sequences, carries;                    /* of the operands; the rest are the same in each iteration */
        bool     condition;                             /* the first carry is a bool[]: an iteration runs if it is true */
    } loop;
} Attr;

/* Who made a node: the frontend, autodiff as a gradient, or whoever computes a value again instead of keeping it. For
 * --explain. */
typedef enum Made { MADE_FORWARD, MADE_BACKWARD, MADE_AGAIN } Made;

/* One SSA value. */
struct Node {
    Op        op;
    uint32_t  id;                       /* unique in its function, its %id in text; indexes side tables */
    uint32_t  nargs;
    Node    **arg;
    Type     *type;
    Attr      attr;
    Span      span;                     /* the model source it came from, kept through every pass */
    uint32_t  remat;                    /* nodes with different tags are never merged by CSE; 0 normally */
    Made      made;
    Func     *func;
};

struct Block {
    VEC(Node *) nodes;                  /* a valid order of evaluation; ids ascend along it */
};

/* A learned tensor (param) or a saved one (state). Shapes are constants. */
struct Param {
    const char *path;                   /* "l1.weight": its name in checkpoints and in C */
    VEC(const char *) aliases;          /* other paths to it (shared weights) */
    bool        state;
    bool        must_load;              /* declared by its type alone */
    Type       *type;
    Span        span;
    uint32_t    index;                  /* in Module.params */
};

typedef enum ArgRole { ARG_INPUT, ARG_PARAM, ARG_SEED, ARG_STEP } ArgRole;  /* seed, step: i64 scalars of the instance (random draws) */
typedef struct Arg {
    ArgRole     role;
    const char *name;
    Node       *node;
    Param      *param;                  /* ARG_PARAM */
    bool        is_index;               /* an integer input used directly as an index: checked at entry against [0, limit) */
    Dim        *limit;
} Arg;
typedef struct Result {
    const char *name;                   /* "out" for a single unnamed one */
    Node       *node;
    Param      *param;                  /* this result is the param's or state's new value and aliases its storage; else NULL */
} Result;

/* Something that must hold at entry: a fact of a signature, or an equality the checker could not decide. */
typedef enum Rel { REL_EQ, REL_NE, REL_LT, REL_LE } Rel;
typedef struct Require {
    Rel         rel;
    Dim        *a, *b;
    const char *text;                   /* "T <= 1024", as the user would see it */
    Span        span;                   /* what needs it */
} Require;

/* A condition that is computed: where `ok` (bool, scalar) is false at run time the call returns "the loss is not finite"
 * and has changed nothing. */
typedef struct Guard {
    Node       *ok;
    const char *what;                   /* "the loss", "the gradient of `l1.weight`" */
    Span        span;
} Guard;

struct Func {
    const char *name;
    const char *doc;                    /* comment lines above it, '\n' between; or NULL */
    bool        exported, train;
    Func       *outer;                  /* of the body of a loop: the function that the loop's node is in; else NULL */
    uint32_t    nodes_made;             /* the next node's id */
    VEC(Dim *)  dims;                   /* its symbols: arguments of the C function, by first appearance; a body's: the outermost's */
    VEC(Arg)    args;                   /* inputs in order, then params by first use */
    VEC(Result) results;
    VEC(Require) requires;
    VEC(Guard)  guards;                 /* roots like results; in the order in which they are asked */
    Block       body;
    Module     *module;
    Span        span;
};

/* What the compiler did otherwise than the model asked for, for --explain. */
typedef struct Remark { const char *text; Span span; } Remark;

struct Module {
    Arena      *arena;
    Diags      *diags;                  /* for spans; may be NULL */
    const char *name;                   /* prefix of the artefact's names */
    VEC(Func *) funcs;                  /* exports, then "init": the initial values, if any */
    VEC(Param *) params;                /* in order of path discovery */
    VEC(Remark) remarks;                /* not part of the text form */
    struct DimTable  *dims;
    struct TypeTable *types;
};

Module *module_new(Arena *a, Diags *diags, const char *name);
Func   *func_new(Module *m, const char *name, Span span);
Func   *func_find(const Module *m, const char *name);
/* The body of a loop in `outer`: its first argument is the number of the iteration, an i64[]. It is owned by the node, not in
 * Module.funcs. Loops may share one: who changes its arguments or results makes a new one. */
Func   *func_body(Func *outer, Span span);
Func   *func_body_copy(Func *outer, const Func *body);   /* for a loop in another function with the same symbols */
Func   *func_outermost(Func *f);                        /* whose symbols and requirements those of f are */
/* Every function, bodies of loops included, each body before the function it is in. In `a`. */
typedef struct FuncList { Func **at; uint32_t n; } FuncList;
FuncList module_funcs(Arena *a, const Module *m);
Node   *func_arg(Func *f, ArgRole role, const char *name, Type *t, Param *p, Span span);   /* adds Arg and its node */
Node   *func_param(Func *f, Param *p);                  /* the node of p's argument; added at the first call */
void    func_result(Func *f, const char *name, Node *n, Param *alias);
void    func_guard(Func *f, Node *ok, const char *what, Span span);
Param  *module_param(Module *m, const char *path, bool state, Type *t, Span span);

/* ---- node.c: building ------------------------------------------------------------------------------ */

/* The one way to make a node: copies args and attr, infers and checks the type, appends to f's body.
 * `type` gives what the operator cannot infer (arg, const, iota, rng, hole, reshape, broadcast, slice, dslice,
 * top_k; NULL otherwise; cast: from attr). It folds nothing. Operands that break the operator's rules are
 * reported through ir_error() and give NULL; so do operands (and the types of the shorthands) that are NULL because they
 * failed before: a chain of nodes needs one check at its end. */
Node *ir_node(Func *f, Op op, uint32_t nargs, Node *const *args, const Attr *attr, Type *type, Span span);
/* Text of the last failure of ir_node in this module ("dot: contracted dims differ, 784 and 128"). */
const char *ir_error(const Module *m);
/* Shorthands over ir_node. */
Node *ir_unary(Func *f, Op op, Node *x, Span s);
Node *ir_binary(Func *f, Op op, Node *a, Node *b, Span s);
Node *ir_scalar(Func *f, DType t, double v, Span s);                /* const scalar (integers: exact up to 2^53) */
Node *ir_scalar_int(Func *f, DType t, int64_t v, Span s);
Node *ir_splat(Func *f, Node *scalar, Type *t, Span s);             /* broadcast of a scalar */
Node *ir_broadcast(Func *f, Node *x, Type *t, const uint8_t *axes, Span s);
Node *ir_cast(Func *f, Node *x, DType t, Span s);
Node *ir_reshape(Func *f, Node *x, Type *t, Span s);
Node *ir_transpose(Func *f, Node *x, const uint8_t *perm, Span s);
Node *ir_reduce(Func *f, RedKind k, Node *x, uint32_t axes, Span s);
Node *ir_get(Func *f, Node *tuple, uint32_t i, Span s);
bool  node_is_scalar_const(const Node *n, double *v);               /* const of rank 0, or a broadcast of one */

/* shape.c: the type rules, a function an operator; node.c and verify.c call them. NULL: *error says why. */
typedef struct ShapeCall { Module *m; Op op; uint32_t nargs; Node *const *arg; const Attr *attr; Type *given; const char *error; } ShapeCall;
Type *shape_infer(ShapeCall *c);

/* ---- rewrite.c: how passes change a function --------------------------------------------------------- */

/* Rebuild a function's body: begin takes the old nodes out, each is copied or replaced, end fixes results,
 * drops what nothing uses, and renumbers. Results and guards are what is used. */
typedef struct Rewrite {
    Func   *f;
    Node  **old;
    uint32_t nold;
    Node  **map;                        /* old id -> new node */
} Rewrite;
Rewrite rewrite_begin(Func *f);
Node   *rewrite_copy(Rewrite *rw, Node *old);           /* with operands through map; also sets map[old->id] */
void    rewrite_end(Rewrite *rw);
/* How often each value is used: by nodes, results and guards. Indexed by id; in `a`. */
uint32_t *use_counts(Arena *a, const Func *f);
Module *module_clone(Arena *a, const Module *m);

/* ---- print.c, read.c: text ------------------------------------------------------------------------------ */

/* What ir_print writes, ir_read reads, and printing that gives the same bytes. */
void    ir_print(Str *s, const Module *m);
void    ir_print_func(Str *s, const Func *f);
/* NULL: diagnostics say why. Hostile input is fine: limits on nesting, ranks and counts; every size checked. */
Module *ir_read(Arena *a, Diags *d, uint32_t file);

/* ---- verify.c ---------------------------------------------------------------------------------------------- */

/* Every invariant of the module; `after` names the pass for the message. false: *error says what broke. */
bool ir_verify(Arena *a, const Module *m, const char *after, const char **error);

/* ---- eval.c: the reference evaluator, the oracle ------------------------------------------------------------- */

/* A dense row-major tensor. */
typedef struct Tensor {
    DType    dtype;
    uint32_t rank;
    int64_t  dim[MAX_RANK];
    void    *data;
} Tensor;
int64_t tensor_count(const Tensor *t);
double  tensor_get(const Tensor *t, int64_t i);         /* element i as a double (i64: rounded) */
void    tensor_set(Tensor *t, int64_t i, double v);     /* converted as `cast` does */

/* What a `while` may run for, and ir_eval's bound. */
#define MAX_ITERATIONS INT32_MAX
/* Evaluate f. `inputs`: one tensor an Arg, in order (params too), dtypes and ranks as declared; dims are bound
 * from them and from `dims` (values of f->dims, or NULL where every one shows in an input; -1: bind from inputs).
 * `as_f64`: floats are computed and kept in f64 whatever their dtype, so that results are the truth to compare
 * with. Results are allocated in `a`. false: *error says why (a requirement that fails, an index out of range,
 * too large). */
bool ir_eval(Arena *a, const Func *f, const Tensor *inputs, const int64_t *dims, bool as_f64, Tensor *results, const char **error);
/* The same with another bound on the iterations of each `while`. */
bool ir_eval_bounded(Arena *a, const Func *f, const Tensor *inputs, const int64_t *dims, bool as_f64, int64_t max_iterations, Tensor *results,
                     const char **error);
/* One node with constant operands (folding). false: not evaluable, or over `limit` bytes. */
bool ir_eval_node(Arena *a, const Node *n, const Tensor *args, int64_t limit, Tensor *result);
/* Philox 4x32-10: element i of a draw (Salmon, Moraes, Dror, Shaw 2011). The runtime's generated code gives the
 * same: counter = (i / 4 low, i / 4 high, stream low ^ step low, stream high ^ step high), key = (key low, key high),
 * word i % 4; f32: (bits >> 8) * 2^-24; f64: two words, i / 2, ((hi << 32 | lo) >> 11) * 2^-53. */
uint32_t rng_bits(uint64_t key, uint64_t stream, uint64_t step, uint64_t i);

#endif

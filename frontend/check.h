/* check.h - inside the checker: an interpreter of the compile-time language whose tensors are IR nodes.
 *
 *   check.c           frontend_compile: the library, the program, then exports and "init"
 *   check_scope.c     scopes, names, lists, what a value is called in messages
 *   check_report.c    errors with their call chain
 *   check_dim.c       equality of dims, requirements, types from the tree, matching arguments with signatures
 *   check_expr.c      expressions        check_stmt.c    statements and control flow
 *   check_call.c      calls of functions and modules
 *   check_arith.c     operators; numbers meeting tensors; broadcasting     check_cast.c  f32(...)
 *   check_index.c     x[...]             check_pattern.c einsum, rearrange, reduce, repeat
 *   check_builtin.c   the table of builtins and how their arguments are read; the compile-time ones
 *   check_create.c    zeros .. iota      check_random.c  normal .. categorical   check_map.c  exp .. where
 *   check_reduce.c    sum .. top_k       check_shape.c   reshape .. unfold
 *   check_gather.c    take .. segment_max
 *   check_window.c    convolution and pooling               check_resize.c  resize
 *   check_place.c     params and states, `:=`, an export's effects               check_branch.c  an `if` decided at run time
 *   check_loop.c      scan, while
 *   check_tree.c      trees: params .. matches, reset                            check_view.c    freeze .. precision
 *   check_replace.c   replace            check_grad.c    grad, custom_grad, recompute
 *   check_file.c      files, imports, args, bindings at file level
 *   check_path.c      paths of params    check_export.c  exported functions
 *   check_fact.c      facts of an export: ranges and divisors of its dims
 *   check_func.c      copies of file-level tensors, what is unused goes, init
 *   check_lint.c      names that are unused, hide others, or that nothing defines
 *
 * A function is evaluated anew at each call, into the IR function being built: its types, its compile-time
 * arguments, even which of its branches exist differ from call to call, so there is nothing to share but text.
 */
#ifndef DLC_CHECK_H
#define DLC_CHECK_H

#include "base/size.h"
#include "frontend/frontend.h"

typedef struct Check    Check;
typedef struct Value    Value;
typedef struct Scope    Scope;
typedef struct Frame    Frame;
typedef struct Unit     Unit;
typedef struct Instance Instance;
typedef struct Loop     Loop;

/* ---- limits: hostile programs end with an error, not with the machine ------------------------- */

enum {
    MAX_STEPS = 5000000,                /* expressions, list items and nodes of one compilation */
    MAX_LIST  = 1000000,                /* items of one list */
    MAX_CALLS = 200,                    /* calls inside calls */
    MAX_NEST  = 1500,                   /* expressions inside expressions, through calls */
    MAX_LIST_DEPTH = 100,               /* lists inside lists, where a builtin walks them */
    MAX_VIEWS = 500                     /* views that one is made of */
};

/* ---- values --------------------------------------------------------------------------------------- */

typedef enum ValueKind {
    V_MISSING,                          /* an argument that was not given; never the value of an expression */
    V_NONE, V_BOOL, V_INT, V_FLOAT, V_STRING,
    V_DIM,                              /* an int that is known at entry only: a polynomial, never a constant */
    V_REL,                              /* a comparison of dims that only the entry decides */
    V_WEAK,                             /* a number known at run time only, without dtype: an f64 scalar node */
    V_LIST, V_TUPLE, V_TYPE, V_FN, V_MODULE, V_INSTANCE, V_NAMESPACE,
    V_TENSOR, V_PLACE,                  /* place: a param or state; reads as its value */
    V_UNBOUND,                          /* a file-level name above its binding */
    V_ERROR                             /* reported already: whatever meets it is silent */
} ValueKind;

typedef struct List {
    Value       *at;
    uint32_t     n;
    const char **name;                  /* of a tuple of named results, or NULL */
} List;

typedef struct Relation { Rel rel; Dim *a, *b; Span span; } Relation;

typedef VEC(Node *) Nodes;

typedef struct Place {                  /* a param or state of an instance */
    Param   *param;                     /* its path is found once the file is evaluated */
    Node    *initial;                   /* in the root function; NULL: must be loaded */
    VEC(Node *) draws;                  /* random numbers of the initial value: streams follow from the path */
    Func    *func;  Node *node;         /* its value in the function it was last read in: the argument, or what `:=` gave */
    Nodes    earlier;                   /* its values there before: one each `:=` */
    bool     walked;
    uint32_t order;                     /* in the walk */
} Place;

typedef VEC(Place *) Places;

typedef struct Builtin Builtin;
typedef struct Closure {                /* something callable */
    const Fn      *fn;                  /* a function of the program, or NULL: */
    const Builtin *builtin;
    Scope         *scope;               /* where it was defined */
    Instance      *self;
    const Value   *recompute;           /* recompute(f), custom_grad(f, backward): what is called instead */
    const Value   *custom, *backward;
} Closure;
typedef struct ModuleValue { const ModuleDecl *decl; Scope *scope; } ModuleValue;

struct Value {
    uint8_t kind;
    bool    whole;                      /* WEAK: an integer (floor of a number) */
    const char *leaf;                   /* PLACE: its name below the tree that it was reached through; NULL: none */
    union {
        bool         b;
        int64_t      i;
        double       f;
        const char  *s;
        Dim         *dim;
        Relation    *rel;
        List        *list;
        Type        *type;
        Closure     *fn;
        ModuleValue *module;
        Instance    *inst;
        Unit        *unit;
        Node        *node;
        Place       *place;
    };
};

static inline Value v_none(void)                { return (Value){.kind = V_NONE}; }
static inline Value v_error(void)               { return (Value){.kind = V_ERROR}; }
static inline Value v_missing(void)             { return (Value){.kind = V_MISSING}; }
static inline Value v_bool(bool b)              { return (Value){.kind = V_BOOL, .b = b}; }
static inline Value v_int(int64_t i)            { return (Value){.kind = V_INT, .i = i}; }
static inline Value v_float(double f)           { return (Value){.kind = V_FLOAT, .f = f}; }
static inline Value v_string(const char *s)     { return (Value){.kind = V_STRING, .s = s}; }
static inline Value v_type(Type *t)             { return (Value){.kind = V_TYPE, .type = t}; }
static inline Value v_list(List *l)             { return (Value){.kind = V_LIST, .list = l}; }
static inline Value v_tuple(List *l)            { return (Value){.kind = V_TUPLE, .list = l}; }
static inline bool  is_poison(Value v)          { return v.kind >= V_ERROR; }
static inline bool  is_list(Value v)            { return v.kind == V_LIST || v.kind == V_TUPLE; }
static inline bool  is_tensor(Value v)          { return v.kind == V_TENSOR || v.kind == V_PLACE; }
/* What recompute(f) or custom_grad(f, ...) is made of, or NULL: its params are those of f. */
static inline const Value *wrapped_value(Value v)
{
    return v.kind != V_FN ? NULL : v.fn->recompute ? v.fn->recompute : v.fn->custom;
}
static inline bool  is_whole(Value v)           { return v.kind == V_INT || v.kind == V_DIM; }
static inline bool  is_number(Value v)          { return is_whole(v) || v.kind == V_FLOAT || v.kind == V_WEAK; }
static inline bool  is_const_number(Value v)    { return v.kind == V_INT || v.kind == V_FLOAT; }

/* ---- scopes ---------------------------------------------------------------------------------------- */

typedef struct Entry {
    const char *name;
    Value       value;
    Span        span;                   /* of its definition */
    const char *as;                     /* `as "text"`: its name in paths; NULL: none */
    Unit       *from;                   /* imported from */
    bool        loop;                   /* a variable of a for: not part of paths */
    bool        clash;                  /* two imports bring it */
} Entry;

struct Scope {
    Scope      *up;
    VEC(Entry)  entry;                  /* in order of definition */
    uint32_t   *table;                  /* hash of names -> entry + 1, made when there are many */
    uint32_t    table_size;
    bool        unit_level;             /* of a file: names are defined once */
    enum { BLOCK_none, BLOCK_branch, BLOCK_loop } block;        /* inside of a function: one of its branches or loops */
};

/* How an instance is seen through freeze, eval_mode and bind; of an instance made by its module: NULL. */
typedef struct View View;
struct View {
    const View *up, *also;              /* what was viewed; a view of the instance that this one was reached through */
    uint32_t views;                     /* it is made of, itself included */
    bool  eval_mode;
    Map  *frozen;                       /* Place * -> itself */
    Map  *bound;                        /* Place * -> const Value * */
};

struct Instance {
    ModuleValue *module;
    Scope       *args, *members;        /* args.up == members; views share them */
    const View  *view;
    uint32_t     visits;                /* of the path walk */
};

/* A source file: the program's, an import's, or one of the library's. */
struct Unit {
    const char *path;
    const char *name;                   /* for --set: the `as` name or stem of its import; NULL: the program */
    uint32_t    source;
    File       *file;
    Scope      *scope;                  /* its names; up: what it imports, then the library */
    bool        library, running;
    bool        import_failed;          /* some of its names are missing for that */
    Unit       *parent;                 /* who imported it first */
    Span        imported_at;
    VEC(Unit *) imports;
};

/* ---- calls ------------------------------------------------------------------------------------------ */

typedef struct Rest { bool bound; uint32_t n; Dim **dim; } Rest;        /* what `...` stands for in a signature */

/* A call being evaluated: of a function, or of a module making an instance. */
struct Frame {
    Frame      *up;
    const char *of, *name;              /* "Linear", "forward"; of may be NULL */
    const void *decl;                   /* Fn or ModuleDecl; NULL: a file */
    Scope      *home;                   /* where it was defined: decl and home tell recursion */
    Span        call;
    bool        direct;                 /* the call names its function, no value that was passed in */
    bool        module_body;
    bool        done;                   /* a return was executed */
    Value       result;
    Span        result_at;              /* what the value came from, for messages */
    uint32_t    depth;
};

typedef struct Arguments {
    Span         span;                  /* of the call */
    Value       *value;
    const char **name;                  /* NULL: positional */
    Span        *at;
    Span        *name_at;
    uint32_t     n;
} Arguments;

/* ---- builtins --------------------------------------------------------------------------------------- */

enum { MAX_BUILTIN_ARGS = 8 };
/* A call of a builtin: arg[i] belongs to its parameter i; `rest` of a variadic one is in args. */
typedef struct Call {
    const Builtin   *builtin;
    const Arguments *args;
    Span             span;
    Value            arg[MAX_BUILTIN_ARGS];
    Span             at[MAX_BUILTIN_ARGS];
} Call;
typedef Value BuiltinFn(Check *c, Call *call);
struct Builtin {
    const char *name;
    const char *params;                 /* "x, axis?, keep?": '?' may be left out; a final "*" takes any number */
    BuiltinFn  *eval;
    int         code;                   /* the operator or DiagCode that eval wants */
};

/* ---- the compilation --------------------------------------------------------------------------------- */

struct Check {
    Arena    *a;
    Strings   names;
    Diags    *d;
    Module   *m;
    const FrontendOptions *o;

    Func     *root;                     /* file-level tensors and initial values; never part of the result */
    Node     *seed;                     /* its argument */
    Func     *func;                     /* being built: root, an export, or the body of a loop in one of them */
    Loop     *loop;                     /* whose body that is, or NULL */
    Node    **map;                      /* root nodes -> the copy last made, by id */
    VEC(Place *) root_places;           /* by number of root's argument; NULL: the seed */
    bool      training;
    Places    changed;                  /* places that func gives new values, in order of their first `:=` */
    const View *view;                   /* of the calls around: views that bind */
    Node     *condition;                /* of the run-time branches around; NULL: none */
    VEC(Entry) branch_names;            /* that only one of two such branches bound: gone after it */
    uint32_t  remat, remats;            /* tag of nodes made in the `recompute` around; those given so far */
    Node     *key, *calls;              /* of func: seed and number of calls so far, for its draws */
    uint64_t  draws;                    /* made in func so far */

    Scope    *library, *builtins;
    Scope    *scope;                    /* where names are looked up */
    Scope    *define;                   /* where bindings go */
    Instance *self;
    Frame    *frame;
    Place    *initial;                  /* whose initial value is being evaluated */
    uint32_t  nest;
    uint64_t  steps;
    bool      exhausted;

    Map      *units;                    /* path -> Unit */
    Unit     *program;
    VEC(Unit *) order;                  /* imports in order of completion */
    VEC(bool) library_source;           /* by source number: is it the library's? */
    VEC(Place *) places;
    bool     *set_used;                 /* of o->set */
    Map      *reported;                 /* places that were reported: once each */
    Map      *required;                 /* of func: (rel, a, b) -> itself */
    Diag      spare;                    /* takes notes of what was reported before */
    Diag     *last;  uint32_t last_chain;

    const char *n_forward, *n_training, *n_underscore;
};

/* ---- check_report.c ---- */
/* Report once a place; the call chain follows as notes. The result takes further notes through note(). */
Diag *problem(Check *c, DiagCode code, Span at, const char *fmt, ...) PRINTF(4, 5);
void  note(Check *c, Diag *to, Span at, const char *fmt, ...) PRINTF(4, 5);
Value fail(Check *c, DiagCode code, Span at, const char *fmt, ...) PRINTF(4, 5);
void  suggest(Check *c, Diag *to, const char *word, const char *const *candidates, uint32_t n);
Span  user_place(const Check *c, Span s);               /* the line of the user that led to s */
const char *frame_name(Check *c, const Frame *f);       /* "Linear.forward" */
/* Notes: the nearest of these paths, and the first few of them. */
void  suggest_path(Check *c, Diag *to, const char *pattern, const char *const *paths, uint32_t n);
bool  too_many_errors(const Check *c);
bool  step(Check *c, uint64_t n, Span at);              /* false: too much work, reported */

/* ---- check_scope.c ---- */
Scope *scope_new(Check *c, Scope *up);
Entry *scope_find(const Scope *s, const char *name);    /* in s alone */
Entry *scope_lookup(const Scope *s, const char *name);  /* and above */
/* Where a name is bound in the function's own scopes: the branches and loops around s, and the function's. NULL: not yet.
 * *lost: only outside of a loop, where a binding would be lost. */
Entry *scope_bound(const Scope *s, const char *name, bool *lost);
Entry *scope_set(Check *c, Scope *s, const char *name, Value v, Span at);
Value  lookup_name(Check *c, const char *name, Span at);
uint32_t scope_names(Check *c, const Scope *s, bool up, const char ***names);
List  *list_new(Check *c, uint32_t n, Span at);         /* NULL: too long, reported */
const char *kind_text(Check *c, Value v);               /* "f32[B, 4]", "an int", "the module Linear" */
const char *value_text(Check *c, Value v);              /* "3", "[1, 2]" */
bool   values_equal(Check *c, Value a, Value b, bool *undecided);
bool   is_callable(Check *c, Value v);
const char *text_of(Check *c, Span s);                  /* the source text of a span, shortened */

/* ---- check_dim.c ---- */
Dim   *value_dim(Check *c, Value v);                    /* of an INT or DIM */
Value  dim_value_of(Dim *d);                            /* INT where constant */
typedef enum Same { SAME_no, SAME_yes, SAME_required } Same;
/* Are the dims equal? Where only the entry can tell, a requirement is added to the function. */
Same   same_dim(Check *c, Dim *a, Dim *b, Span at);
bool   require(Check *c, Rel rel, Dim *a, Dim *b, Span at);         /* false: provably not so */
void   require_fact(Check *c, Rel rel, Dim *a, Dim *b, const char *text, Span at);     /* even where it is known */
bool   nonnegative(Check *c, Type *t, Span at);         /* every dim; adds requirements */
Node  *retype(Check *c, Node *n, Type *t, Span at);     /* the same value under dims required to be equal */
bool   make_type(Check *c, DType t, uint32_t rank, Dim *const *dim, Span at, Type **out);
Value  eval_type(Check *c, const TypeExpr *t);          /* as an expression */
bool   is_module_tree(Check *c, Value v);         /* an instance, or a list of layers with an instance in it */
/* Does v fit the declared type? Converts numbers; binds dims that come into being. what: "argument `x` of `f`". */
bool   match_value(Check *c, const TypeExpr *t, Value *v, Rest *rest, bool result, Span at, const char *what);
bool   declare_type(Check *c, const TypeExpr *t, Func *f, const char *what, Type **out);    /* of an export's parameter */
bool   fresh_dim(Check *c, const Expr *e);              /* a new symbolic dim? */
void   dim_origins(Check *c, Diag *to, const Expr *e);  /* notes: where the names in e got their values */

/* ---- check_expr.c ---- */
Value  eval(Check *c, const Expr *e);
Value  eval_exprs(Check *c, Expr *const *e, uint32_t n, Span at);   /* one: its value; more: a tuple */
Value  eval_if(Check *c, const Expr *e, bool want_value);
bool   iterate(Check *c, Value v, Span at, List **out);
bool   bind_names(Check *c, const char *const *names, const Span *spans, uint32_t n, Value v, Span at, Scope *s, bool loop);
bool   unpack(Check *c, Value v, uint32_t n, Span at, Value *out);

/* ---- check_stmt.c ---- */
Value  run_block(Check *c, const Body *b, bool want_value);
void   hoist(Check *c, const Body *b);

/* ---- check_call.c ---- */
Value  call_value(Check *c, Value f, const Arguments *a, bool direct);
Value  eval_call_expr(Check *c, const Expr *e, const Value *piped, const Span *piped_at);
Value  call1(Check *c, Value f, Value x, Span at);      /* f(x) */
Value  check_results(Check *c, const Fn *f, Value v, Rest *rest, Span at);

/* ---- check_arith.c ---- */
Value  binary(Check *c, BinOp op, Value a, Value b, Span at, Span a_at, Span b_at);
Value  unary(Check *c, UnOp op, Value x, Span at);
Value  tensor_value(Check *c, Node *n);                 /* ERROR when NULL */
Node  *node(Check *c, Op op, uint32_t n, Node *const *arg, const Attr *attr, Type *type, Span at);
Node  *node1(Check *c, Op op, Node *x, Span at);
Node  *node2(Check *c, Op op, Node *x, Node *y, Span at);
Node  *as_node(Check *c, Value v);                      /* of a tensor or place, in the current function */
Node  *number_as(Check *c, Value v, DType t, Span at);  /* a number as a scalar of a dtype; NULL: does not fit, reported */
Node  *operand(Check *c, Value v, Span at);             /* a tensor; numbers become i32, f32. NULL: reported */
bool   broadcast_shapes(Check *c, Type *a, Type *b, Span at, const char *what, Node *na, Node *nb, uint32_t *rank, Dim **dim);
Node  *broadcast_to(Check *c, Node *x, uint32_t rank, Dim *const *dim, Span at);
Node  *scalar_const(Check *c, DType t, double v, Span at);
Node  *int_const(Check *c, DType t, int64_t v, Span at);
Node  *cast_to(Check *c, Node *n, DType t, Span at);
Node  *dim_node(Check *c, Dim *d, DType t, Span at);
/* Both as tensors of one dtype and shape, numbers taking the other's dtype. */
bool   meet(Check *c, Value a, Value b, Span at, Span a_at, Span b_at, const char *what, Node **x, Node **y);
Node  *weak_node(Check *c, Value v, Span at);           /* a number as an f64 scalar */
bool   number_fits(int64_t v, DType t);

/* ---- check_cast.c ---- */
Value  cast_value(Check *c, Value v, DType t, Span at);

/* ---- check_index.c ---- */
Value  eval_index(Check *c, const Expr *e);
Node  *slice_axis(Check *c, Node *x, uint32_t axis, Dim *from, Dim *length, int64_t step, Span at);
Node  *drop_axis(Check *c, Node *x, uint32_t axis, Span at);
Node  *gather_axis(Check *c, Node *x, Node *ids, uint32_t axis, Span at);

/* ---- check_pattern.c ---- */
BuiltinFn bi_einsum, bi_rearrange, bi_reduce_pattern, bi_repeat;

/* ---- check_builtin.c ---- */
void   builtins_define(Check *c);
Value  call_builtin(Check *c, const Builtin *b, const Arguments *a);
bool   given(const Call *k, uint32_t i);
/* Reading arguments; false or NULL: reported (or poison). */
Node  *arg_tensor(Check *c, Call *k, uint32_t i);
bool   arg_axis(Check *c, Call *k, uint32_t i, uint32_t rank, uint32_t *axis);
bool   arg_axes(Check *c, Call *k, uint32_t i, uint32_t rank, uint32_t *bits);     /* missing: all */
bool   arg_bool(Check *c, Call *k, uint32_t i, bool *out);
bool   arg_int(Check *c, Call *k, uint32_t i, int64_t *out);
bool   arg_dim(Check *c, Call *k, uint32_t i, Dim **out);
bool   arg_type(Check *c, Call *k, uint32_t i, Type **out);
bool   arg_option(Check *c, Call *k, uint32_t i, const char *const *options, uint32_t n, uint32_t *which);
bool   arg_list(Check *c, Call *k, uint32_t i, List **out);
const char *arg_name(Check *c, const Call *k, uint32_t i);
Value  bad_arg(Check *c, Call *k, uint32_t i, const char *wanted);
const Builtin *builtin_find(const char *name);

/* ---- builtins by family: see the table in check_builtin.c ---- */
BuiltinFn bi_zeros, bi_ones, bi_full, bi_iota, bi_like, bi_normal, bi_uniform, bi_randint, bi_bernoulli, bi_categorical;
BuiltinFn bi_unary, bi_round, bi_minmax, bi_clamp, bi_where;
BuiltinFn bi_params, bi_leaves, bi_map, bi_matches, bi_reset;
BuiltinFn bi_grad, bi_stop_gradient, bi_custom_grad, bi_recompute;
BuiltinFn bi_freeze, bi_eval_mode, bi_bind, bi_replace, bi_precision;
BuiltinFn bi_reduce, bi_mean, bi_argreduce, bi_cumsum, bi_sort, bi_top_k;
BuiltinFn bi_conv, bi_conv_transpose, bi_max_pool, bi_avg_pool, bi_resize;
BuiltinFn bi_reshape, bi_broadcast, bi_concat, bi_stack, bi_split, bi_flip, bi_pad, bi_unfold;
BuiltinFn bi_take, bi_take_along, bi_one_hot, bi_slice, bi_put, bi_scatter_add, bi_segment;
Node  *reduce_axes(Check *c, RedKind kind, Node *x, uint32_t axes, bool keep, Span at);
Node  *splat(Check *c, Node *scalar, Type *t, Span at);
Node  *lowest(Check *c, DType t, bool highest, Span at);
Node  *iota_node(Check *c, Type *t, uint32_t axis, Span at);
Node  *reshape_to(Check *c, Node *x, uint32_t rank, Dim *const *dim, Span at);     /* counts are known to agree */
bool   product(Check *c, Dim *const *dim, uint32_t n, Span at, Dim **out);
Value  min_max_values(Check *c, bool want_max, Value a, Value b, Span at, Span a_at, Span b_at);

/* A number or a tensor that broadcasts, as a tensor of type t. NULL: reported. */
Node  *as_type(Check *c, Value v, Type *t, Span at);

/* ---- check_random.c ---- */
Node  *key_node(Check *c);                              /* the instance's seed, in the function being built */

/* ---- check_branch.c ---- */
Node  *branch_condition(Check *c);                      /* of the run-time branches around, or NULL */

/* ---- check_place.c ---- */
Value  declare_place(Check *c, const Stmt *s);          /* param, state */
void   run_update(Check *c, const Stmt *s);             /* := */
Value  read_now(Check *c, Value v, Span at, int depth); /* a tree with the values that its leaves have now */
Value  snapshot(Check *c, Value v);                     /* of a place: its value now; else v */
bool   place_set(Check *c, Place *p, Node *n, Span at); /* its new value in the function being built */
void   add_effects(Check *c, Func *f);                  /* new values of params and states become results */

/* ---- check_tree.c ---- */
typedef struct Leaves { VEC(Value) at; VEC(const char *) name; } Leaves;
/* The leaves of a tree in order, with their names below it. A module's: its trainable params. false: reported. */
bool   tree_leaves(Check *c, Value v, Span at, Leaves *out);
/* A tree of the shape of `like` with these leaves. */
Value  tree_like(Check *c, Value like, const Value *leaf, Span at);
bool   name_matches(const char *name, const char *pattern);
const char *join_path(Check *c, const char *path, const char *name);

/* ---- check_view.c ---- */
bool   is_frozen(const View *v, const Place *p);
bool   view_evaluates(const View *v);
bool   view_binds(const View *v);
const View *view_join(Check *c, const View *inner, const View *outer);  /* both hold */
Value  seen_through(Check *c, const Instance *owner, Value member);     /* a member of an instance */
const Value *bound_value(const Check *c, const Place *p);       /* what the views around bind p to, or NULL */

/* ---- check_branch.c ---- */
Value  eval_branches(Check *c, const Expr *e, Node *condition, bool want_value);

/* ---- check_loop.c ---- */
Value  eval_loop_expr(Check *c, const Expr *e);
void   set_yield(Check *c, Value v);
/* In the body of a loop: a value, place or scalar of the function around, as the body sees it. NULL: reported. */
Node  *capture_around(Check *c, Node *n);
Node  *capture_place(Check *c, Place *p);
Node  *capture_made(Check *c, Node *(*make)(Check *));
Node  *iteration_number(const Check *c);                /* of the innermost loop */

/* ---- check_grad.c ---- */
Value  call_wrapped(Check *c, const Closure *f, const Arguments *a);   /* of recompute, custom_grad */

/* ---- check_path.c ---- */
void   find_paths(Check *c);
uint64_t stream_of(const char *name, uint64_t ordinal); /* of the draw with that number in that param or function */

/* ---- check_export.c ---- */
void   compile_exports(Check *c);

/* ---- check_fact.c ---- */
bool   prepare_facts(Check *c, const Fn *f, Func *func);

/* ---- check_func.c ---- */
Node  *place_node(Check *c, Place *p);                  /* a param's or state's value in the current function */
Node  *import_node(Check *c, Node *root_node);          /* its copy in the current function */
void   begin_func(Check *c, Func *f);                   /* from here on nodes go there */
void   prune(Check *c, Func *f);                        /* drop nodes and params that no result needs */
void   mark_indices(Check *c, Func *f);                 /* Arg.is_index */
void   build_init(Check *c);

/* ---- check_file.c ---- */
Unit  *load_program(Check *c, const char *path, const char *text, size_t n);
bool   load_library(Check *c);
void   check_sets(Check *c);                            /* every --set was used */

/* ---- check_lint.c ---- */
void   lint_unit(Check *c, const Unit *u);

#endif

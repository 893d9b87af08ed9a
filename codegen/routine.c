/* routine.c - kernels without a body: operators that a routine of the runtime computes (runtime/order.c, scatter.c).
 *
 * The routine reads and writes whole buffers; all that it has to know, down to the dtype, it gets as dims. So one kernel
 * serves every use of an operator on operands of the same dtypes.
 */
#include "codegen/fuse.h"
#include "runtime/rt.h"

_Static_assert((int)RT_none == (int)RED_none && (int)RT_sum == (int)RED_sum && (int)RT_prod == (int)RED_prod && (int)RT_max == (int)RED_max &&
                   (int)RT_min == (int)RED_min && (int)RT_or == (int)RED_or && (int)RT_and == (int)RED_and,
               "rt.h numbers reductions as ir.h does");

bool is_routine(const Node *n)
{
    return op_class(n->op) == CLASS_ORD || op_class(n->op) == CLASS_SCT;
}

/* ---- members of tuples ---------------------------------------------------------------------------------------------- */

static Node *member_of(Func *f, Node *tuple, uint32_t i)
{
    for (uint32_t k = tuple->id + 1; k < f->body.nodes.n; k++) {
        Node *n = f->body.nodes.at[k];
        if (n->op == OP_get && n->arg[0] == tuple && n->attr.axis == i) return n;
    }
    return NULL;
}

void one_get_a_member(Func *f)
{
    uint32_t count = f->body.nodes.n;
    for (uint32_t i = 0; i < count; i++) {
        Node *n = f->body.nodes.at[i];
        for (uint32_t a = 0; a < n->nargs; a++) {
            Node *x = n->arg[a];
            if (x->op == OP_get && is_routine(x->arg[0])) n->arg[a] = member_of(f, x->arg[0], x->attr.axis);
        }
    }
    for (uint32_t i = 0; i < f->results.n; i++) {
        Node *x = f->results.at[i].node;
        if (x->op == OP_get && is_routine(x->arg[0])) f->results.at[i].node = member_of(f, x->arg[0], x->attr.axis);
    }
    for (uint32_t i = 0; i < f->guards.n; i++) {
        Node *x = f->guards.at[i].ok;
        if (x->op == OP_get && is_routine(x->arg[0])) f->guards.at[i].ok = member_of(f, x->arg[0], x->attr.axis);
    }
    for (uint32_t i = 0; i < count; i++) {
        Node *n = f->body.nodes.at[i];
        for (uint32_t k = 0; is_routine(n) && n->type->kind == TYPE_TUPLE && k < n->type->rank; k++)
            if (!member_of(f, n, k)) ir_get(f, n, k, n->span);
    }
}

/* ---- the kernel ------------------------------------------------------------------------------------------------------ */

typedef struct Routine {
    Arena   *arena;
    Kernel  *k;
    VEC(Node *) operands;
    const char *why;
} Routine;

/* Number `i` of what the routine is told; its symbol. */
static Dim *tell(Routine *r, uint32_t i, Dim *value)
{
    if (!value) r->why = "a size overflows";
    Dim *sym = dim_sym(r->k->module, kernel_scope(), arena_printf(r->arena, "s%u", i));
    while (r->k->syms.n <= i) vec_push(r->arena, &r->k->syms, NULL);
    while (r->k->bound.n <= i) vec_push(r->arena, &r->k->bound, NULL);
    r->k->syms.at[i] = dim_as_sym(sym);
    r->k->bound.at[i] = value;
    return sym;
}

static Dim *tell_int(Routine *r, uint32_t i, int64_t value)
{
    return tell(r, i, dim_const(r->k->module, value));
}

static void operand(Routine *r, Node *n, bool written, Dim *count)
{
    vec_push(r->arena, &r->operands, n);
    vec_push(r->arena, &r->k->operands, ((KOperand){n->type->dtype, written, false}));
    vec_push(r->arena, &r->k->counts, count);
}

static void axis(Routine *r, AxisRole role, Dim *extent)
{
    Kernel *k = r->k;
    vec_push(r->arena, &k->axes, ((KAxis){role, dim_var(k->module, k, arena_printf(r->arena, "i%u", k->axes.n), extent), extent}));
}

static Dim *product(Module *m, const Type *t, uint32_t from, uint32_t to)
{
    Dim *d = dim_const(m, 1);
    for (uint32_t i = from; i < to && d; i++) d = dim_mul(m, d, t->dim[i]);
    return d;
}

static void lines(Routine *r, Fusion *fu, Node *n)
{
    Module *m = r->k->module;
    Node *x = n->arg[0];
    bool running = n->op == OP_cumulate;
    uint32_t at = running ? (uint32_t)__builtin_ctz(n->attr.reduce.axes) : n->attr.order.axis;
    const Type *result = running ? n->type : n->type->member[0];
    tell_int(r, RT_LINE_DTYPE, x->type->dtype);
    tell_int(r, RT_LINE_KIND, running ? n->attr.reduce.kind : RED_none);
    tell_int(r, RT_LINE_REVERSE, running ? n->attr.reduce.reverse : n->op == OP_top_k || n->attr.order.descending);
    tell_int(r, RT_LINE_SITE, n->op == OP_top_k ? fault_site(fu, n, "fewer elements than asked for") : 0);
    Dim *outer = tell(r, RT_LINE_OUTER, product(m, x->type, 0, at));
    Dim *inner = tell(r, RT_LINE_INNER, product(m, x->type, at + 1, x->type->rank));
    Dim *length = tell(r, RT_LINE_LENGTH, x->type->dim[at]), *keep = tell(r, RT_LINE_KEEP, result->dim[at]);
    axis(r, AXIS_PARALLEL, outer), axis(r, AXIS_PARALLEL, inner), axis(r, AXIS_REDUCED, length);
    Dim *line = dim_mul(m, outer, inner), *all = dim_mul(m, line, length), *kept = dim_mul(m, line, keep);
    operand(r, x, false, all);
    if (running) {
        operand(r, n, true, all);
        return;
    }
    operand(r, member_of(fu->func, n, 0), true, kept);
    operand(r, member_of(fu->func, n, 1), true, kept);
    r->k->scratch = dim_mul(m, length, dim_const(m, RT_SORT_BYTES));
}

static void scatter(Routine *r, Fusion *fu, Node *n)
{
    Module *m = r->k->module;
    const Type *x = n->type, *ids = n->arg[1]->type;
    tell_int(r, RT_SCATTER_DTYPE, x->dtype);
    tell_int(r, RT_SCATTER_KIND, n->attr.reduce.kind);
    tell_int(r, RT_SCATTER_ID_DTYPE, ids->dtype);
    tell_int(r, RT_SCATTER_SITE, fault_site(fu, n, "index out of range"));
    Dim *rows = tell(r, RT_SCATTER_ROWS, x->dim[0]), *row = tell(r, RT_SCATTER_ROW, product(m, x, 1, x->rank));
    Dim *count = tell(r, RT_SCATTER_IDS, product(m, ids, 0, ids->rank));
    axis(r, AXIS_PARALLEL, dim_max(m, row, dim_const(m, 1))), axis(r, AXIS_REDUCED, count);
    Dim *all = dim_mul(m, rows, row);
    operand(r, n->arg[0], false, all);
    operand(r, n->arg[1], false, count);
    operand(r, n->arg[2], false, dim_mul(m, count, row));
    operand(r, n, true, all);
}

Kernel *lower_routine(Arena *a, Fusion *fu, Node *n, Node ***operands, const char **why)
{
    static const char *const function[] = {[OP_cumulate] = "dlc_rt_cumulate", [OP_sort] = "dlc_rt_sort", [OP_top_k] = "dlc_rt_sort",
                                           [OP_scatter] = "dlc_rt_scatter"};
    Routine r = {.arena = a, .k = arena_new(a, Kernel)};
    Kernel *k = r.k;
    k->class = KERNEL_ROUTINE;
    k->module = fu->func->module;
    k->span = n->span;
    k->routine = n->op;
    k->function = function[n->op];
    k->scratch = dim_const(k->module, 0);
    if (n->op == OP_scatter) scatter(&r, fu, n);
    else lines(&r, fu, n);
    *why = r.why;
    if (r.why) return NULL;
    Str s = {.arena = a};
    kernel_print(&s, k);
    k->text = s.at;
    k->hash = hash_bytes(s.at, s.n, 0);
    *operands = r.operands.at;
    return k;
}

/* autodiff - replace each `grad` by the nodes that compute it: reverse mode, on the primitive operators.
 * In:  any verified graph.
 * Out: no `grad` and no `stop` is left.
 *   %1 = mul %0, %0 : f32[]
 *   %2 = grad %1, %0 : (f32[])       d %1 / d %0          ->   %2 = const 1.0 : f32[]
 *   %3 = get %2 {member = 0} : f32[]                           %3 = mul %2, %0 : f32[]   (twice, and added)
 *
 * A `grad` takes a scalar loss and the values to differentiate it by. The chain rule is applied from the loss down to those
 * values, over the nodes that depend on one of them: what nobody asked for is never computed (a first layer's input
 * gradient, frozen parts). Gradients are ordinary nodes, so a later `grad` differentiates through an earlier one. The
 * rules are in gradients_*.c, named by ops.def.
 */
#include <string.h>

#include "passes/gradients.h"

enum { MAX_NODES = 1 << 20 };           /* of a function: gradients of gradients of ... grow exponentially */

static GradRule *const rules[OP_COUNT] = {
#define OP(name, args, attr, shape, eval, grad, class) [OP_##name] = grad_##grad,
#include "ir/ops.def"
#undef OP
};

GradRule *grad_rule(Op op) { return rules[op]; }

/* One `grad`: adjoints by id of the nodes that exist when it begins. */
typedef struct Backward {
    Arena   scratch;
    Func   *f;
    uint32_t n;
    bool   *depends;                    /* on a value that is differentiated by */
    Node  **adjoint;
    Node ***members;                    /* of nodes with a tuple type */
    Span    span;
} Backward;

static void accumulate(Backward *b, Node **to, Node *d, Span span)
{
    *to = *to ? ir_binary(b->f, OP_add, *to, d, span) : d;
}

static void no_gradient(Backward *b, const Node *y, const char *why)
{
    Diags *d = b->f->module->diags;
    if (!d) return;
    Diag *error = diag_error(d, DL_no_gradient, y->span, "%s has no gradient: %s", op_name(y->op), why);
    diag_note(d, error, b->span, "asked for here");
}

/* Apply y's rule and pass the results on to its operands. */
static void step(Backward *b, Node *y)
{
    Node **dx = arena_array(&b->scratch, Node *, y->nargs + 1);
    bool *wanted = arena_array(&b->scratch, bool, y->nargs + 1), any = false;
    for (uint32_t i = 0; i < y->nargs; i++) {
        Type *t = y->arg[i]->type;
        wanted[i] = b->depends[y->arg[i]->id] && (t->kind == TYPE_TUPLE || dtype_is_float(t->dtype));
        any |= wanted[i];
    }
    if (!any) return;
    if (y->op == OP_get) {                              /* the member's adjoint, kept at the tuple */
        Node *tuple = y->arg[0];
        if (!b->members[tuple->id]) b->members[tuple->id] = arena_array(&b->scratch, Node *, tuple->type->rank + 1);
        accumulate(b, &b->members[tuple->id][y->attr.axis], b->adjoint[y->id], y->span);
        return;
    }
    const char *before = ir_error(b->f->module);
    Grad g = {.f = b->f, .y = y, .dy = b->adjoint[y->id], .dy_of = b->members[y->id], .dx = dx, .wanted = wanted};
    rules[y->op](&g);
    /* A node that could not be made: each failure has its own text. */
    if (!g.error && ir_error(b->f->module) != before) g.error = ir_error(b->f->module);
    if (g.error) {
        no_gradient(b, y, g.error);
        return;
    }
    for (uint32_t i = 0; i < y->nargs; i++)
        if (wanted[i] && dx[i]) accumulate(b, &b->adjoint[y->arg[i]->id], dx[i], y->span);
}

/* The value of `grad loss, of...`: a tuple. */
static Node *differentiate(Func *f, Node *loss, Node *const *of, uint32_t nof, Span span)
{
    Backward b = {.f = f, .n = f->body.nodes.n, .span = span};
    b.depends = arena_array(&b.scratch, bool, b.n);
    b.adjoint = arena_array(&b.scratch, Node *, b.n);
    b.members = arena_array(&b.scratch, Node **, b.n);
    for (uint32_t i = 0; i < nof; i++) b.depends[of[i]->id] = true;
    for (uint32_t i = 0; i < b.n; i++) {
        const Node *n = f->body.nodes.at[i];
        for (uint32_t k = 0; k < n->nargs && n->op != OP_stop; k++) b.depends[i] |= b.depends[n->arg[k]->id];
    }
    b.adjoint[loss->id] = ir_scalar(f, loss->type->dtype, 1, span);
    for (uint32_t i = loss->id + 1; i-- > 0;) {
        Node *y = f->body.nodes.at[i];
        if (f->body.nodes.n > MAX_NODES) {
            no_gradient(&b, loss, "it would take more than a million operators");
            break;
        }
        if (b.depends[i] && y->op != OP_stop && (b.adjoint[i] || b.members[i])) step(&b, y);
    }
    Node **result = arena_array(&b.scratch, Node *, nof + 1);
    for (uint32_t i = 0; i < nof; i++) {
        result[i] = b.adjoint[of[i]->id];
        if (!result[i]) result[i] = ir_splat(f, ir_scalar(f, of[i]->type->dtype, 0, span), of[i]->type, span);
    }
    Node *tuple = ir_node(f, OP_tuple, nof, result, NULL, NULL, span);
    arena_free(&b.scratch);
    return tuple;
}

static bool has_work(const Func *f)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->op == OP_grad || f->body.nodes.at[i]->op == OP_stop) return true;
    return false;
}

void pass_autodiff(Module *m)
{
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        Func *f = m->funcs.at[i];
        if (!has_work(f)) continue;
        /* First every `grad`, in order; `stop` stays, since a later one must see it. */
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *old = rw.old[n];
            if (old->op != OP_grad) {
                rewrite_copy(&rw, old);
                continue;
            }
            Node **arg = arena_array(m->arena, Node *, old->nargs);
            for (uint32_t k = 0; k < old->nargs; k++) arg[k] = rw.map[old->arg[k]->id];
            rw.map[old->id] = differentiate(f, arg[0], arg + 1, old->nargs - 1, old->span);
        }
        rewrite_end(&rw);
        rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *old = rw.old[n];
            if (old->op == OP_stop) rw.map[old->id] = rw.map[old->arg[0]->id];
            else rewrite_copy(&rw, old);
        }
        rewrite_end(&rw);
    }
}

/* inline - replace calls by the bodies of what they call.
 * In:  any verified graph; calls do not recurse (the verifier refuses it).
 * Out: no call is left. The callee's symbols become the dims of the actual operands; what it requires at entry is
 *      required by the caller, in the caller's dims, and so are its guards. Functions that are not exported are dropped at the end.
 *      A call stays (and its callee with it) if the body is wrong for the dims of this call: a reshape of 8 elements
 *      that are 3 here; or if the module would grow beyond all bounds. Only IR text written by hand has such calls.
 */
#include <string.h>

#include "passes/passes.h"

enum { MAX_INLINED = 1 << 20 };         /* nodes in all: calls of calls can double at every level */

/* The callee's symbols and what each is at this call. */
typedef struct Binding {
    uint32_t     n;
    const Atom **from;
    Dim        **to;
    bool         overflow;              /* a dim does not fit; what was made of it is not used */
} Binding;

/* A symbol is bound by the first operand axis that is just it, as at a call from C. */
static Binding bind_dims(Arena *a, const Func *callee, Node *const *args)
{
    Binding b = {.from = arena_array(a, const Atom *, callee->dims.n + 1), .to = arena_array(a, Dim *, callee->dims.n + 1)};
    for (uint32_t s = 0; s < callee->dims.n; s++) {
        Dim *actual = NULL;
        for (uint32_t i = 0; i < callee->args.n && !actual; i++) {
            Type *formal = callee->args.at[i].node->type;
            for (uint32_t k = 0; k < formal->rank && !actual; k++)
                if (formal->dim[k] == callee->dims.at[s]) actual = args[i]->type->dim[k];
        }
        if (!actual) continue;
        b.from[b.n] = dim_as_sym(callee->dims.at[s]);
        b.to[b.n++] = actual;
    }
    return b;
}

static Dim *substitute(Module *m, Binding *b, Dim *d)
{
    Dim *to = dim_subst(m, d, b->n, b->from, b->to);
    b->overflow |= !to;
    return to ? to : dim_const(m, 0);
}

static Dim **substitute_all(Module *m, Binding *b, Dim **d, uint32_t n)
{
    Dim **out = arena_array(m->arena, Dim *, n);
    for (uint32_t i = 0; i < n; i++) out[i] = substitute(m, b, d[i]);
    return out;
}

static Type *substitute_type(Module *m, Binding *b, Type *t)
{
    if (t->kind == TYPE_TENSOR) return type_tensor(m, t->dtype, t->rank, substitute_all(m, b, t->dim, t->rank));
    Type **member = arena_array(m->arena, Type *, t->rank);
    for (uint32_t i = 0; i < t->rank; i++) member[i] = substitute_type(m, b, t->member[i]);
    return type_tuple(m, t->rank, member);
}

/* Attributes that hold dims, in the caller's dims. */
static Attr substitute_attr(Module *m, Binding *b, const Node *n)
{
    Attr a = n->attr;
    uint32_t rank = n->nargs && n->arg[0]->type->kind == TYPE_TENSOR ? n->arg[0]->type->rank : 0;
    uint32_t space = rank >= 2 ? rank - 2 : 0;
    switch (n->op) {
    case OP_dim: a.dim = substitute(m, b, a.dim); break;
    case OP_slice: a.slice.start = substitute_all(m, b, a.slice.start, rank); break;
    case OP_pad:
        a.pad.lo = substitute_all(m, b, a.pad.lo, rank);
        a.pad.hi = substitute_all(m, b, a.pad.hi, rank);
        break;
    case OP_window:
        a.window.lo = substitute_all(m, b, a.window.lo, rank);
        a.window.hi = substitute_all(m, b, a.window.hi, rank);
        break;
    case OP_loop:
        if (a.loop.length) a.loop.length = substitute(m, b, a.loop.length);
        break;
    case OP_conv:
        a.conv.lo = substitute_all(m, b, a.conv.lo, space);
        a.conv.hi = substitute_all(m, b, a.conv.hi, space);
        break;
    default: break;
    }
    return a;
}

static Node *expand(Func *f, const Node *call, Node *const *args, uint32_t *room);

/* n in f, in the caller's dims. NULL: there is no room, or it cannot be for these dims. */
static Node *expand_node(Func *f, Binding *b, const Node *n, Node **operands, uint32_t *room);

/* The body of a loop of the callee, in the caller's dims, for a loop in f. */
static Func *expand_body(Func *f, Binding *b, const Func *old, uint32_t *room)
{
    Arena scratch = {0};
    Module *m = f->module;
    Func *body = func_body(f, old->span);
    Node **map = arena_array(&scratch, Node *, old->body.nodes.n + 1);
    map[old->args.at[0].node->id] = body->args.at[0].node;
    for (uint32_t i = 1; i < old->args.n; i++) {
        const Arg *a = &old->args.at[i];
        map[a->node->id] = func_arg(body, ARG_INPUT, a->name, substitute_type(m, b, a->node->type), NULL, a->node->span);
    }
    bool ok = true;
    for (uint32_t i = 0; ok && i < old->body.nodes.n; i++) {
        Node *n = old->body.nodes.at[i];
        if (n->op == OP_arg) continue;
        Node **operands = arena_array(&scratch, Node *, n->nargs + 1);
        for (uint32_t k = 0; k < n->nargs; k++) operands[k] = map[n->arg[k]->id];
        map[n->id] = expand_node(body, b, n, operands, room);
        ok = map[n->id];
    }
    for (uint32_t i = 0; ok && i < old->results.n; i++) func_result(body, old->results.at[i].name, map[old->results.at[i].node->id], NULL);
    for (uint32_t i = 0; ok && i < old->guards.n; i++)
        func_guard(body, map[old->guards.at[i].ok->id], old->guards.at[i].what, old->guards.at[i].span);
    arena_free(&scratch);
    return ok ? body : NULL;
}

static Node *expand_node(Func *f, Binding *b, const Node *n, Node **operands, uint32_t *room)
{
    if (n->op == OP_call) return expand(f, n, operands, room);
    if (!*room) return NULL;
    --*room;
    Attr attr = substitute_attr(f->module, b, n);
    Type *type = substitute_type(f->module, b, n->type);
    if (n->op == OP_loop && !(attr.loop.body = expand_body(f, b, n->attr.loop.body, room))) return NULL;
    return b->overflow ? NULL : ir_node(f, n->op, n->nargs, operands, &attr, type, n->span);
}

/* Copy the callee's body into f; the value of the call. NULL: it cannot be for these dims, or there is no room. */
static Node *expand(Func *f, const Node *call, Node *const *args, uint32_t *room)
{
    Arena scratch = {0};
    Module *m = f->module;
    Func *callee = call->attr.callee;
    Binding b = bind_dims(&scratch, callee, args);
    Node **map = arena_array(&scratch, Node *, callee->body.nodes.n + 1);
    for (uint32_t i = 0; i < callee->body.nodes.n; i++) {
        Node *n = callee->body.nodes.at[i];
        if (n->op == OP_arg) {
            map[n->id] = args[n->attr.arg];
            continue;
        }
        Node **operands = arena_array(&scratch, Node *, n->nargs + 1);
        for (uint32_t k = 0; k < n->nargs; k++) operands[k] = map[n->arg[k]->id];
        map[n->id] = expand_node(f, &b, n, operands, room);
        if (!map[n->id] || !*room) {
            arena_free(&scratch);
            return NULL;
        }
    }
    for (uint32_t i = 0; i < callee->requires.n; i++) {
        Require r = callee->requires.at[i];
        r.a = substitute(m, &b, r.a), r.b = substitute(m, &b, r.b);
        vec_push(m->arena, &func_outermost(f)->requires, r);
    }
    if (b.overflow) {
        arena_free(&scratch);
        return NULL;
    }
    for (uint32_t i = 0; i < callee->guards.n; i++)
        func_guard(f, map[callee->guards.at[i].ok->id], callee->guards.at[i].what, callee->guards.at[i].span);
    Node *value;
    if (callee->results.n == 1) {
        value = map[callee->results.at[0].node->id];
    } else {
        Node **members = arena_array(&scratch, Node *, callee->results.n + 1);
        for (uint32_t i = 0; i < callee->results.n; i++) members[i] = map[callee->results.at[i].node->id];
        value = ir_node(f, OP_tuple, callee->results.n, members, NULL, NULL, call->span);
    }
    arena_free(&scratch);
    return value;
}

void pass_inline(Module *m)
{
    bool any = false, left = false;
    uint32_t room = MAX_INLINED;
    FuncList all = module_funcs(m->arena, m);
    for (uint32_t i = 0; i < all.n; i++) {
        Func *f = all.at[i];
        bool calls = false;
        for (uint32_t n = 0; n < f->body.nodes.n; n++) calls |= f->body.nodes.at[n]->op == OP_call;
        if (!calls) continue;
        any = true;
        Rewrite rw = rewrite_begin(f);
        for (uint32_t n = 0; n < rw.nold; n++) {
            Node *old = rw.old[n];
            if (old->op != OP_call) {
                rewrite_copy(&rw, old);
                continue;
            }
            Node **args = arena_array(m->arena, Node *, old->nargs + 1);
            for (uint32_t k = 0; k < old->nargs; k++) args[k] = rw.map[old->arg[k]->id];
            uint32_t requires = func_outermost(f)->requires.n, guards = f->guards.n;
            rw.map[old->id] = expand(f, old, args, &room);
            if (rw.map[old->id]) continue;
            func_outermost(f)->requires.n = requires, f->guards.n = guards;
            rewrite_copy(&rw, old);
            left = true;
        }
        rewrite_end(&rw);
    }
    if (!any || left) return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (m->funcs.at[i]->exported || !strcmp(m->funcs.at[i]->name, "init")) m->funcs.at[kept++] = m->funcs.at[i];
    m->funcs.n = kept;
}

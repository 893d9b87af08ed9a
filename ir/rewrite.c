/* rewrite.c - how passes change a function, and copies of whole modules. */
#include "ir/internal.h"

#include <string.h>

/* A node like `old` in f, appended, with the given operands. Attributes are immutable and shared. */
static Node *node_like(Func *f, const Node *old, Node **arg)
{
    Arena *a = f->module->arena;
    Node *n = arena_copy(a, old, sizeof *old);
    n->id = f->nodes_made++;
    n->func = f;
    n->arg = arg;
    vec_push(a, &f->body.nodes, n);
    return n;
}

/* Arguments stay, in their order, first in the new body. */
Rewrite rewrite_begin(Func *f)
{
    Arena *a = f->module->arena;
    Rewrite rw = {.f = f, .old = f->body.nodes.at, .nold = f->body.nodes.n};
    rw.map = arena_array(a, Node *, rw.nold + 1);
    for (uint32_t i = 0; i < rw.nold; i++) rw.old[i]->id = i;
    memset(&f->body.nodes, 0, sizeof f->body.nodes);
    f->nodes_made = 0;
    for (uint32_t i = 0; i < f->args.n; i++) {
        Node *old = f->args.at[i].node;
        f->args.at[i].node = rw.map[old->id] = node_like(f, old, NULL);
    }
    return rw;
}

Node *rewrite_copy(Rewrite *rw, Node *old)
{
    if (old->op == OP_arg) return rw->map[old->id];
    Node **arg = old->nargs ? arena_array(rw->f->module->arena, Node *, old->nargs) : NULL;
    for (uint32_t i = 0; i < old->nargs; i++) arg[i] = rw->map[old->arg[i]->id];
    return rw->map[old->id] = node_like(rw->f, old, arg);
}

void rewrite_end(Rewrite *rw)
{
    Func *f = rw->f;
    for (uint32_t i = 0; i < f->results.n; i++) {
        Node *n = f->results.at[i].node;
        if (n->id < rw->nold && rw->old[n->id] == n) f->results.at[i].node = rw->map[n->id];
    }
    for (uint32_t i = 0; i < f->guards.n; i++) {
        Node *n = f->guards.at[i].ok;
        if (n->id < rw->nold && rw->old[n->id] == n) f->guards.at[i].ok = rw->map[n->id];
    }
    uint32_t n = f->body.nodes.n, kept = 0;
    bool *live = arena_array(f->module->arena, bool, n + 1);
    for (uint32_t i = 0; i < f->results.n; i++) live[f->results.at[i].node->id] = true;
    for (uint32_t i = 0; i < f->guards.n; i++) live[f->guards.at[i].ok->id] = true;
    for (uint32_t i = n; i-- > 0;) {
        Node *x = f->body.nodes.at[i];
        if (x->op == OP_arg) live[i] = true;
        for (uint32_t k = 0; live[i] && k < x->nargs; k++) live[x->arg[k]->id] = true;
    }
    for (uint32_t i = 0; i < n; i++) {
        Node *x = f->body.nodes.at[i];
        if (!live[i]) continue;
        x->id = kept;
        f->body.nodes.at[kept++] = x;
    }
    f->body.nodes.n = f->nodes_made = kept;
}

uint32_t *use_counts(Arena *a, const Func *f)
{
    uint32_t *uses = arena_array(a, uint32_t, f->nodes_made + 1);
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        for (uint32_t k = 0; k < f->body.nodes.at[i]->nargs; k++) uses[f->body.nodes.at[i]->arg[k]->id]++;
    for (uint32_t i = 0; i < f->results.n; i++) uses[f->results.at[i].node->id]++;
    for (uint32_t i = 0; i < f->guards.n; i++) uses[f->guards.at[i].ok->id]++;
    return uses;
}

/* ---- functions and the bodies in them ---- */

Func *func_body_copy(Func *outer, const Func *old)
{
    Arena *a = outer->module->arena;
    Func *f = func_body(outer, old->span);
    f->args.n = f->body.nodes.n = f->nodes_made = 0;
    Node **map = arena_array(a, Node *, old->nodes_made + 1);
    for (uint32_t i = 0; i < old->body.nodes.n; i++) {
        const Node *n = old->body.nodes.at[i];
        Node **arg = n->nargs ? arena_array(a, Node *, n->nargs) : NULL;
        for (uint32_t k = 0; k < n->nargs; k++) arg[k] = map[n->arg[k]->id];
        map[n->id] = node_like(f, n, arg);
        if (n->op == OP_loop) map[n->id]->attr.loop.body = func_body_copy(f, n->attr.loop.body);
    }
    for (uint32_t i = 0; i < old->args.n; i++) {
        vec_push(a, &f->args, old->args.at[i]);
        f->args.at[i].node = map[old->args.at[i].node->id];
    }
    for (uint32_t i = 0; i < old->results.n; i++) func_result(f, old->results.at[i].name, map[old->results.at[i].node->id], NULL);
    for (uint32_t i = 0; i < old->guards.n; i++)
        func_guard(f, map[old->guards.at[i].ok->id], old->guards.at[i].what, old->guards.at[i].span);
    return f;
}

typedef struct Funcs { Arena *arena; VEC(Func *) at; } Funcs;

static void add_with_bodies(Funcs *all, Func *f)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (f->body.nodes.at[i]->op == OP_loop) add_with_bodies(all, f->body.nodes.at[i]->attr.loop.body);
    vec_push(all->arena, &all->at, f);
}

FuncList module_funcs(Arena *a, const Module *m)
{
    Funcs all = {.arena = a};
    for (uint32_t i = 0; i < m->funcs.n; i++) add_with_bodies(&all, m->funcs.at[i]);
    return (FuncList){all.at.at, all.at.n};
}

/* ---- module_clone ---- */

typedef struct Clone {
    const Module *from;
    Module *to;
    struct Dim const **dim;             /* by old id */
    struct Type const **type;
    Func *f;                            /* being filled */
} Clone;

static Dim *clone_dim(Clone *c, Dim *d);
static void clone_func(Clone *c, const Func *old, Func *f);

static const void *clone_scope(Clone *c, const void *scope)
{
    for (uint32_t i = 0; i < c->from->funcs.n; i++)
        if (c->from->funcs.at[i] == scope) return c->to->funcs.at[i];
    return scope;
}

static Dim *clone_atom(Clone *c, const Atom *x)
{
    if (x->kind == ATOM_SYM) {
        Dim *s = dim_sym(c->to, clone_scope(c, x->scope), x->name);
        dim_bound(c->to, s, x->lo, x->hi);
        return s;
    }
    Dim *a = clone_dim(c, x->a), *b = clone_dim(c, x->b);
    switch (x->kind) {
    case ATOM_FLOORDIV: return dim_floordiv(c->to, a, b);
    case ATOM_MOD:      return dim_mod(c->to, a, b);
    case ATOM_MIN:      return dim_min(c->to, a, b);
    default:            return dim_max(c->to, a, b);
    }
}

static Dim *clone_dim(Clone *c, Dim *d)
{
    if (c->dim[d->id]) return c->dim[d->id];
    Dim *sum = dim_const(c->to, 0);
    for (uint32_t i = 0; i < d->nterms; i++) {
        Dim *product = dim_const(c->to, d->term[i].coef);
        for (uint32_t k = 0; k < d->term[i].natoms; k++)
            product = dim_mul(c->to, product, clone_atom(c, d->term[i].atom[k]));
        sum = dim_add(c->to, sum, product);
    }
    return c->dim[d->id] = sum;
}

static Type *clone_type(Clone *c, Type *t)
{
    if (c->type[t->id]) return c->type[t->id];
    Type *r;
    if (t->kind == TYPE_TENSOR) {
        Dim *dim[MAX_RANK];
        for (uint32_t i = 0; i < t->rank; i++) dim[i] = clone_dim(c, t->dim[i]);
        r = type_tensor(c->to, t->dtype, t->rank, dim);
    } else {
        Type **member = arena_array(c->to->arena, Type *, t->rank + 1);
        for (uint32_t i = 0; i < t->rank; i++) member[i] = clone_type(c, t->member[i]);
        r = type_tuple(c->to, t->rank, member);
    }
    return c->type[t->id] = r;
}

static Dim **clone_dims(Clone *c, Dim **d, uint32_t n)
{
    Dim **r = arena_array(c->to->arena, Dim *, n + 1);
    for (uint32_t i = 0; i < n; i++) r[i] = clone_dim(c, d[i]);
    return r;
}

/* The dims and functions that an attribute names; the rest of it is shared with the old module's arena, so it is
 * copied. */
static Attr clone_attr(Clone *c, const Node *n)
{
    Arena *a = c->to->arena;
    Attr r = n->attr;
    uint32_t rank = n->nargs ? n->arg[0]->type->rank : 0;
#define COPY(field, count) r.field = arena_copy(a, n->attr.field, (count) * sizeof *r.field)
    switch (op_attr(n->op)) {
    case ATTR_lit: {
        int64_t count = 0;
        (void)dim_is_const(type_count(c->to, clone_type(c, n->type)), &count);
        r.lit.data = arena_copy(a, n->attr.lit.data, (size_t)count * dtype_size(n->type->dtype));
        r.lit.exact = n->attr.lit.exact ? arena_copy(a, n->attr.lit.exact, sizeof *r.lit.exact) : NULL;
        break;
    }
    case ATTR_dim:
        r.dim = clone_dim(c, n->attr.dim);
        break;
    case ATTR_slice:
        r.slice.start = clone_dims(c, n->attr.slice.start, rank);
        COPY(slice.step, rank);
        break;
    case ATTR_pad:
        r.pad.lo = clone_dims(c, n->attr.pad.lo, rank);
        r.pad.hi = clone_dims(c, n->attr.pad.hi, rank);
        break;
    case ATTR_window:
        COPY(window.size, rank);
        COPY(window.stride, rank);
        r.window.lo = clone_dims(c, n->attr.window.lo, rank);
        r.window.hi = clone_dims(c, n->attr.window.hi, rank);
        break;
    case ATTR_conv:
        COPY(conv.stride, rank - 2);
        COPY(conv.dilation, rank - 2);
        COPY(conv.spread, rank - 2);
        r.conv.lo = clone_dims(c, n->attr.conv.lo, rank - 2);
        r.conv.hi = clone_dims(c, n->attr.conv.hi, rank - 2);
        break;
    case ATTR_callee:
        for (uint32_t i = 0; i < c->from->funcs.n; i++)
            if (c->from->funcs.at[i] == n->attr.callee) r.callee = c->to->funcs.at[i];
        break;
    case ATTR_loop:
        r.loop.length = n->attr.loop.length ? clone_dim(c, n->attr.loop.length) : NULL;
        r.loop.body = arena_new(a, Func);
        *r.loop.body = (Func){.name = c->f->name, .outer = c->f, .module = c->to, .span = n->attr.loop.body->span};
        clone_func(c, n->attr.loop.body, r.loop.body);
        break;
    default:
        break;
    }
    return r;
}

static const char *clone_text(Clone *c, const char *s)
{
    return s ? arena_strndup(c->to->arena, s, strlen(s)) : NULL;
}

static Param *clone_param(Clone *c, const Param *p)
{
    return p ? c->to->params.at[p->index] : NULL;
}

static void clone_func(Clone *c, const Func *old, Func *f)
{
    Arena *a = c->to->arena;
    Func *around = c->f;
    c->f = f;
    f->doc = clone_text(c, old->doc);
    f->exported = old->exported;
    f->train = old->train;
    for (uint32_t i = 0; i < old->dims.n; i++) vec_push(a, &f->dims, clone_dim(c, old->dims.at[i]));
    for (uint32_t i = 0; i < old->requires.n; i++) {
        Require x = old->requires.at[i];
        x.a = clone_dim(c, x.a);
        x.b = clone_dim(c, x.b);
        x.text = clone_text(c, x.text);
        vec_push(a, &f->requires, x);
    }
    for (uint32_t i = 0; i < old->dims.n; i++)          /* after what requires it, which it would fold: H % 8 == 0 */
        dim_multiple(c->to, f->dims.at[i], dim_as_sym(old->dims.at[i])->multiple);
    Node **map = arena_array(a, Node *, old->nodes_made + 1);
    for (uint32_t i = 0; i < old->body.nodes.n; i++) {
        const Node *n = old->body.nodes.at[i];
        Node **arg = n->nargs ? arena_array(a, Node *, n->nargs) : NULL;
        for (uint32_t k = 0; k < n->nargs; k++) arg[k] = map[n->arg[k]->id];
        Node *copy = node_like(f, n, arg);
        copy->id = n->id;
        copy->type = clone_type(c, n->type);
        copy->attr = clone_attr(c, n);
        map[n->id] = copy;
    }
    f->nodes_made = old->nodes_made;
    for (uint32_t i = 0; i < old->args.n; i++) {
        Arg x = old->args.at[i];
        x.name = clone_text(c, x.name);
        x.node = map[x.node->id];
        x.param = clone_param(c, x.param);
        x.limit = x.limit ? clone_dim(c, x.limit) : NULL;
        vec_push(a, &f->args, x);
    }
    for (uint32_t i = 0; i < old->results.n; i++) {
        Result x = old->results.at[i];
        func_result(f, x.name, map[x.node->id], clone_param(c, x.param));
    }
    for (uint32_t i = 0; i < old->guards.n; i++)
        func_guard(f, map[old->guards.at[i].ok->id], old->guards.at[i].what, old->guards.at[i].span);
    c->f = around;
}

Module *module_clone(Arena *a, const Module *m)
{
    Clone c = {.from = m, .to = module_new(a, m->diags, m->name)};
    c.dim = arena_array(a, Dim *, m->dims->all.n + 1);
    c.type = arena_array(a, Type *, m->types->n + 1);
    for (uint32_t i = 0; i < m->funcs.n; i++) func_new(c.to, m->funcs.at[i]->name, m->funcs.at[i]->span);
    /* Facts first: they decide how dims are written. */
    for (uint32_t i = 0; i < m->funcs.n; i++)
        for (uint32_t k = 0; k < m->funcs.at[i]->dims.n; k++) (void)clone_dim(&c, m->funcs.at[i]->dims.at[k]);
    for (uint32_t i = 0; i < m->params.n; i++) {
        const Param *p = m->params.at[i];
        Param *q = module_param(c.to, p->path, p->state, clone_type(&c, p->type), p->span);
        q->must_load = p->must_load;
        for (uint32_t k = 0; k < p->aliases.n; k++) vec_push(a, &q->aliases, clone_text(&c, p->aliases.at[k]));
    }
    for (uint32_t i = 0; i < m->funcs.n; i++) clone_func(&c, m->funcs.at[i], c.to->funcs.at[i]);
    for (uint32_t i = 0; i < m->remarks.n; i++) {
        Remark r = {clone_text(&c, m->remarks.at[i].text), m->remarks.at[i].span};
        vec_push(a, &c.to->remarks, r);
    }
    return c.to;
}

/* node.c - making modules, functions and nodes. */
#include "ir/internal.h"

#include <math.h>
#include <string.h>

Module *module_new(Arena *a, Diags *diags, const char *name)
{
    Module *m = arena_new(a, Module);
    m->arena = a;
    m->diags = diags;
    m->name = arena_strndup(a, name, strlen(name));
    m->dims = dim_table_new(a);
    m->types = type_table_new(a);
    return m;
}

Func *func_new(Module *m, const char *name, Span span)
{
    Func *f = arena_new(m->arena, Func);
    f->name = arena_strndup(m->arena, name, strlen(name));
    f->module = m;
    f->span = span;
    vec_push(m->arena, &m->funcs, f);
    return f;
}

Func *func_body(Func *outer, Span span)
{
    Module *m = outer->module;
    Func *f = arena_new(m->arena, Func);
    *f = (Func){.name = outer->name, .outer = outer, .module = m, .span = span};
    for (uint32_t i = 0; i < outer->dims.n; i++) vec_push(m->arena, &f->dims, outer->dims.at[i]);
    (void)func_arg(f, ARG_INPUT, "iteration", type_scalar(m, DT_i64), NULL, span);
    return f;
}

Func *func_outermost(Func *f)
{
    while (f->outer) f = f->outer;
    return f;
}

Func *func_find(const Module *m, const char *name)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (!strcmp(m->funcs.at[i]->name, name)) return m->funcs.at[i];
    return NULL;
}

Param *module_param(Module *m, const char *path, bool state, Type *t, Span span)
{
    Param *p = arena_new(m->arena, Param);
    *p = (Param){.path = arena_strndup(m->arena, path, strlen(path)),
                 .state = state,
                 .type = t,
                 .span = span,
                 .index = m->params.n};
    vec_push(m->arena, &m->params, p);
    return p;
}

Node *func_arg(Func *f, ArgRole role, const char *name, Type *t, Param *p, Span span)
{
    Module *m = f->module;
    Attr attr = {.arg = f->args.n};
    Arg arg = {.role = role, .name = arena_strndup(m->arena, name, strlen(name)), .param = p};
    vec_push(m->arena, &f->args, arg);
    Node *n = ir_node(f, OP_arg, 0, NULL, &attr, t, span);
    if (n) f->args.at[attr.arg].node = n;
    else f->args.n--;
    return n;
}

Node *func_param(Func *f, Param *p)
{
    for (uint32_t i = 0; i < f->args.n; i++)
        if (f->args.at[i].param == p) return f->args.at[i].node;
    return func_arg(f, ARG_PARAM, p->path, p->type, p, p->span);
}

void func_result(Func *f, const char *name, Node *n, Param *alias)
{
    Result r = {.name = arena_strndup(f->module->arena, name, strlen(name)), .node = n, .param = alias};
    vec_push(f->module->arena, &f->results, r);
}

void func_guard(Func *f, Node *ok, const char *what, Span span)
{
    Guard g = {.ok = ok, .what = arena_strndup(f->module->arena, what, strlen(what)), .span = span};
    vec_push(f->module->arena, &f->guards, g);
}

/* ---- nodes ---- */

#define KEEP(array, n) ((array) ? arena_copy(m->arena, (array), (n) * sizeof *(array)) : NULL)

/* The attribute with its own copies of what it points to, and nothing in it that the operator does not use, so that
 * equal nodes have equal attributes. */
static Attr attr_keep(Module *m, Op op, uint32_t nargs, Node *const *arg, const Attr *attr, Type *type)
{
    Attr r;
    memset(&r, 0, sizeof r);
    uint32_t rank = nargs ? arg[0]->type->rank : 0;
    switch (op_attr(op)) {
    case ATTR_none:   break;
    case ATTR_arg:    r.arg = attr->arg; break;
    case ATTR_lit: {
        int64_t n = 0;
        (void)dim_is_const(type_count(m, type), &n);
        r.lit.data = arena_copy(m->arena, attr->lit.data, (size_t)n * dtype_size(type->dtype));
        r.lit.exact = KEEP(attr->lit.exact, 1);
        break;
    }
    case ATTR_dim:    r.dim = attr->dim; break;
    case ATTR_axis:   r.axis = attr->axis; break;
    case ATTR_rng:    r.rng = attr->rng; break;
    case ATTR_dtype:  r.dtype = attr->dtype; break;
    case ATTR_perm:   memcpy(r.perm, attr->perm, rank); break;
    case ATTR_axes:   r.axes = attr->axes; break;
    case ATTR_callee: r.callee = attr->callee; break;
    case ATTR_loop:
        r.loop.body = attr->loop.body;
        r.loop.length = attr->loop.length;
        r.loop.sequences = attr->loop.sequences;
        r.loop.carries = attr->loop.carries;
        r.loop.condition = attr->loop.condition;
        break;
    case ATTR_slice:
        r.slice.start = KEEP(attr->slice.start, rank);
        r.slice.step = KEEP(attr->slice.step, rank);
        break;
    case ATTR_pad:
        r.pad.lo = KEEP(attr->pad.lo, rank);
        r.pad.hi = KEEP(attr->pad.hi, rank);
        break;
    case ATTR_reduce:
        r.reduce.kind = attr->reduce.kind;
        r.reduce.axes = op == OP_scatter ? 0 : attr->reduce.axes;
        r.reduce.reverse = op == OP_cumulate && attr->reduce.reverse;
        break;
    case ATTR_window:
        r.window.kind = attr->window.kind;
        r.window.size = KEEP(attr->window.size, rank);
        r.window.stride = KEEP(attr->window.stride, rank);
        r.window.lo = KEEP(attr->window.lo, rank);
        r.window.hi = KEEP(attr->window.hi, rank);
        break;
    case ATTR_dot:
        r.dot.nbatch = attr->dot.nbatch;
        r.dot.ncontract = attr->dot.ncontract;
        memcpy(r.dot.lbatch, attr->dot.lbatch, r.dot.nbatch);
        memcpy(r.dot.rbatch, attr->dot.rbatch, r.dot.nbatch);
        memcpy(r.dot.lcontract, attr->dot.lcontract, r.dot.ncontract);
        memcpy(r.dot.rcontract, attr->dot.rcontract, r.dot.ncontract);
        break;
    case ATTR_conv:
        r.conv.groups = attr->conv.groups;
        r.conv.stride = KEEP(attr->conv.stride, rank - 2);
        r.conv.dilation = KEEP(attr->conv.dilation, rank - 2);
        r.conv.spread = KEEP(attr->conv.spread, rank - 2);
        r.conv.lo = KEEP(attr->conv.lo, rank - 2);
        r.conv.hi = KEEP(attr->conv.hi, rank - 2);
        break;
    case ATTR_order:
        r.order.axis = attr->order.axis;
        r.order.descending = op == OP_top_k || attr->order.descending;
        break;
    }
    return r;
}

Node *ir_node(Func *f, Op op, uint32_t nargs, Node *const *args, const Attr *attr, Type *type, Span span)
{
    static const Attr no_attr;
    Module *m = f->module;
    for (uint32_t i = 0; i < nargs; i++)
        if (!args[i]) return NULL;              /* it failed before; ir_error() says how */
    ShapeCall call = {.m = m, .op = op, .nargs = nargs, .arg = args, .attr = attr ? attr : &no_attr, .given = type};
    Type *t = shape_infer(&call);
    if (!t) {
        m->types->error = call.error;
        return NULL;
    }
    Node *n = arena_new(m->arena, Node);
    *n = (Node){ .op = op, .id = f->nodes_made++, .nargs = nargs, .type = t, .span = span, .func = f };
    n->arg = nargs ? arena_copy(m->arena, args, nargs * sizeof *args) : NULL;
    n->attr = attr_keep(m, op, nargs, args, call.attr, t);
    vec_push(m->arena, &f->body.nodes, n);
    return n;
}

const char *ir_error(const Module *m)
{
    return m->types->error ? m->types->error : "";
}

/* ---- shorthands ---- */

Node *ir_unary(Func *f, Op op, Node *x, Span s)
{
    return ir_node(f, op, 1, &x, NULL, NULL, s);
}

Node *ir_binary(Func *f, Op op, Node *a, Node *b, Span s)
{
    return ir_node(f, op, 2, (Node *[]){a, b}, NULL, NULL, s);
}

Node *ir_scalar(Func *f, DType t, double v, Span s)
{
    uint64_t element = 0;
    data_set(t, &element, 0, v);
    bool rounded = t == DT_f32 && data_get(t, &element, 0) != v;
    Attr attr = {.lit = {&element, rounded ? &v : NULL}};
    return ir_node(f, OP_const, 0, NULL, &attr, type_scalar(f->module, t), s);
}

Node *ir_scalar_int(Func *f, DType t, int64_t v, Span s)
{
    uint64_t element = 0;
    data_set_int(t, &element, 0, v);
    return ir_node(f, OP_const, 0, NULL, &(Attr){.lit = {.data = &element}}, type_scalar(f->module, t), s);
}

Node *ir_splat(Func *f, Node *x, Type *t, Span s)
{
    return !t ? NULL : t->rank ? ir_broadcast(f, x, t, (uint8_t[1]){0}, s) : x;
}

Node *ir_broadcast(Func *f, Node *x, Type *t, const uint8_t *axes, Span s)
{
    Attr attr = {.arg = 0};
    if (x && x->type->rank) memcpy(attr.perm, axes, x->type->rank);
    return ir_node(f, OP_broadcast, 1, &x, &attr, t, s);
}

Node *ir_cast(Func *f, Node *x, DType t, Span s)
{
    return ir_node(f, OP_cast, 1, &x, &(Attr){.dtype = t}, NULL, s);
}

Node *ir_reshape(Func *f, Node *x, Type *t, Span s)
{
    return ir_node(f, OP_reshape, 1, &x, NULL, t, s);
}

Node *ir_transpose(Func *f, Node *x, const uint8_t *perm, Span s)
{
    Attr attr = {.arg = 0};
    if (x) memcpy(attr.perm, perm, x->type->rank);
    return ir_node(f, OP_transpose, 1, &x, &attr, NULL, s);
}

Node *ir_reduce(Func *f, RedKind k, Node *x, uint32_t axes, Span s)
{
    Attr attr = {.reduce = {.kind = k, .axes = axes}};
    return ir_node(f, OP_reduce, 1, &x, &attr, NULL, s);
}

Node *ir_get(Func *f, Node *tuple, uint32_t i, Span s)
{
    return ir_node(f, OP_get, 1, &tuple, &(Attr){.axis = i}, NULL, s);
}

bool node_is_scalar_const(const Node *n, double *v)
{
    while (n->op == OP_broadcast && n->arg[0]->type->rank == 0) n = n->arg[0];
    if (n->op != OP_const || n->type->rank) return false;
    *v = data_get(n->type->dtype, n->attr.lit.data, 0);
    return true;
}

/* verify.c - every invariant of a module. Passes are checked with it in debug and test builds, hostile IR text always.
 *
 *   module    names and paths are unique; shapes of params are numbers
 *   function  symbols are its own; arguments and their nodes point at each other, in one order; results alias a param
 *             at most once, with its type; guards are bool[]. The same for bodies of loops, in which nothing aliases and names
 *             are for readers
 *   node      its place is its id; operands stand above it; its type is what the operator's rule gives; every symbol in
 *             its type and attribute is one of the function's
 */
#include "ir/internal.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

typedef struct Check {
    Arena   *arena;
    Module  *m;
    const Func *f;
    uint32_t *dim_ok; /* by dim id: number + 1 of the last function whose symbols it was found to use */
    uint32_t func;                      /* number of f, or of the function it is in, + 1 */
    uint32_t depth;                     /* of loops around */
    const char *error;
} Check;

static bool fail(Check *c, const char *fmt, ...) PRINTF(2, 3);
static bool fail(Check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!c->error) c->error = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- dims and types ---- */

static bool check_dim(Check *c, Dim *d)
{
    if (!d) return fail(c, "a dim is missing");
    if (d->id >= c->m->dims->all.n || c->m->dims->all.at[d->id] != d) return fail(c, "a dim is another module's");
    if (c->dim_ok[d->id] == c->func) return true;
    for (uint32_t i = 0; i < d->nterms; i++)
        for (uint32_t k = 0; k < d->term[i].natoms; k++) {
            const Atom *x = d->term[i].atom[k];
            if (x->kind != ATOM_SYM) {
                if (!check_dim(c, x->a) || !check_dim(c, x->b)) return false;
                continue;
            }
            bool own = false;
            for (uint32_t s = 0; c->f && s < c->f->dims.n && !own; s++) own = dim_as_sym(c->f->dims.at[s]) == x;
            if (!own) return fail(c, "symbol %s is not the function's", x->name);
        }
    c->dim_ok[d->id] = c->func;
    return true;
}

static bool check_dims(Check *c, Dim **d, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!check_dim(c, d[i])) return false;
    return true;
}

static bool check_type(Check *c, Type *t)
{
    if (!t) return fail(c, "no type");
    if (t->kind == TYPE_TENSOR) return check_dims(c, t->dim, t->rank);
    for (uint32_t i = 0; i < t->rank; i++)
        if (!check_type(c, t->member[i])) return false;
    return true;
}

static bool is_tensor(Type *t) { return t->kind == TYPE_TENSOR; }

/* ---- nodes ---- */

static bool check_attr(Check *c, const Node *n)
{
    uint32_t rank = n->nargs ? n->arg[0]->type->rank : 0, place = 0;
    switch (op_attr(n->op)) {
    case ATTR_dim:    return check_dim(c, n->attr.dim);
    case ATTR_slice:  return check_dims(c, n->attr.slice.start, rank);
    case ATTR_pad:    return check_dims(c, n->attr.pad.lo, rank) && check_dims(c, n->attr.pad.hi, rank);
    case ATTR_window: return check_dims(c, n->attr.window.lo, rank) && check_dims(c, n->attr.window.hi, rank);
    case ATTR_conv:   return check_dims(c, n->attr.conv.lo, rank - 2) && check_dims(c, n->attr.conv.hi, rank - 2);
    case ATTR_callee:
        while (place < c->m->funcs.n && c->m->funcs.at[place] != n->attr.callee) place++;
        return place + 1 < c->func || fail(c, "calls %s, which does not stand above", n->attr.callee->name);
    case ATTR_loop:   return !n->attr.loop.length || check_dim(c, n->attr.loop.length);
    default:          return true;
    }
}

static bool check_body(Check *c, const Node *n);

static bool check_node(Check *c, uint32_t place)
{
    const Func *f = c->f;
    const Node *n = f->body.nodes.at[place];
    if (n->id != place) return fail(c, "has place %u", place);
    if (n->func != f) return fail(c, "belongs to %s", n->func ? n->func->name : "no function");
    if (n->op >= OP_COUNT) return fail(c, "no operator");
    for (uint32_t i = 0; i < n->nargs; i++) {
        const Node *x = n->arg[i];
        if (!x || x->id >= place || f->body.nodes.at[x->id] != x) return fail(c, "operand %u does not stand above", i);
    }
    if (n->op == OP_arg && (n->attr.arg >= f->args.n || f->args.at[n->attr.arg].node != n))
        return fail(c, "is no argument");
    if (n->op == OP_loop && !check_body(c, n)) return false;
    ShapeCall call = { .m = c->m, .op = n->op, .nargs = n->nargs, .arg = n->arg, .attr = &n->attr,
                       .given = op_needs_type(n->op) ? n->type : NULL };
    Type *t = shape_infer(&call);
    if (!t) return fail(c, "%s", call.error);
    if (t != n->type)
        return fail(c, "has type %s, but its rule gives %s", n->type ? type_text(c->arena, n->type) : "none",
                    type_text(c->arena, t));
    return check_type(c, n->type) && check_attr(c, n);
}

/* ---- functions ---- */

static bool check_symbols(Check *c)
{
    const Func *f = c->f;
    for (uint32_t i = 0; i < f->dims.n; i++) {
        const Atom *x = f->dims.at[i] ? dim_as_sym(f->dims.at[i]) : NULL;
        if (!x || x->extent) return fail(c, "dim %u is no symbol", i);
        if (x->scope != func_outermost((Func *)f)) return fail(c, "symbol %s has another scope", x->name);
        for (uint32_t k = 0; k < i; k++)
            if (f->dims.at[k] == f->dims.at[i]) return fail(c, "symbol %s twice", x->name);
    }
    return true;
}

static bool check_args(Check *c)
{
    const Func *f = c->f;
    Map *names = map_new(c->arena);
    uint32_t last = 0;
    for (uint32_t i = 0; i < f->args.n; i++) {
        const Arg *a = &f->args.at[i];
        const Node *n = a->node;
        if (!n || n->id >= f->body.nodes.n || f->body.nodes.at[n->id] != n || n->op != OP_arg || n->attr.arg != i)
            return fail(c, "argument %u has no node", i);
        if (i && n->id <= last) return fail(c, "nodes of arguments %u and %u are out of order", i - 1, i);
        last = n->id;
        if (!is_tensor(n->type)) return fail(c, "argument %u is a tuple", i);
        if (!a->name) return fail(c, "argument %u has no name", i);
        const char *name = arena_printf(c->arena, "%c%s", a->role == ARG_PARAM ? 'p' : 'i', a->name);
        if (!f->outer && map_get(names, name, strlen(name))) return fail(c, "argument %s twice", a->name);
        map_set(names, name, strlen(name), (void *)a);
        if ((a->role == ARG_PARAM) != (a->param != NULL))
            return fail(c, "argument %s: role and param disagree", a->name);
        if (a->param && (a->param->index >= c->m->params.n || c->m->params.at[a->param->index] != a->param))
            return fail(c, "argument %s is another module's param", a->name);
        if (a->param && (strcmp(a->name, a->param->path) || n->type != a->param->type))
            return fail(c, "argument %s is not as its param", a->name);
        if ((a->role == ARG_SEED || a->role == ARG_STEP) && n->type != type_scalar(c->m, DT_i64))
            return fail(c, "argument %s is not i64[]", a->name);
        if (a->is_index && (a->role != ARG_INPUT || !dtype_is_int(n->type->dtype) || !check_dim(c, a->limit)))
            return fail(c, "argument %s is no index", a->name);
    }
    return true;
}

static bool check_results(Check *c)
{
    const Func *f = c->f;
    Map *names = map_new(c->arena);
    bool *aliased = arena_array(c->arena, bool, (size_t)c->m->params.n + 1);
    for (uint32_t i = 0; i < f->results.n; i++) {
        const Result *r = &f->results.at[i];
        const Node *n = r->node;
        if (!n || n->id >= f->body.nodes.n || f->body.nodes.at[n->id] != n) return fail(c, "result %u has no node", i);
        if (!is_tensor(n->type)) return fail(c, "result %u is a tuple", i);
        if (!r->name) return fail(c, "result %u has no name", i);
        const char *name = arena_printf(c->arena, "%c%s", r->param ? 'p' : 'o', r->name);
        if (!f->outer && map_get(names, name, strlen(name))) return fail(c, "result %s twice", r->name);
        map_set(names, name, strlen(name), (void *)r);
        if (!r->param) continue;
        if (r->param->index >= c->m->params.n || c->m->params.at[r->param->index] != r->param)
            return fail(c, "result %s aliases another module's param", r->name);
        if (aliased[r->param->index]) return fail(c, "two results alias \"%s\"", r->param->path);
        aliased[r->param->index] = true;
        if (n->type != r->param->type)
            return fail(c, "result %s is %s and aliases \"%s\", %s", r->name, type_text(c->arena, n->type),
                        r->param->path, type_text(c->arena, r->param->type));
    }
    return true;
}

static bool check_guards(Check *c)
{
    const Func *f = c->f;
    for (uint32_t i = 0; i < f->guards.n; i++) {
        const Node *n = f->guards.at[i].ok;
        if (!n || n->id >= f->body.nodes.n || f->body.nodes.at[n->id] != n) return fail(c, "guard %u has no node", i);
        if (n->type != type_scalar(c->m, DT_bool)) return fail(c, "guard %u is %s, not bool[]", i, type_text(c->arena, n->type));
        if (!f->guards.at[i].what) return fail(c, "guard %u has no text", i);
    }
    return true;
}

static bool check_func(Check *c)
{
    const Func *f = c->f;
    if (f->module != c->m) return fail(c, "belongs to another module");
    if (!check_symbols(c)) return false;
    for (uint32_t i = 0; i < f->requires.n; i++)
        if (!check_dim(c, f->requires.at[i].a) || !check_dim(c, f->requires.at[i].b)) return false;
    if (f->nodes_made < f->body.nodes.n) return fail(c, "has counted %u nodes of %u", f->nodes_made, f->body.nodes.n);
    for (uint32_t i = 0; i < f->body.nodes.n; i++)
        if (!check_node(c, i)) {
            const Node *n = f->body.nodes.at[i];
            c->error =
                arena_printf(c->arena, "%%%u = %s: %s", n->id, n->op < OP_COUNT ? op_name(n->op) : "?", c->error);
            return false;
        }
    return check_args(c) && check_results(c) && check_guards(c);
}

/* The body of a loop: a function whose arguments are plain values and whose effects are carries. */
static bool check_body(Check *c, const Node *n)
{
    const Func *outer = c->f, *f = n->attr.loop.body;
    if (!f || f->outer != outer) return fail(c, "its body belongs to another function");
    if (++c->depth > MAX_DEPTH) return fail(c, "over %d loops in loops", MAX_DEPTH);
    if (f->dims.n != outer->dims.n || f->requires.n || f->exported) return fail(c, "its body has symbols, requirements or a name of its own");
    for (uint32_t i = 0; i < f->args.n; i++)
        if (f->args.at[i].role != ARG_INPUT || f->args.at[i].is_index) return fail(c, "argument %u of its body is no plain value", i);
    for (uint32_t i = 0; i < f->results.n; i++)
        if (f->results.at[i].param) return fail(c, "result %u of its body aliases a param", i);
    c->f = f;
    bool ok = check_func(c);
    c->f = outer;
    c->depth--;
    return ok;
}

static bool check_params(Check *c)
{
    Map *paths = map_new(c->arena);
    int64_t v;
    for (uint32_t i = 0; i < c->m->params.n; i++) {
        const Param *p = c->m->params.at[i];
        if (p->index != i) return fail(c, "param \"%s\" has index %u, not %u", p->path, p->index, i);
        if (!p->type || !is_tensor(p->type)) return fail(c, "param \"%s\" is no tensor", p->path);
        for (uint32_t k = 0; k < p->type->rank; k++)
            if (!dim_is_const(p->type->dim[k], &v) || v < 0)
                return fail(c, "the dims of param \"%s\" are not numbers", p->path);
        for (uint32_t k = 0; k <= p->aliases.n; k++) {
            const char *path = k ? p->aliases.at[k - 1] : p->path;
            if (map_get(paths, path, strlen(path))) return fail(c, "path \"%s\" twice", path);
            map_set(paths, path, strlen(path), (void *)p);
        }
    }
    return true;
}

bool ir_verify(Arena *a, const Module *m, const char *after, const char **error)
{
    Check c = {.arena = a, .m = (Module *)m};         /* inferring a type may intern one */
    Map *names = map_new(a);
    bool ok = check_params(&c);
    for (uint32_t i = 0; ok && i < m->funcs.n; i++) {
        c.f = m->funcs.at[i];
        c.func = i + 1;
        /* Inference makes new dims, but checks only those that nodes hold, which exist by now. */
        c.dim_ok = arena_array(a, uint32_t, (size_t)m->dims->all.n + 1);
        ok = !map_get(names, c.f->name, strlen(c.f->name)) || fail(&c, "a function of this name stands above");
        map_set(names, c.f->name, strlen(c.f->name), (void *)c.f);
        ok = ok && check_func(&c);
        if (!ok) c.error = arena_printf(a, "@%s: %s", c.f->name, c.error);
    }
    if (!ok) *error = after && *after ? arena_printf(a, "after %s: %s", after, c.error) : c.error;
    return ok;
}

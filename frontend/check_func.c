/* check_func.c - what an exported function takes from the root function, where file-level tensors and initial values
 * are built: copies of nodes, params as arguments. Then what no result needs is dropped, and "init" is built.
 */
#include <string.h>

#include "frontend/check.h"

void begin_func(Check *c, Func *f)
{
    c->func = f;
    c->required = map_new(c->a);
    c->changed.n = 0;
    c->view = NULL;
    c->condition = NULL;
    c->branch_names.n = 0;
    c->key = c->calls = NULL;
    c->loop = NULL;
    c->draws = 0;
    if (!c->map) c->map = arena_array(c->a, Node *, (size_t)c->root->nodes_made + 1);      /* root grows no more */
}

/* The copy of a root node in the current function, if there is one. */
static Node *mapped(const Check *c, const Node *n)
{
    Node *copy = c->map[n->id];
    return copy && copy->func == c->func ? copy : NULL;
}

/* A param or state, as an argument of the current function. */
Node *place_node(Check *c, Place *p)
{
    if (p->func == c->func) return p->node;
    if (c->loop) return capture_place(c, p);
    Param *param = p->param;
    if (c->func != c->root && !param->path) {
        Diag *d = problem(c, DL_no_path, param->span, "no file-level name leads to this %s, so it has no name in files of weights", param->state ? "state" : "param");
        note(c, d, (Span){0}, "bind the instance it belongs to to a name");
        return NULL;
    }
    p->func = c->func;
    p->earlier.n = 0;
    p->node = func_arg(c->func, ARG_PARAM, param->path ? param->path : "param", param->type, param, param->span);
    if (c->func == c->root) vec_push(c->a, &c->root_places, p);
    return p->node;
}

/* What a node of the root stands for in the current function, if not a copy; NULL: copy it. */
static Node *replaced(Check *c, Node *n, Node **instead)
{
    *instead = NULL;
    if (n->op != OP_arg) return NULL;
    Place *p = c->root_places.at[n->attr.arg];
    if (!p) return key_node(c);
    const Param *param = p->param;
    bool kept = param->index < c->m->params.n && c->m->params.at[param->index] == param;
    if (c->seed->func != c->func || kept) return place_node(c, p);      /* in init too: it may have been loaded */
    *instead = p->initial;              /* a param that no export reaches: its initial value */
    return *instead ? mapped(c, *instead) : NULL;
}

/* A root node, or in the body of a loop one of a function around, in the current function. Copies operands first, without
 * recursion: file-level loops can make deep graphs. */
Node *import_node(Check *c, Node *root_node)
{
    if (root_node->func == c->func) return root_node;
    if (c->loop) return capture_around(c, root_node);
    VEC(Node *) stack = {0};
    vec_push(c->a, &stack, root_node);
    while (stack.n) {
        Node *n = stack.at[stack.n - 1], *instead;
        if (mapped(c, n)) { stack.n--; continue; }
        if (!step(c, 1, n->span)) return NULL;
        if (n->op == OP_arg) {
            Node *r = replaced(c, n, &instead);
            if (!r && instead) { vec_push(c->a, &stack, instead); continue; }
            if (!r) {
                if (c->seed->func == c->func) {
                    Diag *d = problem(c, DL_param_initial, c->initial->param->span, "this initial value is computed from a param that must be loaded");
                    note(c, d, n->span, "this one: it has a type and no initial value");
                }
                return NULL;
            }
            c->map[n->id] = r;
            stack.n--;
            continue;
        }
        uint32_t before = stack.n;
        for (uint32_t i = 0; i < n->nargs; i++)
            if (!mapped(c, n->arg[i])) vec_push(c->a, &stack, n->arg[i]);
        if (stack.n > before) continue;
        Node **arg = arena_array(c->a, Node *, n->nargs + 1);
        for (uint32_t i = 0; i < n->nargs; i++) arg[i] = c->map[n->arg[i]->id];
        Attr attr = n->attr;
        if (n->op == OP_loop) attr.loop.body = func_body_copy(c->func, attr.loop.body);
        c->map[n->id] = ir_node(c->func, n->op, n->nargs, arg, &attr, n->type, n->span);
        if (!c->map[n->id]) {
            fail(c, DL_operator_rule, n->span, "%s", ir_error(c->m));
            return NULL;
        }
        stack.n--;
    }
    return c->map[root_node->id];
}

/* ---- after building -------------------------------------------------------------------------------------- */

void prune(Check *c, Func *f)
{
    uint32_t n = f->nodes_made, kept = 0, args = 0;
    bool *live = arena_array(c->a, bool, (size_t)n + 1);
    for (uint32_t i = 0; i < f->results.n; i++) live[f->results.at[i].node->id] = true;
    for (uint32_t i = 0; i < f->guards.n; i++) live[f->guards.at[i].ok->id] = true;
    for (uint32_t i = 0; i < f->args.n; i++)
        if (f->args.at[i].role == ARG_INPUT) live[f->args.at[i].node->id] = true;
    for (uint32_t i = f->body.nodes.n; i-- > 0;) {
        Node *x = f->body.nodes.at[i];
        for (uint32_t k = 0; live[x->id] && k < x->nargs; k++) live[x->arg[k]->id] = true;
    }
    for (uint32_t i = 0; i < f->args.n; i++) {
        Arg a = f->args.at[i];
        if (!live[a.node->id]) continue;
        a.node->attr.arg = args;
        f->args.at[args++] = a;
    }
    f->args.n = args;
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        Node *x = f->body.nodes.at[i];
        if (!live[x->id]) continue;
        f->body.nodes.at[kept] = x;
        kept++;
    }
    f->body.nodes.n = kept;
    for (uint32_t i = 0; i < kept; i++) f->body.nodes.at[i]->id = i;
    f->nodes_made = kept;
}

/* The input that these indices are, if they are one as it came. */
static Arg *index_input(Func *f, Node *ids)
{
    while (ids->op == OP_reshape || ids->op == OP_broadcast) ids = ids->arg[0];
    if (ids->op != OP_arg) return NULL;
    Arg *a = &f->args.at[ids->attr.arg];
    return a->role == ARG_INPUT && dtype_is_int(a->node->type->dtype) ? a : NULL;
}

void mark_indices(Check *c, Func *f)
{
    for (uint32_t i = 0; i < f->body.nodes.n; i++) {
        Node *n = f->body.nodes.at[i];
        Node *ids = n->op == OP_gather || n->op == OP_take_along || n->op == OP_scatter || n->op == OP_dslice ? n->arg[1] : n->op == OP_dupdate ? n->arg[2] : NULL;
        Arg *a = ids ? index_input(f, ids) : NULL;
        if (!a) continue;
        uint32_t axis = n->op == OP_scatter ? 0 : n->attr.axis;
        Dim *limit = n->arg[0]->type->dim[axis];
        Type *part = n->op == OP_dslice ? n->type : n->op == OP_dupdate ? n->arg[1]->type : NULL;
        if (part) limit = dim_add(c->m, dim_sub(c->m, limit, part->dim[axis]), dim_const(c->m, 1));
        if (!limit || (a->is_index && !dim_is_lt(c->m, limit, a->limit))) continue;
        a->is_index = true;
        a->limit = limit;
    }
}

/* ---- init -------------------------------------------------------------------------------------------------- */

static void order_places(Check *c, Place **at, uint32_t n)
{
    (void)c;
    for (uint32_t gap = n / 2; gap; gap /= 2)           /* Shell sort: by order of discovery, almost sorted */
        for (uint32_t i = gap; i < n; i++)
            for (uint32_t k = i; k >= gap && at[k - gap]->order > at[k]->order; k -= gap) {
                Place *t = at[k];
                at[k] = at[k - gap];
                at[k - gap] = t;
            }
}

/* The params that exports reach, in order of discovery, and the function of their initial values. */
void build_init(Check *c)
{
    Map *reached = map_new(c->a), *paths = map_new(c->a);
    VEC(Place *) order = {0};
    for (uint32_t i = 0; i < c->m->funcs.n; i++) {
        const Func *f = c->m->funcs.at[i];
        for (uint32_t k = 0; k < f->args.n + f->results.n; k++) {           /* read or only written */
            const Param *p = k < f->args.n ? f->args.at[k].param : f->results.at[k - f->args.n].param;
            if (p) map_set(reached, &p, sizeof p, (void *)p);
        }
    }
    for (uint32_t i = 0; i < c->places.n; i++) {
        const Param *p = c->places.at[i]->param;
        if (map_get(reached, &p, sizeof p)) vec_push(c->a, &order, c->places.at[i]);
    }
    order_places(c, order.at, order.n);
    for (uint32_t i = 0; i < order.n; i++) {
        Param *p = order.at[i]->param, *other = map_get(paths, p->path, strlen(p->path));
        if (other) {
            Diag *d = problem(c, DL_path_clash, p->span, "two params have the path `%s`", p->path);
            note(c, d, other->span, "the other one");
            note(c, d, (Span){0}, "`as` gives a binding another name in paths");
        }
        map_set(paths, p->path, strlen(p->path), p);
        p->index = i;
        vec_push(c->a, &c->m->params, p);
    }
    if (!order.n) return;
    Func *f = func_new(c->m, "init", (Span){0});
    begin_func(c, f);
    c->seed = func_arg(f, ARG_SEED, "seed", type_scalar(c->m, DT_i64), NULL, (Span){0});
    for (uint32_t i = 0; i < order.n; i++) {
        Place *p = c->initial = order.at[i];
        Node *n = p->initial ? import_node(c, p->initial) : NULL;
        if (n) func_result(f, p->param->path, n, p->param);
    }
    prune(c, f);
}

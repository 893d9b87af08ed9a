/* check_place.c - params and states: their declarations, and `:=`, which gives one a new value in the function being
 * built. There a place is first the function's argument, then what the last `:=` gave it, so what reads after sees the
 * new value; the last values leave the function as results that alias the param.
 */
#include <string.h>

#include "frontend/check.h"

/* ---- declarations ------------------------------------------------------------------------------------ */

static bool constant_shape(Check *c, Type *t, Span at)
{
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t v;
        if (dim_is_const(t->dim[i], &v)) continue;
        fail(c, DL_param_shape, at, "the shape of a param is known at compile time; axis %u of %s is not", i, type_text(c->a, t));
        return false;
    }
    return true;
}

static const char *kind_of(const Stmt *s) { return s->kind == ST_param ? "param" : "state"; }

/* Give p its Param. false: reported. */
static bool make_param(Check *c, const Stmt *s, Place *p, Type *type)
{
    if (!constant_shape(c, type, s->decl.type ? s->decl.type->span : s->decl.value->span)) return false;
    p->param = arena_new(c->a, Param);
    *p->param = (Param){.state = s->kind == ST_state, .must_load = !p->initial, .type = type, .span = user_place(c, s->decl.name_span)};
    vec_push(c->a, &c->places, p);
    return true;
}

/* The initial value of a single param or state, as a tensor of the declared type where there is one. */
static Node *initial_node(Check *c, const Stmt *s, Value v, Type *type)
{
    Span at = s->decl.value->span;
    if (!is_tensor(v) && !is_number(v) && v.kind != V_BOOL) {
        fail(c, DL_param_shape, at, "the initial value of a %s is a tensor, not %s", kind_of(s), kind_text(c, v));
        return NULL;
    }
    if (is_number(v) && !type) {
        Diag *d = problem(c, DL_param_shape, at, "the initial value of a %s is a tensor; %s has no dtype", kind_of(s), kind_text(c, v));
        note(c, d, (Span){0}, "write `%s(%s)`, or declare its type", s->kind == ST_state && is_whole(v) ? "i32" : "f32", text_of(c, at));
        return NULL;
    }
    Node *n = is_tensor(v) ? as_node(c, v) : number_as(c, v, type ? type->dtype : DT_bool, at);
    if (n && type && !n->type->rank && type->rank && n->type->dtype == type->dtype) n = splat(c, n, type, at);
    if (!n || !type || n->type == type) return n;
    Diag *d = problem(c, DL_shape_mismatch, at, "%s `%s` is declared %s; its initial value is %s", kind_of(s), s->decl.name,
                      type_text(c->a, type), type_text(c->a, n->type));
    note(c, d, s->decl.type->span, "it is declared here");
    return NULL;
}

/* A tree of states, shaped as its initial value is. The first leaf owns the random draws of all. */
static Value declare_tree(Check *c, const Stmt *s, Value v, Place *drawn)
{
    Span at = s->decl.value->span;
    Leaves l = {0};
    if (s->decl.type) return fail(c, DL_param_shape, s->decl.type->span, "a tree of %ss has no single type; leave it out", kind_of(s));
    if (!tree_leaves(c, v, at, &l)) return v_error();
    Value *leaf = arena_array(c->a, Value, l.at.n + 1);
    for (uint32_t i = 0; i < l.at.n; i++) {
        Place *p = i ? arena_new(c->a, Place) : drawn;
        p->initial = as_node(c, l.at.at[i]);
        if (!p->initial || !make_param(c, s, p, p->initial->type)) return v_error();
        leaf[i] = (Value){.kind = V_PLACE, .place = p, .leaf = l.name.at[i]};
    }
    return tree_like(c, v, leaf, at);
}

Value declare_place(Check *c, const Stmt *s)
{
    Place *p = arena_new(c->a, Place), *outer = c->initial;
    Type *type = NULL;
    if (s->decl.type) {
        Value t = eval_type(c, s->decl.type);
        if (t.kind != V_TYPE) return t;
        type = t.type;
    }
    if (s->decl.value) {
        c->initial = p;
        Value v = eval(c, s->decl.value);
        if (is_list(v)) v = declare_tree(c, s, v, p);
        else if (!is_poison(v)) {
            p->initial = initial_node(c, s, v, type);
            v = p->initial ? v_none() : v_error();
            if (p->initial) type = p->initial->type;
        }
        c->initial = outer;
        if (is_list(v) || is_poison(v)) return v;
    }
    return make_param(c, s, p, type) ? (Value){.kind = V_PLACE, .place = p, .leaf = s->decl.name} : v_error();
}

/* ---- := ------------------------------------------------------------------------------------------------ */

Value snapshot(Check *c, Value v)
{
    return v.kind == V_PLACE && c->func != c->root ? tensor_value(c, as_node(c, v)) : v;
}

bool place_set(Check *c, Place *p, Node *n, Span at)
{
    Node *before = place_node(c, p);
    if (!before || !n) return false;
    n = node1(c, OP_stop, n, at);       /* no gradient flows through `:=` */
    if (!n) return false;
    if (!p->earlier.n) vec_push(c->a, &c->changed, p);
    vec_push(c->a, &p->earlier, before);
    p->node = n;
    return true;
}

/* The value for a place, of its type; numbers fill it. */
static Node *new_value(Check *c, const Place *p, Value v, Span at)
{
    Type *t = p->param->type;
    if (is_poison(v)) return NULL;
    if (!is_tensor(v)) {
        if (is_number(v) || v.kind == V_BOOL || v.kind == V_REL) return splat(c, number_as(c, v, t->dtype, at), t, at);
        fail(c, DL_update, at, "a %s takes a tensor, %s, not %s", p->param->state ? "state" : "param", type_text(c->a, t), kind_text(c, v));
        return NULL;
    }
    Node *n = as_node(c, v);
    if (!n || n->type == t) return n;
    if (n->type->dtype == t->dtype && n->type->rank == t->rank) {           /* dims that only the entry can tell equal */
        bool same = true;
        for (uint32_t i = 0; i < t->rank; i++) same &= same_dim(c, n->type->dim[i], t->dim[i], at) != SAME_no;
        if (same) return retype(c, n, t, at);
    }
    Diag *d = problem(c, DL_update, at, "`:=` keeps the type: this is %s, the %s is %s", type_text(c->a, n->type),
                      p->param->state ? "state" : "param", type_text(c->a, t));
    note(c, d, p->param->span, "it is declared here");
    return NULL;
}

static bool may_set(Check *c, Value target, Span at)
{
    Place *p = target.place;
    if (!bound_value(c, p)) return true;
    fail(c, DL_update, at, "`%s` has another value here, through `bind`; it cannot be changed", p->param->path ? p->param->path : "this param");
    return false;
}

static void update(Check *c, Value target, Value v, Span at, Span value_at)
{
    if (is_poison(target) || is_poison(v)) return;
    if (target.kind == V_PLACE) {
        if (may_set(c, target, at)) place_set(c, target.place, new_value(c, target.place, v, value_at), at);
        return;
    }
    if (!is_list(target) && target.kind != V_INSTANCE) {
        Diag *d = problem(c, DL_update, at, "`:=` changes a param or state; this is %s", kind_text(c, target));
        note(c, d, (Span){0}, is_tensor(target) ? "`=` binds a name; `put(x, values)` makes a changed copy of a tensor" : "`=` binds a name");
        return;
    }
    Leaves to = {0}, from = {0};
    if (!tree_leaves(c, target, at, &to) || !tree_leaves(c, v, value_at, &from)) return;
    if (to.at.n != from.at.n) {
        fail(c, DL_tree, at, "a tree of %u leaves cannot become one of %u", to.at.n, from.at.n);
        return;
    }
    for (uint32_t i = 0; i < from.at.n; i++) from.at.at[i] = snapshot(c, from.at.at[i]);
    for (uint32_t i = 0; i < to.at.n; i++) {
        if (to.at.at[i].kind == V_PLACE) update(c, to.at.at[i], from.at.at[i], at, value_at);
        else fail(c, DL_update, at, "`:=` changes params and states; this tree has the leaf %s", kind_text(c, to.at.at[i]));
    }
}

/* v with the values that its leaves have now. */
Value read_now(Check *c, Value v, Span at, int depth)
{
    Leaves l = {0};
    if (v.kind == V_INSTANCE && tree_leaves(c, v, at, &l)) {
        for (uint32_t i = 0; i < l.at.n; i++) l.at.at[i] = snapshot(c, l.at.at[i]);
        return tree_like(c, v, l.at.at, at);
    }
    if (!is_list(v) || depth > MAX_LIST_DEPTH) return snapshot(c, v);
    List *now = list_new(c, v.list->n, at);
    if (!now) return v_error();
    now->name = v.list->name;
    for (uint32_t i = 0; i < now->n; i++) now->at[i] = read_now(c, v.list->at[i], at, depth + 1);
    v.list = now;
    return v;
}

/* The whole right side is read before anything changes. */
void run_update(Check *c, const Stmt *s)
{
    uint32_t nt = s->assign.ntargets, nv = s->assign.nvalues;
    Value *v = arena_array(c->a, Value, nt > nv ? nt : nv);
    if (func_outermost(c->func) == c->root) {
        fail(c, DL_update, s->span, "`:=` changes params and states in a call; here, %s, there is none",
             c->frame && c->frame->module_body ? "in the body of a module" : "at file level");
        return;
    }
    for (uint32_t i = 0; i < nv; i++) v[i] = read_now(c, eval(c, s->assign.value[i]), s->assign.value[i]->span, 0);
    if (nv == 1 && nt > 1) {
        if (!unpack(c, v[0], nt, s->span, v)) return;
    } else if (nv != nt) {
        fail(c, DL_unpack, s->span, "%u names for %u values", nt, nv);
        return;
    }
    for (uint32_t i = 0; i < nt; i++) {
        Value target = eval(c, s->assign.target[i]);
        update(c, target, v[i], s->assign.target[i]->span, s->assign.value[nv == nt ? i : 0]->span);
    }
}

void add_effects(Check *c, Func *f)
{
    for (uint32_t i = 0; i < c->changed.n; i++) {
        Place *p = c->changed.at[i];
        if (p->node != p->earlier.at[0]) func_result(f, p->param->path, p->node, p->param);
    }
}

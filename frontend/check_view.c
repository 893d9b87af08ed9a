/* check_view.c - views: an instance seen otherwise. A view is the same instance with another View; what is reached through
 * it is seen through that View too. While one of its functions runs, so does all that it calls: eval_mode and bind hold
 * for the calls inside, freeze for what asks for params.
 */
#include <string.h>

#include "frontend/check.h"

/* ---- what a view says ---------------------------------------------------------------------------------- */

bool is_frozen(const View *v, const Place *p)
{
    if (!v) return false;
    return (v->frozen && map_get(v->frozen, &p, sizeof p)) || is_frozen(v->up, p) || is_frozen(v->also, p);
}

bool view_evaluates(const View *v) { return v && (v->eval_mode || view_evaluates(v->up) || view_evaluates(v->also)); }

bool view_binds(const View *v) { return v && (v->bound || view_binds(v->up) || view_binds(v->also)); }

static const Value *bound_in(const View *v, const Place *p)
{
    if (!v) return NULL;
    const Value *x = v->bound ? map_get(v->bound, &p, sizeof p) : NULL;
    if (!x) x = bound_in(v->up, p);
    return x ? x : bound_in(v->also, p);
}

const Value *bound_value(const Check *c, const Place *p) { return bound_in(c->view, p); }

/* A view made of these; NULL: of too many, reported. Every question to a view walks all that it is made of. */
static View *view_of(Check *c, const View *up, const View *also, Span at)
{
    uint32_t views = 1 + (up ? up->views : 0) + (also ? also->views : 0);
    if (views > MAX_VIEWS) {
        fail(c, DL_view, at, "a view made of more than %d views", MAX_VIEWS);
        return NULL;
    }
    View *v = arena_new(c->a, View);
    *v = (View){.up = up, .also = also, .views = views};
    return v;
}

const View *view_join(Check *c, const View *inner, const View *outer)
{
    if (!inner || !outer || inner == outer) return inner ? inner : outer;
    const View *v = view_of(c, inner, outer, c->frame ? c->frame->call : (Span){0});
    return v ? v : inner;
}

/* ---- through a view ---------------------------------------------------------------------------------------- */

static Value see(Check *c, const View *view, Value v, const Instance *owner, int depth)
{
    if (depth > MAX_LIST_DEPTH) return v;
    if (v.kind == V_INSTANCE) {
        Instance *m = arena_new(c->a, Instance);
        *m = *v.inst;
        m->view = view_join(c, m->view, view);
        v.inst = m;
    } else if (v.kind == V_FN && v.fn->self && owner && v.fn->self->members == owner->members) {
        Closure *f = arena_new(c->a, Closure);
        *f = *v.fn;
        f->self = (Instance *)owner;
        v.fn = f;
    } else if (wrapped_value(v)) {
        Closure *f = arena_new(c->a, Closure);
        Value *of = arena_new(c->a, Value);
        *f = *v.fn;
        *of = see(c, view, *wrapped_value(v), owner, depth + 1);
        *(f->recompute ? &f->recompute : &f->custom) = of;
        v.fn = f;
    } else if (v.kind == V_PLACE) {
        const Value *bound = bound_in(view, v.place);
        if (bound) return *bound;
    } else if (is_list(v) && depth < MAX_LIST_DEPTH && step(c, v.list->n, (Span){0})) {
        List *l = arena_new(c->a, List);
        *l = *v.list;
        l->at = arena_array(c->a, Value, l->n + 1);
        for (uint32_t i = 0; i < l->n; i++) l->at[i] = see(c, view, v.list->at[i], owner, depth + 1);
        v.list = l;
    }
    return v;
}

Value seen_through(Check *c, const Instance *owner, Value member)
{
    return owner->view ? see(c, owner->view, member, owner, 0) : member;
}

/* ---- builtins -------------------------------------------------------------------------------------------------- */

/* m with one more view; NULL: reported. */
static View *new_view(Check *c, Call *k, Value *m)
{
    bool list = is_list(k->arg[0]);
    View *v = view_of(c, list ? NULL : k->arg[0].inst->view, NULL, k->span);
    if (!v) return NULL;
    if (list) {
        *m = see(c, v, k->arg[0], NULL, 0);
        return v;
    }
    Instance *copy = arena_new(c->a, Instance);
    *copy = *k->arg[0].inst;
    copy->view = v;
    *m = (Value){.kind = V_INSTANCE, .inst = copy};
    return v;
}

static bool arg_instance(Check *c, Call *k)
{
    if (k->arg[0].kind == V_INSTANCE || (is_list(k->arg[0]) && k->arg[0].list->n && is_module_tree(c, k->arg[0]))) return true;
    bad_arg(c, k, 0, "an instance of a module, or a list of layers");
    return false;
}

Value bi_freeze(Check *c, Call *k)
{
    Leaves all = {0};
    Value m;
    const Arguments *a = k->args;
    if (!arg_instance(c, k) || !tree_leaves(c, k->arg[0], k->span, &all)) return v_error();
    View *view = new_view(c, k, &m);
    if (!view) return v_error();
    view->frozen = map_new(c->a);
    for (uint32_t i = 1; i < a->n || (i == 1 && a->n == 1); i++) {
        const char *pattern = "*";
        bool any = false;
        if (i < a->n) {
            if (a->value[i].kind != V_STRING) return fail(c, DL_bad_argument, a->at[i], "`freeze`: a pattern is a string, not %s", kind_text(c, a->value[i]));
            pattern = a->value[i].s;
        }
        for (uint32_t j = 0; j < all.at.n; j++) {
            if (!name_matches(all.name.at[j], pattern)) continue;
            Place *p = all.at.at[j].place;
            map_set(view->frozen, &p, sizeof p, p);
            any = true;
        }
        if (any || i >= a->n) continue;
        Diag *d = problem(c, DL_view, a->at[i], "`freeze`: no trainable param matches \"%s\"", pattern);
        suggest_path(c, d, pattern, all.name.at, all.name.n);
        return v_error();
    }
    return m;
}

Value bi_eval_mode(Check *c, Call *k)
{
    Value m;
    View *view = arg_instance(c, k) ? new_view(c, k, &m) : NULL;
    if (!view) return v_error();
    view->eval_mode = true;
    return m;
}

Value bi_bind(Check *c, Call *k)
{
    Leaves to = {0}, from = {0};
    Value m;
    if (!arg_instance(c, k)) return v_error();
    if (!tree_leaves(c, k->arg[0], k->at[0], &to) || !tree_leaves(c, k->arg[1], k->at[1], &from)) return v_error();
    if (to.at.n != from.at.n)
        return fail(c, DL_tree, k->at[1], "`bind`: this tree has %u lea%s, the module %u trainable param%s", from.at.n,
                    from.at.n == 1 ? "f" : "ves", to.at.n, to.at.n == 1 ? "" : "s");
    View *view = new_view(c, k, &m);
    if (!view) return v_error();
    view->bound = map_new(c->a);
    for (uint32_t i = 0; i < to.at.n; i++) {
        Place *p = to.at.at[i].place;
        Value *v = arena_new(c->a, Value);
        *v = from.at.at[i];
        Type *t = v->kind == V_PLACE ? v->place->param->type : v->node->type;
        if (t != p->param->type)
            return fail(c, DL_tree, k->at[1], "`bind`: the leaf `%s` is %s; the param is %s", to.name.at[i], type_text(c->a, t), type_text(c->a, p->param->type));
        map_set(view->bound, &p, sizeof p, v);
    }
    return m;
}

/* Rounding operands to fewer bits is not done yet: everything is computed in f32, which the view allows. */
Value bi_precision(Check *c, Call *k)
{
    Type *t;
    if (!arg_instance(c, k) || !arg_type(c, k, 1, &t)) return v_error();
    if (t->rank || (t->dtype != DT_bf16 && t->dtype != DT_f16 && t->dtype != DT_f32)) return bad_arg(c, k, 1, "bf16, f16 or f32");
    if (t->dtype == DT_f32) return k->arg[0];
    Remark r = {arena_printf(c->a, "precision(%s): still computed in f32", dtype_name(t->dtype)), user_place(c, k->span)};
    for (uint32_t i = 0; i < c->m->remarks.n; i++)
        if (!memcmp(&c->m->remarks.at[i].span, &r.span, sizeof r.span)) return k->arg[0];
    vec_push(c->a, &c->m->remarks, r);
    return k->arg[0];
}

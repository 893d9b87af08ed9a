/* check_tree.c - trees: a module (its trainable params), a tensor or place, a list or tuple of trees. What is made of a
 * module is a list whose items have the names of the params below it.
 */
#include <string.h>

#include "frontend/check.h"

/* ---- patterns -------------------------------------------------------------------------------------------- */

/* '*' is any run of characters. Backtracks to the last star only: linear in |name| * |pattern|. */
bool name_matches(const char *name, const char *pattern)
{
    const char *star = NULL, *from = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

Value bi_matches(Check *c, Call *k)
{
    for (uint32_t i = 0; i < 2; i++)
        if (k->arg[i].kind != V_STRING) return bad_arg(c, k, i, "a string");
    return v_bool(name_matches(k->arg[0].s, k->arg[1].s));
}

/* ---- the params of a module ---------------------------------------------------------------------------------- */

enum { TREE_DEPTH = 200 };

typedef struct Walk {
    Check  *c;
    Leaves *out;
    bool    states, params;
    Map    *seen;                       /* places, and (members, view) of instances */
    VEC(const View *) views;            /* of the instances around */
    Span    at;
} Walk;

static void walk_value(Walk *w, Value v, const char *path, uint32_t depth);

static void walk_scope(Walk *w, const Scope *s, const char *path, uint32_t depth)
{
    for (uint32_t i = 0; i < s->entry.n; i++) {
        const Entry *e = &s->entry.at[i];
        if (!e->loop) walk_value(w, e->value, join_path(w->c, path, e->as ? e->as : e->name), depth);
    }
}

static void walk_leaf(Walk *w, Place *p, const char *path)
{
    if (p->param->state ? !w->states : !w->params) return;
    for (uint32_t i = 0; i < w->views.n; i++)
        if (!p->param->state && is_frozen(w->views.at[i], p)) return;
    if (map_get(w->seen, &p, sizeof p)) return;
    map_set(w->seen, &p, sizeof p, p);
    Value v = {.kind = V_PLACE, .place = p, .leaf = path};
    vec_push(w->c->a, &w->out->at, v);
    vec_push(w->c->a, &w->out->name, path);
}

static void walk_value(Walk *w, Value v, const char *path, uint32_t depth)
{
    if (depth > TREE_DEPTH || !step(w->c, 1, w->at)) return;
    if (v.kind == V_PLACE) {
        walk_leaf(w, v.place, path);
    } else if (wrapped_value(v)) {
        walk_value(w, *wrapped_value(v), path, depth + 1);
    } else if (v.kind == V_INSTANCE) {
        const void *key[2] = {v.inst->members, v.inst->view};
        if (map_get(w->seen, key, sizeof key)) return;
        map_set(w->seen, key, sizeof key, v.inst);
        vec_push(w->c->a, &w->views, v.inst->view);
        walk_scope(w, v.inst->args, path, depth + 1);
        walk_scope(w, v.inst->members, path, depth + 1);
        w->views.n--;
    } else if (is_list(v)) {
        for (uint32_t i = 0; i < v.list->n; i++) {
            Value x = v.list->at[i];
            if (x.kind != V_INSTANCE && x.kind != V_PLACE && !is_list(x) && !wrapped_value(x)) continue;
            walk_value(w, x, join_path(w->c, path, v.list->name && v.list->name[i] ? v.list->name[i] : arena_printf(w->c->a, "%u", i)), depth + 1);
        }
    }
}

static void instance_places(Check *c, Value m, bool params, bool states, Span at, Leaves *out)
{
    Walk w = {.c = c, .out = out, .params = params, .states = states, .seen = map_new(c->a), .at = at};
    walk_value(&w, m, "", 0);
}

/* ---- leaves ----------------------------------------------------------------------------------------------------- */

/* Layers alone: instances, functions, and lists of these? *any: an instance is among them. */
static bool all_layers(Check *c, Value v, bool *any, int depth)
{
    *any |= v.kind == V_INSTANCE;
    if (!is_list(v)) return v.kind == V_INSTANCE || v.kind == V_FN;
    for (uint32_t i = 0; i < v.list->n; i++)
        if (depth > MAX_LIST_DEPTH || !step(c, 1, (Span){0}) || !all_layers(c, v.list->at[i], any, depth + 1)) return false;
    return true;
}

/* An instance, or a list of layers: a tree of which each param counts once, however often it is shared. */
static bool is_layer(Check *c, Value v)
{
    bool any = wrapped_value(v) != NULL;
    return (v.kind != V_FN || any) && all_layers(c, v, &any, 0) && any;
}

static bool leaves_of(Check *c, Value v, const char *path, Span at, Leaves *out, uint32_t depth)
{
    if (!step(c, 1, at)) return false;
    if (is_tensor(v)) {
        if (v.kind == V_PLACE) v.leaf = *path || !v.leaf ? path : v.leaf;
        vec_push(c->a, &out->at, v);
        vec_push(c->a, &out->name, path);
        return true;
    }
    if (is_layer(c, v)) {
        Leaves own = {0};
        instance_places(c, v, true, false, at, &own);
        for (uint32_t i = 0; i < own.at.n; i++) {
            own.at.at[i].leaf = join_path(c, path, own.name.at[i]);
            vec_push(c->a, &out->at, own.at.at[i]);
            vec_push(c->a, &out->name, own.at.at[i].leaf);
        }
        return true;
    }
    if (is_list(v) && depth <= MAX_LIST_DEPTH) {
        for (uint32_t i = 0; i < v.list->n; i++) {
            const char *name = v.list->name && v.list->name[i] ? v.list->name[i] : arena_printf(c->a, "%u", i);
            if (!leaves_of(c, v.list->at[i], join_path(c, path, name), at, out, depth + 1)) return false;
        }
        return true;
    }
    if (is_poison(v)) return false;
    Diag *d = problem(c, DL_tree, at, "a tree has tensors as its leaves, not %s", kind_text(c, v));
    note(c, d, (Span){0}, "a tree is a module, a param, a tensor, or a list or tuple of these");
    return false;
}

bool tree_leaves(Check *c, Value v, Span at, Leaves *out) { return leaves_of(c, v, "", at, out, 0); }

/* Of a module: a list with the names of its params. Of a list of modules: such a list each; what they share is with the
 * first of them. */
static Value like_layer(Walk *w, Value v, const Value **leaf, uint32_t depth)
{
    Leaves own = {0};
    List *l = NULL;
    if (is_list(v) && depth <= MAX_LIST_DEPTH) {
        l = list_new(w->c, v.list->n, w->at);
        for (uint32_t i = 0; l && i < l->n; i++) l->at[i] = like_layer(w, v.list->at[i], leaf, depth + 1);
        if (l) l->name = v.list->name;
    } else {
        w->out = &own;
        walk_value(w, v, "", depth);
        l = list_new(w->c, own.at.n, w->at);
        for (uint32_t i = 0; l && i < l->n; i++) l->at[i] = *(*leaf)++;
        if (l) l->name = own.name.at;
    }
    if (!l) return v_error();
    return v.kind == V_TUPLE ? v_tuple(l) : v_list(l);
}

static Value like(Check *c, Value v, const Value **leaf, Span at)
{
    if (is_tensor(v)) return *(*leaf)++;
    List *l = NULL;
    if (is_layer(c, v)) {
        Walk w = {.c = c, .params = true, .seen = map_new(c->a), .at = at};
        return like_layer(&w, v, leaf, 0);
    }
    if (is_list(v)) {
        l = list_new(c, v.list->n, at);
        for (uint32_t i = 0; l && i < l->n; i++) l->at[i] = like(c, v.list->at[i], leaf, at);
        if (l) l->name = v.list->name;
    }
    if (!l) return v_error();
    return v.kind == V_TUPLE ? v_tuple(l) : v_list(l);
}

Value tree_like(Check *c, Value v, const Value *leaf, Span at) { return like(c, v, &leaf, at); }

/* ---- builtins ------------------------------------------------------------------------------------------------------ */

Value bi_params(Check *c, Call *k)
{
    const char *pattern = "*";
    Leaves all = {0};
    if (k->arg[0].kind != V_INSTANCE && !is_list(k->arg[0])) return bad_arg(c, k, 0, "an instance of a module, or a list of them");
    if (given(k, 1) && k->arg[1].kind != V_STRING) return bad_arg(c, k, 1, "a string");
    if (given(k, 1)) pattern = k->arg[1].s;
    instance_places(c, k->arg[0], true, false, k->span, &all);
    uint32_t n = 0;
    for (uint32_t i = 0; i < all.at.n; i++) {
        if (!name_matches(all.name.at[i], pattern)) continue;
        all.name.at[n] = all.name.at[i];
        all.at.at[n++] = all.at.at[i];
    }
    if (!n && all.at.n) {
        Diag *d = problem(c, DL_tree, given(k, 1) ? k->at[1] : k->span, "no param matches \"%s\"", pattern);
        suggest_path(c, d, pattern, all.name.at, all.name.n);
        return v_error();
    }
    List *l = list_new(c, n, k->span);
    if (!l) return v_error();
    l->at = all.at.at;
    l->name = all.name.at;
    return v_list(l);
}

/* Not a place in a list: those fit any name. */
static bool named(const char *leaf) { return leaf[strspn(leaf, "0123456789.")]; }

/* The leaves of the trees among args[from...], side by side: out[tree]. */
static bool side_by_side(Check *c, Call *k, uint32_t from, Leaves *out)
{
    const Arguments *a = k->args;
    for (uint32_t i = from; i < a->n; i++) {
        Leaves *l = &out[i - from];
        if (!tree_leaves(c, a->value[i], a->at[i], l)) return false;
        bool same = l->at.n == out->at.n;
        uint32_t at = 0;
        for (; same && at < l->at.n; at++)
            if (named(l->name.at[at]) && named(out->name.at[at]) && strcmp(l->name.at[at], out->name.at[at])) break;
        if (same && at == l->at.n) continue;
        Diag *d = same ? problem(c, DL_tree, a->at[i], "trees side by side: leaf %u is `%s` here and `%s` in the first", at, l->name.at[at], out->name.at[at])
                       : problem(c, DL_tree, a->at[i], "trees side by side: %u lea%s here, %u in the first", l->at.n, l->at.n == 1 ? "f" : "ves", out->at.n);
        note(c, d, a->at[from], "the first tree");
        return false;
    }
    return true;
}

Value bi_leaves(Check *c, Call *k)
{
    const Arguments *a = k->args;
    if (!a->n) return fail(c, DL_missing_argument, k->span, "`leaves` walks trees side by side; none is given");
    Leaves *tree = arena_array(c->a, Leaves, a->n);
    if (!side_by_side(c, k, 0, tree)) return v_error();
    List *out = list_new(c, tree->at.n, k->span);
    for (uint32_t i = 0; out && i < out->n; i++) {
        if (a->n == 1) {
            out->at[i] = tree->at.at[i];
            continue;
        }
        List *t = list_new(c, a->n, k->span);
        if (!t) return v_error();
        for (uint32_t j = 0; j < a->n; j++) t->at[j] = tree[j].at.at[i];
        out->at[i] = v_tuple(t);
    }
    return out ? v_list(out) : v_error();
}

Value bi_map(Check *c, Call *k)
{
    const Arguments *a = k->args;
    if (a->n < 2) return fail(c, DL_missing_argument, k->span, "`map(f, t, ...)` takes a function and at least one tree");
    if (!is_callable(c, a->value[0])) return fail(c, DL_bad_argument, a->at[0], "`map`: the first argument is a function, not %s", kind_text(c, a->value[0]));
    uint32_t trees = a->n - 1;
    Leaves *tree = arena_array(c->a, Leaves, trees);
    if (!side_by_side(c, k, 1, tree)) return v_error();
    Value *out = arena_array(c->a, Value, tree->at.n + 1), *arg = arena_array(c->a, Value, trees);
    Arguments call = {.span = k->span, .value = arg, .at = a->at + 1, .n = trees};
    call.name = arena_array(c->a, const char *, trees);
    call.name_at = arena_array(c->a, Span, trees);
    for (uint32_t i = 0; i < tree->at.n; i++) {
        for (uint32_t j = 0; j < trees; j++) arg[j] = tree[j].at.at[i];
        out[i] = snapshot(c, call_value(c, a->value[0], &call, false));
        if (is_poison(out[i])) return out[i];
        if (!is_tensor(out[i]) && !is_number(out[i]))
            return fail(c, DL_tree, a->at[0], "`map` makes a tree of tensors; this function gives %s", kind_text(c, out[i]));
        if (!is_tensor(out[i])) out[i] = tensor_value(c, operand(c, out[i], a->at[0]));
        if (is_poison(out[i])) return out[i];
    }
    return tree_like(c, a->value[1], out, k->span);
}

/* The states of m take their initial values. */
Value bi_reset(Check *c, Call *k)
{
    Leaves l = {0};
    Value m = k->arg[0];
    if (m.kind != V_INSTANCE && m.kind != V_PLACE && !is_list(m)) return bad_arg(c, k, 0, "an instance of a module, or a state");
    if (func_outermost(c->func) == c->root) return fail(c, DL_update, k->span, "`reset` changes states in a call; there is none here");
    instance_places(c, m, false, true, k->span, &l);
    if (!l.at.n) return fail(c, DL_update, k->at[0], "there is no state to reset in %s", kind_text(c, m));
    for (uint32_t i = 0; i < l.at.n; i++) {
        Place *p = l.at.at[i].place;
        if (!p->initial) return fail(c, DL_update, k->at[0], "the state `%s` has no initial value: it is declared by its type alone", p->param->path);
        if (!place_set(c, p, import_node(c, p->initial), k->span)) return v_error();
    }
    return v_none();
}

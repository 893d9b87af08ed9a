/* check_scope.c - scopes and names; lists; what values are called in messages.
 */
#include <inttypes.h>
#include <string.h>

#include "frontend/check.h"

/* ---- scopes ------------------------------------------------------------------------------------- */

Scope *scope_new(Check *c, Scope *up)
{
    Scope *s = arena_new(c->a, Scope);
    s->up = up;
    return s;
}

enum { HASH_FROM = 12 };                /* entries from which a table pays */

static uint32_t slot_of(const char *name, uint32_t size)
{
    uint64_t h = (uint64_t)(uintptr_t)name * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32) & (size - 1);
}

Entry *scope_find(const Scope *s, const char *name)
{
    if (s->table) {
        for (uint32_t i = slot_of(name, s->table_size); s->table[i]; i = (i + 1) & (s->table_size - 1))
            if (s->entry.at[s->table[i] - 1].name == name) return &s->entry.at[s->table[i] - 1];
        return NULL;
    }
    for (uint32_t i = 0; i < s->entry.n; i++)
        if (s->entry.at[i].name == name) return &s->entry.at[i];
    return NULL;
}

Entry *scope_lookup(const Scope *s, const char *name)
{
    for (; s; s = s->up) {
        Entry *e = scope_find(s, name);
        if (e) return e;
    }
    return NULL;
}

Entry *scope_bound(const Scope *s, const char *name, bool *lost)
{
    for (*lost = false; s; s = s->up) {
        Entry *e = scope_find(s, name);
        if (e) return e;
        if (s->block == BLOCK_none) return NULL;
        *lost |= s->block == BLOCK_loop;
    }
    return NULL;
}

static void table_add(Scope *s, uint32_t entry)
{
    uint32_t i = slot_of(s->entry.at[entry].name, s->table_size);
    while (s->table[i]) i = (i + 1) & (s->table_size - 1);
    s->table[i] = entry + 1;
}

Entry *scope_set(Check *c, Scope *s, const char *name, Value v, Span at)
{
    Entry *e = scope_find(s, name);
    if (e) {
        e->value = v;
        e->span = at;
        return e;
    }
    Entry fresh = {.name = name, .value = v, .span = at};
    vec_push(c->a, &s->entry, fresh);
    uint32_t n = s->entry.n;
    if (n >= HASH_FROM && n * 2 > s->table_size) {
        s->table_size = s->table_size ? s->table_size * 4 : 64;
        s->table = arena_array(c->a, uint32_t, s->table_size);
        for (uint32_t i = 0; i < n; i++) table_add(s, i);
    } else if (s->table) {
        table_add(s, n - 1);
    }
    return &s->entry.at[n - 1];
}

/* Every name to be seen from s, for suggestions. */
uint32_t scope_names(Check *c, const Scope *s, bool up, const char ***names)
{
    VEC(const char *) v = {0};
    if (too_many_errors(c)) return 0;
    for (; s; s = up ? s->up : NULL)
        for (uint32_t i = 0; i < s->entry.n; i++) vec_push(c->a, &v, s->entry.at[i].name);
    *names = v.at;
    return v.n;
}

Value lookup_name(Check *c, const char *name, Span at)
{
    Entry *e = scope_lookup(c->scope, name);
    if (!e) {
        Diag *d = problem(c, DL_unknown_name, at, "unknown name `%s`", name);
        const char **names;
        uint32_t n = scope_names(c, c->scope, true, &names);
        suggest(c, d, name, names, n);
        for (uint32_t i = c->branch_names.n; i-- > 0;) {
            if (c->branch_names.at[i].name != name) continue;
            note(c, d, c->branch_names.at[i].span, "it is bound here, in one branch only of an `if` that is decided at run time");
            break;
        }
        return v_error();
    }
    if (e->clash) {
        Diag *d = problem(c, DL_import_clash, at, "`%s` comes from two imports", name);
        note(c, d, e->span, "one of them is here; import one of the files `as` a name");
        return v_error();
    }
    if (e->value.kind == V_UNBOUND) {
        Diag *d = problem(c, DL_used_before, at, "`%s` is used above its binding", name);
        note(c, d, e->span, "it is bound here; bindings run in order");
        return v_error();
    }
    if (name == c->n_training && e->value.kind == V_BOOL && scope_find(c->builtins, name) == e) return v_bool(c->training);
    return e->value;
}

/* ---- lists ---------------------------------------------------------------------------------------- */

List *list_new(Check *c, uint32_t n, Span at)
{
    if (n > MAX_LIST) {
        fail(c, DL_too_much_work, at, "a list of %u items; the limit is %d", n, MAX_LIST);
        return NULL;
    }
    if (!step(c, n, at)) return NULL;
    List *l = arena_new(c->a, List);
    l->at = n ? arena_array(c->a, Value, n) : NULL;
    l->n = n;
    return l;
}

/* ---- text ------------------------------------------------------------------------------------------ */

const char *text_of(Check *c, Span s)
{
    if (!s.file || s.file > c->d->sources.n) return "";
    const Source *src = &c->d->sources.at[s.file - 1];
    uint32_t end = s.end < src->n ? s.end : (uint32_t)src->n;
    uint32_t start = s.start < end ? s.start : end;
    uint32_t n = 0;
    while (start + n < end && src->text[start + n] != '\n' && n < 60) n++;
    while (start + n < end && ((unsigned char)src->text[start + n] & 0xC0) == 0x80) n--;    /* no half character */
    return arena_printf(c->a, "%.*s%s", (int)n, src->text + start, start + n < end ? "..." : "");
}

static void value_str(Check *c, Str *s, Value v, int depth)
{
    switch ((ValueKind)v.kind) {
    case V_NONE:   str_add(s, "none"); break;
    case V_BOOL:   str_add(s, v.b ? "true" : "false"); break;
    case V_INT:    str_fmt(s, "%" PRId64, v.i); break;
    case V_FLOAT:  str_double(s, v.f); break;
    case V_STRING: str_json(s, v.s, strlen(v.s)); break;
    case V_DIM:    dim_print(s, v.dim); break;
    case V_TYPE:   type_print(s, v.type); break;
    case V_LIST: case V_TUPLE:
        str_char(s, v.kind == V_LIST ? '[' : '(');
        for (uint32_t i = 0; i < v.list->n; i++) {
            if (i) str_add(s, ", ");
            if (i == 6 || depth > 3) { str_add(s, "..."); break; }
            value_str(c, s, v.list->at[i], depth + 1);
        }
        str_char(s, v.kind == V_LIST ? ']' : ')');
        break;
    default: str_add(s, kind_text(c, v));
    }
}

const char *value_text(Check *c, Value v)
{
    Str s = {.arena = c->a};
    value_str(c, &s, v, 0);
    return s.at;
}

const char *kind_text(Check *c, Value v)
{
    switch ((ValueKind)v.kind) {
    case V_MISSING:   return "nothing";
    case V_NONE:      return "none";
    case V_BOOL:      return v.b ? "the bool true" : "the bool false";
    case V_INT:       return arena_printf(c->a, "the int %" PRId64, v.i);
    case V_FLOAT:     return arena_printf(c->a, "the number %s", value_text(c, v));
    case V_STRING:    return arena_printf(c->a, "the string %s", value_text(c, v));
    case V_DIM:       return arena_printf(c->a, "the dim %s", dim_text(c->a, v.dim));
    case V_REL:       return "a comparison of dims";
    case V_WEAK:      return "a number known at run time";
    case V_LIST:      return arena_printf(c->a, "a list of %u", v.list->n);
    case V_TUPLE:     return arena_printf(c->a, "a tuple of %u", v.list->n);
    case V_TYPE:      return arena_printf(c->a, "the type %s", type_text(c->a, v.type));
    case V_FN:
        if (v.fn->builtin) return arena_printf(c->a, "the builtin `%s`", v.fn->builtin->name);
        if (!v.fn->fn) return v.fn->recompute ? "a function to recompute" : "a function with a gradient of its own";
        return v.fn->fn->name ? arena_printf(c->a, "the function `%s`", v.fn->fn->name) : "a function without a name";
    case V_MODULE:    return arena_printf(c->a, "the module `%s`", v.module->decl->name);
    case V_INSTANCE:  return arena_printf(c->a, "an instance of `%s`", v.inst->module->decl->name);
    case V_NAMESPACE: return arena_printf(c->a, "the file \"%s\"", v.unit->path);
    case V_TENSOR:    return type_text(c->a, v.node->type);
    case V_PLACE:     return type_text(c->a, v.place->param->type);
    case V_UNBOUND:   return "an unbound name";
    case V_ERROR: break;
    }
    return "an error";
}

/* Lists in lists share their items, so a walk over them is bounded in depth and counted in steps. */
static bool callable(Check *c, Value v, int depth)
{
    if (is_list(v)) {
        for (uint32_t i = 0; i < v.list->n; i++)
            if (depth > MAX_LIST_DEPTH || !step(c, 1, (Span){0}) || !callable(c, v.list->at[i], depth + 1)) return false;
        return true;
    }
    return v.kind == V_FN || v.kind == V_MODULE || v.kind == V_INSTANCE || v.kind == V_TYPE;
}
bool is_callable(Check *c, Value v) { return callable(c, v, 0); }

/* `==` of compile-time values. *undecided: dims whose equality only the entry decides. */
static bool equal(Check *c, Value a, Value b, bool *undecided, int depth)
{
    if (is_whole(a) && is_whole(b)) {
        if (a.kind == V_INT && b.kind == V_INT) return a.i == b.i;
        Dim *x = value_dim(c, a), *y = value_dim(c, b);
        if (x == y) return true;
        if (!dim_is_ne(c->m, x, y)) *undecided = true;
        return false;
    }
    if (is_const_number(a) && is_const_number(b))
        return (a.kind == V_INT ? (double)a.i : a.f) == (b.kind == V_INT ? (double)b.i : b.f);
    if (is_list(a) && is_list(b)) {
        if (a.list == b.list) return true;
        if (a.list->n != b.list->n) return false;
        for (uint32_t i = 0; i < a.list->n; i++)
            if (depth > MAX_LIST_DEPTH || !step(c, 1, (Span){0}) || !equal(c, a.list->at[i], b.list->at[i], undecided, depth + 1)) return false;
        return true;
    }
    if (a.kind != b.kind) return false;
    switch ((ValueKind)a.kind) {
    case V_NONE:     return true;
    case V_BOOL:     return a.b == b.b;
    case V_STRING:   return strcmp(a.s, b.s) == 0;
    case V_TYPE:     return a.type == b.type;
    case V_FN:       return a.fn == b.fn || (a.fn->fn == b.fn->fn && a.fn->builtin == b.fn->builtin && a.fn->scope == b.fn->scope &&
                                               a.fn->recompute == b.fn->recompute && a.fn->custom == b.fn->custom);
    case V_MODULE:   return a.module == b.module;
    case V_INSTANCE: return a.inst == b.inst;
    case V_TENSOR:   return a.node == b.node;
    case V_PLACE:    return a.place == b.place;
    default:         return false;
    }
}
bool values_equal(Check *c, Value a, Value b, bool *undecided) { return equal(c, a, b, undecided, 0); }

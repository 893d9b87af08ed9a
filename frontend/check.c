/* check.c - frontend_compile: from the text of a program to a module of exported functions and "init".
 */
#include <string.h>

#include "frontend/check.h"

static const char *word(Check *c, const char *s) { return intern(&c->names, s, strlen(s)); }

static const char *module_name(Arena *a, const char *path, const FrontendOptions *o)
{
    if (o && o->name) return o->name;
    if (!strcmp(path, "-")) return "model";
    return path_identifier(a, path_stem(a, path));
}

/* The root function is where file-level tensors and initial values are built; exports copy what they need. */
static void make_root(Check *c)
{
    Place *none = NULL;
    c->root = func_new(c->m, "root", (Span){0});
    c->m->funcs.n = 0;
    c->func = c->root;
    c->required = map_new(c->a);
    c->seed = func_arg(c->root, ARG_SEED, "seed", type_scalar(c->m, DT_i64), NULL, (Span){0});
    vec_push(c->a, &c->root_places, none);
}

Module *frontend_compile_text(Arena *a, Diags *d, const char *path, const char *text, size_t n, const FrontendOptions *o)
{
    Check *c = arena_new(a, Check);
    uint32_t errors = d->errors;
    c->a = a;
    c->d = d;
    c->o = o;
    c->names = (Strings){.map = map_new(a), .arena = a};
    c->m = module_new(a, d, module_name(a, path, o));
    c->units = map_new(a);
    c->reported = map_new(a);
    c->n_forward = word(c, "forward");
    c->n_training = word(c, "training");
    c->n_underscore = word(c, "_");
    c->set_used = o && o->nset ? arena_array(a, bool, o->nset) : NULL;
    make_root(c);
    c->builtins = scope_new(c, NULL);
    c->library = scope_new(c, c->builtins);
    c->scope = c->builtins;
    builtins_define(c);
    if (!load_library(c) || !load_program(c, path, text, n)) return NULL;
    check_sets(c);
    if (!c->exhausted) {
        find_paths(c);
        compile_exports(c);
        if (d->errors == errors) build_init(c);
    }
    return d->errors == errors ? c->m : NULL;
}

Module *frontend_compile(Arena *a, Diags *d, const char *path, const FrontendOptions *o)
{
    char *text;
    size_t n;
    const char *error;
    if (!file_read(a, path, 0, &text, &n, &error)) {
        diag_error(d, DL_import_failed, (Span){0}, "%s", error);
        return NULL;
    }
    return frontend_compile_text(a, d, path, text, n, o);
}

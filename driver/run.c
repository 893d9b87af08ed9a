/* run.c - `dlc run`: compile, open, call on data from files, show or write the results. --eval asks the reference
 * evaluator instead; there is no third way to execute a model. */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

#include "host/train.h"

typedef struct RunOptions {
    const char *weights, *out;
    bool        eval, f64;
    int         threads, seed;
    TextList    dims, data;
} RunOptions;

int find_function(Session *s, const dlc_artefact *a, const char *name)
{
    int n = dlc_function_count(a);
    const char **names = arena_array(&s->arena, const char *, (size_t)n + 1);
    Str all = {.arena = &s->arena};
    for (int i = 0; i < n; i++) {
        dlc_function_info info;
        dlc_function(a, i, &info);
        names[i] = info.name;
        str_fmt(&all, "%s%s", i ? ", " : "", info.name);
    }
    if (!name && n == 1) return 0;
    if (!name) {
        session_error(s, "which function? --fn NAME; there are: %s", all.at);
        return -1;
    }
    int fn = dlc_find(a, name);
    if (fn >= 0) return fn;
    const char *near = nearest(name, names, (size_t)n);
    session_error(s, near ? "no function '%s'; did you mean '%s'?" : "no function '%s'; there are: %s", name, near ? near : all.at);
    return -1;
}

/* The tensor for argument `name` of this dtype and rank, from its NAME=FILE... on the command line. */
static bool read_argument(Session *s, const RunOptions *o, const char *name, int dtype, int rank, const int64_t *dim, dlc_tensor *t)
{
    const char *error = NULL;
    for (uint32_t i = 0; i < o->data.n; i++) {
        DataSpec spec;
        dlc_tensor raw;
        if (!data_spec(&s->arena, o->data.at[i], &spec, &error)) return session_error(s, "%s", error), false;
        if (strcmp(spec.argument, name)) continue;
        bool ok = data_read(&s->arena, spec.path, spec.key, &raw, &error);
        if (ok) data_flatten(&raw, rank, dim);
        if (!ok || !data_convert(&s->arena, &raw, name, dtype, rank, spec.scale, t, &error)) return session_error(s, "%s", error), false;
        return true;
    }
    session_error(s, "argument '%s' has no data; give %s=FILE[:key]", name, name);
    return false;
}

/* Every NAME=... must be an argument. */
static bool check_names(Session *s, const RunOptions *o, const char *const *names, size_t n)
{
    for (uint32_t i = 0; i < o->data.n; i++) {
        DataSpec spec;
        const char *error = NULL;
        if (!data_spec(&s->arena, o->data.at[i], &spec, &error)) return session_error(s, "%s", error), false;
        bool known = false;
        for (size_t k = 0; k < n; k++) known |= !strcmp(names[k], spec.argument);
        for (uint32_t k = 0; k < i && known; k++)
            if (!strncmp(o->data.at[k], spec.argument, strlen(spec.argument)) && o->data.at[k][strlen(spec.argument)] == '=')
                return session_error(s, "argument '%s' is given twice", spec.argument), false;
        if (known) continue;
        const char *near = nearest(spec.argument, names, n);
        session_error(s, near ? "the function has no argument '%s'; did you mean '%s'?" : "the function has no argument '%s'", spec.argument, near);
        return false;
    }
    return true;
}

static void show(Session *s, const RunOptions *o, uint32_t n, const char *const *name, const dlc_tensor *t)
{
    if (o->out) {
        write_results(s, o->out, n, name, t);
        return;
    }
    Str out = {.arena = &s->arena};
    if (s->json) {
        str_char(&out, '{');
        for (uint32_t i = 0; i < n; i++) {
            if (i) str_char(&out, ',');
            str_json(&out, name[i], strlen(name[i]));
            str_char(&out, ':');
            json_tensor(&out, &t[i]);
        }
        str_add(&out, "}\n");
    } else {
        for (uint32_t i = 0; i < n; i++) print_tensor(&out, name[i], &t[i]);
    }
    if (out.n) fwrite(out.at, 1, out.n, stdout);
}

/* ---- compiled ------------------------------------------------------------------------------------------------------- */

static bool load(Session *s, dlc_instance *m, const char *weights)
{
    if (!weights || dlc_load(m, weights) == DLC_OK) return true;
    session_error(s, "%s", dlc_error(m));
    return false;
}

/* Tables, text and folders, encoded as the training data was where the weights say how. */
static bool encode_arguments(Session *s, const RunOptions *o, dlc_artefact *a, int fn, const int64_t *dims, int n, dlc_tensor *in)
{
    const char *error = NULL;
    DatasetOptions d = {.artefact = a, .fn = fn, .dims = dims, .spec = o->data.at, .nspec = o->data.n};
    if (o->weights && !train_metadata(&s->arena, o->weights, "dlc.data", &d.description, &error)) return session_error(s, "%s", error), false;
    Dataset *data = dataset_open(&s->arena, &d, &error);
    const dlc_tensor *all = data ? dataset_tensors(data, &error) : NULL;
    if (!all) return session_error(s, "%s", error), false;
    memcpy(in, all, (size_t)n * sizeof *in);
    return true;
}

static bool call(Session *s, const RunOptions *o, dlc_artefact *a, dlc_instance *m)
{
    int fn = find_function(s, a, s->fn);
    if (fn < 0 || !load(s, m, o->weights)) return false;
    dlc_function_info info;
    dlc_function(a, fn, &info);
    dlc_tensor *in = arena_array(&s->arena, dlc_tensor, (size_t)info.ninputs + 1), *out = arena_array(&s->arena, dlc_tensor, (size_t)info.noutputs + 1);
    const void **in_data = arena_array(&s->arena, const void *, (size_t)info.ninputs + 1);
    void **out_data = arena_array(&s->arena, void *, (size_t)info.noutputs + 1);
    const char **names = arena_array(&s->arena, const char *, (size_t)(info.ninputs + info.noutputs) + 1);
    dlc_argument_info arg;
    for (int i = 0; i < info.ninputs; i++) dlc_argument(a, fn, DLC_INPUT, i, &arg), names[i] = arg.name;
    if (!check_dims(s, &o->dims, info.dim, (size_t)info.ndims)) return false;
    int64_t *dims = arena_array(&s->arena, int64_t, (size_t)info.ndims + 1);
    for (int i = 0; i < info.ndims; i++)
        if (!given_dim(&o->dims, info.dim[i], &dims[i])) dims[i] = -1;
    bool encoded = dataset_needed(&s->arena, o->data.at, o->data.n);
    if (encoded ? !encode_arguments(s, o, a, fn, dims, info.ninputs, in) : !check_names(s, o, names, (size_t)info.ninputs)) return false;
    for (int i = 0; i < info.ninputs; i++) {
        dlc_argument(a, fn, DLC_INPUT, i, &arg);
        if (!encoded && !read_argument(s, o, arg.name, arg.dtype, arg.rank, arg.dim, &in[i])) return false;
        in_data[i] = in[i].data;
    }
    char error[512];
    if (dlc_bind(a, fn, in, dims, error, sizeof error)) return session_error(s, "%s", error), false;
    for (int i = 0; i < info.ndims; i++)
        if (dims[i] < 0) return session_error(s, "dim %s shows in no input; give --dim %s=N", info.dim[i], info.dim[i]), false;
    uint32_t shown = 0;
    for (int i = 0; i < info.noutputs; i++) {
        dlc_argument(a, fn, DLC_OUTPUT, i, &arg);
        dlc_tensor t = {.dtype = arg.dtype, .rank = arg.rank};
        if (dlc_shape(a, fn, DLC_OUTPUT, i, dims, t.dim)) return session_error(s, "%s: its size overflows", arg.name), false;
        int64_t bytes;
        if (!tensor_bytes(&t, &bytes)) return session_error(s, "%s: its size overflows", arg.name), false;
        if (arg.state) continue;
        out_data[i] = t.data = arena_alloc(&s->arena, (size_t)bytes + 1);
        out[shown] = t;
        names[shown++] = arg.name;
    }
    if (dlc_call(m, fn, dims, in_data, out_data)) return session_error(s, "%s", dlc_error(m)), false;
    show(s, o, shown, names, out);
    return true;
}

static bool run_compiled(Session *s, const RunOptions *o, const char *path)
{
    TempArtefact temp = {0};
    char error[512];
    if (!compile_temporary(s, path, NULL, &temp)) return false;
    dlc_artefact *a = dlc_open(temp.so, error, sizeof error);
    remove_temporary(&temp);                            /* it stays mapped */
    if (!a) return session_error(s, "%s", error), false;
    dlc_options options = {.size = sizeof options, .threads = o->threads, .seed = (uint64_t)o->seed};
    dlc_instance *m = dlc_create(a, &options, error, sizeof error);
    bool ok = false;
    if (!m) session_error(s, "%s", error);
    else ok = call(s, o, a, m);
    if (m) dlc_destroy(m);
    dlc_close(a);
    return ok;
}

/* ---- evaluated -------------------------------------------------------------------------------------------------------- */

static Func *find_func(Session *s, const Module *m, const char *name)
{
    Func *only = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        Func *f = m->funcs.at[i];
        if (!f->exported) continue;
        if (name && !strcmp(f->name, name)) return f;
        only = f;
        n++;
    }
    if (!name && n == 1) return only;
    session_error(s, name ? "no function '%s'" : "which function? --fn NAME", name);
    return NULL;
}

static Tensor to_ir(const dlc_tensor *t)
{
    Tensor x = {.dtype = (DType)t->dtype, .rank = (uint32_t)t->rank, .data = t->data};
    memcpy(x.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
    return x;
}

static Tensor zeros_of(Session *s, const Type *t)
{
    Tensor x = {.dtype = t->dtype, .rank = t->rank};
    for (uint32_t i = 0; i < t->rank; i++) dim_is_const(t->dim[i], &x.dim[i]);      /* those of params are numbers */
    x.data = arena_alloc(&s->arena, (size_t)tensor_count(&x) * dtype_size(x.dtype) + 1);
    return x;
}

/* Initial values of the params that `loaded` does not name. One may be computed from others, so until nothing changes. */
static bool initial_values(Session *s, const RunOptions *o, const Func *init, Tensor *value, const bool *loaded)
{
    int64_t seed = o->seed, zero = 0;
    Tensor *in = arena_array(&s->arena, Tensor, init->args.n + 1), *out = arena_array(&s->arena, Tensor, init->results.n + 1);
    bool changed = true;
    for (uint32_t round = 0; changed && round <= init->results.n; round++) {
        const char *error = NULL;
        changed = false;
        for (uint32_t i = 0; i < init->args.n; i++) {
            const Arg *arg = &init->args.at[i];
            in[i] = (Tensor){.dtype = DT_i64, .data = arg->role == ARG_SEED ? &seed : &zero};
            if (arg->role == ARG_PARAM) in[i] = value[arg->param->index];
        }
        if (!ir_eval(&s->arena, init, in, NULL, false, out, &error)) return session_error(s, "initial values: %s", error), false;
        for (uint32_t i = 0; i < init->results.n; i++) {
            uint32_t k = init->results.at[i].param->index;
            size_t bytes = (size_t)tensor_count(&out[i]) * dtype_size(out[i].dtype);
            if (loaded[k]) continue;
            changed |= !value[k].data || (bytes && memcmp(value[k].data, out[i].data, bytes));
            value[k] = out[i];
        }
    }
    return true;
}

/* Params and states: from the weights file under their name or an alias, else their initial values. */
static bool param_values(Session *s, const RunOptions *o, const Module *m, Tensor *value)
{
    const Func *init = func_find(m, "init");
    const char *error = NULL;
    bool *loaded = arena_array(&s->arena, bool, m->params.n + 1), *known = arena_array(&s->arena, bool, m->params.n + 1);
    for (uint32_t i = 0; i < m->params.n; i++) {
        const Param *p = m->params.at[i];
        dlc_tensor raw, t;
        const char *name = p->path;
        bool found = o->weights && data_read(&s->arena, o->weights, name, &raw, &error);
        for (uint32_t k = 0; k < p->aliases.n && o->weights && !found; k++) found = data_read(&s->arena, o->weights, name = p->aliases.at[k], &raw, &error);
        value[i] = zeros_of(s, p->type);
        if (found) {
            if (!data_convert(&s->arena, &raw, name, (int)p->type->dtype, (int)p->type->rank, 1, &t, &error)) return session_error(s, "%s", error), false;
            value[i] = to_ir(&t);
            loaded[i] = known[i] = true;
        } else if (o->weights && !p->state) {
            return session_error(s, "%s", error), false;
        }
    }
    for (uint32_t i = 0; init && i < init->results.n; i++) known[init->results.at[i].param->index] = true;
    for (uint32_t i = 0; i < m->params.n; i++)
        if (!known[i]) return session_error(s, "param '%s' has no initial value; give --weights", m->params.at[i]->path), false;
    return !init || initial_values(s, o, init, value, loaded);
}

static bool run_evaluator(Session *s, const RunOptions *o, const char *path)
{
    Module *m = session_frontend(s, path);
    Func *f = m ? find_func(s, m, s->fn) : NULL;
    if (!f) return false;
    pass_inline(m), pass_autodiff(m);                   /* the evaluator knows operators, not how to differentiate them */
    if (s->diags.errors) return false;
    Tensor *params = arena_array(&s->arena, Tensor, m->params.n + 1), *in = arena_array(&s->arena, Tensor, f->args.n + 1);
    Tensor *out = arena_array(&s->arena, Tensor, f->results.n + 1);
    if (!param_values(s, o, m, params)) return false;
    const char **names = arena_array(&s->arena, const char *, f->args.n + f->results.n + 1);
    uint32_t inputs = 0;
    for (uint32_t i = 0; i < f->args.n; i++)
        if (f->args.at[i].role == ARG_INPUT) names[inputs++] = f->args.at[i].name;
    if (!check_names(s, o, names, inputs)) return false;
    static const int64_t zero;
    int64_t seed = o->seed;
    for (uint32_t i = 0; i < f->args.n; i++) {
        const Arg *arg = &f->args.at[i];
        dlc_tensor t;
        if (arg->role == ARG_PARAM) {
            in[i] = params[arg->param->index];
        } else if (arg->role == ARG_INPUT) {
            const Type *type = arg->node->type;
            int64_t dim[MAX_RANK];
            for (uint32_t k = 0; k < type->rank; k++)
                if (!dim_is_const(type->dim[k], &dim[k])) dim[k] = -1;
            if (!read_argument(s, o, arg->name, (int)type->dtype, (int)type->rank, dim, &t)) return false;
            in[i] = to_ir(&t);
        } else {
            in[i] = (Tensor){.dtype = DT_i64, .data = arg->role == ARG_SEED ? (void *)&seed : (void *)&zero};
        }
    }
    int64_t *dims = arena_array(&s->arena, int64_t, f->dims.n + 1);
    const char **dim_names = arena_array(&s->arena, const char *, f->dims.n + 1);
    for (uint32_t i = 0; i < f->dims.n; i++) dim_names[i] = dim_as_sym(f->dims.at[i])->name;
    if (!check_dims(s, &o->dims, dim_names, f->dims.n)) return false;
    for (uint32_t i = 0; i < f->dims.n; i++)
        if (!given_dim(&o->dims, dim_names[i], &dims[i])) dims[i] = -1;
    const char *error = NULL;
    if (!ir_eval(&s->arena, f, in, dims, o->f64, out, &error)) return session_error(s, "%s", error), false;
    dlc_tensor *shown = arena_array(&s->arena, dlc_tensor, f->results.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->results.n; i++) {
        if (f->results.at[i].param) continue;
        shown[n] = (dlc_tensor){.data = out[i].data, .dtype = (int)out[i].dtype, .rank = (int)out[i].rank};
        memcpy(shown[n].dim, out[i].dim, out[i].rank * sizeof *out[i].dim);
        names[n++] = f->results.at[i].name;
    }
    show(s, o, n, names, shown);
    return true;
}

int command_run(int argc, char **argv)
{
    static const Command self = {"run", "dlc run FILE.dl [--fn NAME] [--weights FILE] [ARGUMENT=DATA[:KEY][,scale=X]...]",
                                 "Compile a model, call one of its functions on data, show the results.\n"
                                 "DATA is a .npy, .npz, idx (.gz), .safetensors, .csv or text file, or a folder of images;\n"
                                 "KEY names a tensor or columns of it. docs/data.md has the formats and their options.", NULL};
    Session s;
    session_begin(&s);
    RunOptions o = {0};
    TextList rest = {0};
    Option options[28] = {
        {0, "fn", "NAME", OPTION_TEXT, &s.fn, "the function to call, where there are several"},
        {0, "weights", "FILE", OPTION_TEXT, &o.weights, "params and states (.safetensors); default: initial values"},
        {'o', "output", "FILE", OPTION_TEXT, &o.out, "write the results: .npy or .safetensors"},
        {0, "dim", "NAME=N", OPTION_LIST, &o.dims, "a dim that no input shows"},
        {0, "seed", "N", OPTION_INT, &o.seed, "of initial values and random draws (default 0)"},
        {0, "threads", "N", OPTION_INT, &o.threads, "default: one a CPU"},
        {0, "eval", NULL, OPTION_FLAG, &o.eval, "by the reference evaluator: slow, and right"},
        {0, "f64", NULL, OPTION_FLAG, &o.f64, "with --eval: in double"},
    };
    s.dims = &o.dims;
    uint32_t n = 8 + session_options(&s, options + 8);
    int code = options_parse(&s.arena, &self, options, n, argc, argv, &rest);
    if (code >= 0) return arena_free(&s.arena), code;
    const char *path = NULL;
    for (uint32_t i = 0; i < rest.n; i++) {
        if (strchr(rest.at[i], '=') && path) vec_push(&s.arena, &o.data, rest.at[i]);
        else if (!path) path = rest.at[i];
        else {
            usage_error(&self, "'%s' is not ARGUMENT=DATA", rest.at[i]);
            return arena_free(&s.arena), EXIT_USAGE;
        }
    }
    if (!path) {
        usage_error(&self, "which model?");
        return arena_free(&s.arena), EXIT_USAGE;
    }
    bool ok = o.eval ? run_evaluator(&s, &o, path) : run_compiled(&s, &o, path);
    s.json = s.json && !ok;                             /* the results were the JSON */
    return session_end(&s, ok);
}

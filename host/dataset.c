/* dataset.c - data sets: which inputs of a function get which data, which examples there are, and parts of them. */
#include "host/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/dataset_internal.h"
#include "ir/ir.h"

/* ---- chance ------------------------------------------------------------------------------------------------------------------- */

uint64_t draw_bits(Draw what, uint64_t seed, int64_t epoch, uint64_t i)
{
    uint64_t stream = (uint64_t)what << 56;
    return (uint64_t)rng_bits(seed, stream, (uint64_t)epoch, 2 * i) << 32 | rng_bits(seed, stream, (uint64_t)epoch, 2 * i + 1);
}

int64_t draw_below(Draw what, uint64_t seed, int64_t epoch, uint64_t i, int64_t n)
{
    return (int64_t)((unsigned __int128)draw_bits(what, seed, epoch, i) * (uint64_t)n >> 64);
}

double draw_unit(Draw what, uint64_t seed, int64_t epoch, uint64_t i)
{
    return (double)(draw_bits(what, seed, epoch, i) >> 11) * 0x1p-53;
}

/* Fisher and Yates's shuffle. */
void draw_order(Draw what, uint64_t seed, int64_t epoch, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t k = draw_below(what, seed, epoch, (uint64_t)i, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
}

/* ---- the function's inputs ------------------------------------------------------------------------------------------------------ */

/* The batch dim is the symbol that is the first dim of most inputs; where none is, the number that is. */
static bool find_batch(const Signature *f, int *symbol, int64_t *size)
{
    int most = 0;
    *symbol = -1, *size = 0;
    for (int numbers = 0; numbers < 2 && !most; numbers++)
        for (int i = 0; i < f->ninputs; i++) {
            const dlc_argument_info *x = &f->input[i];
            int alike = 0;
            if (!x->rank || (numbers ? x->dim[0] <= 0 : x->symbol[0] < 0)) continue;
            for (int k = 0; k < f->ninputs; k++) {
                const dlc_argument_info *y = &f->input[k];
                alike += y->rank && (numbers ? y->dim[0] == x->dim[0] : y->symbol[0] == x->symbol[0]);
            }
            if (alike <= most) continue;
            most = alike;
            *symbol = numbers ? -1 : x->symbol[0];
            *size = x->dim[0] > 0 ? x->dim[0] : 0;
        }
    return most > 0;
}

static bool make_inputs(Dataset *d, const Signature *f, const char **error)
{
    int symbol;
    if (!find_batch(f, &symbol, &d->batch_size)) return data_fail(d->arena, error, "%s: none of its inputs has a batch dim", f->name);
    d->ninputs = (uint32_t)f->ninputs;
    d->input = arena_array(d->arena, Input, d->ninputs);
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const dlc_argument_info *x = &f->input[i];
        Input *in = &d->input[i];
        in->batched = x->rank && (symbol >= 0 ? x->symbol[0] == symbol : x->dim[0] == d->batch_size);
        in->name = x->name, in->dtype = x->dtype, in->limit = x->limit;
        in->rank = x->rank - in->batched;
        memcpy(in->dim, x->dim + in->batched, (size_t)in->rank * sizeof *in->dim);
    }
    return true;
}

/* ---- specs ------------------------------------------------------------------------------------------------------------------------ */

typedef VEC(DataSpec) Specs;

static const DataSpec *find_spec(const Specs *specs, const char *name)
{
    for (uint32_t i = 0; i < specs->n; i++)
        if (!strcmp(specs->at[i].argument, name)) return &specs->at[i];
    return NULL;
}

static bool add_spec(Arena *a, const Signature *f, const char *text, Specs *specs, const char **error)
{
    DataSpec s;
    if (!data_spec_options(a, text, UINT32_MAX, &s, error)) return false;
    const char **names = arena_array(a, const char *, (size_t)f->ninputs);
    bool known = false;
    for (int i = 0; i < f->ninputs; i++) names[i] = f->input[i].name, known |= !strcmp(names[i], s.argument);
    const char *near = known ? NULL : nearest(s.argument, names, (size_t)f->ninputs);
    if (near) return data_fail(a, error, "%s has no input '%s'; did you mean '%s'?", f->name, s.argument, near);
    if (!known) {
        Str all = {.arena = a};
        for (int i = 0; i < f->ninputs; i++) str_fmt(&all, "%s%s", i ? ", " : "", names[i]);
        return data_fail(a, error, "%s has no input '%s'; it has %s", f->name, s.argument, all.at);
    }
    if (find_spec(specs, s.argument)) return data_fail(a, error, "%s: the argument is given twice", s.argument);
    vec_push(a, specs, s);
    return true;
}

/* --csv FILE --target COLUMN: the first float input that takes a list of numbers an example gets all other columns, the
 * other input the target. */
static bool add_csv(Dataset *d, const Signature *f, const DatasetOptions *o, Specs *specs, const char **error)
{
    Arena *a = d->arena;
    const Input *features = NULL, *target = NULL;
    DataSpec file;
    for (uint32_t i = 0; i < d->ninputs && !features; i++) {
        const Input *in = &d->input[i];
        if (in->batched && in->rank && in->dtype <= DLC_BF16 && !find_spec(specs, in->name)) features = in;
    }
    for (uint32_t i = 0; i < d->ninputs && !target; i++)
        if (d->input[i].batched && &d->input[i] != features && !find_spec(specs, d->input[i].name)) target = &d->input[i];
    if (!features) return data_fail(a, error, "--csv %s: %s has no float input [B,N] for the columns", o->csv, f->name);
    if (o->target && !target) return data_fail(a, error, "--target %s: %s has no second input for it", o->target, f->name);
    if (!add_spec(a, f, arena_printf(a, "%s=%s", features->name, o->csv), specs, error)) return false;
    file = specs->at[specs->n - 1];
    if (file.same) return data_fail(a, error, "--csv %s: name a file", o->csv);
    if (!o->target) return true;
    if (!add_spec(a, f, arena_printf(a, "%s=%s:%s", target->name, file.path, o->target), specs, error)) return false;
    DataSpec *t = &specs->at[specs->n - 1];
    const uint32_t form = 1u << DATA_header | 1u << DATA_sep | (file.missing == MISSING_DROP && !t->missing ? 1u << DATA_missing : 0);
    if (file.missing == MISSING_DROP && !t->missing) t->missing = MISSING_DROP;
    if (!t->missing) t->missing = MISSING_ERROR;        /* a target is not made up */
    if (!t->separator) t->separator = file.separator;
    t->given |= file.given & form;
    return true;
}

/* @OTHER: the same data, maybe shifted. */
static bool follow(Arena *a, const Specs *specs, DataSpec *s, const char **error)
{
    const DataSpec *other = find_spec(specs, s->same);
    if (!other || other->same) return data_fail(a, error, "%s=@%s: %s", s->argument, s->same, other ? "that is given as another argument's data itself" : "no such argument has data");
    DataSpec own = *s;
    *s = *other;
    s->argument = own.argument;
    s->given |= own.given;
    if (own.given >> DATA_shift & 1) s->shift = own.shift;
    if (own.given >> DATA_scale & 1) s->scale = own.scale;
    uint32_t rest = own.given & ~(1u << DATA_shift | 1u << DATA_scale);
    return !rest || data_fail(a, error, "%s=@%s: only shift and scale can be its own", own.argument, own.same);
}

static bool no_data(const Dataset *d, const Input *in, const Specs *specs, const char **error)
{
    for (uint32_t i = 0; i < specs->n; i++) {
        const DataSpec *s = &specs->at[i];
        bool text = s->given & (1u << DATA_chars | 1u << DATA_bytes | 1u << DATA_tokens);
        if (text && in->dtype >= DLC_I64 && in->batched)
            return data_fail(d->arena, error, "argument '%s' has no data; for the next ids of %s, give %s=@%s,shift=1", in->name, s->argument, in->name, s->argument);
    }
    return data_fail(d->arena, error, "argument '%s' has no data; give %s=FILE[:KEY]", in->name, in->name);
}

static bool collect_specs(Dataset *d, const Signature *f, const DatasetOptions *o, Specs *specs, const char **error)
{
    for (uint32_t i = 0; i < o->nspec; i++)
        if (!add_spec(d->arena, f, o->spec[i], specs, error)) return false;
    if (o->csv && !add_csv(d, f, o, specs, error)) return false;
    if (o->target && !o->csv) return data_fail(d->arena, error, "--target %s: it names a column of the file given as --csv", o->target);
    for (uint32_t i = 0; i < d->ninputs; i++)
        if (!find_spec(specs, d->input[i].name)) return no_data(d, &d->input[i], specs, error);
    for (uint32_t i = 0; i < specs->n; i++)
        if (specs->at[i].same && !follow(d->arena, specs, &specs->at[i], error)) return false;
    return true;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

/* Floats as another float type, rounded. */
static bool round_floats(Arena *a, dlc_tensor *t, int dtype)
{
    int64_t bytes;
    if (t->dtype == dtype || t->dtype > DLC_BF16 || dtype > DLC_BF16) return true;
    if (!shape_bytes(dtype, t->rank, t->dim, &bytes)) return false;
    Tensor from = {.dtype = (DType)t->dtype, .data = t->data}, to = {.dtype = (DType)dtype, .data = arena_alloc(a, (size_t)bytes)};
    for (int64_t i = 0; i < bytes / (int64_t)dlc_dtype_size(dtype); i++) tensor_set(&to, i, tensor_get(&from, i));
    t->data = to.data;
    t->dtype = dtype;
    return true;
}

/* The text is a number, and no file has that name. */
static bool is_number(Arena *a, const char *text, double *v)
{
    char *end, *content;
    size_t n;
    const char *error;
    *v = strtod(text, &end);
    return !*end && end != text && !file_read(a, text, 0, &content, &n, &error);
}

/* An input that is the same for every batch: a file, or a number. */
static bool open_constant(Arena *a, Input *in, const char **error)
{
    const DataSpec *s = &in->spec;
    double *number = arena_new(a, double);
    dlc_tensor raw = {.data = number, .dtype = DLC_F64};
    bool literal = is_number(a, s->path, number);
    in->file = s->path;
    if (s->given & ~(1u << DATA_scale | 1u << DATA_round))
        return data_fail(a, error, "%s: it is the same for every batch, and takes a file, with scale or round, or a number", in->name);
    if (!literal && !data_read(a, s->path, s->key, &raw, error)) return false;
    if ((literal || s->given >> DATA_round & 1) && s->scale == 1 && !round_floats(a, &raw, in->dtype))
        return data_fail(a, error, "%s: it is too large", in->file);
    if (!data_convert(a, &raw, in->name, in->dtype, in->rank, s->scale, &in->array, error)) return false;
    for (int i = 0; i < in->rank; i++)
        if (in->dim[i] >= 0 && in->dim[i] != in->array.dim[i])
            return data_fail(a, error, "%s: dim %d of %s is %" PRId64 ", not %" PRId64, in->name, i, in->file, in->array.dim[i], in->dim[i]);
    memcpy(in->dim, in->array.dim, (size_t)in->rank * sizeof *in->dim);
    return true;
}

/* All inputs have an example for each other's. */
static bool agree(const Dataset *d, const Input **first, const char **error)
{
    *first = NULL;
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        if (!in->batched) continue;
        if (!*first) *first = in;
        const Input *x = *first;
        if ((x->kind == SOURCE_STREAM) != (in->kind == SOURCE_STREAM))
            return data_fail(d->arena, error, "%s and %s: windows of text go with windows of text only", x->name, in->name);
        if (x->count != in->count)
            return data_fail(d->arena, error, "%s (%s) has %" PRId64 " %s, and %s (%s) has %" PRId64, x->name, x->file, x->count,
                             x->kind == SOURCE_STREAM ? "ids" : "examples", in->name, in->file, in->count);
    }
    return true;
}

/* The last of equally long steps from 0 that leaves room: windows wrap around where an epoch begins elsewhere. */
static int64_t window_count(const Dataset *d, int64_t begin, int64_t end)
{
    int64_t starts = end - begin - d->length + 1;
    return starts > 0 ? (starts - 1) / d->stride + 1 : 0;
}

static bool make_windows(Dataset *d, const Input *first, const char **error)
{
    d->windows = true;
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        if (!in->batched) continue;
        if (in->elements + in->spec.shift > d->length) d->length = in->elements + in->spec.shift;
        if (!d->stride) d->stride = in->spec.stride;
        if (in->spec.stride && in->spec.stride != d->stride) return data_fail(d->arena, error, "%s: windows of all arguments have one stride", in->name);
    }
    if (!d->stride) d->stride = first->elements > 0 ? first->elements : 1;
    d->end = first->count;
    d->count = window_count(d, 0, d->end);
    return d->count > 0 || data_fail(d->arena, error, "%s: it has %" PRId64 " ids, and a window takes %" PRId64, first->file, first->count, d->length);
}

static bool make_rows(Dataset *d, const Input *first, const char **error)
{
    d->row = arena_array(d->arena, int64_t, (size_t)first->count);
    for (int64_t r = 0; r < first->count; r++) {
        bool keeps = true;
        for (uint32_t i = 0; i < d->ninputs && keeps; i++)
            if (d->input[i].kind == SOURCE_TABLE) keeps = table_keeps(&d->input[i], r);
        if (keeps) d->row[d->count++] = r;
    }
    return d->count > 0 || data_fail(d->arena, error, "%s: every row misses a value, and missing=drop leaves all of them out", first->file);
}

static void fit(Dataset *d)
{
    for (uint32_t i = 0; i < d->ninputs && !d->described && !d->windows; i++)
        if (d->input[i].batched) input_fit(&d->input[i], d->row, d->count);
}

Dataset *dataset_open_signature(Arena *a, const Signature *f, const DatasetOptions *o, const char **error)
{
    Dataset *d = arena_new(a, Dataset);
    Specs specs = {0};
    const Input *first = NULL;
    *d = (Dataset){.arena = a, .artefact = o->artefact, .fn = o->fn, .described = o->description != NULL};
    if (!make_inputs(d, f, error) || !collect_specs(d, f, o, &specs, error)) return NULL;
    for (uint32_t i = 0; i < d->ninputs; i++) {
        Input *in = &d->input[i];
        in->spec = *find_spec(&specs, in->name);
        bool ok = in->batched ? source_open(d, in, f, specs.at, specs.n, o->description, error) : open_constant(a, in, error);
        if (!ok) return NULL;
    }
    if (!agree(d, &first, error)) return NULL;
    if (first->kind == SOURCE_STREAM ? !make_windows(d, first, error) : !make_rows(d, first, error)) return NULL;
    fit(d);
    if (o->naugment && !(d->augment = augment_parse(d, o->augment, o->naugment, error))) return NULL;
    return d;
}

/* ---- artefacts ---------------------------------------------------------------------------------------------------------------------------- */

/* Dims that do not depend on what is not known: computed twice, with two guesses. */
static void known_dims(const dlc_artefact *artefact, int fn, int i, int ndims, const int64_t *dims, dlc_argument_info *x, Arena *a)
{
    int64_t shape[2][DLC_MAX_RANK];
    for (int k = 0; k < x->rank; k++)
        if (x->symbol[k] >= 0 && dims && dims[x->symbol[k]] >= 0) x->dim[k] = dims[x->symbol[k]];
    for (int guess = 0; guess < 2; guess++) {
        int64_t *with = arena_array(a, int64_t, (size_t)ndims + 1);
        for (int k = 0; k < ndims; k++) with[k] = dims && dims[k] >= 0 ? dims[k] : guess ? 2003 : 1009;
        if (dlc_shape(artefact, fn, DLC_INPUT, i, with, shape[guess])) return;
    }
    for (int k = 0; k < x->rank; k++)
        if (x->dim[k] < 0 && x->symbol[k] < 0 && shape[0][k] == shape[1][k]) x->dim[k] = shape[0][k];
}

static bool signature(Arena *a, const dlc_artefact *artefact, int fn, const int64_t *dims, Signature *f, const char **error)
{
    dlc_function_info info;
    if (dlc_function(artefact, fn, &info)) return data_fail(a, error, "no such function");
    dlc_argument_info *input = arena_array(a, dlc_argument_info, (size_t)info.ninputs + 1);
    for (int i = 0; i < info.ninputs; i++) {
        dlc_argument(artefact, fn, DLC_INPUT, i, &input[i]);
        known_dims(artefact, fn, i, info.ndims, dims, &input[i], a);
    }
    *f = (Signature){info.name, info.ninputs, info.ndims, input, info.dim};
    return true;
}

Dataset *dataset_open(Arena *a, const DatasetOptions *o, const char **error)
{
    Signature f;
    return signature(a, o->artefact, o->fn, o->dims, &f, error) ? dataset_open_signature(a, &f, o, error) : NULL;
}

/* ---- parts and views ------------------------------------------------------------------------------------------------------------------------ */

static bool split_windows(Dataset *d, Dataset *part, double fraction, const char **error)
{
    int64_t cut = d->end - llround(fraction * (double)(d->end - d->begin));
    part->begin = cut, d->end = cut;
    part->count = window_count(part, part->begin, part->end);
    d->count = window_count(d, d->begin, d->end);
    return (part->count > 0 && d->count > 0) ||
           data_fail(d->arena, error, "%.17g of %" PRId64 " ids leaves less than a window of %" PRId64 " for %s", fraction, part->end - d->begin, d->length,
                     d->count > 0 ? "validation" : "training");
}

static bool split_rows(Dataset *d, Dataset *part, double fraction, uint64_t seed, const char **error)
{
    int64_t n = d->count, held = llround(fraction * (double)n), *order = arena_array(d->arena, int64_t, (size_t)n), *row = d->row;
    if (n < 2) return data_fail(d->arena, error, "one example cannot be split into training and validation");
    if (held < 1) held = 1;
    if (held > n - 1) held = n - 1;
    bool *out = arena_array(d->arena, bool, (size_t)n);
    draw_order(DRAW_SPLIT, seed, 0, order, n);
    for (int64_t i = 0; i < held; i++) out[order[i]] = true;
    d->row = arena_array(d->arena, int64_t, (size_t)n);
    part->row = arena_array(d->arena, int64_t, (size_t)n);
    d->count = part->count = 0;
    for (int64_t i = 0; i < n; i++) {                   /* both in the order of the file */
        Dataset *to = out[i] ? part : d;
        to->row[to->count++] = row[i];
    }
    return true;
}

Dataset *dataset_split(Dataset *d, double fraction, uint64_t seed, const char **error)
{
    if (!(fraction > 0 && fraction < 1)) return data_fail(d->arena, error, "the part for validation is between 0 and 1, not %.17g", fraction), NULL;
    Dataset *part = arena_new(d->arena, Dataset);
    *part = *d;
    part->augment = NULL;
    if (d->windows ? !split_windows(d, part, fraction, error) : !split_rows(d, part, fraction, seed, error)) return NULL;
    fit(d);
    return part;
}

Dataset *dataset_for_signature(Dataset *d, const Signature *f, const char **error)
{
    Dataset *view = arena_new(d->arena, Dataset), wanted = {.arena = d->arena};
    if (!make_inputs(&wanted, f, error)) return NULL;
    *view = *d;
    view->input = wanted.input, view->ninputs = wanted.ninputs, view->batch_size = wanted.batch_size;
    view->augment = NULL;
    for (uint32_t i = 0; i < view->ninputs; i++) {
        Input *in = &view->input[i];
        const Input *from = NULL;
        for (uint32_t k = 0; k < d->ninputs; k++)
            if (!strcmp(d->input[k].name, in->name)) from = &d->input[k];
        if (!from) return data_fail(d->arena, error, "argument '%s' of %s has no data", in->name, f->name), NULL;
        bool same = from->dtype == in->dtype && from->rank == in->rank && from->batched == in->batched;
        for (int k = 0; k < in->rank && same; k++) same = in->dim[k] < 0 || in->dim[k] == from->dim[k];
        if (!same) return data_fail(d->arena, error, "argument '%s' of %s has another type than the one that the data was read for", in->name, f->name), NULL;
        *in = *from;
    }
    return view;
}

Dataset *dataset_for(Dataset *d, int fn, const char **error)
{
    Signature f;
    if (!signature(d->arena, d->artefact, fn, NULL, &f, error)) return NULL;
    Dataset *view = dataset_for_signature(d, &f, error);
    if (view) view->fn = fn;
    return view;
}

/* ---- questions ---------------------------------------------------------------------------------------------------------------------------------- */

int64_t dataset_count(const Dataset *d)
{
    return d->count;
}

int64_t dataset_batch_size(const Dataset *d)
{
    return d->batch_size;
}

int64_t dataset_batches(const Dataset *d, int64_t size)
{
    if (size < 1) return 0;
    return d->count / size + (!d->batch_size && d->count % size > 0);
}

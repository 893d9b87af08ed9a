/* dataset_source.c - from a spec to the source of an argument: which kind of file it is, and whether its examples have the
 * shape that the argument takes. Files that several arguments name are read once.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/size.h"
#include "host/dataset_internal.h"

bool data_fail(Arena *a, const char **error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *error = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return false;
}

static bool given(const DataSpec *s, int option)
{
    return s->given >> option & 1;
}

#define BIT(name) (1u << DATA_##name)
static const struct { const char *what; uint32_t options; } kinds[SOURCE_COUNT] = {
    [SOURCE_ARRAY] = {"an array", BIT(scale) | BIT(round) | BIT(normalize) | BIT(onehot)},
    [SOURCE_TABLE] = {"a csv file", BIT(scale) | BIT(normalize) | BIT(categorical) | BIT(missing) | BIT(sep) | BIT(header)},
    [SOURCE_STREAM] = {"a text or token file", BIT(chars) | BIT(bytes) | BIT(tokens) | BIT(shift) | BIT(stride)},
    [SOURCE_IMAGES] = {"a folder of images", BIT(scale) | BIT(resize) | BIT(crop)},
    [SOURCE_CLASSES] = {"the classes of a folder", 0},
};

/* Options that this kind of source does not have are mistakes. */
static bool check_options(Arena *a, const Input *in, const char **error)
{
    static const char *const names[] = {
#define X(name, value) #name,
        DATA_OPTIONS(X)
#undef X
    };
    uint32_t wrong = in->spec.given & ~kinds[in->kind].options;
    if (!wrong) return true;
    return data_fail(a, error, "%s: the option '%s' does not serve for %s (%s)", in->name, names[__builtin_ctz(wrong)], kinds[in->kind].what, in->file);
}

/* ---- what was opened before ------------------------------------------------------------------------------------------------------ */

/* An earlier input with the same source. */
static const Input *opened(const Dataset *d, const Input *in, SourceKind kind)
{
    const uint32_t which = BIT(header) | BIT(sep) | BIT(chars) | BIT(bytes) | BIT(tokens);
    for (const Input *p = d->input; p < in; p++) {
        bool alike = p->batched && p->kind == kind && p->spec.path && !strcmp(p->spec.path, in->spec.path);
        if (alike && (p->spec.given & which) == (in->spec.given & which) && p->spec.separator == in->spec.separator && p->spec.tokens == in->spec.tokens)
            return p;
    }
    return NULL;
}

/* ---- shapes ------------------------------------------------------------------------------------------------------------------------ */

/* "f32[B,784]", "?": any. */
static const char *wanted(Arena *a, const Input *in)
{
    Str s = {.arena = a};
    str_fmt(&s, "%s[%s", dlc_dtype_name(in->dtype), in->batched ? "B" : "");
    for (int i = 0; i < in->rank; i++) {
        str_add(&s, in->batched || i ? "," : "");
        if (in->dim[i] < 0) str_char(&s, '?');
        else str_fmt(&s, "%" PRId64, in->dim[i]);
    }
    str_add(&s, "]");
    return s.at;
}

static bool count_elements(Arena *a, Input *in, const char **error)
{
    in->elements = 1;
    for (int i = 0; i < in->rank; i++)
        if (!size_mul(in->elements, in->dim[i], &in->elements) || in->elements > INT32_MAX)
            return data_fail(a, error, "%s: examples of %s are too large", in->name, wanted(a, in));
    return true;
}

/* Give `n` elements the shape of an example. */
static bool shape_elements(Input *in, int64_t n)
{
    int64_t known = 1;
    int open = -1;
    for (int i = 0; i < in->rank; i++) {
        if (in->dim[i] < 0 && open >= 0) return false;
        if (in->dim[i] < 0) open = i;
        else if (!size_mul(known, in->dim[i], &known)) return false;
    }
    if (open >= 0 && known > 0 && n % known == 0) in->dim[open] = n / known;
    return open >= 0 ? known > 0 && n % known == 0 : known == n;
}

/* ---- arrays -------------------------------------------------------------------------------------------------------------------------- */

/* The dims of the data: those of the argument, 1-dims put in, or all in one where it has one for them. */
static bool fit_shape(Input *in)
{
    int64_t want[DLC_MAX_RANK];
    dlc_tensor *t = &in->array;
    bool onehot = given(&in->spec, DATA_onehot);
    int rank = in->rank + 1 - onehot;
    if (rank < 1 || rank > DLC_MAX_RANK || (onehot && in->dim[in->rank - 1] <= 0)) return false;
    want[0] = -1;
    for (int i = 1; i < rank; i++) want[i] = in->dim[i - 1];
    if (!data_fit(t, rank, want)) {
        int64_t each = 1;
        if (rank != 2 || t->rank < 2) return false;
        for (int i = 1; i < t->rank; i++)
            if (!size_mul(each, t->dim[i], &each)) return false;
        if (want[1] >= 0 && want[1] != each) return false;
        t->rank = 2, t->dim[1] = each;
    }
    for (int i = 1; i < rank; i++) in->dim[i - 1] = t->dim[i];
    return true;
}

static bool open_array(Arena *a, Input *in, const Described *known, const char **error)
{
    if (!data_read(a, in->spec.path, in->spec.key, &in->array, error)) return false;
    const char *type = data_type(a, &in->array);
    if (in->array.rank < 1 || !fit_shape(in))
        return data_fail(a, error, "%s: %s is %s, and the argument takes %s%s", in->name, in->file, type, wanted(a, in),
                         given(&in->spec, DATA_onehot) ? " (onehot adds the last dim)" : "");
    in->count = in->array.dim[0];
    if (!count_elements(a, in, error)) return false;
    if (!given(&in->spec, DATA_normalize) && !known->nmeans) return true;     /* other data is normalised as the first was */
    if (in->dtype > DLC_BF16) return data_fail(a, error, "%s: only floats can be normalised, and it is %s", in->name, dlc_dtype_name(in->dtype));
    if (given(&in->spec, DATA_onehot)) return data_fail(a, error, "%s: normalize and onehot exclude each other", in->name);
    in->mean = arena_array(a, double, (size_t)in->elements);
    in->deviation = arena_array(a, double, (size_t)in->elements);
    if (!known->kind) return true;
    if (!known->nmeans) return data_fail(a, error, "%s: the training data was not normalised", in->name);
    if (known->nmeans != in->elements)
        return data_fail(a, error, "%s: %" PRId64 " elements an example, where the training data had %u", in->name, in->elements, known->nmeans);
    memcpy(in->mean, known->mean, known->nmeans * sizeof *in->mean);
    memcpy(in->deviation, known->deviation, known->nmeans * sizeof *in->mean);
    return true;
}

/* ---- tables ---------------------------------------------------------------------------------------------------------------------------- */

static bool open_table(const Dataset *d, Input *in, const DataSpec *specs, uint32_t nspecs, const Described *known, const char **error)
{
    Arena *a = d->arena;
    const Input *before = opened(d, in, SOURCE_TABLE);
    if (before) in->csv = before->csv;
    else {
        Csv *csv = arena_new(a, Csv);
        char *text;
        size_t n;
        if (!data_bytes(a, in->spec.path, &text, &n, error) ||
            !csv_parse(a, in->spec.path, text, n, !given(&in->spec, DATA_header), in->spec.separator, csv, error))
            return false;
        in->csv = csv;
    }
    if (!table_columns(a, in, specs, nspecs, known->kind ? known->column : NULL, known->ncolumns, error)) return false;
    int64_t width = table_width(in);
    if (shape_elements(in, width)) return count_elements(a, in, error);
    Str names = {.arena = a};
    for (uint32_t i = 0; i < in->ncolumns && i < 12; i++) {
        str_fmt(&names, "%s%s", i ? ", " : "", in->column[i].name);
        if (in->column[i].category && in->dtype <= DLC_BF16) str_fmt(&names, " (%u categories)", in->column[i].ncategories);
    }
    return data_fail(a, error, "%s: the argument takes %s, and %s gives %" PRId64 " element%s an example: %s%s", in->name, wanted(a, in), in->file, width,
                     width == 1 ? "" : "s", names.at, in->ncolumns > 12 ? ", ..." : "");
}

/* ---- text and tokens ---------------------------------------------------------------------------------------------------------------------- */

static bool known_vocabulary(Arena *a, const Input *in, const Described *known, const uint32_t **vocabulary, uint32_t *n, const char **error)
{
    uint32_t *codes = arena_array(a, uint32_t, (size_t)known->nnames + 1);
    for (uint32_t i = 0; i < known->nnames; i++) {      /* an empty text is the character 0 */
        size_t len = strlen(known->names[i]);
        codes[i] = len <= 4 ? utf8_get(known->names[i], len ? (uint32_t)len : 1) : 0;
        if ((len && json_utf8(known->names[i], len) != len) || (i && codes[i] <= codes[i - 1]))
            return data_fail(a, error, "%s: the vocabulary of the description is not a sorted list of characters", in->name);
    }
    *vocabulary = codes, *n = known->nnames;
    return true;
}

static bool open_stream(const Dataset *d, Input *in, const Signature *f, const Described *known, const char **error)
{
    Arena *a = d->arena;
    const Input *before = opened(d, in, SOURCE_STREAM);
    const DataSpec *s = &in->spec;
    int ways = given(s, DATA_chars) + given(s, DATA_bytes) + given(s, DATA_tokens);
    if (ways != 1) return data_fail(a, error, "%s: one of chars, bytes and tokens says how %s is read", in->name, s->path);
    if (in->dtype <= DLC_BF16) return data_fail(a, error, "%s: text and tokens are integers, and it is %s", in->name, dlc_dtype_name(in->dtype));
    if (before) in->stream = before->stream;
    else {
        Stream *stream = arena_new(a, Stream);
        char *text;
        size_t n;
        const uint32_t *vocabulary = NULL;
        uint32_t nvocabulary = 0;
        if (given(s, DATA_tokens)) {
            if (!stream_tokens(a, s->path, s->tokens, stream, error)) return false;
        } else {
            if (!data_bytes(a, s->path, &text, &n, error)) return false;
            if (given(s, DATA_chars) && known->kind && !known_vocabulary(a, in, known, &vocabulary, &nvocabulary, error)) return false;
            if (given(s, DATA_chars) ? !stream_chars(a, s->path, text, n, vocabulary, nvocabulary, stream, error) : !stream_bytes(a, s->path, text, n, stream, error))
                return false;
        }
        in->stream = stream;
    }
    in->count = in->stream->count;
    if (!in->count) return data_fail(a, error, "%s: the file is empty", in->file);
    for (int k = 0; k < in->rank; k++) {
        if (in->dim[k] >= 0) continue;
        int symbol = f->input[in - d->input].symbol[k + 1];
        return data_fail(a, error, "%s: how many ids make an example? give --dim %s=N", in->name, symbol >= 0 ? f->dim[symbol] : "NAME");
    }
    return count_elements(a, in, error);
}

/* ---- folders --------------------------------------------------------------------------------------------------------------------------------- */

static bool open_folder(const Dataset *d, Input *in, const Described *known, const char **error)
{
    Arena *a = d->arena;
    const Input *before = opened(d, in, SOURCE_IMAGES);
    if (!before) before = opened(d, in, SOURCE_CLASSES);
    if (before) in->folder = before->folder;
    else {
        Folder *folder = arena_new(a, Folder);
        bool classes = known->kind && !strcmp(known->kind, "classes");
        if (!folder_list(a, in->spec.path, classes ? known->names : NULL, known->nnames, folder, error)) return false;
        in->folder = folder;
    }
    in->count = in->folder->count;
    if (in->kind == SOURCE_IMAGES) return images_open(a, in, error) && count_elements(a, in, error);
    if (in->rank == 1 && in->dim[0] < 0) in->dim[0] = in->folder->nclasses;
    bool fits = in->dtype <= DLC_BF16 ? in->rank == 1 : in->rank == 0;
    if (!fits) return data_fail(a, error, "%s: the classes of a folder are integers [B], or floats [B,CLASSES], and the argument takes %s", in->name, wanted(a, in));
    return count_elements(a, in, error);
}

/* ---- any ---------------------------------------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && !strcasecmp(path + n - m, end);
}

static bool is_table(const DataSpec *s)
{
    static const char *const ends[] = {".csv", ".tsv", ".csv.gz", ".tsv.gz"};
    for (size_t i = 0; i < COUNT(ends); i++)
        if (ends_in(s->path, ends[i])) return true;
    return s->given & (BIT(categorical) | BIT(missing) | BIT(sep) | BIT(header));
}

bool dataset_needed(Arena *a, const char *const *spec, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        DataSpec s;
        struct stat st;
        const char *error;
        if (!data_spec_options(a, spec[i], UINT32_MAX, &s, &error)) continue;
        if (s.same || s.given & ~BIT(scale) || is_table(&s) || (!stat(s.path, &st) && S_ISDIR(st.st_mode))) return true;
    }
    return false;
}

static SourceKind kind_of(const Input *in)
{
    struct stat st;
    const DataSpec *s = &in->spec;
    if (s->given & (BIT(chars) | BIT(bytes) | BIT(tokens))) return SOURCE_STREAM;
    if (!stat(s->path, &st) && S_ISDIR(st.st_mode)) return in->rank >= 2 ? SOURCE_IMAGES : SOURCE_CLASSES;
    return is_table(s) ? SOURCE_TABLE : SOURCE_ARRAY;
}

/* Text that nobody said how to read. */
static bool explain_text(Arena *a, const Input *in, const char **error)
{
    if (!ends_in(in->spec.path, ".txt")) return true;
    return data_fail(a, error, "%s: say how %s is read: %s=%s,chars or ,bytes", in->name, in->spec.path, in->name, in->spec.path);
}

bool source_open(Dataset *d, Input *in, const Signature *f, const DataSpec *specs, uint32_t nspecs, const char *description, const char **error)
{
    static const char *const described[SOURCE_COUNT] = {"array", "table", "text", "images", "classes"};
    Described known = {0};
    in->kind = kind_of(in);
    in->file = in->spec.key ? arena_printf(d->arena, "%s:%s", in->spec.path, in->spec.key) : in->spec.path;
    if (!check_options(d->arena, in, error)) return false;
    if (description && !describe_read(d->arena, description, in->name, &known, error)) return false;
    bool text = in->kind == SOURCE_STREAM;
    if (known.kind && strcmp(known.kind, text && given(&in->spec, DATA_chars) ? "chars" : text ? "tokens" : described[in->kind]))
        return data_fail(d->arena, error, "%s: the training data was of another kind (%s)", in->name, known.kind);
    bool ok = in->kind == SOURCE_TABLE    ? open_table(d, in, specs, nspecs, &known, error)
              : in->kind == SOURCE_STREAM ? open_stream(d, in, f, &known, error)
              : in->kind == SOURCE_ARRAY  ? explain_text(d->arena, in, error) && open_array(d->arena, in, &known, error)
                                          : open_folder(d, in, &known, error);
    if (!ok) return false;
    if (!in->count) return data_fail(d->arena, error, "%s: %s holds no examples", in->name, in->file);
    int64_t last = in->rank >= 2 ? in->dim[in->rank - 1] : 0;
    in->image = in->kind == SOURCE_IMAGES || (in->kind == SOURCE_ARRAY && last > 0 && (in->rank == 2 || (in->rank == 3 && in->dim[0] <= 4)));
    return input_check(d->arena, in, error);
}

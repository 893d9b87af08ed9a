/* data_support.c - see data_support.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/ir.h"
#include "tests/unit/data_support.h"

char test_folder[64];

int make_test_folder(void **state)
{
    (void)state;
    strcpy(test_folder, "/tmp/dlc-test-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int remove_test_folder(void **state)
{
    (void)state;
    return nftw(test_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *test_path(Arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", test_folder, name);
}

const char *test_file(Arena *a, const char *name, const void *data, size_t n)
{
    const char *path = test_path(a, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (n) assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    return path;
}

const char *test_text(Arena *a, const char *name, const char *text)
{
    return test_file(a, name, text, strlen(text));
}

void test_subfolder(Arena *a, const char *name)
{
    assert_int_equal(mkdir(test_path(a, name), 0700), 0);
}

const char *test_npy(Arena *a, const char *name, int dtype, int rank, const int64_t *dim, const void *data)
{
    dlc_tensor t = {.dtype = dtype, .rank = rank, .data = (void *)(uintptr_t)data};
    const char *error = NULL, *path = test_path(a, name);
    int64_t bytes;
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    assert_true(shape_bytes(dtype, rank, dim, &bytes));
    if (!data) {
        t.data = arena_alloc(a, (size_t)bytes + 1);
        Tensor made = {.dtype = (DType)dtype, .data = t.data};
        for (int64_t i = 0; i < bytes / (int64_t)dlc_dtype_size(dtype); i++) tensor_set(&made, i, (double)i);
    }
    if (!data_write_npy(a, path, &t, &error)) fail_msg("%s", error);
    return path;
}

/* ---- functions ----------------------------------------------------------------------------------------------------------- */

static int dtype_number(const char *text, size_t n)
{
    for (int d = DLC_F64; d <= DLC_BOOL; d++)
        if (strlen(dlc_dtype_name(d)) == n && !memcmp(dlc_dtype_name(d), text, n)) return d;
    return 0;
}

static int dim_number(Arena *a, Signature *f, const char **names, char letter)
{
    for (int i = 0; i < f->ndims; i++)
        if (names[i][0] == letter) return i;
    names[f->ndims] = arena_printf(a, "%c", letter);
    return f->ndims++;
}

Signature test_signature(Arena *a, const char *text)
{
    Signature f = {.name = "step"};
    dlc_argument_info *input = arena_array(a, dlc_argument_info, 16);
    const char **names = arena_array(a, const char *, 16);
    for (const char *p = text; *p; p += *p == ' ') {
        dlc_argument_info *x = &input[f.ninputs++];
        size_t n = strcspn(p, ":");
        x->name = arena_strndup(a, p, n);
        p += n + 1;
        n = strcspn(p, "[ <");
        x->dtype = dtype_number(p, n);
        x->limit = -1;
        assert_true(x->dtype > 0);
        p += n;
        if (*p == '[')
            for (p++; *p != ']'; p += *p == ',') {
                bool letter = *p >= 'A' && *p <= 'Z';
                char *end = (char *)(uintptr_t)p + 1;
                x->symbol[x->rank] = letter ? dim_number(a, &f, names, *p) : -1;
                x->dim[x->rank++] = letter ? -1 : strtoll(p, &end, 10);
                p = end;
            }
        p += *p == ']';
        if (*p == '<') {
            char *end;
            x->limit = strtoll(p + 1, &end, 10);
            p = end;
        }
    }
    f.input = input, f.dim = names;
    return f;
}

/* ---- data sets ------------------------------------------------------------------------------------------------------------- */

static const char *with_folder(Arena *a, const char *text)
{
    Str s = {.arena = a};
    str_addn(&s, "", 0);
    for (; *text; text++) {
        if (text[0] == '%' && text[1] == '/') str_add(&s, test_folder);
        else str_char(&s, *text);
    }
    return s.at;
}

static Dataset *open_with(Arena *a, const Opening *o, const char **error)
{
    Signature f = test_signature(a, o->function);
    const char *spec[8];
    DatasetOptions options = {.spec = spec, .target = o->target, .description = o->description, .augment = o->augment};
    options.csv = o->csv ? with_folder(a, o->csv) : NULL;
    while (options.nspec < 8 && o->spec[options.nspec]) spec[options.nspec] = with_folder(a, o->spec[options.nspec]), options.nspec++;
    while (options.naugment < 4 && o->augment[options.naugment]) options.naugment++;
    return dataset_open_signature(a, &f, &options, error);
}

Dataset *must_open(Arena *a, Opening o)
{
    const char *error = NULL;
    Dataset *d = open_with(a, &o, &error);
    if (!d) fail_msg("%s", error);
    return d;
}

void must_not_open(Arena *a, Opening o, const char *says)
{
    const char *error = NULL;
    if (open_with(a, &o, &error)) fail_msg("opened, where it should say: %s", says);
    if (!error || !strstr(error, says)) fail_msg("it says: %s\nnot: %s", error ? error : "nothing", says);
}

static void add_tensor(Str *s, const dlc_tensor *t)
{
    int64_t bytes, rows = t->rank ? t->dim[0] : 1;
    assert_true(shape_bytes(t->dtype, t->rank, t->dim, &bytes));
    int64_t n = bytes / (int64_t)dlc_dtype_size(t->dtype), each = rows ? n / rows : 0;
    Tensor x = {.dtype = (DType)t->dtype, .data = t->data};
    for (int64_t i = 0; i < n; i++) str_fmt(s, "%s%.6g", i == 0 ? "" : i % each ? "," : ";", tensor_get(&x, i));
}

const char *all_batches(Dataset *d, BatchOptions o)
{
    Str s = {.arena = d->arena};
    const char *error = NULL;
    Batch batch;
    str_addn(&s, "", 0);
    Batches *b = batches_open(d, &o, &error);
    if (!b) fail_msg("%s", error);
    while (batches_next(b, &batch, &error)) {
        if (s.n) str_add(&s, " | ");
        for (uint32_t i = 0; i < d->ninputs; i++) {
            assert_ptr_equal(batch.data[i], batch.in[i].data);
            str_fmt(&s, "%s%s=", i ? " " : "", d->input[i].name);
            add_tensor(&s, &batch.in[i]);
        }
    }
    if (error) fail_msg("%s", error);
    batches_close(b);
    return s.at;
}

const char *all_examples(Dataset *d)
{
    return all_batches(d, (BatchOptions){.size = dataset_count(d)});
}

void check_text(const char *got, const char *wanted)
{
    if (strcmp(got, wanted)) fail_msg("got:    %s\nwanted: %s", got, wanted);
}

/* dataset_table.c - columns of a csv file as numbers: numeric ones as they are, text as categories; what to do about
 * missing values. A float argument gets one element a numeric column and one a category; an integer one the number, or
 * the number of the category.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/dataset_internal.h"

static bool is_float(const Input *in)
{
    return in->dtype <= DLC_BF16;
}

static int missing_rule(const Input *in)
{
    if (in->spec.missing != MISSING_DEFAULT) return in->spec.missing;
    return is_float(in) ? MISSING_FILL : MISSING_ERROR;
}

/* ---- which columns ------------------------------------------------------------------------------------------------------------ */

static bool has_name(const char *key, const char *name)
{
    size_t n = strlen(name);
    if (!strcmp(key, name)) return true;
    for (const char *p = key; *p; p += strcspn(p, "+"), p += *p == '+')
        if (strcspn(p, "+") == n && !memcmp(p, name, n)) return true;
    return false;
}

/* Does an argument other than `self` name this column of the same file? Then a pattern leaves it out. */
static bool named_elsewhere(const Input *self, const char *name, const DataSpec *specs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const DataSpec *s = &specs[i];
        bool other = strcmp(s->argument, self->name) && s->path && s->key && !strcmp(s->path, self->spec.path);
        if (other && has_name(s->key, name)) return true;
    }
    return false;
}

typedef VEC(uint32_t) Indices;

static bool no_column(Arena *a, const Input *in, const char *name, const char **error)
{
    const Csv *c = in->csv;
    const char *near = nearest(name, c->name, c->ncolumns);
    if (near) return data_fail(a, error, "%s: %s has no column '%s'; did you mean '%s'?", in->name, c->path, name, near);
    Str all = {.arena = a};
    for (uint32_t i = 0; i < c->ncolumns && i < 20; i++) str_fmt(&all, "%s%s", i ? ", " : "", c->name[i]);
    return data_fail(a, error, "%s: %s has no column '%s'; there are: %s%s", in->name, c->path, name, all.at, c->ncolumns > 20 ? ", ..." : "");
}

/* One name or pattern of KEY. */
static bool add_columns(Arena *a, const Input *in, const char *name, const DataSpec *specs, uint32_t nspecs, Indices *found, const char **error)
{
    const Csv *c = in->csv;
    uint32_t before = found->n;
    for (uint32_t i = 0; i < c->ncolumns; i++) {
        bool exact = !strcmp(c->name[i], name), taken = false;
        if (!exact && (!strchr(name, '*') || !glob_match(name, c->name[i]) || named_elsewhere(in, c->name[i], specs, nspecs))) continue;
        for (uint32_t k = 0; k < found->n; k++) taken |= found->at[k] == i;
        if (taken && exact) return data_fail(a, error, "%s: the column '%s' is named twice", in->name, name);
        if (!taken) vec_push(a, found, i);
    }
    return found->n > before || no_column(a, in, name, error);
}

/* No KEY: all columns that no other argument names. */
static bool choose(Arena *a, const Input *in, const DataSpec *specs, uint32_t nspecs, Indices *found, const char **error)
{
    const char *key = in->spec.key ? in->spec.key : "*";
    for (uint32_t i = 0; i < in->csv->ncolumns; i++)
        if (!strcmp(in->csv->name[i], key)) return add_columns(a, in, key, specs, nspecs, found, error);
    for (const char *p = key; *p;) {
        size_t n = strcspn(p, "+");
        if (!add_columns(a, in, arena_strndup(a, p, n), specs, nspecs, found, error)) return false;
        p += n + (p[n] == '+');
    }
    return found->n > 0 || no_column(a, in, key, error);
}

/* ---- numbers or text -------------------------------------------------------------------------------------------------------------- */

typedef struct Counts {
    int64_t numbers, texts, first_text; /* first_text: its row */
} Counts;

static void count_kinds(const Csv *c, Counts *counts, CsvCell *cells)
{
    CsvReader r;
    csv_rewind(c, &r);
    for (int64_t row = 0; csv_row(&r, cells); row++)
        for (uint32_t i = 0; i < c->ncolumns; i++) {
            double v;
            if (csv_missing(&cells[i])) continue;
            if (csv_number(&cells[i], &v)) counts[i].numbers++;
            else if (!counts[i].texts++) counts[i].first_text = row;
        }
}

static bool choose_kind(Arena *a, const Input *in, const Counts *n, Column *col, const char **error)
{
    if (in->spec.given >> DATA_categorical & 1) col->category = true;
    else if (!n->numbers && !n->texts) return data_fail(a, error, "%s: %s has no values in its column '%s'", in->name, in->csv->path, col->name);
    else if (n->texts > n->numbers) col->category = true;
    else if (n->texts)
        return data_fail(a, error, "%s:%" PRId64 ": the column '%s' holds text here and numbers in %" PRId64 " other rows; ',categorical' takes all as text",
                         in->csv->path, in->csv->line[n->first_text], col->name, n->numbers);
    return true;
}

/* ---- values --------------------------------------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Categories are numbered as they come; then sorted. */
static void sort_categories(Arena *a, Column *col, const Map *seen, int64_t rows)
{
    uint32_t n = map_count(seen);
    const char **sorted = arena_array(a, const char *, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) sorted[i] = ((const char *const *)map_at(seen, i, NULL, NULL))[0];
    if (n) qsort(sorted, n, sizeof *sorted, by_bytes);
    uint32_t *place = arena_array(a, uint32_t, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = ((const char *const *)map_at(seen, i, NULL, NULL))[0];
        const char **at = bsearch(&name, sorted, n, sizeof *sorted, by_bytes);
        place[i] = (uint32_t)(at - sorted);
    }
    for (int64_t r = 0; r < rows; r++)
        if (col->value[r] == col->value[r]) col->value[r] = place[(uint32_t)col->value[r]];
    col->categories = sorted;
    col->ncategories = n;
}

typedef struct Category { const char *name; uint32_t number; } Category;

static bool read_category(Arena *a, const Input *in, Column *col, Map *seen, const CsvCell *cell, int64_t row, bool known, const char **error)
{
    const char *text = csv_text(a, cell);
    Category *c = map_get(seen, text, strlen(text));
    if (!c && known) {
        Str all = {.arena = a};
        for (uint32_t i = 0; i < col->ncategories && i < 10; i++) str_fmt(&all, "%s%s", i ? ", " : "", col->categories[i]);
        return data_fail(a, error, "%s:%" PRId64 ": '%s' in column '%s' is not in the training data, which has %s%s", in->csv->path,
                         in->csv->line[row], text, col->name, all.at ? all.at : "none", col->ncategories > 10 ? ", ..." : "");
    }
    if (!c) {
        c = arena_new(a, Category);
        *c = (Category){text, map_count(seen)};
        map_set(seen, text, strlen(text), c);
    }
    col->value[row] = c->number;
    return true;
}

static bool fill_values(Arena *a, Input *in, CsvCell *cells, bool known, const char **error)
{
    const Csv *c = in->csv;
    CsvReader r;
    Map **seen = arena_array(a, Map *, in->ncolumns);
    for (uint32_t i = 0; i < in->ncolumns; i++) {
        Column *col = &in->column[i];
        col->value = arena_array(a, double, (size_t)c->nrows);
        seen[i] = map_new(a);
        for (uint32_t k = 0; known && k < col->ncategories; k++) {
            Category *category = arena_new(a, Category);
            *category = (Category){col->categories[k], k};
            map_set(seen[i], col->categories[k], strlen(col->categories[k]), category);
        }
    }
    csv_rewind(c, &r);
    for (int64_t row = 0; csv_row(&r, cells); row++)
        for (uint32_t i = 0; i < in->ncolumns; i++) {
            Column *col = &in->column[i];
            const CsvCell *cell = &cells[col->index];
            if (csv_missing(cell)) col->value[row] = NAN;
            else if (col->category) {
                if (!read_category(a, in, col, seen[i], cell, row, known, error)) return false;
            } else if (!csv_number(cell, &col->value[row])) {
                return data_fail(a, error, "%s:%" PRId64 ": '%s' in column '%s' is not a number", c->path, c->line[row], csv_text(a, cell), col->name);
            }
        }
    for (uint32_t i = 0; i < in->ncolumns && !known; i++)
        if (in->column[i].category) sort_categories(a, &in->column[i], seen[i], c->nrows);
    return true;
}

/* Missing values as a category of its own, the last one, named "". */
static bool has_own_category(const Column *col)
{
    return col->ncategories && !*col->categories[col->ncategories - 1];
}

static void own_category(Arena *a, Column *col, int64_t rows)
{
    if (!has_own_category(col)) {
        const char **more = arena_array(a, const char *, (size_t)col->ncategories + 1);
        if (col->ncategories) memcpy(more, col->categories, col->ncategories * sizeof *more);
        more[col->ncategories++] = "";
        col->categories = more;
    }
    for (int64_t r = 0; r < rows; r++)
        if (col->value[r] != col->value[r]) col->value[r] = col->ncategories - 1;
}

static bool check_missing(Arena *a, const Input *in, const char **error)
{
    const Csv *c = in->csv;
    for (uint32_t i = 0; i < in->ncolumns; i++) {
        const Column *col = &in->column[i];
        bool fills = missing_rule(in) == MISSING_DROP || (missing_rule(in) == MISSING_FILL && (col->category || is_float(in))) ||
                     (missing_rule(in) == MISSING_CATEGORY && is_float(in));
        for (int64_t r = 0; r < c->nrows && !fills; r++)
            if (col->value[r] != col->value[r])
                return data_fail(a, error, "%s:%" PRId64 ": the value of '%s' is missing; ',missing=drop' leaves such rows out", c->path, c->line[r], col->name);
    }
    return true;
}

bool table_columns(Arena *a, Input *in, const DataSpec *specs, uint32_t nspecs, const Column *known, uint32_t nknown, const char **error)
{
    const Csv *c = in->csv;
    Indices found = {0};
    if (!choose(a, in, specs, nspecs, &found, error)) return false;
    if (known && nknown != found.n)
        return data_fail(a, error, "%s: %u columns, where the training data had %u", in->name, found.n, nknown);
    CsvCell *cells = arena_array(a, CsvCell, c->ncolumns);
    Counts *counts = arena_array(a, Counts, c->ncolumns);
    in->column = arena_array(a, Column, found.n);
    in->ncolumns = found.n;
    if (!known) count_kinds(in->csv, counts, cells);
    for (uint32_t i = 0; i < found.n; i++) {
        Column *col = &in->column[i];
        if (known) *col = known[i];
        col->index = found.at[i];
        if (known && strcmp(col->name, c->name[col->index]))
            return data_fail(a, error, "%s: the column '%s' stands where the training data had '%s'", in->name, c->name[col->index], col->name);
        col->name = c->name[col->index];
        if (known) continue;
        *col = (Column){.name = col->name, .index = col->index, .deviation = 1};
        if (!choose_kind(a, in, &counts[col->index], col, error)) return false;
        col->normalize = !col->category && in->spec.given >> DATA_normalize & 1;
    }
    in->count = c->nrows;
    if (!fill_values(a, in, cells, known != NULL, error)) return false;
    for (uint32_t i = 0; i < in->ncolumns; i++)
        if (in->column[i].category && (missing_rule(in) == MISSING_CATEGORY || has_own_category(&in->column[i]))) own_category(a, &in->column[i], c->nrows);
    return check_missing(a, in, error);
}

int64_t table_width(const Input *in)
{
    int64_t width = 0;
    for (uint32_t i = 0; i < in->ncolumns; i++) width += is_float(in) && in->column[i].category ? in->column[i].ncategories : 1;
    return width;
}

bool table_keeps(const Input *in, int64_t row)
{
    if (missing_rule(in) != MISSING_DROP) return true;
    for (uint32_t i = 0; i < in->ncolumns; i++)
        if (in->column[i].value[row] != in->column[i].value[row]) return false;
    return true;
}

/* ---- statistics and encoding ----------------------------------------------------------------------------------------------------------- */

static void fit_numbers(Column *col, const int64_t *row, int64_t n)
{
    double sum = 0, squares = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (col->value[row[i]] == col->value[row[i]]) sum += col->value[row[i]], count++;
    col->mean = count ? sum / (double)count : 0;
    for (int64_t i = 0; i < n; i++) {
        double off = col->value[row[i]] - col->mean;
        if (off == off) squares += off * off;
    }
    col->deviation = count ? sqrt(squares / (double)count) : 1;
    if (!(col->deviation > 0)) col->deviation = 1;
}

static void fit_category(Column *col, const int64_t *row, int64_t n)
{
    Arena scratch = {0};
    int64_t *count = arena_array(&scratch, int64_t, (size_t)col->ncategories + 1), best = 0;
    for (int64_t i = 0; i < n; i++)
        if (col->value[row[i]] == col->value[row[i]]) count[(int64_t)col->value[row[i]]]++;
    for (int64_t i = 1; i < col->ncategories; i++)
        if (count[i] > count[best]) best = i;
    col->fill = best;
    arena_free(&scratch);
}

void table_fit(const Input *in, const int64_t *row, int64_t n)
{
    for (uint32_t i = 0; i < in->ncolumns; i++) {
        if (in->column[i].category) fit_category(&in->column[i], row, n);
        else fit_numbers(&in->column[i], row, n);
    }
}

void table_doubles(const Input *in, int64_t row, double *out)
{
    for (uint32_t i = 0; i < in->ncolumns; i++) {
        const Column *col = &in->column[i];
        double v = col->value[row];
        bool missing = v != v;
        if (col->category) {
            int64_t number = missing ? col->fill : (int64_t)v;
            if (!is_float(in)) *out++ = (double)number;
            for (int64_t k = 0; is_float(in) && k < col->ncategories; k++) *out++ = k == number;
        } else {
            if (missing) v = col->mean;
            *out++ = (col->normalize ? (v - col->mean) / col->deviation : v) * in->spec.scale;
        }
    }
}

bool table_check(Arena *a, const Input *in, const char **error)
{
    const Csv *c = in->csv;
    for (uint32_t i = 0; i < in->ncolumns; i++) {
        const Column *col = &in->column[i];
        if (is_float(in)) continue;
        if (col->normalize) return data_fail(a, error, "%s: only floats can be normalised", in->name);
        if (col->category && in->limit >= 0 && col->ncategories > in->limit)
            return data_fail(a, error, "%s: '%s' of %s has %u classes, and %s takes numbers below %" PRId64, in->name, col->name, c->path,
                             col->ncategories, in->name, in->limit);
        double low = in->dtype == DLC_U8 || in->dtype == DLC_BOOL ? 0 : in->dtype == DLC_I8 ? INT8_MIN : in->dtype == DLC_I16 ? INT16_MIN :
                     in->dtype == DLC_I32 ? INT32_MIN : -0x1p53;
        double high = in->dtype == DLC_BOOL ? 1 : in->dtype == DLC_U8 ? UINT8_MAX : in->dtype == DLC_I8 ? INT8_MAX :
                      in->dtype == DLC_I16 ? INT16_MAX : in->dtype == DLC_I32 ? INT32_MAX : 0x1p53;
        if (in->limit >= 0 && low < 0) low = 0;
        if (in->limit >= 0 && high > (double)in->limit - 1) high = (double)in->limit - 1;
        for (int64_t r = 0; r < c->nrows; r++) {
            double v = col->value[r];
            if (v != v || (v == floor(v) && v >= low && v <= high)) continue;
            return data_fail(a, error, "%s:%" PRId64 ": '%s' is %.17g, and %s takes whole numbers from %.17g to %.17g", c->path, c->line[r], col->name,
                             v, in->name, low, high);
        }
    }
    return true;
}

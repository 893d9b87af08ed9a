/* csv.c - reading separated values (RFC 4180): quotes, doubled quotes, line ends in quotes, CRLF; blank lines are skipped.
 * The file is read twice: once to check that all rows have equally many cells, then by whoever wants the cells.
 */
#include <stdlib.h>
#include <string.h>

#include "host/dataset_internal.h"

enum { MAX_COLUMNS = 1 << 16 };

typedef struct Scan {                   /* of one cell */
    const char *error;
    int64_t     error_line;
    bool        last;                   /* of its row */
} Scan;

/* ---- cells and rows ------------------------------------------------------------------------------------------------------- */

static bool quoted_cell(CsvReader *r, CsvCell *cell, Scan *s)
{
    const char *text = r->csv->text;
    size_t n = r->csv->n, from = ++r->pos;
    int64_t began = r->line;
    for (; r->pos < n; r->pos++) {
        if (text[r->pos] == '\n') r->line++;
        if (text[r->pos] != '"') continue;
        if (r->pos + 1 == n || text[r->pos + 1] != '"') break;
        cell->escaped = true;
        r->pos++;
    }
    if (r->pos >= n) {
        s->error = "a quote that opens here is never closed";
        s->error_line = began;
        return false;
    }
    cell->at = text + from;
    cell->n = r->pos++ - from;
    cell->quoted = true;
    while (r->pos < n && text[r->pos] == ' ' && r->csv->separator != ' ') r->pos++;
    if (r->pos == n || text[r->pos] == r->csv->separator || text[r->pos] == '\n' || text[r->pos] == '\r') return true;
    s->error = "text behind a closing quote";
    s->error_line = r->line;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next cell of a row, and the separator or line end behind it. */
static bool next_cell(CsvReader *r, CsvCell *cell, Scan *s)
{
    const char *text = r->csv->text;
    size_t n = r->csv->n;
    *cell = (CsvCell){0};
    while (r->pos < n && text[r->pos] == ' ') r->pos++;
    if (r->pos < n && text[r->pos] == '"') {
        if (!quoted_cell(r, cell, s)) return false;
    } else {
        size_t from = r->pos;
        while (r->pos < n && text[r->pos] != r->csv->separator && text[r->pos] != '\n' && text[r->pos] != '\r') r->pos++;
        size_t to = r->pos;
        while (to > from && is_blank(text[to - 1])) to--;
        while (from < to && is_blank(text[from])) from++;
        cell->at = text + from, cell->n = to - from;
    }
    s->last = r->pos == n || text[r->pos] != r->csv->separator;
    if (!s->last) r->pos++;
    else if (r->pos < n) {
        if (text[r->pos] == '\r' && r->pos + 1 < n && text[r->pos + 1] == '\n') r->pos++;
        r->pos++;
        r->line++;
    }
    return true;
}

static void skip_blank_lines(CsvReader *r)
{
    const char *text = r->csv->text;
    for (size_t p = r->pos; p < r->csv->n && (text[p] == '\r' || text[p] == '\n' || (is_blank(text[p]) && text[p] != r->csv->separator)); p++)
        if (text[p] == '\n') r->pos = p + 1, r->line++;
        else if (text[p] == '\r' && (p + 1 == r->csv->n || text[p + 1] != '\n')) r->pos = p + 1, r->line++;
}

/* Spaces alone before the end of the file are no row. */
static bool at_end(const CsvReader *r)
{
    size_t p = r->pos;
    while (p < r->csv->n && is_blank(r->csv->text[p]) && r->csv->text[p] != r->csv->separator) p++;
    return p == r->csv->n;
}

void csv_rewind(const Csv *c, CsvReader *r)
{
    *r = (CsvReader){c, c->first, c->first_line};
}

bool csv_row(CsvReader *r, CsvCell *cells)
{
    Scan s = {0};
    skip_blank_lines(r);
    if (at_end(r)) return false;
    for (uint32_t i = 0; i < r->csv->ncolumns; i++)
        if (!next_cell(r, &cells[i], &s)) return false;
    return true;
}

/* ---- header and check --------------------------------------------------------------------------------------------------------- */

static char likeliest_separator(const char *text, size_t n)
{
    static const char candidates[] = {',', ';', '\t'};
    uint32_t count[3] = {0}, best = 0;
    bool quoted = false;
    for (size_t i = 0; i < n && (quoted || (text[i] != '\n' && text[i] != '\r')); i++) {
        if (text[i] == '"') quoted = !quoted;
        for (uint32_t k = 0; k < 3; k++) count[k] += !quoted && text[i] == candidates[k];
    }
    for (uint32_t k = 1; k < 3; k++)
        if (count[k] > count[best]) best = k;
    return candidates[best];
}

static bool scan_fail(Arena *a, const Csv *c, const Scan *s, const char **error)
{
    return data_fail(a, error, "%s:%lld: %s", c->path, (long long)s->error_line, s->error);
}

/* The names of the columns; or, without a header, how many the first row has. */
static bool read_names(Arena *a, Csv *c, CsvReader *r, bool header, const char **error)
{
    VEC(const char *) names = {0};
    Scan s = {0};
    skip_blank_lines(r);
    if (at_end(r)) return data_fail(a, error, "%s: the file is empty", c->path);
    CsvReader start = *r;
    Map *seen = map_new(a);
    while (!s.last) {
        CsvCell cell;
        if (!next_cell(r, &cell, &s)) return scan_fail(a, c, &s, error);
        if (names.n == MAX_COLUMNS) return data_fail(a, error, "%s:%lld: more than %d columns", c->path, (long long)start.line, MAX_COLUMNS);
        const char *name = header ? csv_text(a, &cell) : arena_printf(a, "%u", names.n + 1);
        vec_push(a, &names, name);
        if (map_get(seen, name, strlen(name)))
            return data_fail(a, error, "%s:%lld: two columns are named '%s'", c->path, (long long)start.line, name);
        map_set(seen, name, strlen(name), c);
    }
    c->name = names.at, c->ncolumns = names.n;
    if (!header) *r = start;
    return true;
}

bool csv_parse(Arena *a, const char *path, const char *text, size_t n, bool header, char separator, Csv *c, const char **error)
{
    size_t mark = n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    *c = (Csv){.path = path, .text = text, .n = n, .separator = separator ? separator : likeliest_separator(text + mark, n - mark)};
    CsvReader r = {c, mark, 1};
    if (memchr(text, 0, n)) return data_fail(a, error, "%s: it holds zero bytes, and so is not a csv file", path);
    if (!read_names(a, c, &r, header, error)) return false;
    c->first = r.pos, c->first_line = r.line;
    VEC(int64_t) line = {0};
    for (skip_blank_lines(&r); !at_end(&r); skip_blank_lines(&r)) {
        Scan s = {0};
        CsvCell cell;
        int64_t at = r.line;
        uint32_t cells = 0;
        for (; !s.last; cells += cells < UINT32_MAX)
            if (!next_cell(&r, &cell, &s)) return scan_fail(a, c, &s, error);
        if (cells != c->ncolumns)
            return data_fail(a, error, "%s:%lld: %u cells, where the %s has %u", path, (long long)at, cells, header ? "header" : "first row", c->ncolumns);
        vec_push(a, &line, at);
    }
    c->nrows = line.n, c->line = line.at;
    return c->nrows > 0 || data_fail(a, error, "%s: no rows below the header", path);
}

/* ---- what a cell says ------------------------------------------------------------------------------------------------------------- */

const char *csv_text(Arena *a, const CsvCell *cell)
{
    char *text = arena_strndup(a, cell->at, cell->n), *to = text;
    if (!cell->escaped) return text;
    for (size_t i = 0; i < cell->n; i++) {
        *to++ = cell->at[i];
        if (cell->at[i] == '"') i++;
    }
    *to = 0;
    return text;
}

bool csv_missing(const CsvCell *cell)
{
    static const char *const words[] = {"NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"};
    if (!cell->n) return true;
    for (size_t i = 0; i < COUNT(words) && !cell->quoted; i++)
        if (strlen(words[i]) == cell->n && !memcmp(words[i], cell->at, cell->n)) return true;
    return false;
}

bool csv_number(const CsvCell *cell, double *value)
{
    char text[64], *end;
    if (!cell->n || cell->n >= sizeof text || !memchr("+-.0123456789", cell->at[0], 13)) return false;
    memcpy(text, cell->at, cell->n);
    text[cell->n] = 0;
    if (strpbrk(text, "xXnN")) return false;            /* hexadecimal, infinity, NaN */
    *value = strtod(text, &end);
    return !*end && *value - *value == 0;
}

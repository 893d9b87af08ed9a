/* diag.c - sources and diagnostics: collecting them, and printing them with their line and carets.
 * Rows of diag.def are all there is to a code. */
#include "base/base.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_LIMIT 100
#define TAB           4                 /* columns */
#define LINE_WIDTH    120               /* longer source lines are shown in part */

/* ---- codes ------------------------------------------------------------------------------------ */

static const struct {
    char        name[7];                /* "DL0123" */
    const char *title, *text;
} code_table[DL_COUNT] = {
#define DIGIT(number, unit) (char)('0' + (number) / (unit) % 10)
#define DIAG(code, number, title, text) \
    [DL_##code] = {{'D', 'L', DIGIT(number, 1000), DIGIT(number, 100), DIGIT(number, 10), DIGIT(number, 1), 0}, title, text},
#include "base/diag.def"
#undef DIAG
};

const char *diag_code(DiagCode code)
{
    return code_table[code].name;
}

const char *diag_title(DiagCode code)
{
    return code_table[code].title;
}

const char *diag_explain(DiagCode code)
{
    return code_table[code].text;
}

bool diag_find(const char *text, DiagCode *code)
{
    if (!strncasecmp(text, "DL", 2)) text += 2;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 4 || text[digits]) return false;
    switch (atoi(text)) {               /* two rows with one number do not compile */
#define DIAG(name, number, title, text) case number: *code = DL_##name; return true;
#include "base/diag.def"
#undef DIAG
    }
    return false;
}

/* ---- collecting ------------------------------------------------------------------------------- */

uint32_t diag_source(Diags *d, const char *path, const char *text, size_t n)
{
    Source s = {path, text, n};
    vec_push(d->arena, &d->sources, s);
    return d->sources.n;
}

static bool same(const Diag *a, const Diag *b)
{
    if (a->severity != b->severity || a->code != b->code || a->span.file != b->span.file ||
        a->span.start != b->span.start || a->span.end != b->span.end || a->notes.n != b->notes.n ||
        strcmp(a->text, b->text))
        return false;
    for (uint32_t i = 0; i < a->notes.n; i++)
        if (!same(&a->notes.at[i], &b->notes.at[i])) return false;
    return true;
}

/* The number of diagnostics without the last if that repeats an earlier one: the last is compared
 * only when it is complete, that is when the next one comes or all are printed. */
static uint32_t distinct(const Diags *d)
{
    for (uint32_t i = 0; i + 1 < d->list.n; i++)
        if (same(d->list.at[i], d->list.at[d->list.n - 1])) return d->list.n - 1;
    return d->list.n;
}

uint32_t diag_count(const Diags *d, Severity severity)
{
    uint32_t count = 0;
    for (uint32_t i = 0, n = distinct(d); i < n; i++) count += d->list.at[i]->severity == severity;
    return count;
}

static Diag *report(Diags *d, Severity severity, DiagCode code, Span at, const char *fmt, va_list ap)
{
    Diag *diag = arena_new(d->arena, Diag);
    diag->severity = severity;
    diag->code = code;
    diag->span = at;
    diag->text = arena_vprintf(d->arena, fmt, ap);
    d->list.n = distinct(d);
    if (diag_count(d, severity) < (d->limit ? d->limit : DEFAULT_LIMIT)) vec_push(d->arena, &d->list, diag);
    return diag;
}

Diag *diag_error(Diags *d, DiagCode code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *diag = report(d, DIAG_ERROR, code, at, fmt, ap);
    va_end(ap);
    d->errors++;
    return diag;
}

Diag *diag_warning(Diags *d, DiagCode code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *diag = report(d, DIAG_WARNING, code, at, fmt, ap);
    va_end(ap);
    d->warnings++;
    return diag;
}

void diag_note(Diags *d, Diag *parent, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag note = {.severity = DIAG_NOTE, .code = parent->code, .span = at, .text = arena_vprintf(d->arena, fmt, ap)};
    va_end(ap);
    vec_push(d->arena, &parent->notes, note);
}

/* ---- places ----------------------------------------------------------------------------------- */

static const Source *source_of(const Diags *d, Span at)
{
    return at.file && at.file <= d->sources.n ? &d->sources.at[at.file - 1] : NULL;
}

/* Where the line of byte `at` begins, and its number from 1. */
static size_t line_start(const Source *s, size_t at, uint32_t *line)
{
    size_t start = 0;
    *line = 1;
    for (size_t i = 0; i < at && i < s->n; i++)
        if (s->text[i] == '\n') {
            start = i + 1;
            ++*line;
        }
    return start;
}

/* Bytes of the character at p; a byte that is not UTF-8 counts as one character. */
static size_t character(const char *p, size_t n)
{
    uint32_t len = json_utf8(p, n);
    return len ? len : 1;
}

static void position(const Source *s, size_t at, uint32_t *line, uint32_t *column)
{
    *column = 1;
    for (size_t i = line_start(s, at, line); i < at && i < s->n; i += character(s->text + i, s->n - i)) ++*column;
}

void diag_position(const Diags *d, Span at, uint32_t *line, uint32_t *column)
{
    const Source *s = source_of(d, at);
    *line = *column = 0;
    if (s) position(s, at.start, line, column);
}

/* ---- printing --------------------------------------------------------------------------------- */

#define RESET "\033[0m"
#define BOLD  "\033[1m"
static const char *const severity_name[] = {"error", "warning", "note"};
static const char *const severity_colour[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m"};

/* One character for the terminal: what could steer it becomes U+FFFD. */
static void add_visible(Str *out, const char *p, size_t len)
{
    unsigned char c = (unsigned char)p[0], next = len > 1 ? (unsigned char)p[1] : 0;
    bool control = c < 0x20 || c == 0x7f || (len == 1 && c >= 0x80) || (c == 0xc2 && next < 0xa0);
    if (control) str_add(out, "\xef\xbf\xbd");
    else str_addn(out, p, len);
}

static void add_text(Str *out, const char *text)
{
    for (size_t n = strlen(text), i = 0, len; i < n; i += len) {
        len = character(text + i, n - i);
        if (text[i] == '\n') str_char(out, '\n');
        else add_visible(out, text + i, len);
    }
}

static void add_repeated(Str *out, char c, uint32_t n)
{
    while (n--) str_char(out, c);
}

/* The source line with carets under the span; of a span over several lines, the first line. */
static void excerpt(Str *out, const Source *s, const Diag *diag, bool colour)
{
    uint32_t line;
    size_t start = line_start(s, diag->span.start, &line), end = start;
    while (end < s->n && s->text[end] != '\n') end++;
    if (end > start && s->text[end - 1] == '\r') end--;

    /* First pass: the span's columns on the screen, [from, to). */
    uint32_t column = 0, from = UINT32_MAX, to = 0;
    for (size_t i = start, len; i < end; i += len) {
        len = character(s->text + i, end - i);
        uint32_t width = s->text[i] == '\t' ? TAB - column % TAB : 1;
        if (from == UINT32_MAX && i + len > diag->span.start) from = column;
        column += width;
        if (i < diag->span.end) to = column;
    }
    if (from == UINT32_MAX) from = column;              /* the span stands at the end of the line */
    if (to <= from) to = from + 1;

    /* Second pass: the line, or the part of it around the span. */
    uint32_t first = column > LINE_WIDTH && from > LINE_WIDTH / 2 ? from - LINE_WIDTH / 2 : 0;
    uint32_t last = first + LINE_WIDTH;
    str_fmt(out, "%5u | %s", line, first ? "..." : "");
    column = 0;
    for (size_t i = start, len; i < end && column < last; i += len) {
        len = character(s->text + i, end - i);
        uint32_t width = s->text[i] == '\t' ? TAB - column % TAB : 1;
        if (column >= first) {
            if (s->text[i] == '\t') add_repeated(out, ' ', width);
            else add_visible(out, s->text + i, len);
        }
        column += width;
        if (column >= last && i + len < end) str_add(out, "...");
    }
    while (out->n && out->at[out->n - 1] == ' ') out->at[--out->n] = 0;
    if (to > last) to = last > from ? last : from + 1;
    str_add(out, "\n      | ");
    add_repeated(out, ' ', from - first + (first ? 3 : 0));
    if (colour) str_add(out, severity_colour[diag->severity]);
    str_char(out, '^');
    add_repeated(out, '~', to - from - 1);
    if (colour) str_add(out, RESET);
    str_char(out, '\n');
}

static void print_one(const Diags *d, Str *out, const Diag *diag, bool colour)
{
    const Source *s = source_of(d, diag->span);
    if (s) {
        uint32_t line, column;
        position(s, diag->span.start, &line, &column);
        if (colour) str_add(out, BOLD);
        add_text(out, s->path);
        str_fmt(out, ":%u:%u: ", line, column);
        if (colour) str_add(out, RESET);
    }
    if (colour) str_add(out, severity_colour[diag->severity]);
    str_add(out, severity_name[diag->severity]);
    if (diag->severity != DIAG_NOTE) str_fmt(out, " %s", diag_code(diag->code));
    str_char(out, ':');
    if (colour) str_add(out, RESET);
    str_char(out, ' ');
    add_text(out, diag->text);
    str_char(out, '\n');
    if (s) excerpt(out, s, diag, colour);
    for (uint32_t i = 0; i < diag->notes.n; i++) print_one(d, out, &diag->notes.at[i], colour);
}

typedef struct Ranked { const Diag *diag; uint32_t order; } Ranked;

static int by_place(const void *pa, const void *pb)
{
    const Ranked *a = pa, *b = pb;
    const Span *s = &a->diag->span, *t = &b->diag->span;
    /* File 0 is no place: what concerns the whole run comes last. */
    if (s->file != t->file) return s->file - 1 < t->file - 1 ? -1 : 1;
    if (s->start != t->start) return s->start < t->start ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* The distinct diagnostics in source order; those without a place come last. */
static Ranked *in_order(const Diags *d, Arena *a, uint32_t *n)
{
    *n = distinct(d);
    Ranked *list = arena_array(a, Ranked, *n);
    for (uint32_t i = 0; i < *n; i++) list[i] = (Ranked){d->list.at[i], i};
    if (*n) qsort(list, *n, sizeof *list, by_place);
    return list;
}

void diag_print(const Diags *d, Str *out, bool colour)
{
    uint32_t n;
    const Ranked *list = in_order(d, out->arena, &n);
    for (uint32_t i = 0; i < n; i++) print_one(d, out, list[i].diag, colour);
}

static void json_one(const Diags *d, Str *out, const Diag *diag)
{
    const Source *s = source_of(d, diag->span);
    str_fmt(out, "{\"code\": \"%s\", \"severity\": \"%s\", ", diag_code(diag->code), severity_name[diag->severity]);
    if (s) {
        uint32_t line, column, end_line, end_column;
        position(s, diag->span.start, &line, &column);
        position(s, diag->span.end, &end_line, &end_column);
        str_add(out, "\"file\": ");
        str_json(out, s->path, strlen(s->path));
        str_fmt(out, ", \"line\": %u, \"column\": %u, \"end_line\": %u, \"end_column\": %u, ", line, column, end_line,
                end_column);
    } else {
        str_add(out, "\"file\": null, ");
    }
    str_add(out, "\"text\": ");
    str_json(out, diag->text, strlen(diag->text));
    str_add(out, ", \"notes\": [");
    for (uint32_t i = 0; i < diag->notes.n; i++) {
        if (i) str_add(out, ", ");
        json_one(d, out, &diag->notes.at[i]);
    }
    str_add(out, "]}");
}

void diag_json(const Diags *d, Str *out)
{
    uint32_t n;
    const Ranked *list = in_order(d, out->arena, &n);
    str_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        str_add(out, i ? ",\n " : "");
        json_one(d, out, list[i].diag);
    }
    str_add(out, "]\n");
}

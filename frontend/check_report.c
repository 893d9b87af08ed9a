/* check_report.c - errors of the checker. An error inside a library function is the fault of the line of the
 * user's file that led there: that line is quoted first, the library's in a note, then who called whom. A
 * place is reported once, however many instances or iterations run into it.
 */
#include "frontend/check.h"

enum { MAX_CHAIN = 6 };                 /* "called from here" notes of one error */

static bool in_library(const Check *c, Span s)
{
    return s.file < c->library_source.n && c->library_source.at[s.file];
}

/* The innermost frame whose call stands in the user's text, when s does not. */
static const Frame *user_frame(const Check *c, Span s)
{
    if (s.file && !in_library(c, s)) return NULL;
    for (const Frame *f = c->frame; f; f = f->up)
        if (f->call.file && !in_library(c, f->call)) return f;
    return NULL;
}

Span user_place(const Check *c, Span s)
{
    const Frame *f = user_frame(c, s);
    return f ? f->call : s;
}

/* First report of this code at this place? */
static bool first_report(Check *c, DiagCode code, Span primary, Span inner)
{
    struct { Span a, b; uint32_t code; } key = {primary, inner, code};
    if (map_get(c->reported, &key, sizeof key)) return false;
    map_set(c->reported, &key, sizeof key, c);
    return true;
}

const char *frame_name(Check *c, const Frame *f)
{
    return f->of ? arena_printf(c->a, "%s.%s", f->of, f->name) : f->name;
}

/* Who called whom, from `f` outwards. */
static void add_chain(Check *c, Diag *to, const Frame *f, Span from)
{
    uint32_t count = 0, left_out = 0;
    Span last = from;
    for (; f; f = f->up) {
        if (!f->call.file || in_library(c, f->call)) continue;
        if (f->call.file == last.file && f->call.start == last.start) continue;
        last = f->call;
        if (++count > MAX_CHAIN) { left_out++; continue; }
        if (f->module_body) diag_note(c->d, to, f->call, "in the instance of `%s` made here", frame_name(c, f));
        else diag_note(c->d, to, f->call, "in the call of `%s` here", frame_name(c, f));
    }
    if (left_out) diag_note(c->d, to, (Span){0}, "and %u more calls", left_out);
}

/* More than are kept: no trouble is taken over them, so that a file of nothing but errors stays cheap. */
bool too_many_errors(const Check *c) { return c->d->errors > (c->d->limit ? c->d->limit : 100); }

static Diag *begin(Check *c, DiagCode code, Span at, const char *text)
{
    const Frame *f = user_frame(c, at);
    Span primary = f ? f->call : at;
    c->spare = (Diag){0};
    if (!first_report(c, code, primary, at)) {
        c->last = &c->spare;
        c->last_chain = 0;
        return &c->spare;
    }
    Diag *d = diag_error(c->d, code, primary, "%s", text);
    if (too_many_errors(c)) {
        c->last_chain = 0;
        return c->last = &c->spare;
    }
    if (f && at.file) diag_note(c->d, d, at, "it happens here in the library, in `%s`", frame_name(c, c->frame));
    uint32_t before = d->notes.n;
    add_chain(c, d, f ? f->up : c->frame, primary);
    c->last = d;
    c->last_chain = d->notes.n - before;
    return d;
}

Diag *problem(Check *c, DiagCode code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    return begin(c, code, at, text);
}

Value fail(Check *c, DiagCode code, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    begin(c, code, at, text);
    return v_error();
}

/* A note stands before those of the call chain. */
void note(Check *c, Diag *to, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    if (to == &c->spare) return;
    diag_note(c->d, to, at, "%s", text);
    if (to != c->last) return;
    for (uint32_t i = to->notes.n - 1, k = 0; k < c->last_chain && i > 0; i--, k++) {
        Diag t = to->notes.at[i];
        to->notes.at[i] = to->notes.at[i - 1];
        to->notes.at[i - 1] = t;
    }
}

void suggest(Check *c, Diag *to, const char *word, const char *const *candidates, uint32_t n)
{
    const char *near = n && to != &c->spare ? nearest(word, candidates, n) : NULL;
    if (near) note(c, to, (Span){0}, "did you mean `%s`?", near);
}

void suggest_path(Check *c, Diag *to, const char *pattern, const char *const *paths, uint32_t n)
{
    Str s = {.arena = c->a};
    if (to == &c->spare || !n) return;
    suggest(c, to, pattern, paths, n);
    for (uint32_t i = 0; i < n && i < 3; i++) str_fmt(&s, "%s`%s`", i ? ", " : "", paths[i]);
    note(c, to, (Span){0}, n > 3 ? "there are %s and %u more" : n > 1 ? "there are %s" : "there is %s", s.at, n - 3);
}

bool step(Check *c, uint64_t n, Span at)
{
    if (c->exhausted) return false;
    c->steps += n;
    if (c->steps <= MAX_STEPS) return true;
    c->exhausted = true;
    problem(c, DL_too_much_work, at, "this program needs more than %d steps at compile time", MAX_STEPS);
    return false;
}

/* data_spec.c - what data an argument gets, as it is written on the command line: NAME=FILE[:KEY][,OPTION...]. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/internal.h"

static const struct { const char *name, *value; } options[] = {
#define X(name, value) {#name, value},
    DATA_OPTIONS(X)
#undef X
};

static bool is_path(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- values --------------------------------------------------------------------------------------------------------------- */

static bool parse_scale(const char *text, double *scale)
{
    char *end;
    *scale = strtod(text, &end);
    if (end == text) return false;
    if (*end == '/') {
        const char *below = end + 1;
        double d = strtod(below, &end);
        if (end == below || d == 0) return false;
        *scale /= d;
    }
    return *end == 0 && *scale - *scale == 0;
}

static bool parse_count(const char *text, int64_t least, int64_t *n)
{
    char *end;
    long long v = strtoll(text, &end, 10);
    *n = v;
    return end != text && !*end && v >= least && v <= INT32_MAX;
}

static bool parse_size(const char *text, int64_t size[2])
{
    char *end;
    long long h = strtoll(text, &end, 10);
    size[0] = h;
    return end != text && *end == 'x' && h > 0 && h <= 1 << 15 && parse_count(end + 1, 1, &size[1]) && size[1] <= 1 << 15;
}

/* The number of `text` among the words of "a|b|c", from 0; -1: it is none. */
static int word_number(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (int i = 0;; i++) {
        size_t len = strcspn(words, "|?");
        if (len == n && !memcmp(words, text, n)) return i;
        if (words[len] != '|') return -1;
        words += len + 1;
    }
}

static bool parse_value(DataSpec *s, int option, const char *value)
{
    static const char separator[] = {',', ';', '\t'};
    static const int token[] = {DLC_U8, DLC_I16, DLC_I32, DLC_I64};
    int word = value ? word_number(options[option].value, value) : -1;
    switch (option) {
    case DATA_scale: return parse_scale(value, &s->scale);
    case DATA_missing: return s->missing = MISSING_FILL + word, word >= 0;
    case DATA_sep: return s->separator = word >= 0 ? separator[word] : 0, word >= 0;
    case DATA_header: return word == 0;
    case DATA_tokens: return s->tokens = word >= 0 ? token[word] : 0, word >= 0 || !value;
    case DATA_shift: return parse_count(value, 0, &s->shift);
    case DATA_stride: return parse_count(value, 1, &s->stride);
    case DATA_resize: return !value || parse_size(value, s->resize);
    case DATA_crop: return parse_size(value, s->crop);
    default: return !value;
    }
}

/* ---- options ---------------------------------------------------------------------------------------------------------------- */

/* -1: `text`, up to its '=', is not the name of an option. */
static int option_number(const char *text)
{
    size_t n = strcspn(text, "=");
    for (int i = 0; i < DATA_OPTION_COUNT; i++)
        if (strlen(options[i].name) == n && !memcmp(options[i].name, text, n)) return i;
    return -1;
}

/* "scale=1/255, round, ..." */
static const char *option_list(Arena *a, uint32_t allowed)
{
    Str s = {.arena = a};
    str_addn(&s, "", 0);
    for (int i = 0; i < DATA_OPTION_COUNT; i++) {
        if (!(allowed >> i & 1)) continue;
        const char *value = options[i].value;
        size_t n = strcspn(value, "?");
        bool optional = value[n] == '?';
        str_fmt(&s, "%s%s", s.n ? ", " : "", options[i].name);
        if (n) str_fmt(&s, "%s=%.*s%s", optional ? "[" : "", (int)n, value, optional ? "]" : "");
    }
    return s.at;
}

static bool take_option(Arena *a, const char *text, int option, const char *given, uint32_t allowed, DataSpec *s, const char **error)
{
    const char *value = strchr(given, '='), *wanted = options[option].value;
    bool optional = strchr(wanted, '?');
    if (!(allowed >> option & 1)) *error = arena_printf(a, "\"%s\": the option '%s' does not serve here", text, options[option].name);
    else if (s->given >> option & 1) *error = arena_printf(a, "\"%s\": '%s' is given twice", text, options[option].name);
    else if (!value && *wanted && !optional) *error = arena_printf(a, "\"%s\": '%s' needs a value: %s=%s", text, given, given, wanted);
    else if (!parse_value(s, option, value ? value + 1 : NULL)) {
        if (option == DATA_scale) *error = arena_printf(a, "\"%s\": the scale is a number or a fraction, as 1/255", text);
        else if (!*wanted) *error = arena_printf(a, "\"%s\": '%s' takes no value", text, options[option].name);
        else *error = arena_printf(a, "\"%s\": '%s' is not %s=%.*s", text, given, options[option].name, (int)strcspn(wanted, "?"), wanted);
    } else {
        s->given |= 1u << option;
        return true;
    }
    return false;
}

static bool unknown_option(Arena *a, const char *text, const char *given, uint32_t allowed, const char **error)
{
    const char *names[DATA_OPTION_COUNT];
    for (int i = 0; i < DATA_OPTION_COUNT; i++) names[i] = options[i].name;
    const char *name = arena_strndup(a, given, strcspn(given, "=")), *near = nearest(name, names, DATA_OPTION_COUNT);
    *error = near ? arena_printf(a, "\"%s\": no option '%s'; did you mean '%s'?", text, name, near)
                  : arena_printf(a, "\"%s\": no option '%s'; there are: %s", text, name, option_list(a, allowed));
    return false;
}

/* Where the path ends in FILE[:KEY]: at the last ':' that has a file before it; where there is none, at the last ':'. */
static char *find_key(char *text)
{
    char *last = strrchr(text, ':');
    for (char *colon = last; colon; colon = memrchr(text, ':', (size_t)(colon - text))) {
        *colon = 0;
        bool found = is_path(text);
        *colon = ':';
        if (found) return colon;
    }
    return last;
}

/* What is left in front of the options that are known: FILE[:KEY]; or a misspelt option hides in it. */
static bool take_path(Arena *a, const char *text, char *path, uint32_t allowed, DataSpec *s, const char **error)
{
    s->path = path;
    if (is_path(path)) return true;
    if (*path == '@') {
        s->same = path + 1;
        s->path = NULL;
        return *s->same || (*error = arena_printf(a, "\"%s\": @NAME names another argument", text), false);
    }
    char *colon = find_key(path);
    if (colon) {
        *colon = 0;
        s->key = colon + 1;
    }
    char *comma = strrchr(colon ? colon + 1 : path, ',');
    if (!comma || !comma[1]) return true;
    const char *names[DATA_OPTION_COUNT];
    for (int i = 0; i < DATA_OPTION_COUNT; i++) names[i] = options[i].name;
    const char *name = arena_strndup(a, comma + 1, strcspn(comma + 1, "="));
    *comma = 0;
    bool misspelt = nearest(name, names, DATA_OPTION_COUNT) || (!colon && is_path(path));
    *comma = ',';
    return !misspelt || unknown_option(a, text, comma + 1, allowed, error);
}

bool data_spec_options(Arena *a, const char *text, uint32_t allowed, DataSpec *spec, const char **error)
{
    const char *equals = strchr(text, '=');
    *spec = (DataSpec){.scale = 1};
    if (!equals || equals == text || !equals[1]) {
        *error = arena_printf(a, "\"%s\": an argument is given as NAME=FILE[:KEY][,scale=1/255]", text);
        return false;
    }
    spec->argument = arena_strndup(a, text, (size_t)(equals - text));
    char *path = arena_strndup(a, equals + 1, strlen(equals + 1));
    for (char *comma; !is_path(path) && (comma = strrchr(path, ',')); *comma = 0) {
        int option = option_number(comma + 1);
        if (option < 0) break;
        if (!take_option(a, text, option, comma + 1, allowed, spec, error)) return false;
    }
    return take_path(a, text, path, allowed, spec, error);
}

bool data_spec(Arena *a, const char *text, DataSpec *spec, const char **error)
{
    if (!data_spec_options(a, text, 1u << DATA_scale, spec, error)) return false;
    if (!spec->same) return true;
    *error = arena_printf(a, "%s: @%s is for training; name a file", spec->argument, spec->same);
    return false;
}

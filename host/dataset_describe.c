/* dataset_describe.c - what it takes to encode other data in the same way, as JSON for checkpoints; and as text for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "host/dataset_internal.h"

/* ---- writing -------------------------------------------------------------------------------------------------------------------- */

static void add_number(Str *s, const char *name, double v)
{
    str_fmt(s, ",\"%s\":", name);
    str_double(s, v);
}

static void add_strings(Str *s, const char *name, const char *const *text, uint32_t n)
{
    str_fmt(s, ",\"%s\":[", name);
    for (uint32_t i = 0; i < n; i++) {
        if (i) str_char(s, ',');
        str_json(s, text[i], strlen(text[i]));
    }
    str_char(s, ']');
}

static void add_column(Str *s, const Column *c)
{
    str_add(s, "{\"name\":");
    str_json(s, c->name, strlen(c->name));
    if (c->category) {
        add_strings(s, "categories", c->categories, c->ncategories);
        str_fmt(s, ",\"fill\":%" PRId64, c->fill);
    } else {
        add_number(s, "mean", c->mean);
        add_number(s, "deviation", c->deviation);
        if (c->normalize) str_add(s, ",\"normalize\":true");
    }
    str_char(s, '}');
}

static void add_doubles(Str *s, const char *name, const double *v, int64_t n)
{
    str_fmt(s, ",\"%s\":[", name);
    for (int64_t i = 0; i < n; i++) {
        if (i) str_char(s, ',');
        str_double(s, v[i]);
    }
    str_char(s, ']');
}

static void add_vocabulary(Str *s, const Stream *stream)
{
    str_add(s, ",\"vocabulary\":[");
    for (uint32_t i = 0; i < stream->nvocabulary; i++) {
        char c[5];
        uint32_t n = utf8_put(stream->vocabulary[i], c);
        if (i) str_char(s, ',');
        str_json(s, c, n);
    }
    str_char(s, ']');
}

static void describe_input(Str *s, const Input *in)
{
    static const char *const kind[SOURCE_COUNT] = {"array", "table", "tokens", "images", "classes"};
    bool chars = in->kind == SOURCE_STREAM && in->stream->vocabulary;
    str_json(s, in->name, strlen(in->name));
    str_fmt(s, ":{\"kind\":\"%s\"", chars ? "chars" : kind[in->kind]);
    if (chars) add_vocabulary(s, in->stream);
    if (in->kind == SOURCE_CLASSES) add_strings(s, "classes", in->folder->classes, in->folder->nclasses);
    if (in->kind == SOURCE_TABLE) {
        str_add(s, ",\"columns\":[");
        for (uint32_t i = 0; i < in->ncolumns; i++) {
            if (i) str_char(s, ',');
            add_column(s, &in->column[i]);
        }
        str_char(s, ']');
    }
    if (in->kind == SOURCE_ARRAY && in->mean) {
        str_add(s, ",\"normalize\":true");
        add_doubles(s, "mean", in->mean, in->elements);
        add_doubles(s, "deviation", in->deviation, in->elements);
    }
    str_char(s, '}');
}

const char *dataset_describe(const Dataset *d)
{
    Str s = {.arena = d->arena};
    bool first = true;
    str_add(&s, "{\"arguments\":{");
    for (uint32_t i = 0; i < d->ninputs; i++) {
        if (!d->input[i].batched) continue;
        if (!first) str_char(&s, ',');
        first = false;
        describe_input(&s, &d->input[i]);
    }
    str_add(&s, "}}");
    return s.at;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------- */

enum { MAX_ITEMS = 1 << 21 };

typedef struct Reading {
    Arena *a;
    Json   j;
} Reading;

static const char *string(Reading *r)
{
    char *text = arena_alloc(r->a, r->j.len + 1);
    return json_unescape(r->j.at, r->j.len, text, r->j.len + 1) < 0 ? "" : text;
}

static bool read_strings(Reading *r, const char *const **to, uint32_t *n)
{
    VEC(const char *) list = {0};
    if (json_next(&r->j) != JSON_ARRAY) return false;
    for (JsonToken t; (t = json_next(&r->j)) != JSON_ARRAY_END;) {
        if (t != JSON_STRING || list.n == MAX_ITEMS) return false;
        vec_push(r->a, &list, string(r));
    }
    *to = list.at, *n = list.n;
    return true;
}

static bool read_double(Reading *r, JsonToken t, double *v)
{
    char text[64];
    if (t != JSON_NUMBER || r->j.len >= sizeof text) return false;
    memcpy(text, r->j.at, r->j.len);
    text[r->j.len] = 0;
    *v = strtod(text, NULL);
    return *v - *v == 0;
}

static bool read_doubles(Reading *r, const double **to, uint32_t *n)
{
    VEC(double) list = {0};
    if (json_next(&r->j) != JSON_ARRAY) return false;
    for (JsonToken t; (t = json_next(&r->j)) != JSON_ARRAY_END;) {
        double v;
        if (list.n == MAX_ITEMS || !read_double(r, t, &v)) return false;
        vec_push(r->a, &list, v);
    }
    *to = list.at, *n = list.n;
    return true;
}

static bool read_column(Reading *r, Column *c)
{
    *c = (Column){.deviation = 1};
    for (JsonToken t; (t = json_next(&r->j)) != JSON_OBJECT_END;) {
        double v = 0;
        if (t != JSON_KEY) return false;
        if (json_is(&r->j, "name")) {
            if (json_next(&r->j) != JSON_STRING) return false;
            c->name = string(r);
        } else if (json_is(&r->j, "categories")) {
            c->category = true;
            if (!read_strings(r, &c->categories, &c->ncategories)) return false;
        } else if (json_is(&r->j, "fill")) {
            if (json_next(&r->j) != JSON_NUMBER || !json_int(&r->j, &c->fill)) return false;
        } else if (json_is(&r->j, "mean")) {
            if (!read_double(r, json_next(&r->j), &c->mean)) return false;
        } else if (json_is(&r->j, "deviation")) {
            if (!read_double(r, json_next(&r->j), &v) || !(v > 0)) return false;
            c->deviation = v;
        } else if (json_is(&r->j, "normalize")) {
            t = json_next(&r->j);
            c->normalize = t == JSON_TRUE;
            if (t != JSON_TRUE && t != JSON_FALSE) return false;
        } else if (!json_skip(&r->j, json_next(&r->j))) {
            return false;
        }
    }
    return c->name && (!c->category || (c->fill >= 0 && (c->fill < c->ncategories || !c->ncategories)));
}

static bool read_columns(Reading *r, Described *d)
{
    VEC(Column) list = {0};
    if (json_next(&r->j) != JSON_ARRAY) return false;
    for (JsonToken t; (t = json_next(&r->j)) != JSON_ARRAY_END;) {
        Column c;
        if (t != JSON_OBJECT || list.n == MAX_ITEMS || !read_column(r, &c)) return false;
        vec_push(r->a, &list, c);
    }
    d->column = list.at, d->ncolumns = list.n;
    return true;
}

static bool read_argument(Reading *r, Described *d)
{
    uint32_t ndeviations = 0;
    if (json_next(&r->j) != JSON_OBJECT) return false;
    for (JsonToken t; (t = json_next(&r->j)) != JSON_OBJECT_END;) {
        bool ok = t == JSON_KEY;
        if (!ok) return false;
        if (json_is(&r->j, "kind")) {
            ok = json_next(&r->j) == JSON_STRING;
            d->kind = ok ? string(r) : NULL;
        } else if (json_is(&r->j, "vocabulary") || json_is(&r->j, "classes")) {
            ok = read_strings(r, &d->names, &d->nnames);
        } else if (json_is(&r->j, "columns")) {
            ok = read_columns(r, d);
        } else if (json_is(&r->j, "mean")) {
            ok = read_doubles(r, &d->mean, &d->nmeans);
        } else if (json_is(&r->j, "deviation")) {
            ok = read_doubles(r, &d->deviation, &ndeviations);
        } else {
            ok = json_skip(&r->j, json_next(&r->j));
        }
        if (!ok) return false;
    }
    return d->kind && d->nmeans == ndeviations;
}

bool describe_read(Arena *a, const char *description, const char *argument, Described *d, const char **error)
{
    Reading r = {.a = a};
    *d = (Described){0};
    json_start(&r.j, description, strlen(description));
    bool ok = json_next(&r.j) == JSON_OBJECT;
    for (JsonToken t; ok && (t = json_next(&r.j)) != JSON_OBJECT_END;) {
        if (t != JSON_KEY) ok = false;
        else if (!json_is(&r.j, "arguments")) ok = json_skip(&r.j, json_next(&r.j));
        else {
            ok = json_next(&r.j) == JSON_OBJECT;
            while (ok && (t = json_next(&r.j)) != JSON_OBJECT_END) {
                bool wanted = t == JSON_KEY && json_is(&r.j, argument);
                ok = t == JSON_KEY && (wanted ? read_argument(&r, d) : json_skip(&r.j, json_next(&r.j)));
            }
        }
    }
    return ok || data_fail(a, error, "the description of the training data is broken (byte %zu)", r.j.pos);
}

/* ---- for people ------------------------------------------------------------------------------------------------------------------------ */

const char *dataset_summary(const Dataset *d)
{
    Str s = {.arena = d->arena};
    str_addn(&s, "", 0);
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        str_fmt(&s, "%s%s: %s", s.n ? "; " : "", in->name, in->file);
        if (!in->batched) continue;
        if (in->kind == SOURCE_TABLE && in->ncolumns > 1) str_fmt(&s, ", %u columns", in->ncolumns);
        if (in->kind == SOURCE_TABLE && in->ncolumns == 1 && in->column[0].category) str_fmt(&s, ", %u classes", in->column[0].ncategories);
        if (in->kind == SOURCE_CLASSES) str_fmt(&s, ", %u classes", in->folder->nclasses);
        if (in->kind == SOURCE_STREAM) {
            str_fmt(&s, ", windows of %" PRId64 " of %" PRId64 " ids", in->elements, d->end - d->begin);
            if (in->stream->vocabulary) str_fmt(&s, ", %u different characters", in->stream->nvocabulary);
        } else if (in->kind != SOURCE_TABLE && in->kind != SOURCE_CLASSES) {
            for (int k = 0; k < in->rank; k++) str_fmt(&s, "%s%" PRId64, k ? "x" : ", ", in->dim[k]);
        }
    }
    return s.at;
}

static const Input *find_input(const Dataset *d, const char *argument)
{
    for (uint32_t i = 0; i < d->ninputs; i++)
        if (d->input[i].batched && !strcmp(d->input[i].name, argument)) return &d->input[i];
    return NULL;
}

bool dataset_scale(const Dataset *d, const char *argument, double *mean, double *deviation)
{
    const Input *in = find_input(d, argument);
    bool column = in && in->kind == SOURCE_TABLE && in->ncolumns == 1 && in->column[0].normalize && in->spec.scale == 1;
    bool array = in && in->kind == SOURCE_ARRAY && in->mean && in->elements == 1;
    if (!column && !array) return false;
    *mean = column ? in->column[0].mean : in->mean[0];
    *deviation = column ? in->column[0].deviation : in->deviation[0];
    return true;
}

const char *const *dataset_classes(const Dataset *d, const char *argument, uint32_t *n)
{
    const Input *in = find_input(d, argument);
    *n = 0;
    if (in && in->kind == SOURCE_CLASSES) return *n = in->folder->nclasses, in->folder->classes;
    if (!in || in->kind != SOURCE_TABLE || in->ncolumns != 1 || !in->column[0].category) return NULL;
    *n = in->column[0].ncategories;
    return in->column[0].categories;
}

/* train_log.c - the history of a training run as CSV and as JSON lines. */
#include "host/train.h"

#include <math.h>
#include <string.h>

static void put_value(Str *out, double v, const char *otherwise)
{
    if (!isfinite(v)) str_add(out, otherwise);
    else if (v == floor(v) && fabs(v) < 1e15) str_fmt(out, "%.0f", v);         /* counts */
    else str_double(out, v);
}

/* Quoted where CSV needs it: metrics are identifiers, but IR text may say anything. */
static void csv_name(Str *out, const char *name)
{
    if (!strpbrk(name, ",\"\r\n")) {
        str_add(out, name);
        return;
    }
    str_char(out, '"');
    for (; *name; name++) {
        if (*name == '"') str_char(out, '"');
        str_char(out, *name);
    }
    str_char(out, '"');
}

void train_csv(Str *out, const Train *t)
{
    str_add(out, "epoch,step,examples,seconds,examples_per_second");
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        str_char(out, ',');
        csv_name(out, t->metrics.at[i].name);
    }
    str_char(out, '\n');
    for (uint32_t i = 0; i < t->history.n; i++) {
        const TrainRecord *r = &t->history.at[i];
        str_fmt(out, "%lld,%lld,%lld,%.3f,%.1f", (long long)r->epoch, (long long)r->step, (long long)r->examples, r->seconds, r->rate);
        for (uint32_t k = 0; k < t->metrics.n; k++) {
            str_char(out, ',');
            put_value(out, r->value[k], "");
        }
        str_char(out, '\n');
    }
}

void train_jsonl(Str *out, const Train *t)
{
    for (uint32_t i = 0; i < t->history.n; i++) {
        const TrainRecord *r = &t->history.at[i];
        str_fmt(out, "{\"epoch\": %lld, \"step\": %lld, \"examples\": %lld, \"seconds\": %.3f, \"examples_per_second\": %.1f",
                (long long)r->epoch, (long long)r->step, (long long)r->examples, r->seconds, r->rate);
        for (uint32_t k = 0; k < t->metrics.n; k++) {
            str_add(out, ", ");
            str_json(out, t->metrics.at[k].name, strlen(t->metrics.at[k].name));
            str_add(out, ": ");
            put_value(out, r->value[k], "null");
        }
        str_fmt(out, ", \"best\": %s}\n", r->best ? "true" : "false");
    }
}

void train_number(Str *out, double v)
{
    double size = fabs(v);
    if (!isfinite(v)) str_add(out, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
    else if (v == floor(v) && size < 1e6) str_fmt(out, "%.0f", v);
    else if (size >= 1e5 || size < 1e-4) str_fmt(out, "%.3e", v);
    else str_fmt(out, "%.*f", size < 10 ? 4 : size < 100 ? 3 : size < 1000 ? 2 : 1, v);
}

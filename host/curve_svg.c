/* curve_svg.c - the curves of a training history, as charts; and charts as SVG, to be read as they are or in a browser. */
#include "host/train.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- from a history to charts ----------------------------------------------------------------------------------------------- */

/* The values of metric k; x is the epoch, or the step where periods are counted in steps. */
static Curve metric_curve(Arena *a, const Train *t, uint32_t k)
{
    double *x = arena_array(a, double, t->history.n + 1), *y = arena_array(a, double, t->history.n + 1);
    for (uint32_t i = 0; i < t->history.n; i++) {
        const TrainRecord *r = &t->history.at[i];
        x[i] = (double)(t->o.every ? r->step : r->epoch);
        y[i] = r->value[k];
    }
    return (Curve){t->metrics.at[k].validation ? "validation" : "training", t->history.n, x, y};
}

static const char *plain_name(const TrainMetric *m) { return m->validation ? m->name + 4 : m->name; }

uint32_t train_charts(Arena *a, const Train *t, Chart **charts)
{
    uint32_t n = 0;
    *charts = arena_array(a, Chart, t->metrics.n + 1);
    for (uint32_t i = 0; i < t->metrics.n; i++) {
        const char *name = plain_name(&t->metrics.at[i]);
        uint32_t c = 0;
        while (c < n && strcmp((*charts)[c].y_label, name)) c++;
        Chart *chart = &(*charts)[c];
        Curve *curves = arena_array(a, Curve, chart->n + 1);
        if (chart->n) memcpy(curves, chart->curve, chart->n * sizeof *curves);
        curves[chart->n] = metric_curve(a, t, i);
        *chart = (Chart){name, t->o.every ? "step" : "epoch", name, curves, chart->n + 1};
        if (c == n) n++;
    }
    return n;
}

/* ---- scales --------------------------------------------------------------------------------------------------------------------- */

uint32_t chart_ticks(double low, double high, uint32_t cap, double *tick)
{
    if (!(high > low) || !isfinite(high - low) || cap < 2) return 0;
    double rough = (high - low) / (cap - 1), unit = pow(10, floor(log10(rough)));
    double step = rough <= unit ? unit : rough <= 2 * unit ? 2 * unit : rough <= 5 * unit ? 5 * unit : 10 * unit;
    uint32_t n = 0;
    if (!isnormal(step)) return 0;
    for (double i = ceil(low / step - 1e-9); n < cap && i * step <= high + 1e-9 * step; i++) tick[n++] = i * step;
    return n;
}

/* The range of all curves; never empty. x: of their x. */
static void range(const Chart *c, bool x, double *low, double *high)
{
    *low = DBL_MAX;
    *high = -DBL_MAX;
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->curve[i].n; k++) {
            double v = x ? c->curve[i].x[k] : c->curve[i].y[k];
            if (!isfinite(v)) continue;
            if (v < *low) *low = v;
            if (v > *high) *high = v;
        }
    if (*low > *high) *low = 0, *high = 1;
    if (*low == *high) {
        double room = x || *low == 0 ? 1 : fabs(*low) * 0.1;
        if (!x) *low -= room;
        *high += room;
    }
    if (!isfinite(*high - *low)) *low = -1, *high = 1;
}

/* ---- SVG ------------------------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 640, HEIGHT = 300, LEFT = 76, RIGHT = 16, TOP = 36, BOTTOM = 48 };

static void put_escaped(Str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') str_add(out, "&lt;");
        else if (*text == '&') str_add(out, "&amp;");
        else if (*text == '"') str_add(out, "&quot;");
        else str_char(out, *text);
    }
}

static void put_text(Str *out, double x, double y, const char *attributes, const char *text)
{
    str_fmt(out, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, attributes);
    put_escaped(out, text);
    str_add(out, "</text>\n");
}

/* Where v lies between two values, as so much of `size`. */
static double place(double v, const double range[2], double size)
{
    double at = (v - range[0]) / (range[1] - range[0]);
    return (at > 1 ? 1 : at > 0 ? at : 0) * size;
}

static void put_axes(Str *out, const Chart *c, const double x[2], const double y[2], int top)
{
    double tick[10];
    const double bottom = top + HEIGHT - BOTTOM, right = WIDTH - RIGHT;
    uint32_t n = chart_ticks(y[0], y[1], 6, tick);
    for (uint32_t i = 0; i < n; i++) {
        double at = bottom - place(tick[i], y, HEIGHT - TOP - BOTTOM);
        Str label = {.arena = out->arena};
        str_fmt(&label, "%.6g", fabs(tick[i]) < 1e-12 * (y[1] - y[0]) ? 0 : tick[i]);
        str_fmt(out, "<line class=\"grid\" x1=\"%d\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT, right, at, at);
        put_text(out, LEFT - 8, at + 4, " text-anchor=\"end\"", label.at);
    }
    n = chart_ticks(x[0], x[1], 9, tick);
    for (uint32_t i = 0; i < n; i++) {
        double at = LEFT + place(tick[i], x, right - LEFT);
        Str label = {.arena = out->arena};
        if (tick[i] != floor(tick[i])) continue;        /* there is no half epoch */
        str_fmt(&label, "%.9g", tick[i]);
        str_fmt(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>\n", at, at, bottom, bottom + 5);
        put_text(out, at, bottom + 18, " text-anchor=\"middle\"", label.at);
    }
    str_fmt(out, "<path class=\"axis\" d=\"M%d %d V%.0f H%.0f\"/>\n", LEFT, top + TOP, bottom, right);
    put_text(out, (LEFT + right) / 2, bottom + 38, " text-anchor=\"middle\"", c->x_label);
    const char *turned = arena_printf(out->arena, " text-anchor=\"middle\" transform=\"rotate(-90 18 %.1f)\"", (top + TOP + bottom) / 2);
    put_text(out, 18, (top + TOP + bottom) / 2, turned, c->y_label);
}

static void put_curve(Str *out, const Curve *c, const double x[2], const double y[2], int top, const char *colour)
{
    const double bottom = top + HEIGHT - BOTTOM, width = WIDTH - RIGHT - LEFT, height = HEIGHT - TOP - BOTTOM;
    bool open = false;
    str_fmt(out, "<path class=\"curve\" stroke=\"%s\" d=\"", colour);
    for (uint32_t i = 0; i < c->n; i++) {
        bool ok = isfinite(c->y[i]);
        if (ok) str_fmt(out, "%c%.1f %.1f", open ? 'L' : 'M', LEFT + place(c->x[i], x, width), bottom - place(c->y[i], y, height));
        open = ok;
    }
    str_add(out, "\"/>\n");
    for (uint32_t i = 0; i < c->n && c->n <= 50; i++)
        if (isfinite(c->y[i]))
            str_fmt(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", LEFT + place(c->x[i], x, width),
                    bottom - place(c->y[i], y, height), colour);
}

void charts_svg(Str *out, const Chart *chart, uint32_t n)
{
    static const char *const colour[] = {"#2f6db3", "#d2691e", "#3c8c40", "#8e44ad"};
    str_fmt(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d %u\">\n", WIDTH, HEIGHT * n, WIDTH,
            HEIGHT * n);
    str_add(out, "<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.axis{stroke:#333;fill:none}"
                 ".curve{fill:none;stroke-width:1.8;stroke-linejoin:round}.title{font-weight:bold}</style>\n"
                 "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    for (uint32_t i = 0; i < n; i++) {
        const Chart *c = &chart[i];
        int top = (int)i * HEIGHT;
        double x[2], y[2];
        range(c, true, &x[0], &x[1]);
        range(c, false, &y[0], &y[1]);
        put_axes(out, c, x, y, top);
        put_text(out, LEFT, top + 22, " class=\"title\"", c->title);
        for (uint32_t k = 0; k < c->n; k++) {
            const char *hue = colour[k % COUNT(colour)];
            double at = WIDTH - RIGHT - 100.0 * (c->n - k);
            put_curve(out, &c->curve[k], x, y, top, hue);
            str_fmt(out, "<line x1=\"%.0f\" x2=\"%.0f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"3\"/>\n", at, at + 18, top + 18, top + 18, hue);
            put_text(out, at + 24, top + 22, "", c->curve[k].name);
        }
    }
    str_add(out, "</svg>\n");
}

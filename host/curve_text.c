/* curve_text.c - a chart of characters for a terminal. The first curve is a line: of braille dots, 2 by 4 a character, or of
 * '*' where only ASCII will do; the other ones are marks at their points. */
#include "host/train.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 200, MAX_HEIGHT = 60, LABEL = 9 };

typedef struct Canvas {
    int     width, height;              /* in characters */
    bool    braille;
    double  x0, x1, y0, y1;
    uint8_t dots[MAX_HEIGHT][MAX_WIDTH];        /* a bit a dot, as Unicode numbers them */
    char    mark[MAX_HEIGHT][MAX_WIDTH];
} Canvas;

/* Dots of a character: across and down. */
static int across(const Canvas *v) { return v->braille ? 2 : 1; }
static int down(const Canvas *v) { return v->braille ? 4 : 1; }

static int to_dot(double v, double low, double high, int dots)
{
    double at = (v - low) / (high - low);
    return (int)lround((at > 1 ? 1 : at > 0 ? at : 0) * (dots - 1));
}

static int dot_x(const Canvas *v, double x) { return to_dot(x, v->x0, v->x1, v->width * across(v)); }
static int dot_y(const Canvas *v, double y)
{
    int dots = v->height * down(v);
    return dots - 1 - to_dot(y, v->y0, v->y1, dots);
}

static void set_dot(Canvas *v, int x, int y)
{
    static const uint8_t bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (v->braille) v->dots[y / 4][x / 2] |= bit[y % 4][x % 2];
    else v->mark[y][x] = '*';
}

static void draw_line(Canvas *v, const Curve *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (!isfinite(c->y[i])) continue;
        int x = dot_x(v, c->x[i]), y = dot_y(v, c->y[i]);
        set_dot(v, x, y);
        if (i + 1 >= c->n || !isfinite(c->y[i + 1])) continue;
        int to_x = dot_x(v, c->x[i + 1]), to_y = dot_y(v, c->y[i + 1]);
        int steps = abs(to_x - x) > abs(to_y - y) ? abs(to_x - x) : abs(to_y - y);
        for (int k = 1; k <= steps; k++)
            set_dot(v, x + (int)lround((double)(to_x - x) * k / steps), y + (int)lround((double)(to_y - y) * k / steps));
    }
}

static void draw_marks(Canvas *v, const Curve *c, char mark)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (isfinite(c->y[i])) v->mark[dot_y(v, c->y[i]) / down(v)][dot_x(v, c->x[i]) / across(v)] = mark;
}

static void find_range(Canvas *v, const Chart *c)
{
    v->x0 = v->y0 = DBL_MAX;
    v->x1 = v->y1 = -DBL_MAX;
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->curve[i].n; k++) {
            double x = c->curve[i].x[k], y = c->curve[i].y[k];
            if (!isfinite(y)) continue;
            v->x0 = fmin(v->x0, x), v->x1 = fmax(v->x1, x);
            v->y0 = fmin(v->y0, y), v->y1 = fmax(v->y1, y);
        }
    if (v->x0 > v->x1) v->x0 = v->y0 = 0, v->x1 = v->y1 = 1;
    if (v->x0 == v->x1) v->x1 += 1;
    if (v->y0 == v->y1) v->y1 += v->y1 ? fabs(v->y1) * 0.1 : 1;
    if (!isfinite(v->y1 - v->y0)) v->y0 = -1, v->y1 = 1;
}

/* U+2800 and the dots, in UTF-8. */
static void put_braille(Str *out, uint8_t dots)
{
    str_char(out, (char)0xe2);
    str_char(out, (char)(0xa0 | dots >> 6));
    str_char(out, (char)(0x80 | (dots & 0x3f)));
}

static void put_row(Str *out, const Canvas *v, int row)
{
    Str label = {.arena = out->arena};
    str_add(&label, "");
    bool labelled = row == 0 || row == v->height - 1 || row == v->height / 2;
    if (labelled) train_number(&label, v->y1 - (v->y1 - v->y0) * row / (v->height - 1));
    str_fmt(out, "%*s %s", LABEL, label.n ? label.at : "", v->braille ? "\u2502" : "|");
    int last = v->width;                                /* no spaces at the end of a line */
    while (last > 0 && !v->mark[row][last - 1] && !v->dots[row][last - 1]) last--;
    for (int x = 0; x < last; x++) {
        if (v->mark[row][x]) str_char(out, v->mark[row][x]);
        else if (v->dots[row][x]) put_braille(out, v->dots[row][x]);
        else str_char(out, ' ');
    }
    str_char(out, '\n');
}

void chart_text(Str *out, const Chart *c, int width, int height, bool braille)
{
    Canvas *v = arena_new(out->arena, Canvas);
    static const char marks[] = {0, 'o', 'x', '+'};
    *v = (Canvas){.width = width < 20 ? 20 : width > MAX_WIDTH ? MAX_WIDTH : width,
                  .height = height < 3 ? 3 : height > MAX_HEIGHT ? MAX_HEIGHT : height, .braille = braille};
    find_range(v, c);
    for (uint32_t i = 0; i < c->n; i++) {
        if (i == 0) draw_line(v, &c->curve[i]);
        else draw_marks(v, &c->curve[i], marks[1 + (i - 1) % 3]);
    }
    str_fmt(out, "%*s ", LABEL, "");
    str_fmt(out, " %s", c->title);
    for (uint32_t i = 0; i < c->n; i++) {
        str_add(out, i ? ",  " : ":  ");
        if (i) str_char(out, marks[1 + (i - 1) % 3]);
        else str_add(out, braille ? "\u2812" : "*");
        str_fmt(out, " %s", c->curve[i].name);
    }
    str_char(out, '\n');
    for (int row = 0; row < v->height; row++) put_row(out, v, row);
    str_fmt(out, "%*s %s", LABEL, "", braille ? "\u2514" : "+");
    for (int x = 0; x < v->width; x++) str_add(out, braille ? "\u2500" : "-");
    char low[32], high[64];
    snprintf(low, sizeof low, "%.9g", v->x0);
    snprintf(high, sizeof high, "%s %.9g", c->x_label, v->x1);
    str_fmt(out, "\n%*s  %s%*s\n", LABEL, "", low, v->width - (int)strlen(low), high);
}

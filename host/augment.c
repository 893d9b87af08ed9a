/* augment.c - images changed by chance: flipped, cropped out of a padded one, rotated, with a square cut out; and examples
 * mixed in pairs (mix-up: Zhang, Cisse, Dauphin, Lopez-Paz 2018). All chance comes from the seed, the epoch and the
 * example's number, so that one is changed in the same way whatever its batch is. The images of one example (a picture
 * and its mask) are moved alike.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/dataset_internal.h"

typedef struct Rule {
    const char *input;                  /* NULL: every input that holds images */
    bool        flip;                   /* left and right, with probability 1/2 */
    int64_t     crop, cutout;           /* pixels: zeros put around before cropping; side of the square */
    double      rotate, mixup;          /* degrees to either side; both parameters of the beta distribution */
} Rule;

struct Augment {
    Rule   *rule;                       /* one an input; none does anything to those that hold no images */
    double  mixup;
};

/* Numbers of the draws of one example. */
enum { PLACE_FLIP, PLACE_DOWN, PLACE_ACROSS, PLACE_ANGLE, PLACE_CUT_Y, PLACE_CUT_X, PLACE_PARTNER, PLACES = 16 };

/* ---- "[NAME:]flip,crop=4,..." ----------------------------------------------------------------------------------------------------- */

static bool whole(const char *text, int64_t *v)
{
    char *end;
    *v = strtoll(text, &end, 10);
    return end != text && !*end && *v > 0 && *v <= 1 << 14;
}

static bool real(const char *text, double most, double *v)
{
    char *end;
    *v = strtod(text, &end);
    return end != text && !*end && *v > 0 && *v <= most;
}

static bool parse_part(Arena *a, const char *all, const char *part, Rule *r, const char **error)
{
    static const char *const names[] = {"flip", "crop", "rotate", "cutout", "mixup"};
    const char *equals = strchr(part, '='), *value = equals ? equals + 1 : "";
    const char *name = arena_strndup(a, part, equals ? (size_t)(equals - part) : strlen(part));
    bool ok;
    if (!strcmp(name, "flip")) ok = r->flip = !equals;
    else if (!strcmp(name, "crop")) ok = whole(value, &r->crop);
    else if (!strcmp(name, "rotate")) ok = real(value, 180, &r->rotate);
    else if (!strcmp(name, "cutout")) ok = whole(value, &r->cutout);
    else if (!strcmp(name, "mixup")) ok = real(value, 100, &r->mixup);
    else {
        const char *near = nearest(name, names, COUNT(names));
        return near ? data_fail(a, error, "--augment %s: no '%s'; did you mean '%s'?", all, name, near)
                    : data_fail(a, error, "--augment %s: no '%s'; there are flip, crop=PIXELS, rotate=DEGREES, cutout=PIXELS, mixup=ALPHA", all, name);
    }
    return ok || data_fail(a, error, "--augment %s: '%s' is not flip, crop=PIXELS, rotate=DEGREES (to 180), cutout=PIXELS or mixup=ALPHA (to 100)", all, part);
}

static bool parse_rule(Arena *a, const char *text, Rule *r, const char **error)
{
    const char *colon = strchr(text, ':'), *p = colon ? colon + 1 : text;
    *r = (Rule){.input = colon ? arena_strndup(a, text, (size_t)(colon - text)) : NULL};
    while (true) {
        size_t n = strcspn(p, ",");
        if (!parse_part(a, text, arena_strndup(a, p, n), r, error)) return false;
        if (!p[n]) return true;
        p += n + 1;
    }
}

static bool apply_rule(Dataset *d, Augment *augment, const char *text, const Rule *r, const char **error)
{
    bool any = false, named = false;
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        if (r->input && strcmp(r->input, in->name)) continue;
        named = true;
        if (!in->batched || !in->image) continue;
        augment->rule[i] = *r;
        any = true;
    }
    if (!named) return data_fail(d->arena, error, "--augment %s: no argument '%s'", text, r->input);
    bool geometry = r->flip || r->crop || r->rotate > 0 || r->cutout;
    if (!any && geometry)
        return data_fail(d->arena, error, "--augment %s: %s images, which are [B,H,W] or [B,C,H,W]", text, r->input ? "the argument takes no" : "no argument takes");
    for (uint32_t i = 0; i < d->ninputs && r->mixup > 0; i++)
        if (d->input[i].batched && d->input[i].dtype >= DLC_I64 && !d->input[i].image)
            return data_fail(d->arena, error, "--augment %s: mixup mixes targets too, and '%s' is of integers; a float target takes them as vectors: %s=FILE,onehot",
                             text, d->input[i].name, d->input[i].name);
    if (r->mixup > 0) augment->mixup = r->mixup;
    return true;
}

Augment *augment_parse(Dataset *d, const char *const *text, uint32_t n, const char **error)
{
    Augment *augment = arena_new(d->arena, Augment);
    augment->rule = arena_array(d->arena, Rule, d->ninputs);
    if (d->windows) return data_fail(d->arena, error, "--augment %s: text is not augmented", text[0]), NULL;
    for (uint32_t i = 0; i < n; i++) {
        Rule r;
        if (!parse_rule(d->arena, text[i], &r, error) || !apply_rule(d, augment, text[i], &r, error)) return NULL;
    }
    return augment;
}

/* ---- images: (channels, height, width) ------------------------------------------------------------------------------------------------ */

typedef struct Planes {
    double *at;
    int64_t channels, height, width;
} Planes;

static void flip(const Planes *p)
{
    for (int64_t row = 0; row < p->channels * p->height; row++) {
        double *line = p->at + row * p->width;
        for (int64_t x = 0; x < p->width / 2; x++) {
            double t = line[x];
            line[x] = line[p->width - 1 - x];
            line[p->width - 1 - x] = t;
        }
    }
}

static double pixel(const double *plane, const Planes *p, int64_t y, int64_t x)
{
    return y < 0 || x < 0 || y >= p->height || x >= p->width ? 0 : plane[y * p->width + x];
}

/* out[y][x] = in at (y, x) turned around the middle, between its four neighbours; zero outside. */
static void rotate(const Planes *p, const double *from, double degrees)
{
    double c = cos(degrees * (3.14159265358979323846 / 180)), s = sin(degrees * (3.14159265358979323846 / 180));
    double my = (double)(p->height - 1) / 2, mx = (double)(p->width - 1) / 2;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            double dy = (double)y - my, dx = (double)x - mx, sy = my + c * dy - s * dx, sx = mx + s * dy + c * dx;
            int64_t y0 = (int64_t)floor(sy), x0 = (int64_t)floor(sx);
            double fy = sy - (double)y0, fx = sx - (double)x0;
            for (int64_t k = 0; k < p->channels; k++) {
                const double *plane = from + k * p->height * p->width;
                double upper = pixel(plane, p, y0, x0) * (1 - fx) + pixel(plane, p, y0, x0 + 1) * fx;
                double lower = pixel(plane, p, y0 + 1, x0) * (1 - fx) + pixel(plane, p, y0 + 1, x0 + 1) * fx;
                p->at[(k * p->height + y) * p->width + x] = upper * (1 - fy) + lower * fy;
            }
        }
}

/* Padded with zeros and cropped again, which moves it. */
static void move(const Planes *p, const double *from, int64_t down, int64_t across)
{
    for (int64_t k = 0; k < p->channels; k++)
        for (int64_t y = 0; y < p->height; y++)
            for (int64_t x = 0; x < p->width; x++)
                p->at[(k * p->height + y) * p->width + x] = pixel(from + k * p->height * p->width, p, y + down, x + across);
}

static void cut_out(const Planes *p, int64_t cy, int64_t cx, int64_t side)
{
    int64_t top = cy - side / 2, left = cx - side / 2;
    for (int64_t k = 0; k < p->channels; k++)
        for (int64_t y = top < 0 ? 0 : top; y < top + side && y < p->height; y++)
            for (int64_t x = left < 0 ? 0 : left; x < left + side && x < p->width; x++) p->at[(k * p->height + y) * p->width + x] = 0;
}

typedef struct Chance {
    uint64_t seed;
    int64_t  epoch, row;
} Chance;

static double unit(const Chance *c, int place)
{
    return draw_unit(DRAW_AUGMENT, c->seed, c->epoch, (uint64_t)c->row * PLACES + (uint64_t)place);
}

/* A whole number in [0, n). */
static int64_t below(const Chance *c, int place, int64_t n)
{
    return draw_below(DRAW_AUGMENT, c->seed, c->epoch, (uint64_t)c->row * PLACES + (uint64_t)place, n);
}

static void change(Arena *scratch, const Input *in, const Rule *r, const Chance *c, double *v)
{
    Planes p = {v, in->rank == 3 ? in->dim[0] : 1, in->dim[in->rank - 2], in->dim[in->rank - 1]};
    size_t bytes = (size_t)in->elements * sizeof *v;
    if (r->flip && unit(c, PLACE_FLIP) < 0.5) flip(&p);
    if (r->rotate > 0) rotate(&p, arena_copy(scratch, v, bytes), (2 * unit(c, PLACE_ANGLE) - 1) * r->rotate);
    if (r->crop) {
        int64_t down = below(c, PLACE_DOWN, 2 * r->crop + 1) - r->crop, across = below(c, PLACE_ACROSS, 2 * r->crop + 1) - r->crop;
        move(&p, arena_copy(scratch, v, bytes), down, across);
    }
    if (r->cutout) cut_out(&p, below(c, PLACE_CUT_Y, p.height), below(c, PLACE_CUT_X, p.width), r->cutout);
}

/* ---- mix-up -------------------------------------------------------------------------------------------------------------------------------- */

/* As many draws as it takes, apart from those above. */
static double next_unit(const Chance *c, uint64_t *i)
{
    return draw_unit(DRAW_AUGMENT, c->seed, c->epoch, UINT64_C(1) << 62 | (uint64_t)c->row << 12 | (*i)++);
}

/* Marsaglia, Tsang: A simple method for generating gamma variables. 2000. Shape a, scale 1. */
static double gamma_draw(const Chance *c, double a, uint64_t *i)
{
    double boost = a < 1 ? pow(1 - next_unit(c, i), 1 / a) : 1, d = (a < 1 ? a + 1 : a) - 1.0 / 3, k = 1 / sqrt(9 * d);
    while (*i < 4000) {
        double radius = sqrt(-2 * log(1 - next_unit(c, i))), angle = 6.28318530717958647692 * next_unit(c, i);
        double normal = radius * cos(angle), v = 1 + k * normal, u = 1 - next_unit(c, i);
        v = v * v * v;
        if (v > 0 && log(u) < 0.5 * normal * normal + d - d * v + d * log(v)) return boost * d * v;
    }
    return boost * d;                   /* not seen to happen: each turn succeeds with probability over 0.95 */
}

static double mix_share(const Chance *c, double alpha)
{
    uint64_t i = 0;
    double x = gamma_draw(c, alpha, &i), y = gamma_draw(c, alpha, &i), share = x + y > 0 ? x / (x + y) : 1;
    return share < 0.5 ? 1 - share : share;             /* the example itself weighs more than its partner */
}

/* ---- an example ------------------------------------------------------------------------------------------------------------------------------ */

/* Example c->row into half `half` of the work of the inputs that are changed. */
static bool changed(Arena *scratch, const Dataset *d, const Chance *c, bool all, int half, double *const *work, const char **error)
{
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        if (!in->batched || (!all && !in->image)) continue;
        double *v = work[i] + half * in->elements;
        if (!input_doubles(scratch, in, c->row, v, error)) return false;
        if (in->image && in->elements) change(scratch, in, &d->augment->rule[i], c, v);
    }
    return true;
}

bool augment_example(Arena *scratch, const Dataset *d, uint64_t seed, int64_t epoch, int64_t row, double *const *work, void *const *to,
                     const char **error)
{
    Chance c = {seed, epoch, row};
    bool mixes = d->augment->mixup > 0;
    if (!changed(scratch, d, &c, mixes, 0, work, error)) return false;
    if (mixes) {
        double share = mix_share(&c, d->augment->mixup);
        Chance partner = {seed, epoch, d->row[below(&c, PLACE_PARTNER, d->count)]};
        if (!changed(scratch, d, &partner, true, 1, work, error)) return false;
        for (uint32_t i = 0; i < d->ninputs; i++)
            for (int64_t k = 0, n = d->input[i].batched ? d->input[i].elements : 0; k < n; k++)
                work[i][k] = share * work[i][k] + (1 - share) * work[i][n + k];
    }
    for (uint32_t i = 0; i < d->ninputs; i++) {
        const Input *in = &d->input[i];
        if (!in->batched) continue;
        if (mixes || in->image) store_doubles(in->dtype, work[i], in->elements, to[i]);
        else if (!input_write(scratch, in, row, to[i], error)) return false;
    }
    return true;
}

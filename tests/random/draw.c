/* draw.c - random numbers and the values of arguments. */
#include "tests/random/random.h"

#include <math.h>
#include <stdlib.h>

uint32_t draw_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

typedef struct Values { const Func *f; const int64_t *dims; } Values;

static bool look_up(void *user, const Atom *sym, int64_t *v)
{
    const Values *u = user;
    for (uint32_t i = 0; i < u->f->dims.n; i++)
        if (dim_as_sym(u->f->dims.at[i]) == sym) return *v = u->dims[i], true;
    return false;
}

bool dims_value(const Func *f, const int64_t *dims, Dim *d, int64_t *v) { return dim_value(d, look_up, &(Values){f, dims}, v); }

/* Each argument has numbers of its own, so that taking one away leaves the others as they are. */
static uint64_t seed_of(uint64_t data, const char *name)
{
    uint64_t h = data * 0x9E3779B97F4A7C15u + 0xCBF29CE484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h;
}

Tensor draw_tensor(Arena *a, const RandomProgram *p, const int64_t *dims, const Arg *arg)
{
    Type *t = arg->node->type;
    const char *name = arg->param ? arg->param->path : arg->name;
    Tensor x = {.dtype = t->dtype, .rank = t->rank};
    for (uint32_t i = 0; i < t->rank; i++)
        if (!dims_value(arg->node->func, dims, t->dim[i], &x.dim[i])) abort();
    int64_t n = tensor_count(&x);
    x.data = arena_alloc(a, (size_t)(n + 1) * dtype_size(t->dtype));
    uint64_t seed = seed_of(p->data, name);
    bool index = name[0] == 'i' && name[1] == 'd' && name[2] == 's';
    for (int64_t i = 0; i < n; i++) {
        double u = draw_below(&seed, 1 << 24) / (double)(1 << 24);
        if (index) tensor_set(&x, i, floor(3 * u));
        else if (t->dtype == DT_bool) tensor_set(&x, i, u < 0.5);
        else if (t->dtype == DT_u8) tensor_set(&x, i, floor(5 * u));
        else if (p->exact || !dtype_is_float(t->dtype)) tensor_set(&x, i, floor(9 * u) - 4);
        else tensor_set(&x, i, 2 * u - 1);
    }
    return x;
}

void draw_inputs(Arena *a, const RandomProgram *p, const int64_t *dims, Tensor *inputs)
{
    const Func *f = p->m->funcs.at[0];
    for (uint32_t i = 0; i < f->args.n; i++) inputs[i] = draw_tensor(a, p, dims, &f->args.at[i]);
}

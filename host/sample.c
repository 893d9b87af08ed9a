/* sample.c - choosing a token: the likeliest, or drawn with temperature from the k likeliest or the nucleus (Holtzman et al.
 * 2019). The draws are those of the seed, the same everywhere. */
#include "host/sample.h"

#include <math.h>
#include <stdlib.h>

typedef struct Choice { float logit; int32_t id; } Choice;

struct Sampler {
    SampleOptions o;
    int32_t  n;
    uint64_t state;
    Choice  *choice;
    double  *weight;
};

Sampler *sampler_new(Arena *a, const SampleOptions *o, int32_t n)
{
    Sampler *s = arena_new(a, Sampler);
    *s = (Sampler){.o = *o, .n = n, .state = o->seed};
    s->choice = arena_array(a, Choice, (size_t)n + 1);
    s->weight = arena_array(a, double, (size_t)n + 1);
    return s;
}

/* SplitMix64 (Steele et al. 2014): 53 bits as a number in [0, 1). */
static double uniform(Sampler *s)
{
    uint64_t x = s->state += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

static int likelier_first(const void *x, const void *y)
{
    const Choice *a = x, *b = y;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

int32_t sampler_next(Sampler *s, const float *logits)
{
    int32_t best = -1, left = s->n;
    for (int32_t i = 0; i < s->n; i++) {
        if (isnan(logits[i])) return -1;
        if (best < 0 || logits[i] > logits[best]) best = i;
    }
    if (best < 0 || logits[best] == -INFINITY) return -1;
    double greatest = logits[best], sum = 0, reached = 0;
    if (s->o.temperature == 0) return best;
    if (greatest == INFINITY) return best;
    for (int32_t i = 0; i < s->n; i++) s->choice[i] = (Choice){logits[i], i};
    bool cut = (s->o.top_k > 0 && s->o.top_k < left) || s->o.top_p < 1;
    if (cut) qsort(s->choice, (size_t)left, sizeof *s->choice, likelier_first);
    if (s->o.top_k > 0 && s->o.top_k < left) left = (int32_t)s->o.top_k;
    for (int32_t i = 0; i < left; i++) sum += s->weight[i] = exp((s->choice[i].logit - greatest) / s->o.temperature);
    if (s->o.top_p < 1) {
        int32_t kept = 0;
        while (kept < left && (!kept || reached < s->o.top_p * sum)) reached += s->weight[kept++];
        left = kept, sum = reached;
    }
    double at = uniform(s) * sum;
    for (int32_t i = 0; i < left; i++) {
        at -= s->weight[i];
        if (at < 0) return s->choice[i].id;
    }
    while (left > 1 && s->weight[left - 1] == 0) left--;        /* rounding used all of it up */
    return s->choice[left - 1].id;
}

/* sample.h - choosing a token from logits. */
#ifndef DLC_SAMPLE_H
#define DLC_SAMPLE_H

#include "base/base.h"

typedef struct SampleOptions {
    double   temperature;               /* 0: always the likeliest token, of equal ones the lowest */
    int64_t  top_k;                     /* among so many likeliest; 0: all */
    double   top_p;                     /* among the likeliest whose probabilities reach this sum; 1: all */
    uint64_t seed;
} SampleOptions;

typedef struct Sampler Sampler;
Sampler *sampler_new(Arena *a, const SampleOptions *o, int32_t n);      /* n: tokens */
/* -1: a logit is not a number, or all are -inf. */
int32_t  sampler_next(Sampler *s, const float *logits);

#endif

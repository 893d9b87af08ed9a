/* toy_model.h - a model by hand, as artefact_tables.c would write it, with kernels in C: for tests of the runtime alone.
 *
 *   param w: f32[2] = [seed, seed + 1]       state s: f32[2] = w         param bias: f32[3] (to be loaded)
 *   export fn scale(x: f32[B, T], ids: i32[B]) -> (y: f32[B, T]) with T <= 8     y = (x * w[0] + ids) through a work buffer
 *   export fn add_bias(x: f32[3]) -> (y: f32[3])                                 y = x + bias
 *   export fn push(v: f32, ids: i32[B])                                          s := s + v, unless an id is not in 0..4
 */
#ifndef TOY_MODEL_H
#define TOY_MODEL_H

#include "runtime/internal.h"

enum { TOY_scale, TOY_add_bias, TOY_push, TOY_init };
enum { TOY_w, TOY_s, TOY_bias };

/* tmp = x * w[0] */
static void toy_multiply(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const float *x = (const float *)(void *)e->buf[0], *w = (const float *)(void *)e->buf[1];
    float *tmp = (float *)(void *)e->buf[2];
    ((char *)scratch)[63] = 1;
    for (int64_t i = lo; i < hi; i++) tmp[i] = x[i] * w[0];
}

/* y = tmp + ids[row]; symbols: T */
static void toy_add(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const float *tmp = (const float *)(void *)e->buf[0];
    const int32_t *ids = (const int32_t *)(void *)e->buf[1];
    float *y = (float *)(void *)e->buf[2];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++) y[i] = tmp[i] + (float)ids[i / e->dim[0]];
}

static void toy_bias(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const float *x = (const float *)(void *)e->buf[0], *b = (const float *)(void *)e->buf[1];
    float *y = (float *)(void *)e->buf[2];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++) y[i] = x[i] + b[i];
}

/* A check of its own, as of an index that was computed: fault site 0. */
static void toy_check(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const int32_t *ids = (const int32_t *)(void *)e->buf[0];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++)
        if (ids[i] < 0 || ids[i] > 4) *e->fault = 1;
}

static void toy_push(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const float *s = (const float *)(void *)e->buf[0], *v = (const float *)(void *)e->buf[1];
    float *to = (float *)(void *)e->buf[2];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++) to[i] = s[i] + v[0];
}

static void toy_init_w(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    int64_t seed = *(const int64_t *)(void *)e->buf[0];
    float *w = (float *)(void *)e->buf[1];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++) w[i] = (float)(seed + i);
}

static void toy_copy(const RtEnv *e, int64_t lo, int64_t hi, void *scratch)
{
    const float *from = (const float *)(void *)e->buf[0];
    float *to = (float *)(void *)e->buf[1];
    (void)scratch;
    for (int64_t i = lo; i < hi; i++) to[i] = from[i];
}

static const char *const toy_dims[] = {"B", "T"};
/* Polynomials of all functions: 0 B, 1 T, 2 B*T, 3 8, 4 1000, 5 2, 6 3, 7 0, 8 64, 9 B*T*T*1000000, 10 5, 11 1, 12 B*T*50 */
static const uint32_t toy_poly[] = {0, 3, 6, 12, 15, 18, 21, 24, 27, 30, 45, 48, 51};
static const int64_t toy_code[] = {
    RT_SYM, 0, RT_END, RT_SYM, 1, RT_END, RT_SYM, 0, RT_SYM, 1, RT_MUL, RT_END, RT_CONST, 8, RT_END, RT_CONST, 1000, RT_END,
    RT_CONST, 2, RT_END, RT_CONST, 3, RT_END, RT_CONST, 0, RT_END, RT_CONST, 64, RT_END,
    RT_SYM, 0, RT_SYM, 1, RT_MUL, RT_SYM, 1, RT_MUL, RT_CONST, 1000000, RT_MUL, RT_CONST, 0, RT_ADD, RT_END,
    RT_CONST, 5, RT_END, RT_CONST, 1, RT_END, RT_SYM, 0, RT_SYM, 1, RT_MUL, RT_CONST, 50, RT_MUL, RT_END,
};
/* For functions without dims, and with B alone. */
static const uint32_t toy_poly_none[] = {24, 24, 24, 12, 15, 18, 21, 24, 27, 24, 45, 48, 24};
static const uint32_t toy_poly_b[] = {0, 24, 24, 12, 15, 18, 21, 24, 27, 24, 45, 48, 24};
enum { TOY_B, TOY_T, TOY_BT, TOY_8, TOY_1000, TOY_2, TOY_3, TOY_0, TOY_64, TOY_HUGE, TOY_5, TOY_1, TOY_WORK, TOY_POLYS };

#define TOY_LIST(...) (const uint32_t[]){__VA_ARGS__}

static const RtTensor toy_scale_in[] = {
    {"x", RT_f32, 2, TOY_LIST(TOY_B, TOY_T), -1, UINT32_MAX, 0},
    {"ids", RT_i32, 1, TOY_LIST(TOY_B), -1, TOY_5, 0},
};
static const RtTensor toy_scale_out[] = {{"y", RT_f32, 2, TOY_LIST(TOY_B, TOY_T), -1, UINT32_MAX, 0}};
static const RtBuffer toy_scale_buf[] = {
    {RT_BUF_INPUT, 0, RT_f32, TOY_BT, NULL, -1, 0, 0, UINT32_MAX},  {RT_BUF_INPUT, 1, RT_i32, TOY_B, NULL, -1, 0, 0, UINT32_MAX},
    {RT_BUF_PARAM, TOY_w, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_WORK, 0, RT_f32, TOY_BT, NULL, -1, 0, 1, UINT32_MAX},
    {RT_BUF_OUTPUT, 0, RT_f32, TOY_BT, NULL, -1, 0, 0, UINT32_MAX},
};
static const RtStep toy_scale_step[] = {
    {toy_multiply, NULL, RT_STEP_KERNEL, 3, 0, 4, 0, TOY_BT, TOY_WORK, TOY_64},
    {toy_add, NULL, RT_STEP_KERNEL, 3, 1, 1, 3, TOY_BT, TOY_WORK, TOY_0},
};
static const RtRequire toy_scale_require[] = {{RT_LE, TOY_T, TOY_8, "T <= 8", "toy.dl:7"}};

static const RtTensor toy_bias_in[] = {{"x", RT_f32, 1, TOY_LIST(TOY_3), -1, UINT32_MAX, 0}};
static const RtTensor toy_bias_out[] = {{"y", RT_f32, 1, TOY_LIST(TOY_3), -1, UINT32_MAX, 0}};
static const RtBuffer toy_bias_buf[] = {
    {RT_BUF_INPUT, 0, RT_f32, TOY_3, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_PARAM, TOY_bias, RT_f32, TOY_3, NULL, -1, 0, 0, UINT32_MAX},
    {RT_BUF_OUTPUT, 0, RT_f32, TOY_3, NULL, -1, 0, 0, UINT32_MAX},
};
static const RtStep toy_bias_step[] = {
    {toy_bias, NULL, RT_STEP_KERNEL, 3, 0, 1, 0, TOY_3, TOY_3, TOY_0},
};

static const RtTensor toy_push_in[] = {
    {"v", RT_f32, 0, NULL, -1, UINT32_MAX, 0}, {"ids", RT_i32, 1, TOY_LIST(TOY_B), -1, UINT32_MAX, 0},
};
static const RtTensor toy_push_out[] = {{"s", RT_f32, 1, TOY_LIST(TOY_2), TOY_s, UINT32_MAX, 0}};
static const RtBuffer toy_push_buf[] = {
    {RT_BUF_INPUT, 0, RT_f32, TOY_1, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_INPUT, 1, RT_i32, TOY_B, NULL, -1, 0, 0, UINT32_MAX},
    {RT_BUF_PARAM, TOY_s, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_OUTPUT, 0, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX},
};
static const RtStep toy_push_step[] = {
    {toy_check, NULL, RT_STEP_KERNEL, 1, 0, 1, 0, TOY_B, TOY_3, TOY_0},
    {toy_push, NULL, RT_STEP_KERNEL, 3, 0, 1, 1, TOY_2, TOY_3, TOY_0},
};

static const RtTensor toy_init_out[] = {
    {"w", RT_f32, 1, TOY_LIST(TOY_2), TOY_w, UINT32_MAX, 0}, {"s", RT_f32, 1, TOY_LIST(TOY_2), TOY_s, UINT32_MAX, 1},
};
static const RtBuffer toy_init_buf[] = {
    {RT_BUF_SEED, 0, RT_i64, TOY_1, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_OUTPUT, 0, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX},
    {RT_BUF_PARAM, TOY_w, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX}, {RT_BUF_OUTPUT, 1, RT_f32, TOY_2, NULL, -1, 0, 0, UINT32_MAX},
};
static const RtStep toy_init_step[] = {
    {toy_copy, NULL, RT_STEP_KERNEL, 2, 0, 1, 0, TOY_2, TOY_3, TOY_0},
    {toy_init_w, NULL, RT_STEP_KERNEL, 2, 0, 1, 2, TOY_2, TOY_3, TOY_0},
};

#define TOY_TABLES(polys) .npolys = TOY_POLYS, .poly = polys, .code = toy_code, .dim = toy_dims
static const RtFunc toy_func[] = {
    {.name = "scale", .ndims = 2, .ninputs = 2, .noutputs = 1, .nrequires = 1, .nbufs = 5, .nsteps = 2, .input = toy_scale_in,
     .output = toy_scale_out, .require = toy_scale_require, .buf = toy_scale_buf, .step = toy_scale_step, .list = TOY_LIST(0, 2, 3, 3, 1, 4, TOY_T), .work = -1,
     .param = TOY_LIST(TOY_w), .nparams = 1, .commit = 2, .bound = (const int64_t[]){INT64_MAX, 8}, TOY_TABLES(toy_poly)},
    {.name = "add_bias", .ndims = 0, .ninputs = 1, .noutputs = 1, .nbufs = 3, .nsteps = 1, .input = toy_bias_in, .output = toy_bias_out,
     .buf = toy_bias_buf, .step = toy_bias_step, .list = TOY_LIST(0, 1, 2), .work = 0, .param = TOY_LIST(TOY_bias), .nparams = 1, .commit = 1,
     TOY_TABLES(toy_poly_none)},
    {.name = "push", .ndims = 1, .ninputs = 2, .noutputs = 1, .nbufs = 4, .nsteps = 2, .nsites = 1, .input = toy_push_in,
     .output = toy_push_out, .buf = toy_push_buf, .step = toy_push_step, .list = TOY_LIST(1, 2, 0, 3), .site = (const char *const[]){"toy.dl:9: take: index out of range"},
     .work = 0, .param = TOY_LIST(TOY_s), .nparams = 1, .commit = 1, .bound = (const int64_t[]){INT64_MAX}, TOY_TABLES(toy_poly_b)},
    {.name = "init", .ndims = 0, .noutputs = 2, .nbufs = 4, .nsteps = 2, .output = toy_init_out, .buf = toy_init_buf,
     .step = toy_init_step, .list = TOY_LIST(2, 3, 0, 1), .work = 0, .param = TOY_LIST(TOY_w), .nparams = 1, .commit = 0, TOY_TABLES(toy_poly_none)},
};
static const RtParam toy_param[] = {
    {"net.w", RT_f32, 1, 0, 0, 1, (const int64_t[]){2}, (const char *const[]){"tied.w"}},
    {"net.s", RT_f32, 1, 1, 0, 0, (const int64_t[]){2}, NULL},
    {"bias", RT_f32, 1, 0, 1, 0, (const int64_t[]){3}, NULL},
};
static const RtModel toy_model = {
    .abi = RT_ABI, .nfuncs = 4, .nparams = 3, .name = "toy", .target = "generic", .features = "", .func = toy_func,
    .param = toy_param, .init = TOY_init,
};

#endif

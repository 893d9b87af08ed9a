/* blas.c - large linear products through cblas_sgemm or cblas_dgemm, for artefacts compiled with --blas=openblas. The tables
 * of others do not name it, and the linker leaves it out. */
#include "runtime/internal.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
enum { LARGE = 1 << 20, BLOCK_ROWS = 128 };     /* multiply-adds worth a call; rows that meet the epilogue at a time */

typedef void Sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                   float beta, float *c, int ldc);
typedef void Dgemm(int order, int trans_a, int trans_b, int m, int n, int k, double alpha, const double *a, int lda, const double *b, int ldb,
                   double beta, double *c, int ldc);

typedef struct Side { int trans; int64_t ld; } Side;    /* how BLAS is told of an operand's strides */

static bool side(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, Side *s)
{
    if ((col_stride == 1 || cols == 1) && (row_stride >= cols || rows == 1)) *s = (Side){NO_TRANS, row_stride > cols ? row_stride : cols};
    else if ((row_stride == 1 || rows == 1) && (col_stride >= rows || cols == 1)) *s = (Side){TRANS, col_stride > rows ? col_stride : rows};
    else return false;
    return s->ld <= INT32_MAX;
}

static bool suits(const RtContract *c, const RtPlan *p, Side *a, Side *b)
{
    int64_t work;
    if (c->a_operand < 0 || c->b_operand < 0 || c->pack_a || c->pack_b) return false;
    if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || p->k < 1) return false;
    if (!size_mul(p->m, p->n, &work) || !size_mul(work, p->k, &work) || work < LARGE) return false;
    if (c->c_operand >= 0 && (p->c_m > INT32_MAX || p->c_m < p->n)) return false;
    return side(p->m, p->k, p->a_m, p->a_k, a) && side(p->k, p->n, p->b_k, p->b_n, b);
}

static void multiply(const RtContract *c, const RtPlan *p, Side a, Side b, int64_t m, const void *pa, const void *pb, void *pc, int64_t ldc)
{
    if (c->micro->dtype == RT_f32) {
        Sgemm *f = (Sgemm *)(uintptr_t)c->cblas;
        f(ROW_MAJOR, a.trans, b.trans, (int)m, (int)p->n, (int)p->k, 1, pa, (int)a.ld, pb, (int)b.ld, 0, pc, (int)ldc);
    } else {
        Dgemm *f = (Dgemm *)(uintptr_t)c->cblas;
        f(ROW_MAJOR, a.trans, b.trans, (int)m, (int)p->n, (int)p->k, 1, pa, (int)a.ld, pb, (int)b.ld, 0, pc, (int)ldc);
    }
}

/* Bytes of scratch for it, or -1: this product is not one for BLAS. With `e`: do it. */
int64_t dlc_rt_blas(const RtContract *c, const RtPlan *p, const RtEnv *e, void *scratch)
{
    Side a, b;
    int64_t size = rt_dtype_size[c->micro->dtype], bytes = 0;
    if (!suits(c, p, &a, &b)) return -1;
    if (c->c_operand < 0 && (!size_mul(p->n, BLOCK_ROWS, &bytes) || !size_mul(bytes, size, &bytes))) return -1;
    for (int64_t batch = 0; e && batch < p->batch; batch++) {
        int64_t at[3] = {0, 0, 0};
        if (c->at) c->at(e, batch, at);
        const char *pa = e->buf[c->a_operand] + at[0] * size, *pb = e->buf[c->b_operand] + at[1] * size;
        if (c->c_operand >= 0) {
            multiply(c, p, a, b, p->m, pa, pb, e->buf[c->c_operand] + at[2] * size, p->c_m);
            continue;
        }
        for (int64_t row = 0; row < p->m; row += BLOCK_ROWS) {
            int64_t end = p->m - row < BLOCK_ROWS ? p->m : row + BLOCK_ROWS;
            multiply(c, p, a, b, end - row, pa + row * p->a_m * size, pb, scratch, p->n);
            c->epilogue(e, batch, row, end, 0, p->n, scratch, p->n);
        }
    }
    return bytes;
}

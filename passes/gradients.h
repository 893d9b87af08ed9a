/* gradients.h - what autodiff.c asks of a gradient rule, and the small language that rules are written in. Internal to
 * passes/.
 */
#ifndef DLC_GRADIENTS_H
#define DLC_GRADIENTS_H

#include "passes/passes.h"

/* One application of the chain rule: y = op(arg...), dy is the gradient of the loss with respect to y (of y's type; of
 * an op with a tuple type: dy_of[i] for its members, NULL where nothing flows). A rule fills dx[i] for every operand i
 * with wanted[i]; NULL means zero. New nodes carry y's span, so that profiles show the model's line. */
typedef struct Grad {
    Func  *f;
    Node  *y, *dy;
    Node **dy_of;
    Node **dx;
    bool  *wanted;
    const char *error;                  /* set: the operator has no gradient, and why */
} Grad;
typedef void GradRule(Grad *g);

/* The rule of an operator; never NULL. */
GradRule *grad_rule(Op op);

/* Shorthands; operands of the binary ones have one type, or one is a number. */
Node *g_unary(Grad *g, Op op, Node *x);
Node *g_binary(Grad *g, Op op, Node *a, Node *b);
Node *g_number(Grad *g, double v, Type *t);             /* v repeated to a tensor of type t */
Node *g_zeros(Grad *g, Type *t);
Node *g_scale(Grad *g, Node *x, double v);
Node *g_select(Grad *g, Node *condition, Node *a, Node *b);
Node *g_transpose(Grad *g, Node *x, const uint8_t *perm);
Node *g_reshape(Grad *g, Node *x, uint32_t rank, Dim *const *dim);
Node *g_slice(Grad *g, Node *x, Dim *const *start, const int64_t *step, Dim *const *length);
Node *g_pad(Grad *g, Node *x, Dim *const *lo, Dim *const *hi);
/* x along axis i with step[i] - 1 zeros between neighbours: (n - 1) * step + 1 elements. */
Node *g_spread(Grad *g, Node *x, const int64_t *step);
/* A value without the axes in `axes` (a bit an axis of t), repeated along them: of type t. */
Node *g_repeat(Grad *g, Node *x, uint32_t axes, Type *t);
Dim  *g_dim(Grad *g, int64_t v);
/* Zeros of type x with d added at the positions `ids` along an axis: what take_along with these ids is the inverse of. */
Node *g_put_along(Grad *g, Type *x, Node *ids, Node *d, uint32_t axis);

/* gradients_map.c, gradients_view.c, gradients_reduce.c, gradients_contract.c, gradients_custom.c: a rule a name in ops.def's column */
#define OP(name, args, attr, shape, eval, grad, class) GradRule grad_##grad;
#include "ir/ops.def"
#undef OP

#endif

/* index.h - index maps: where the element of a value comes from in its operand. All are Dims over iteration
 * variables; these are the only rules for CPU and GPU alike.
 */
#ifndef DLC_INDEX_H
#define DLC_INDEX_H

#include "ir/ir.h"

/* Row-major element offset of index `at` in a tensor of type t. NULL on overflow. */
Dim *index_linear(Module *m, Type *t, Dim *const *at);
/* Index `at` of a tensor of type `from` as an index of the same elements seen as type `to` (row-major order kept).
 * false on overflow. */
bool index_reshape(Module *m, Type *from, Dim *const *at, Type *to, Dim **out);
/* Index `at` of transpose, broadcast, slice, reverse or reshape node n as an index of its operand. */
bool index_of_operand(Module *m, const Node *n, Dim *const *at, Dim **out);
/* The other way: index `at` of n's operand as the index of n that shows that element; false where n shows it nowhere
 * or more than once (slice, stretching broadcast). */
bool index_of_result(Module *m, const Node *n, Dim *const *at, Dim **out);

#endif

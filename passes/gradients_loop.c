/* gradients_loop.c - the gradient of a loop. */
#include "passes/gradients.h"

void grad_loop(Grad *g)
{
    g->error = g->y->attr.loop.length ? "gradients through `scan` come later" : "a loop without a length cannot be differentiated";
}

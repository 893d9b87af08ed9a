/* support.h - what several unit tests need. Failures end the test through cmocka. */
#ifndef DLC_TEST_SUPPORT_H
#define DLC_TEST_SUPPORT_H

#include "ir/ir.h"

/* The module of IR text, verified; its diagnostics are in m->diags. */
Module *must_read_ir(Arena *a, const char *text);

#endif

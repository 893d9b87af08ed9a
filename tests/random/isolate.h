/* isolate.h - work in a process of its own, whose death is a result. */
#ifndef DLC_RANDOM_ISOLATE_H
#define DLC_RANDOM_ISOLATE_H

#include "tests/random/random.h"

/* Memory that children share. */
void *shared_alloc(size_t n);
void  shared_free(void *p, size_t n);

/* false: a failure, which it describes in *failure. */
typedef bool Isolated(void *user, Failure *failure);
/* Run it. A process that dies, or does not end within that many seconds, is a failure of a kind that says so; config and binding
 * are those that it had set by then. */
bool isolated(Isolated *work, void *user, unsigned seconds, Failure *failure);

#endif

/* tokenizer_merge.c - byte-pair merging: of all neighbours, those that join first are joined, until none do. (Sennrich et al.
 * 2016, "Neural machine translation of rare words with subword units"; with a heap, so that a long text takes n log n.) */
#include "host/tokenizer_internal.h"

enum { NONE = UINT32_MAX };

void symbol_add(Tokenizer *t, int32_t id)
{
    uint32_t n = t->symbols.n;
    if (n) t->symbols.at[n - 1].next = n;
    vec_push(t->arena, &t->symbols, ((Symbol){id, n ? n - 1 : NONE, NONE}));
}

static bool before(const Candidate *x, const Candidate *y)
{
    return x->rank < y->rank || (x->rank == y->rank && x->at < y->at);
}

static void push(Tokenizer *t, Candidate c)
{
    vec_push(t->arena, &t->heap, c);
    uint32_t i = t->heap.n - 1;
    for (; i && before(&c, &t->heap.at[(i - 1) / 2]); i = (i - 1) / 2) t->heap.at[i] = t->heap.at[(i - 1) / 2];
    t->heap.at[i] = c;
}

static Candidate pop(Tokenizer *t)
{
    Candidate first = t->heap.at[0], last = t->heap.at[--t->heap.n];
    uint32_t n = t->heap.n, i = 0;
    while (2 * i + 1 < n) {
        uint32_t c = 2 * i + 1;
        if (c + 1 < n && before(&t->heap.at[c + 1], &t->heap.at[c])) c++;
        if (!before(&t->heap.at[c], &last)) break;
        t->heap.at[i] = t->heap.at[c];
        i = c;
    }
    if (n) t->heap.at[i] = last;
    return first;
}

static void consider(Tokenizer *t, JoinRule *rule, uint32_t at)
{
    const Symbol *left = &t->symbols.at[at];
    if (left->next == NONE) return;
    int32_t right = t->symbols.at[left->next].id;
    Join join;
    if (rule(t, left->id, right, &join)) push(t, (Candidate){join.rank, at, left->id, right, join.id});
}

void merge_symbols(Tokenizer *t, JoinRule *rule, IdList *ids)
{
    Symbol *s = t->symbols.at;
    t->heap.n = 0;
    for (uint32_t i = 0; i < t->symbols.n; i++) consider(t, rule, i);
    while (t->heap.n) {
        Candidate c = pop(t);
        uint32_t next = s[c.at].next;
        if (s[c.at].id != c.left || next == NONE || s[next].id != c.right) continue;    /* one of the two was joined meanwhile */
        s[c.at].id = c.id;
        s[c.at].next = s[next].next;
        s[next].id = -1;
        if (s[c.at].next != NONE) s[s[c.at].next].before = c.at;
        if (s[c.at].before != NONE) consider(t, rule, s[c.at].before);
        consider(t, rule, c.at);
    }
    for (uint32_t i = t->symbols.n ? 0 : NONE; i != NONE; i = s[i].next) vec_push(t->arena, ids, s[i].id);
    t->symbols.n = 0;
}

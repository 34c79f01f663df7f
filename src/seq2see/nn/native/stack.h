/* A Transformer's blocks in training: what a caller hands over, and where everything lies (see training.c). */

#pragma once

#include "half.h"

#ifdef __AVX512BF16__

/* The parameters of a block in this order, and behind the blocks scale and shift of the last norm. */
enum {
    QUERY, KEY, VALUE, OUTPUT, CROSS_QUERY, CROSS_KEY, CROSS_VALUE, CROSS_OUTPUT, INNER, INNER_BIAS, OUTER, OUTER_BIAS,
    OWN_SCALE, OWN_SHIFT, CROSS_SCALE, CROSS_SHIFT, FEED_SCALE, FEED_SHIFT, KINDS
};

struct stack {
    int32_t D, M, H, F, L, pre, causal, seed;
    float epsilon, dropout;
    const float *const *weights; /* KINDS for each layer, null where a block has no attention to a memory; then two */
    uint16_t *packed;            /* of stack_room numbers */
    const float *cosine, *sine;  /* of each position, [T, K / 2], by which queries and keys are turned; null: they are not */
};

struct part {
    const struct stack *stack;
    int32_t B, row;        /* sentences; how many rows of the batch come before */
    const int32_t *first;  /* [B + 1]: where a sentence begins, and where the last ends */
    const int32_t *source; /* the same in the memory; null: none */
    const float *memory;   /* [S, M] */
    float *x;              /* [R, D]: embeddings; then hidden states. Backwards: their gradients, in and out */
    float *memory_gradient; /* [S, M], to be filled */
    float *gradients;      /* of the parameters, in their order, to be filled */
    char *kept, *space;    /* of part_kept and part_space bytes */
};

static int64_t size_of(const struct stack *s, int kind) {
    const int64_t D = s->D, F = s->F, M = s->M;
    switch (kind) {
    case CROSS_KEY: case CROSS_VALUE: return D * M;
    case CROSS_QUERY: case CROSS_OUTPUT: return M ? D * D : 0;
    case CROSS_SCALE: case CROSS_SHIFT: return M ? D : 0;
    case INNER: case OUTER: return D * F;
    case INNER_BIAS: return F;
    case QUERY: case KEY: case VALUE: case OUTPUT: return D * D;
    default: return D;
    }
}

/* Packed matrices of a layer: for the way forward and for the way back. */
struct packed {
    uint16_t *own, *own_back, *output, *output_back, *query, *query_back, *memory, *memory_back, *cross, *cross_back;
    uint16_t *inner, *inner_back, *outer, *outer_back;
};

static int64_t layer_room(const struct stack *s) {
    const int64_t D = s->D, F = s->F, M = s->M;
    return 2 * (4 * D * D + 2 * D * F + (M ? 2 * D * D + 2 * D * M : 0));
}

int64_t stack_room(const struct stack *s) { return s->L * layer_room(s); }

static struct packed packed_of(const struct stack *s, int l) {
    const int64_t D = s->D, F = s->F, M = s->M;
    uint16_t *at = s->packed + l * layer_room(s);
    struct packed p;
#define TAKE(name, count) p.name = at, at += (count), p.name##_back = at, at += (count);
    TAKE(own, 3 * D * D) TAKE(output, D * D) TAKE(inner, D * F) TAKE(outer, D * F)
    if (M) { TAKE(query, D * D) TAKE(memory, 2 * D * M) TAKE(cross, D * D) }
#undef TAKE
    return p;
}

/* What a sub-layer leaves for the way back. `sum`: what its norm read. */
struct around {
    float *sum, *mean, *factor;
    uint16_t *read; /* what the sub-layer read */
};

struct layer {
    struct around own, cross, feed;
    float *all, *weights;              /* queries, keys and values side by side; of each query, head and key */
    uint16_t *context;
    float *query, *memory, *cross_weights; /* memory: keys and values side by side */
    uint16_t *cross_context, *hidden;
};

static int rows_of(const struct part *p) { return p->first[p->B]; }
static int sources_of(const struct part *p) { return p->source ? p->source[p->B] : 0; }
static int64_t wide_of(int keys) { return up(keys, LANES); }

static int64_t weights_room(const struct part *p, const int32_t *keys, int H) {
    int64_t room = 0;
    for (int b = 0; b < p->B; b++) room += (int64_t)(p->first[b + 1] - p->first[b]) * wide_of(keys[b + 1] - keys[b]) * H;
    return room;
}

static struct around around_at(const struct stack *s, int64_t R, char **at) {
    struct around a;
    a.sum = (float *)taken(at, 4 * R * s->D);
    a.mean = (float *)taken(at, 4 * R);
    a.factor = (float *)taken(at, 4 * R);
    a.read = (uint16_t *)taken(at, 2 * R * s->D);
    return a;
}

static struct layer layer_at(const struct stack *s, const struct part *p, char **at) {
    const int64_t R = rows_of(p), S = sources_of(p), D = s->D;
    struct layer l = {0};
    l.own = around_at(s, R, at);
    l.feed = around_at(s, R, at);
    l.all = (float *)taken(at, 12 * R * D);
    l.weights = (float *)taken(at, 4 * weights_room(p, p->first, s->H));
    l.context = (uint16_t *)taken(at, 2 * R * D);
    l.hidden = (uint16_t *)taken(at, 2 * R * s->F);
    if (!s->M) return l;
    l.cross = around_at(s, R, at);
    l.query = (float *)taken(at, 4 * R * D);
    l.memory = (float *)taken(at, 8 * S * D);
    l.cross_weights = (float *)taken(at, 4 * weights_room(p, p->source, s->H));
    l.cross_context = (uint16_t *)taken(at, 2 * R * D);
    return l;
}

/* Bytes for what is kept from the way forward to the way back, and to compute in. */
int64_t part_kept(const struct part *p) {
    const struct stack *s = p->stack;
    char *at = 0;
    for (int l = 0; l < s->L; l++) layer_at(s, p, &at);
    around_at(s, rows_of(p), &at);
    taken(&at, 2 * (int64_t)sources_of(p) * s->M);
    return at - (char *)0;
}

static int64_t widest(const struct stack *s) { return s->F > 3 * s->D ? s->F : 3 * s->D; }
static int64_t longest(const struct part *p) {
    int64_t most = 0;
    for (int b = 0; b < p->B; b++) {
        if (p->first[b + 1] - p->first[b] > most) most = p->first[b + 1] - p->first[b];
        if (p->source && p->source[b + 1] - p->source[b] > most) most = p->source[b + 1] - p->source[b];
    }
    return wide_of((int)most);
}

/* y, z: numbers for each row; narrow, a, b: the same rounded; turned: keys and values of one head; few: of four queries. */
struct space {
    float *y, *z, *turned, *few;
    uint16_t *narrow, *a, *b;
};

static struct space space_at(const struct stack *s, const struct part *p, char **at) {
    const int64_t most = up(rows_of(p) > sources_of(p) ? rows_of(p) : sources_of(p), 2);
    const int64_t columns = widest(s) > s->M ? widest(s) : s->M;
    struct space w;
    w.y = (float *)taken(at, 4 * most * columns);
    w.z = (float *)taken(at, 4 * most * columns);
    w.narrow = (uint16_t *)taken(at, 2 * most * columns);
    w.a = (uint16_t *)taken(at, 2 * most * columns);
    w.b = (uint16_t *)taken(at, 2 * most * columns);
    w.turned = (float *)taken(at, 8 * longest(p) * (s->D / s->H));
    w.few = (float *)taken(at, 16 * longest(p));
    return w;
}

int64_t part_space(const struct part *p) {
    char *at = 0;
    space_at(p->stack, p, &at);
    return at - (char *)0;
}
#endif

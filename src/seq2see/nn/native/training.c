/* The blocks of a Transformer for training: what they make of their rows, and the gradients.

   A batch is dealt out in parts, some whole sentences each; a thread computes a part, and its gradients are added to
   those of the others afterwards. Nothing is padded. Products are of bfloat16 with sums in float32, everything else is
   float32. PyTorch computes the same from nn/transformer.py, and a test holds the two together.

   R rows (positions of all sentences one after the other), S rows of the memory, D width, M width of the memory, H heads,
   K width of a head, F feed-forward, L layers, n queries and p keys of one sentence. */

#include "rows.h"

#ifdef __AVX512BF16__

/* Matrices [N, K] one below the other: `forward` panels of their transpose [K, N], `back` panels of themselves. */
static void lay_out(int count, const float *const *w, int64_t N, int64_t K, uint16_t *forward, uint16_t *back) {
    for (int i = 0; i < count; i++) panels_of_columns(N, K, w[i], forward + i * N * K);
    /* A panel of `back` goes through all of the matrices. */
    for (int64_t k = 0; k < K; k += PANEL)
        for (int i = 0; i < count; i++)
            for (int64_t n = 0; n < N; n += 2, back += 2 * PANEL)
                for (int j = 0; j < PANEL; j += LANES) {
                    const float *at = w[i] + n * K + k + j;
                    _mm512_storeu_si512(back + 2 * j, paired(halves(at), halves(at + K)));
                }
}

/* All matrices as they are now. */
void stack_pack(const struct stack *s) {
    const int64_t D = s->D, F = s->F, M = s->M;
    for (int l = 0; l < s->L; l++) {
        const float *const *w = s->weights + l * KINDS;
        const struct packed p = packed_of(s, l);
        lay_out(3, w + QUERY, D, D, p.own, p.own_back);
        lay_out(1, w + OUTPUT, D, D, p.output, p.output_back);
        lay_out(1, w + INNER, F, D, p.inner, p.inner_back);
        lay_out(1, w + OUTER, D, F, p.outer, p.outer_back);
        if (!M) continue;
        lay_out(1, w + CROSS_QUERY, D, D, p.query, p.query_back);
        lay_out(2, w + CROSS_KEY, D, M, p.memory, p.memory_back);
        lay_out(1, w + CROSS_OUTPUT, D, D, p.cross, p.cross_back);
    }
}

/* ---- the way forward ---- */

/* What a sub-layer reads goes to a->read: x, normalised where norms come before. */
static void before(const struct stack *s, int R, const float *x, const float *scale, const float *shift, const struct around *a) {
    if (!s->pre) {
        to_halves((int64_t)R * s->D, x, a->read);
        return;
    }
    memcpy(a->sum, x, 4 * (int64_t)R * s->D);
    normalise(s, R, x, scale, shift, a, 0);
}

/* x: itself and the sub-layer's update, dropped; then the norm, where norms come after. */
static void after(
    const struct stack *s, const struct part *p, int place, const float *update, const float *scale, const float *shift,
    const struct around *a, float *x
) {
    const int R = rows_of(p);
    drop(s, p, place, update, x, 1);
    if (s->pre) return;
    memcpy(a->sum, x, 4 * (int64_t)R * s->D);
    normalise(s, R, a->sum, scale, shift, a, x);
}

void part_forward(const struct part *p) {
    const struct stack *s = p->stack;
    const int64_t R = rows_of(p), S = sources_of(p), D = s->D, F = s->F;
    char *at = p->kept, *room = p->space;
    const struct space w = space_at(s, p, &room);
    float *x = p->x;
    uint16_t *memory = (uint16_t *)taken(&at, 2 * S * s->M);
    to_halves(S * s->M, p->memory, memory);
    for (int l = 0; l < s->L; l++) {
        const float *const *v = s->weights + l * KINDS;
        const struct packed m = packed_of(s, l);
        const struct layer k = layer_at(s, p, &at);
        before(s, R, x, v[OWN_SCALE], v[OWN_SHIFT], &k.own);
        multiply(R, 3 * D, D, k.own.read, D, 2, m.own, 0, 0, 0, k.all, 3 * D);
        float *row = k.weights;
        for (int b = 0; b < p->B; b++) {
            const int64_t first = p->first[b];
            const int n = p->first[b + 1] - (int)first;
            float *own = k.all + first * 3 * D;
            turn(s, n, 0, own);
            look(s, n, n, s->causal, own, 3 * D, own + D, own + 2 * D, 3 * D, row, w.y + first * D, &w);
            row += n * wide_of(n) * s->H;
        }
        to_halves(R * D, w.y, k.context);
        multiply(R, D, D, k.context, D, 2, m.output, 0, 0, 0, w.y, D);
        after(s, p, 3 * l, w.y, v[OWN_SCALE], v[OWN_SHIFT], &k.own, x);
        if (s->M) {
            before(s, R, x, v[CROSS_SCALE], v[CROSS_SHIFT], &k.cross);
            multiply(R, D, D, k.cross.read, D, 2, m.query, 0, 0, 0, k.query, D);
            multiply(S, 2 * D, s->M, memory, s->M, 2, m.memory, 0, 0, 0, k.memory, 2 * D);
            row = k.cross_weights;
            for (int b = 0; b < p->B; b++) {
                const int64_t first = p->first[b], from = p->source[b];
                const int n = p->first[b + 1] - (int)first, count = p->source[b + 1] - (int)from;
                const float *keys = k.memory + from * 2 * D;
                look(s, n, count, 0, k.query + first * D, D, keys, keys + D, 2 * D, row, w.y + first * D, &w);
                row += n * wide_of(count) * s->H;
            }
            to_halves(R * D, w.y, k.cross_context);
            multiply(R, D, D, k.cross_context, D, 2, m.cross, 0, 0, 0, w.y, D);
            after(s, p, 3 * l + 1, w.y, v[CROSS_SCALE], v[CROSS_SHIFT], &k.cross, x);
        }
        before(s, R, x, v[FEED_SCALE], v[FEED_SHIFT], &k.feed);
        multiply(R, F, D, k.feed.read, D, 2, m.inner, v[INNER_BIAS], 1, 0, w.y, F);
        to_halves(R * F, w.y, k.hidden);
        multiply(R, D, F, k.hidden, F, 2, m.outer, v[OUTER_BIAS], 0, 0, w.y, D);
        after(s, p, 3 * l + 2, w.y, v[FEED_SCALE], v[FEED_SHIFT], &k.feed, x);
    }
    const float *const *v = s->weights + s->L * KINDS;
    if (v[0]) {
        const struct around last = around_at(s, R, &at);
        memcpy(last.sum, x, 4 * R * D);
        normalise(s, R, last.sum, v[0], v[1], &last, x);
    }
}

/* ---- the way back ---- */

/* The gradient of a sub-layer's update to `update`: out of that of the sum behind it, dx. */
static void after_back(
    const struct stack *s, const struct part *p, int place, const struct around *a, const float *scale, float *dx, float *update,
    float *dscale, float *dshift
) {
    if (!s->pre) normalise_back(s, rows_of(p), dx, a, scale, dx, 0, dscale, dshift);
    drop(s, p, place, dx, update, 0);
}

/* dx += what comes from what the sub-layer read, `dread`. */
static void before_back(
    const struct stack *s, int64_t R, const struct around *a, const float *scale, const float *dread, float *dx, float *dscale,
    float *dshift
) {
    if (s->pre) {
        normalise_back(s, (int)R, dread, a, scale, dx, 1, dscale, dshift);
        return;
    }
    for (int64_t i = 0; i < R * s->D; i += LANES) store(dx + i, load(dx + i) + load(dread + i));
}

void part_backward(const struct part *p) {
    const struct stack *s = p->stack;
    const int64_t R = rows_of(p), S = sources_of(p), D = s->D, F = s->F, M = s->M;
    char *at = p->kept, *room = p->space;
    const struct space w = space_at(s, p, &room);
    const uint16_t *memory = (const uint16_t *)taken(&at, 2 * S * M);
    int64_t each = 0, offsets[KINDS];
    for (int kind = 0; kind < KINDS; kind++) offsets[kind] = each, each += size_of(s, kind);
    memset(p->gradients, 0, 4 * (s->L * each + (s->pre ? 2 * D : 0)));
    if (M) memset(p->memory_gradient, 0, 4 * S * M);
    char *begin = at;
    for (int l = 0; l < s->L; l++) layer_at(s, p, &at);
    float *dx = p->x, *last_gradient = p->gradients + s->L * each;
    const float *const *end = s->weights + s->L * KINDS;
    if (end[0]) {
        const struct around last = around_at(s, R, &at);
        normalise_back(s, (int)R, dx, &last, end[0], dx, 0, last_gradient, last_gradient + D);
    }
    for (int l = s->L - 1; l >= 0; l--) {
        at = begin;
        for (int below = 0; below < l; below++) layer_at(s, p, &at);
        const struct layer k = layer_at(s, p, &at);
        const float *const *v = s->weights + l * KINDS;
        const struct packed m = packed_of(s, l);
        float *g = p->gradients + l * each;
#define TO(kind) (g + offsets[kind])
        after_back(s, p, 3 * l + 2, &k.feed, v[FEED_SCALE], dx, w.y, TO(FEED_SCALE), TO(FEED_SHIFT));
        bias_back(R, D, w.y, TO(OUTER_BIAS));
        to_halves(R * D, w.y, w.narrow);
        weight_back(R, D, F, w.narrow, k.hidden, TO(OUTER), w.a, w.b);
        multiply(R, F, D, w.narrow, D, 2, m.outer_back, 0, 0, 0, w.y, F);
        for (int64_t i = 0; i < R * F; i += LANES) {
            const __mmask16 some = _mm512_cmp_ps_mask((__m512)wide(k.hidden + i), _mm512_setzero_ps(), _CMP_GT_OQ);
            _mm512_storeu_ps(w.y + i, _mm512_maskz_loadu_ps(some, w.y + i));
        }
        bias_back(R, F, w.y, TO(INNER_BIAS));
        to_halves(R * F, w.y, w.narrow);
        weight_back(R, F, D, w.narrow, k.feed.read, TO(INNER), w.a, w.b);
        multiply(R, D, F, w.narrow, F, 2, m.inner_back, 0, 0, 0, w.y, D);
        before_back(s, R, &k.feed, v[FEED_SCALE], w.y, dx, TO(FEED_SCALE), TO(FEED_SHIFT));
        if (M) {
            after_back(s, p, 3 * l + 1, &k.cross, v[CROSS_SCALE], dx, w.y, TO(CROSS_SCALE), TO(CROSS_SHIFT));
            to_halves(R * D, w.y, w.narrow);
            weight_back(R, D, D, w.narrow, k.cross_context, TO(CROSS_OUTPUT), w.a, w.b);
            multiply(R, D, D, w.narrow, D, 2, m.cross_back, 0, 0, 0, w.y, D);
            memset(w.z, 0, 8 * S * D);
            const float *row = k.cross_weights;
            for (int b = 0; b < p->B; b++) {
                const int64_t first = p->first[b], from = p->source[b];
                const int n = p->first[b + 1] - (int)first, count = p->source[b + 1] - (int)from;
                const float *keys = k.memory + from * 2 * D;
                float *dkeys = w.z + from * 2 * D;
                look_back(
                    s, n, count, 0, k.query + first * D, D, keys, keys + D, 2 * D, row, w.y + first * D, k.query + first * D,
                    dkeys, dkeys + D, &w
                );
                row += n * wide_of(count) * s->H;
            }
            to_halves(S * 2 * D, w.z, w.narrow);
            weight_back(S, 2 * D, M, w.narrow, memory, TO(CROSS_KEY), w.a, w.b);
            multiply(S, M, 2 * D, w.narrow, 2 * D, 2, m.memory_back, 0, 0, 1, p->memory_gradient, M);
            to_halves(R * D, k.query, w.narrow); /* by now their gradients */
            weight_back(R, D, D, w.narrow, k.cross.read, TO(CROSS_QUERY), w.a, w.b);
            multiply(R, D, D, w.narrow, D, 2, m.query_back, 0, 0, 0, w.y, D);
            before_back(s, R, &k.cross, v[CROSS_SCALE], w.y, dx, TO(CROSS_SCALE), TO(CROSS_SHIFT));
        }
        after_back(s, p, 3 * l, &k.own, v[OWN_SCALE], dx, w.y, TO(OWN_SCALE), TO(OWN_SHIFT));
        to_halves(R * D, w.y, w.narrow);
        weight_back(R, D, D, w.narrow, k.context, TO(OUTPUT), w.a, w.b);
        multiply(R, D, D, w.narrow, D, 2, m.output_back, 0, 0, 0, w.y, D);
        memset(w.z, 0, 12 * R * D);
        const float *row = k.weights;
        for (int b = 0; b < p->B; b++) {
            const int64_t first = p->first[b];
            const int n = p->first[b + 1] - (int)first;
            const float *own = k.all + first * 3 * D;
            float *to = w.z + first * 3 * D;
            look_back(
                s, n, n, s->causal, own, 3 * D, own + D, own + 2 * D, 3 * D, row, w.y + first * D, to, to + D, to + 2 * D, &w
            );
            turn(s, n, 1, to);
            row += n * wide_of(n) * s->H;
        }
        to_halves(R * 3 * D, w.z, w.narrow);
        weight_back(R, 3 * D, D, w.narrow, k.own.read, TO(QUERY), w.a, w.b);
        multiply(R, D, 3 * D, w.narrow, 3 * D, 2, m.own_back, 0, 0, 0, w.y, D);
        before_back(s, R, &k.own, v[OWN_SCALE], w.y, dx, TO(OWN_SCALE), TO(OWN_SHIFT));
#undef TO
    }
}
#endif

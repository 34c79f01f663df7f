/* What rows go through between products: layer norm, attention, rotation. */

#pragma once

#include "vectors.h"

static void normalise(int N, int D, const float *x, const float *scale, const float *shift, float epsilon, float *y) {
    for (int n = 0; n < N; n++, x += D, y += D) {
        vec s = all(0), q = all(0);
        for (int d = 0; d < D; d += LANES) s += load(x + d);
        const float mean = sum(s) / D;
        for (int d = 0; d < D; d += LANES) {
            const vec apart = load(x + d) - mean;
            q += apart * apart;
        }
        const float factor = 1.0f / sqrtf(sum(q) / D + epsilon);
        for (int d = 0; d < D; d += LANES)
            store(y + d, (load(x + d) - mean) * factor * load(scale + d) + load(shift + d));
    }
}

/* ---- attention: four heads side by side, and four positions; a head has four neighbouring lanes ---- */

#define HEADS 4
#define TOGETHER 4 /* positions */

/* Heads beyond the last four are computed one by one, each as if it were the first of four. */
static int64_t fours_of(int count) { return (count + TOGETHER - 1) / TOGETHER; }
static int64_t weights_room(int H, int count) { return (H / HEADS + H % HEADS) * fours_of(count) * LANES; }

/* Where the weight of a head and a position lies among those of a row that looks at `count` positions. */
static int64_t weight_at(int H, int count, int h, int p) {
    const int alone = h / HEADS == H / HEADS, block = alone ? H / HEADS + h % HEADS : h / HEADS;
    return (block * fours_of(count) + p / TOGETHER) * LANES + (alone ? 0 : h % HEADS * TOGETHER) + p % TOGETHER;
}

/* Sums of four vectors' lanes, four parts of each left. */
static inline vec folded(const vec *h) {
#define LOW(a, b) PICK(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
#define HIGH(a, b) PICK(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)
    const vec a = LOW(h[0], h[1]) + HIGH(h[0], h[1]), b = LOW(h[2], h[3]) + HIGH(h[2], h[3]);
#undef LOW
#undef HIGH
    return PICK(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           PICK(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

/* The parts of four positions to one number each. */
static inline vec gathered(const vec *c) {
#define EVEN(a, b) PICK(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define ODD(a, b) PICK(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
    const vec a = EVEN(c[0], c[1]) + ODD(c[0], c[1]), b = EVEN(c[2], c[3]) + ODD(c[2], c[3]);
#undef EVEN
#undef ODD
    return PICK(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           PICK(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/* In each lane the largest, or the sum, of the four neighbours that belong together. */
static inline vec turned_by(vec v, int by) {
    return by == 1 ? PICK(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
                   : PICK(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}
static inline vec largest_of_four(vec v) {
    v = larger(v, turned_by(v, 1));
    return larger(v, turned_by(v, 2));
}
static inline vec sum_of_four(vec v) {
    v += turned_by(v, 1);
    return v + turned_by(v, 2);
}

#define ALWAYS static inline __attribute__((always_inline)) void
#define EACH_HEAD _Pragma("GCC unroll 4") for (int h = 0; h < heads; h++)

/* Scores of `heads` heads, each K wide, for `count` keys from column `at` on. */
ALWAYS score(
    int heads, int K, int count, const float *query, const float *const *keys, int at, float scale, float *scores
) {
    for (int p = 0; p < count; p += TOGETHER, scores += LANES) {
        vec parts[TOGETHER];
        _Pragma("GCC unroll 4") for (int j = 0; j < TOGETHER; j++) {
            vec sums[HEADS] = {all(0), all(0), all(0), all(0)};
            const float *key = keys[p + j < count ? p + j : count - 1] + at;
            for (int k = 0; k < K; k += LANES) EACH_HEAD sums[h] += load(query + at + h * K + k) * load(key + h * K + k);
            parts[j] = folded(sums);
        }
        vec found = gathered(parts) * scale;
        if (count - p < TOGETHER) {
            const ivec place = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
            found = either(place < count - p, found, all(-INFINITY));
        }
        store(scores, found);
    }
}

/* The sum of `count` values by their weights, `wide` vectors of each of `heads` heads, K apart. */
ALWAYS mix(int heads, int wide, int K, int count, const float *const *values, int at, const float *weights, float *context) {
    vec sums[HEADS][2];
    EACH_HEAD for (int i = 0; i < wide; i++) sums[h][i] = all(0);
    for (int p = 0; p < count; p++) {
        const float *value = values[p] + at, *w = weights + p / TOGETHER * LANES + p % TOGETHER;
        EACH_HEAD for (int i = 0; i < wide; i++) sums[h][i] += w[h * TOGETHER] * load(value + h * K + i * LANES);
    }
    EACH_HEAD for (int i = 0; i < wide; i++) store(context + at + h * K + i * LANES, sums[h][i]);
}

ALWAYS look_at_once(
    int heads, int K, int count, const float *query, const float *const *keys, const float *const *values, int at, float scale,
    float *context, float *weights
) {
    const int room = (int)fours_of(count) * LANES;
    score(heads, K, count, query, keys, at, scale, weights);
    vec most = load(weights), total = all(0);
    for (int p = LANES; p < room; p += LANES) most = larger(load(weights + p), most);
    most = largest_of_four(most);
    for (int p = 0; p < room; p += LANES) {
        const vec e = exponential(load(weights + p) - most);
        total += e; /* what stands behind count adds less than can be told apart */
        store(weights + p, e);
    }
    const vec factor = 1.0f / sum_of_four(total);
    for (int p = 0; p < room; p += LANES) store(weights + p, load(weights + p) * factor);
    int k = 0;
    for (; k + 2 * LANES <= K; k += 2 * LANES) mix(heads, 2, K, count, values, at + k, weights, context);
    if (k < K) mix(heads, 1, K, count, values, at + k, weights, context);
}

/* One row looks at `count` keys, each head at its part of them; context [D], and weights (see weight_at). */
static void look(
    int D, int H, int count, const float *query, const float *const *keys, const float *const *values, float *context, float *weights
) {
    const int K = D / H;
    const float scale = 1.0f / sqrtf((float)K);
    const int64_t room = fours_of(count) * LANES;
    int h = 0;
#define LOOK(heads, K) look_at_once(heads, K, count, query, keys, values, h * K, scale, context, weights)
    for (; h + HEADS <= H; h += HEADS, weights += room)
        if (K == 32) LOOK(HEADS, 32);
        else if (K == 64) LOOK(HEADS, 64);
        else LOOK(HEADS, K);
    for (; h < H; h++, weights += room) LOOK(1, K);
#undef LOOK
}

static void turn(int D, int K, const float *cosine, const float *sine, float *x) {
    for (int d = 0; d < D; d += 2) {
        const float c = cosine[d % K / 2], s = sine[d % K / 2], even = x[d], odd = x[d + 1];
        x[d] = even * c - odd * s;
        x[d + 1] = even * s + odd * c;
    }
}

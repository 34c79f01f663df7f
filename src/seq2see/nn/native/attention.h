/* What rows go through between products: layer norm, softmax, attention, rotation. */

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

/* softmax over count scores, in place; room for a multiple of LANES behind them. */
static void softmax(float *scores, int count) {
    for (int p = count; p % LANES; p++) scores[p] = -INFINITY;
    vec m = load(scores), total = all(0);
    for (int p = LANES; p < count; p += LANES) m = larger(load(scores + p), m);
    const float highest = highest_of(m);
    for (int p = 0; p < count; p += LANES) {
        const vec e = exponential(load(scores + p) - highest);
        total += e; /* what stands behind count adds less than can be told apart */
        store(scores + p, e);
    }
    const float factor = 1.0f / sum(total);
    for (int p = 0; p < count; p += LANES) store(scores + p, load(scores + p) * factor);
}

/* One row looks at `count` keys, each head at its part of them; context [D], weights [H, count] in `scores`. */
static void look(
    int D, int H, int count, const float *query, const float *const *keys, const float *const *values, float *context, float *scores
) {
    const int K = D / H, room = (count + LANES - 1) / LANES * LANES;
    const float scale = 1.0f / sqrtf((float)K);
    for (int p = 0; p < count; p++)
        for (int h = 0; h < H; h++) {
            vec s = all(0);
            for (int k = h * K; k < (h + 1) * K; k += LANES) s += load(query + k) * load(keys[p] + k);
            scores[(int64_t)h * room + p] = sum(s) * scale;
        }
    for (int h = 0; h < H; h++) softmax(scores + (int64_t)h * room, count);
    for (int h = 0; h < H; h++)
        for (int k = h * K; k < (h + 1) * K; k += LANES) {
            vec s = all(0);
            for (int p = 0; p < count; p++) s += scores[(int64_t)h * room + p] * load(values[p] + k);
            store(context + k, s);
        }
}

static void turn(int D, int K, const float *cosine, const float *sine, float *x) {
    for (int d = 0; d < D; d += 2) {
        const float c = cosine[d % K / 2], s = sine[d % K / 2], even = x[d], odd = x[d + 1];
        x[d] = even * c - odd * s;
        x[d + 1] = even * s + odd * c;
    }
}

/* What rows go through between products, forward and back: dropout, layer norm, attention, rotation (see training.c). */

#pragma once

#include "stack.h"

#ifdef __AVX512BF16__

/* ---- dropout: which numbers stay is a hash of seed, place in the network, row and column ---- */

static inline __m512i mixed(__m512i x) {
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32(0x7feb352d));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x846ca68bu));
    return _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
}

static uint32_t key_of(const struct stack *s, int place) {
    return (uint32_t)_mm512_cvtsi512_si32(mixed(_mm512_set1_epi32((int)((uint32_t)s->seed + 0x9e3779b9u * (uint32_t)(place + 1)))));
}

/* Which of 16 neighbours stay; `number` is that of the first among all numbers of this place. */
static inline __mmask16 stays(uint32_t key, uint32_t number, uint32_t threshold) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i at = _mm512_add_epi32(_mm512_set1_epi32((int)number), lanes);
    const __m512i drawn = mixed(_mm512_add_epi32(_mm512_mullo_epi32(at, _mm512_set1_epi32((int)0x9e3779b9u)), _mm512_set1_epi32((int)key)));
    return _mm512_cmpge_epu32_mask(drawn, _mm512_set1_epi32((int)threshold));
}

static uint32_t threshold_of(const struct stack *s) { return (uint32_t)((double)s->dropout * 4294967296.0); }

/* to [R, D] = from, dropped; `add`: to += instead. */
static void drop(const struct stack *s, const struct part *p, int place, const float *from, float *to, int add) {
    const uint32_t threshold = threshold_of(s), key = key_of(s, place);
    const __m512 factor = _mm512_set1_ps((float)(1 / (1 - (double)threshold / 4294967296.0)));
    const int64_t count = (int64_t)rows_of(p) * s->D;
    const uint32_t begin = (uint32_t)p->row * (uint32_t)s->D;
    for (int64_t i = 0; i < count; i += LANES) {
        __m512 v = _mm512_loadu_ps(from + i);
        if (threshold) v = _mm512_maskz_mul_ps(stays(key, begin + (uint32_t)i, threshold), v, factor);
        _mm512_storeu_ps(to + i, add ? _mm512_add_ps(_mm512_loadu_ps(to + i), v) : v);
    }
}

/* ---- layer norm ---- */

/* y [R, D], or where y is null only `read`, rounded. */
static void normalise(
    const struct stack *s, int R, const float *x, const float *scale, const float *shift, const struct around *a, float *y
) {
    const int D = s->D;
    for (int r = 0; r < R; r++) {
        const float *in = x + (int64_t)r * D;
        vec total = all(0), squares = all(0);
        for (int d = 0; d < D; d += LANES) total += load(in + d);
        const float mean = sum(total) / D;
        for (int d = 0; d < D; d += LANES) {
            const vec apart = load(in + d) - mean;
            squares += apart * apart;
        }
        const float factor = 1.0f / sqrtf(sum(squares) / D + s->epsilon);
        a->mean[r] = mean, a->factor[r] = factor;
        for (int d = 0; d < D; d += LANES) {
            const vec v = (load(in + d) - mean) * factor * load(scale + d) + load(shift + d);
            if (y) store(y + (int64_t)r * D + d, v);
            else _mm256_storeu_si256((__m256i *)(a->read + (int64_t)r * D + d), (__m256i)_mm512_cvtneps_pbh((__m512)v));
        }
    }
}

/* From the gradient of what the norm gave to that of what it read: dx = (`add`: +=); scale and shift get theirs. */
static void normalise_back(
    const struct stack *s, int R, const float *dy, const struct around *a, const float *scale, float *dx, int add,
    float *dscale, float *dshift
) {
    const int D = s->D;
    for (int r = 0; r < R; r++) {
        const float *x = a->sum + (int64_t)r * D, *g = dy + (int64_t)r * D;
        float *out = dx + (int64_t)r * D;
        const float mean = a->mean[r], factor = a->factor[r];
        vec total = all(0), along = all(0);
        for (int d = 0; d < D; d += LANES) {
            const vec direction = (load(x + d) - mean) * factor, given = load(g + d), scaled = given * load(scale + d);
            total += scaled;
            along += scaled * direction;
            store(dscale + d, load(dscale + d) + given * direction);
            store(dshift + d, load(dshift + d) + given);
        }
        const float t = sum(total) / D, q = sum(along) / D;
        for (int d = 0; d < D; d += LANES) {
            const vec direction = (load(x + d) - mean) * factor;
            const vec v = (load(g + d) * load(scale + d) - t - direction * q) * factor;
            store(out + d, add ? load(out + d) + v : v);
        }
    }
}

/* ---- attention of n queries to p keys; strides in numbers ---- */

/* [p, K] to [K, wide], zeros behind. */
static void turned(int p, int K, int64_t stride, const float *x, int64_t wide, float *y) {
    for (int i = 0; i < p; i += LANES)
        for (int k = 0; k < K; k += LANES)
            transpose(p - i < LANES ? p - i : LANES, x + i * stride + k, stride, y + k * wide + i, wide);
}

static int seen(int causal, int i, int p) { return causal && i + 1 < p ? i + 1 : p; }

#define GROUP 4
#define EACH _Pragma("GCC unroll 4") for (int g = 0; g < group; g++) /* written out, so that sums stay in registers */

static inline __attribute__((always_inline)) void look_some(
    int group, int i, int p, int K, int causal, const float *q, int64_t q_stride, const float *keys, const float *v,
    int64_t v_stride, int64_t wide, float scale, float *w, float *context, int64_t c_stride
) {
    for (int64_t j = 0; j < wide; j += LANES) {
        vec scores[GROUP];
        EACH scores[g] = all(0);
        for (int k = 0; k < K; k++) {
            const vec key = load(keys + k * wide + j);
            EACH scores[g] += q[g * q_stride + k] * key;
        }
        EACH store(w + g * wide + j, scores[g] * scale);
    }
    EACH {
        const int count = seen(causal, i + g, p);
        float *at = w + g * wide;
        for (int64_t j = count; j < wide; j++) at[j] = -INFINITY;
        vec m = load(at), total = all(0);
        for (int64_t j = LANES; j < wide; j += LANES) m = larger(load(at + j), m);
        const float highest = highest_of(m);
        for (int64_t j = 0; j < wide; j += LANES) {
            const vec e = exponential(load(at + j) - highest);
            total += e;
            store(at + j, e);
        }
        const float factor = 1.0f / sum(total);
        for (int64_t j = 0; j < wide; j += LANES) store(at + j, load(at + j) * factor);
        for (int64_t j = count; j < wide; j++) at[j] = 0;
    }
    const int most = seen(causal, i + group - 1, p);
    for (int k = 0; k < K; k += LANES) {
        vec c[GROUP];
        EACH c[g] = all(0);
        for (int j = 0; j < most; j++) {
            const vec value = load(v + j * v_stride + k);
            EACH c[g] += w[g * wide + j] * value;
        }
        EACH store(context + g * c_stride + k, c[g]);
    }
}

/* Context [n, D] and weights [H, n, wide]. */
static void look(
    const struct stack *s, int n, int p, int causal, const float *q, int64_t q_stride, const float *k, const float *v,
    int64_t stride, float *weights, float *context, const struct space *w
) {
    const int K = s->D / s->H;
    const int64_t wide = wide_of(p);
    const float scale = 1.0f / sqrtf((float)K);
    for (int h = 0; h < s->H; h++) {
        turned(p, K, stride, k + h * K, wide, w->turned);
        for (int i = 0; i < n;) {
            float *row = weights + ((int64_t)h * n + i) * wide, *to = context + (int64_t)i * s->D + h * K;
            const float *from = q + i * q_stride + h * K;
#define SOME(G) look_some(G, i, p, K, causal, from, q_stride, w->turned, v + h * K, stride, wide, scale, row, to, s->D), i += G
            if (n - i >= 4) SOME(4);
            else if (n - i >= 2) SOME(2);
            else SOME(1);
#undef SOME
        }
    }
}

static inline __attribute__((always_inline)) void look_back_some(
    int group, int i, int p, int K, int causal, const float *q, int64_t q_stride, const float *k, int64_t stride,
    const float *values, int64_t wide, float scale, const float *w, const float *dc, int64_t c_stride, float *dw, float *dq,
    float *dk, float *dv
) {
    for (int64_t j = 0; j < wide; j += LANES) {
        vec d[GROUP];
        EACH d[g] = all(0);
        for (int c = 0; c < K; c++) {
            const vec value = load(values + c * wide + j);
            EACH d[g] += dc[g * c_stride + c] * value;
        }
        EACH store(dw + g * wide + j, d[g]);
    }
    EACH {
        vec along = all(0);
        for (int64_t j = 0; j < wide; j += LANES) along += load(w + g * wide + j) * load(dw + g * wide + j);
        const float mean = sum(along);
        for (int64_t j = 0; j < wide; j += LANES)
            store(dw + g * wide + j, load(w + g * wide + j) * (load(dw + g * wide + j) - mean) * scale);
    }
    const int most = seen(causal, i + group - 1, p);
    for (int c = 0; c < K; c += LANES) {
        vec own[GROUP], given[GROUP], sums[GROUP];
        EACH own[g] = load(q + g * q_stride + c), given[g] = load(dc + g * c_stride + c), sums[g] = all(0);
        for (int j = 0; j < most; j++) {
            const vec key = load(k + j * stride + c);
            vec key_gradient = load(dk + j * stride + c), value_gradient = load(dv + j * stride + c);
            EACH {
                sums[g] += dw[g * wide + j] * key;
                key_gradient += dw[g * wide + j] * own[g];
                value_gradient += w[g * wide + j] * given[g];
            }
            store(dk + j * stride + c, key_gradient);
            store(dv + j * stride + c, value_gradient);
        }
        EACH store(dq + g * q_stride + c, sums[g]);
    }
}

/* Gradients of queries (=), keys and values (+=), laid out as these are, from that of the context. */
static void look_back(
    const struct stack *s, int n, int p, int causal, const float *q, int64_t q_stride, const float *k, const float *v,
    int64_t stride, const float *weights, const float *dcontext, float *dq, float *dk, float *dv, const struct space *w
) {
    const int K = s->D / s->H;
    const int64_t wide = wide_of(p);
    const float scale = 1.0f / sqrtf((float)K);
    for (int h = 0; h < s->H; h++) {
        const int at = h * K;
        turned(p, K, stride, v + at, wide, w->turned);
        for (int i = 0; i < n;) {
            const float *row = weights + ((int64_t)h * n + i) * wide, *from = dcontext + (int64_t)i * s->D + at;
#define SOME(G) \
    look_back_some(G, i, p, K, causal, q + i * q_stride + at, q_stride, k + at, stride, w->turned, wide, scale, row, from, \
                   s->D, w->few, dq + i * q_stride + at, dk + at, dv + at), i += G
            if (n - i >= 4) SOME(4);
            else if (n - i >= 2) SOME(2);
            else SOME(1);
#undef SOME
        }
    }
}

/* Queries and keys of a sentence, [n, 3 D] with its values, turned by their positions; `back`: turned back. */
static void turn(const struct stack *s, int n, int back, float *all) {
    const int D = s->D, K = D / s->H;
    for (int i = 0; s->cosine && i < n; i++)
        for (int d = 0; d < 2 * D; d += 2) {
            const int at = i * (K / 2) + d % K / 2;
            const float c = s->cosine[at], sine = back ? -s->sine[at] : s->sine[at];
            float *x = all + (int64_t)i * 3 * D + d;
            const float even = x[0], odd = x[1];
            x[0] = even * c - odd * sine;
            x[1] = even * sine + odd * c;
        }
}
#endif

/* Sixteen numbers at a time, in whatever vectors the processor has: gcc's and clang's vector extensions. */

#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4)));

static inline vec load(const float *x) {
    vec v;
    memcpy(&v, x, sizeof v);
    return v;
}
static inline void store(float *x, vec v) { memcpy(x, &v, sizeof v); }
static inline vec all(float x) { return x - (vec){0}; }
static inline vec either(ivec where, vec a, vec b) { return (vec)(((ivec)a & where) | ((ivec)b & ~where)); }
/* b where one of them is no number. */
static inline vec larger(vec a, vec b) {
#ifdef __AVX512F__
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return either(a > b, a, b);
#endif
}

/* Lanes of a (0 to 15) and b (16 to 31) in another order. */
#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/* Halves of a vector, and halves of these: the sum of all lanes in four steps. */
typedef float half8 __attribute__((vector_size(32)));
typedef float half4 __attribute__((vector_size(16)));
typedef union {
    vec whole;
    half8 halves[2];
} split8;
typedef union {
    half8 whole;
    half4 halves[2];
} split4;

static inline float sum(vec v) {
    const split8 a = {v};
    const split4 b = {a.halves[0] + a.halves[1]};
    const half4 c = b.halves[0] + b.halves[1];
    return (c[0] + c[2]) + (c[1] + c[3]);
}
static inline float highest_of(vec v) {
    v = larger(v, PICK(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    v = larger(v, PICK(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    v = larger(v, PICK(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    return v[0] > v[1] ? v[0] : v[1];
}

/* Which lanes of a comparison hold, as bits. */
static inline unsigned lanes_of(ivec v) {
#ifdef __AVX512F__
    return _mm512_test_epi32_mask((__m512i)v, (__m512i)v);
#else
    unsigned bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (unsigned)(v[i] & 1) << i;
    return bits;
#endif
}

#ifdef __AVX512F__
/* e^x = 2^n 2^f for x < 88, with |f| <= 1/2; 2^f by a polynomial of least relative error (2e-7) that is 1 at 0. */
static inline vec exponential(vec x) {
    const __m512 power = _mm512_mul_ps(_mm512_max_ps(_mm512_set1_ps(-87.3f), (__m512)x), _mm512_set1_ps(1.44269504f));
    const __m512 n = _mm512_roundscale_ps(power, 8);
    const vec f = (vec)_mm512_sub_ps(power, n);
    vec p = f * 1.326472731e-3f + 9.671512991e-3f;
    p = p * f + 5.550733581e-2f;
    p = p * f + 2.402224243e-1f;
    p = p * f + 6.931470037e-1f;
    p = p * f + 1.0f;
    return (vec)_mm512_scalef_ps((__m512)p, n);
}
#else
/* e^x for x < 88: e^x = 2^n e^r with |r| <= ln 2 / 2, e^r by its series (Cephes' coefficients, 2e-7). */
static inline vec exponential(vec x) {
    const vec lowest = all(-87.3f), magic = all(12582912.0f);
    const ivec low = x < lowest;
    x = (vec)(((ivec)x & ~low) | ((ivec)lowest & low));
    const vec shifted = x * 1.44269504f + magic, n = shifted - magic;
    const vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * (vec)(((ivec)shifted - (ivec)magic + 127) << 23);
}
#endif

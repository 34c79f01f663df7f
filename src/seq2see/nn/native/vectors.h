/* Sixteen numbers at a time, in whatever vectors the processor has: gcc's and clang's vector extensions. */

#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

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
static inline vec larger(vec a, vec b) {
    const ivec more = a > b;
    return (vec)(((ivec)a & more) | ((ivec)b & ~more));
}

/* Halves of a vector, and halves of these: sums and maxima of all lanes in four steps. */
typedef float half8 __attribute__((vector_size(32)));
typedef int32_t half8i __attribute__((vector_size(32)));
typedef float half4 __attribute__((vector_size(16)));
typedef int64_t half4i __attribute__((vector_size(32)));
typedef union {
    vec whole;
    half8 halves[2];
    half4i bits[2];
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
    const split8 a = {v};
    const half8i more = a.halves[0] > a.halves[1];
    const half8 x = (half8)(((half8i)a.halves[0] & more) | ((half8i)a.halves[1] & ~more));
    float h = x[0];
    for (int i = 1; i < 8; i++) h = x[i] > h ? x[i] : h;
    return h;
}
static inline int any(ivec v) {
    const split8 a = {(vec)v};
    const half4i b = a.bits[0] | a.bits[1];
    return (b[0] | b[1] | b[2] | b[3]) != 0;
}

/* e^x for x <= 0: e^x = 2^n e^r with |r| <= ln 2 / 2, e^r by its series (Cephes' coefficients, 2e-7). */
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

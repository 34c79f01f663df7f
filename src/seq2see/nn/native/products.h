/* Products with packed matrices, in three kinds of numbers.

   A packed matrix [N, K] lies in panels of PANEL outputs, outputs padded with zeros: K x PANEL numbers each. In BYTES a
   panel's numbers w of an output are round(w / scale), scale = max |w| / 127, four neighbouring inputs side by side; then
   come PANEL scales, and PANEL sums of an output's numbers times 128. */

#include "vectors.h"

#if defined(__AVX512BF16__) || defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

#define PANEL 32
#define BLOCK 96 /* rows whose inputs stay in the nearest cache while the panels pass by */
#if defined(__AVX512F__)
#define TILE 12 /* rows of one tile: TILE x 2 sums fill the vector registers */
#elif defined(__AVX2__) || defined(__aarch64__)
#define TILE 3
#else
#define TILE 2
#endif

enum { SINGLE, HALF, BYTES }; /* float32; bfloat16; 8-bit integers, those of the inputs scaled row by row */

static uint16_t shortened(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

int panel(void) { return PANEL; }
int block(void) { return BLOCK; }

int has(int kind) {
#ifdef __AVX512BF16__
    if (kind == HALF) return 1;
#endif
#ifdef __AVX512VNNI__
    if (kind == BYTES) return 1;
#endif
    return kind == SINGLE;
}

static int64_t panel_bytes(int K, int kind) {
    return kind == BYTES ? ((K + 3) / 4 * 4 + 8) * PANEL : (int64_t)(kind == HALF ? 2 : 4) * K * PANEL;
}

/* How large a packed matrix [N, K] is. */
int64_t packed_bytes(int N, int K, int kind) { return (N + PANEL - 1) / PANEL * panel_bytes(K, kind); }

static void pack_bytes(const float *weight, int rows, int K, int8_t *packed) {
    const int inputs = (K + 3) / 4 * 4;
    float *scales = (float *)(packed + (int64_t)inputs * PANEL);
    int32_t *sums = (int32_t *)(scales + PANEL);
    for (int j = 0; j < PANEL; j++) {
        float most = 0, wrong = 0;
        for (int k = 0; j < rows && k < K; k++) {
            const float w = weight[(int64_t)j * K + k];
            most = fmaxf(most, fabsf(w));
            wrong += w - w;
        }
        scales[j] = wrong == 0 && most > 0 ? most / 127 : 1;
        sums[j] = 0;
        for (int k = 0; k < inputs; k++) {
            const int8_t w = j < rows && k < K && wrong == 0 ? (int8_t)rintf(weight[(int64_t)j * K + k] / scales[j]) : 0;
            packed[(int64_t)k / 4 * 4 * PANEL + 4 * j + k % 4] = w;
            sums[j] += 128 * w;
        }
        scales[j] += wrong; /* a weight that is no number makes all that comes of it none */
    }
}

/* weight [N, K] to panels; HALF: two neighbouring inputs side by side (K even). */
void pack(const float *weight, int N, int K, void *packed, int kind) {
    for (int n = 0; n < N; n += PANEL) {
        void *at = (char *)packed + n / PANEL * panel_bytes(K, kind);
        if (kind == BYTES) {
            pack_bytes(weight + (int64_t)n * K, N - n < PANEL ? N - n : PANEL, K, at);
            continue;
        }
        for (int k = 0; k < K; k++)
            for (int j = 0; j < PANEL; j++) {
                const float w = n + j < N ? weight[(int64_t)(n + j) * K + k] : 0.0f;
                if (kind == HALF) ((uint16_t *)at)[k / 2 * 2 * PANEL + 2 * j + k % 2] = shortened(w);
                else ((float *)at)[(int64_t)k * PANEL + j] = w;
            }
    }
}

/* Rows that tiles are compiled for; what is left over takes several. */
static int tile_of(int rows) { return rows >= TILE ? TILE : rows >= 8 ? 8 : rows >= 5 ? 5 : rows == 3 ? 2 : rows; }

#define TILES(CALL) \
    switch (rows) { \
    case 1: CALL(1); break; \
    case 2: CALL(2); break; \
    case 4: CALL(4); break; \
    case 5: CALL(5); break; \
    case 8: CALL(8); break; \
    default: CALL(TILE); \
    }

/* Each tile: sums [rows, PANEL] of x [rows, K] times a panel. Written out, so that the sums stay in registers. */
#define INLINE static inline __attribute__((always_inline)) void
#define UNROLLED _Pragma("GCC unroll 12")

INLINE tile_single(int rows, int K, const float *x, const float *w, float *out) {
    vec sums[12][2];
    UNROLLED for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = all(0);
    for (int k = 0; k < K; k++, w += PANEL) {
        const vec w0 = load(w), w1 = load(w + LANES);
        UNROLLED for (int i = 0; i < rows; i++) {
            const float factor = x[(int64_t)i * K + k];
            sums[i][0] += factor * w0;
            sums[i][1] += factor * w1;
        }
    }
    UNROLLED for (int i = 0; i < rows; i++) store(out + i * PANEL, sums[i][0]), store(out + i * PANEL + LANES, sums[i][1]);
}

#ifdef __AVX512BF16__
INLINE tile_half(int rows, int K, const uint16_t *x, const uint16_t *w, float *out) {
    __m512 sums[12][2];
    UNROLLED for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
    for (int k = 0; k < K; k += 2, w += 2 * PANEL) {
        const __m512bh w0 = (__m512bh)_mm512_loadu_si512(w), w1 = (__m512bh)_mm512_loadu_si512(w + PANEL);
        UNROLLED for (int i = 0; i < rows; i++) {
            uint32_t pair;
            memcpy(&pair, x + (int64_t)i * K + k, 4);
            const __m512bh factors = (__m512bh)_mm512_set1_epi32((int)pair);
            sums[i][0] = _mm512_dpbf16_ps(sums[i][0], factors, w0);
            sums[i][1] = _mm512_dpbf16_ps(sums[i][1], factors, w1);
        }
    }
    UNROLLED for (int i = 0; i < rows; i++)
        store(out + i * PANEL, (vec)sums[i][0]), store(out + i * PANEL + LANES, (vec)sums[i][1]);
}
#endif

#ifdef __AVX512VNNI__
/* In place: gcc 12 moves every sum twice around the intrinsic, which halves the speed. */
static inline __m512i add_products(__m512i sums, __m512i x, __m512i w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
    return sums;
}

/* x: four neighbouring inputs as one number, each with 128 added; K a multiple of four. */
INLINE tile_bytes(int rows, int K, const uint8_t *x, const int8_t *w, int32_t *out) {
    __m512i sums[12][2];
    UNROLLED for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = _mm512_setzero_si512();
    for (int k = 0; k < K; k += 4, w += 4 * PANEL) {
        const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 2 * PANEL);
        UNROLLED for (int i = 0; i < rows; i++) {
            int32_t four;
            memcpy(&four, x + (int64_t)i * K + k, 4);
            const __m512i values = _mm512_set1_epi32(four);
            sums[i][0] = add_products(sums[i][0], values, w0);
            sums[i][1] = add_products(sums[i][1], values, w1);
        }
    }
    UNROLLED for (int i = 0; i < rows; i++)
        _mm512_storeu_si512(out + i * PANEL, sums[i][0]), _mm512_storeu_si512(out + i * PANEL + LANES, sums[i][1]);
}

/* Sums of bytes to numbers: less what the 128 have added, times the scales of output and row. */
static __attribute__((noinline)) void to_numbers(int rows, const float *scales, const float *factors, const int32_t *in, float *out) {
    const int32_t *less = (const int32_t *)(scales + PANEL);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < PANEL; j += LANES) {
            const __m512i whole = _mm512_sub_epi32(_mm512_loadu_si512(in + i * PANEL + j), _mm512_loadu_si512(less + j));
            store(out + i * PANEL + j, (vec)_mm512_cvtepi32_ps(whole) * (load(scales + j) * factors[i]));
        }
}
#endif

/* Sums [rows, PANEL] to their place: bias (or null), relu, `add` to what is there. */
static __attribute__((noinline)) void put(
    int rows, const float *sums, const float *bias, float *y, int stride, int columns, int relu, int add
) {
    for (int i = 0; i < rows; i++, sums += PANEL, y += stride) {
        vec halves[2];
        for (int h = 0; h < 2; h++) {
            vec v = load(sums + h * LANES);
            if (bias) v += load(bias + h * LANES);
            if (relu) v = (vec)((ivec)v & ~(v <= 0)); /* what is no number stays so */
            halves[h] = v;
        }
        if (columns >= PANEL)
            for (int h = 0; h < 2; h++) store(y + h * LANES, add ? load(y + h * LANES) + halves[h] : halves[h]);
        else {
            float row[PANEL];
            memcpy(row, halves, sizeof row);
            for (int j = 0; j < columns; j++) y[j] = (add ? y[j] : 0) + row[j];
        }
    }
}

#ifdef __AVX512VNNI__
/* x [M, K] to bytes, rows of `inputs`, and the rows' scales. A row that holds no number has a scale that is none. */
static void to_bytes(int M, int K, int inputs, const float *x, uint8_t *bytes, float *factors) {
    for (int m = 0; m < M; m++, x += K, bytes += inputs) {
        vec sizes = all(0), apart = all(0);
        int at = 0;
        for (; at + LANES <= K; at += LANES) {
            const vec v = load(x + at);
            sizes = larger(larger(v, -v), sizes);
            apart += v - v;
        }
        float most = highest_of(sizes), wrong = sum(apart);
        for (; at < K; at++) {
            most = fabsf(x[at]) > most ? fabsf(x[at]) : most;
            wrong += x[at] - x[at];
        }
        const float factor = most > 0 ? 127 / most : 0;
        factors[m] = most / 127 + wrong;
        for (int k = 0; k < inputs; k += LANES) {
            const int left = K - k < LANES ? K - k : LANES, whole = inputs - k < LANES ? inputs - k : LANES;
            const __mmask16 some = left > 0 ? (__mmask16)((1u << left) - 1) : 0, room = (__mmask16)((1u << whole) - 1);
            const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + k), _mm512_set1_ps(factor));
            const __m512i rounded = _mm512_add_epi32(_mm512_cvtps_epi32(scaled), _mm512_set1_epi32(128));
            _mm_mask_storeu_epi8(bytes + k, room, _mm512_cvtepi32_epi8(rounded));
        }
    }
}
#endif

/* y [M, N] = x [M, K] times the packed weight, plus bias (padded to panels, or null); `add`: y += instead.
   `space`: room for M x (K + 4) numbers of 4 bytes, but for SINGLE. */
static void product(
    int M, int N, int K, const float *x, const void *packed, const float *bias, float *y, int relu, int add, int kind, void *space
) {
    const int64_t stride = panel_bytes(K, kind);
    (void)space;
#ifdef __AVX512BF16__
    if (kind == HALF) {
        const int64_t count = (int64_t)M * K;
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES)
            _mm256_storeu_si256(
                (__m256i *)((uint16_t *)space + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i))
            );
        for (; i < count; i++) ((uint16_t *)space)[i] = shortened(x[i]);
    }
#endif
#ifdef __AVX512VNNI__
    const int inputs = (K + 3) / 4 * 4;
    float *factors = space;
    uint8_t *bytes = (uint8_t *)(factors + M);
    if (kind == BYTES) to_bytes(M, K, inputs, x, bytes, factors);
#endif
    for (int block = 0; block < M; block += BLOCK) {
        const int end = block + BLOCK < M ? block + BLOCK : M;
        for (int n = 0; n < N; n += PANEL) {
            const int columns = N - n;
            const float *b = bias ? bias + n : 0;
            const void *w = (const char *)packed + n / PANEL * stride;
            for (int m = block, rows; m < end; m += rows) {
                rows = tile_of(end - m);
                float sums[12 * PANEL];
                switch (kind) {
#ifdef __AVX512BF16__
                case HALF: {
                    const uint16_t *in = (uint16_t *)space + (int64_t)m * K;
#define HALVES(R) tile_half(R, K, in, w, sums)
                    TILES(HALVES)
                    break;
                }
#endif
#ifdef __AVX512VNNI__
                case BYTES: {
                    int32_t whole[12 * PANEL];
                    const uint8_t *in = bytes + (int64_t)m * inputs;
#define BYTEWISE(R) tile_bytes(R, inputs, in, w, whole)
                    TILES(BYTEWISE)
                    const float *scales = (const float *)((const char *)w + (int64_t)inputs * PANEL);
                    to_numbers(rows, scales, factors + m, whole, sums);
                    break;
                }
#endif
                default: {
                    const float *in = x + (int64_t)m * K;
#define SINGLES(R) tile_single(R, K, in, w, sums)
                    TILES(SINGLES)
                }
                }
                put(rows, sums, b, y + (int64_t)m * N + n, N, columns, relu, add);
            }
        }
    }
}

/* The same for a caller outside. */
void linear(int M, int N, int K, const float *x, const void *packed, const float *bias, float *y, int kind, void *space) {
    product(M, N, K, x, packed, bias, y, 0, 0, kind, space);
}

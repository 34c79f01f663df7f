/* Products in bfloat16 for training: both factors change with every update, so laying them out has to be cheap.

   A product y [M, N] = a [M, K] b [K, N] takes K in pairs. The rows of `a` may lie anyhow: `row` and `pair` say how many
   numbers lie between neighbouring rows and between neighbouring pairs. `b` lies in panels of PANEL columns, each
   [K / 2, PANEL, 2]. Where K is odd, or N no multiple of PANEL, zeros fill up. Sums are float32. */

#pragma once

#include "vectors.h"

#ifdef __AVX512BF16__

#define PANEL 32
#define TILE 12   /* rows of one tile: TILE x 2 sums fill the vector registers */
#define DEPTH 512 /* pairs that are summed up before the next panel: a panel's part stays in the nearest caches */
#define UNROLLED _Pragma("GCC unroll 16")

static inline int64_t up(int64_t x, int64_t step) { return (x + step - 1) / step * step; }
static inline int64_t panels_room(int64_t K, int64_t N) { return up(K, 2) * up(N, PANEL); }

static inline __m256i halves(const float *x) { return (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x)); }
static inline uint16_t half(float x) { return (uint16_t)_mm_extract_epi16((__m128i)_mm_cvtneps_pbh(_mm_set_ss(x)), 0); }
static inline vec wide(const uint16_t *x) {
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)), 16);
}
static inline float whole(uint16_t x) {
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

static void to_halves(int64_t count, const float *x, uint16_t *y) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) _mm256_storeu_si256((__m256i *)(y + i), halves(x + i));
    for (; i < count; i++) y[i] = half(x[i]);
}

/* Two rows' numbers side by side. */
static inline __m512i paired(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

/* x [R, C], C a multiple of LANES, to pairs of rows [R / 2, C, 2], in panels of so many columns (C: one for all). */
static void pair_rows(int64_t R, int64_t C, const uint16_t *x, int panel, uint16_t *y) {
    const __m256i nothing = _mm256_setzero_si256();
    for (int64_t r = 0; r < R; r += 2)
        for (int64_t c = 0; c < C; c += LANES) {
            const __m256i even = _mm256_loadu_si256((const __m256i *)(x + r * C + c));
            const __m256i odd = r + 1 < R ? _mm256_loadu_si256((const __m256i *)(x + (r + 1) * C + c)) : nothing;
            const int64_t at = c / panel * panel * up(R, 2) + r * panel + c % panel * 2;
            _mm512_storeu_si512(y + at, paired(even, odd));
        }
}

/* A matrix [R, C] of float32 to panels of C, two rows side by side; zeros to a whole panel. */
static inline void panels_of_rows(int64_t R, int64_t C, const float *x, uint16_t *y) {
    for (int64_t c = 0; c < C; c += PANEL)
        for (int64_t r = 0; r < R; r += 2, y += 2 * PANEL)
            for (int64_t j = 0; j < PANEL; j += LANES) {
                const int64_t left = C - c - j;
                const __mmask16 some = left >= LANES ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
                const float *at = x + r * C + c + j;
                const __m256i even = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, at));
                const __m512 below = r + 1 < R ? _mm512_maskz_loadu_ps(some, at + C) : _mm512_setzero_ps();
                _mm512_storeu_si512(y + 2 * j, paired(even, (__m256i)_mm512_cvtneps_pbh(below)));
            }
}

/* A matrix [N, K] of float32 to panels of its transpose [K, N]; K even. */
static void panels_of_columns(int64_t N, int64_t K, const float *x, uint16_t *y) {
    for (int64_t n = 0; n < N; n += PANEL)
        for (int64_t k = 0; k < K; k += 2, y += 2 * PANEL)
            for (int64_t j = 0; j < PANEL; j += 8) {
                float pairs[16] = {0};
                for (int64_t i = 0; i < 8 && n + j + i < N; i++) memcpy(pairs + 2 * i, x + (n + j + i) * K + k, 8);
                _mm256_storeu_si256((__m256i *)(y + 2 * j), halves(pairs));
            }
}

/* A block of 16 columns of x, `count` rows (at most 16; zeros for the others), with rows for columns: y [16, 16]. */
static inline void transpose(int count, const float *x, int64_t stride, float *y, int64_t to) {
    __m512 a[16], b[16];
    UNROLLED for (int i = 0; i < 16; i++) a[i] = i < count ? _mm512_loadu_ps(x + i * stride) : _mm512_setzero_ps();
    UNROLLED for (int i = 0; i < 16; i += 2) b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    UNROLLED for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            const __m512d low = _mm512_castps_pd(b[i + j]), high = _mm512_castps_pd(b[i + j + 2]);
            a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    UNROLLED for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 4; j++) {
            b[i + j] = _mm512_shuffle_f32x4(a[i + j], a[i + j + 4], 0x88);
            b[i + j + 4] = _mm512_shuffle_f32x4(a[i + j], a[i + j + 4], 0xdd);
        }
    UNROLLED for (int j = 0; j < 8; j++) {
        _mm512_storeu_ps(y + j * to, _mm512_shuffle_f32x4(b[j], b[j + 8], 0x88));
        _mm512_storeu_ps(y + (j + 8) * to, _mm512_shuffle_f32x4(b[j], b[j + 8], 0xdd));
    }
}

/* Sums [rows, PANEL] of `pairs` pairs. Written out, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void tile(
    int rows, int64_t pairs, const uint16_t *a, int64_t row, int64_t pair, const uint16_t *b, float *out
) {
    __m512 sums[TILE][2];
    UNROLLED for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
    for (int64_t k = 0; k < pairs; k++, a += pair, b += 2 * PANEL) {
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + PANEL);
        UNROLLED for (int i = 0; i < rows; i++) {
            uint32_t both;
            memcpy(&both, a + i * row, 4);
            const __m512bh factors = (__m512bh)_mm512_set1_epi32((int)both);
            sums[i][0] = _mm512_dpbf16_ps(sums[i][0], factors, b0);
            sums[i][1] = _mm512_dpbf16_ps(sums[i][1], factors, b1);
        }
    }
    UNROLLED for (int i = 0; i < rows; i++)
        store(out + i * PANEL, (vec)sums[i][0]), store(out + i * PANEL + LANES, (vec)sums[i][1]);
}

/* As many rows as there are, in one tile of a size that is compiled. */
static int some_rows(
    int64_t left, int64_t pairs, const uint16_t *a, int64_t row, int64_t pair, const uint16_t *b, float *out
) {
#define ROWS(R) if (left >= R) { tile(R, pairs, a, row, pair, b, out); return R; }
    ROWS(12) ROWS(8) ROWS(5) ROWS(4) ROWS(2) ROWS(1)
#undef ROWS
    return 0;
}

static void put(int rows, int64_t columns, const float *sums, const float *bias, int relu, int add, float *y, int64_t stride) {
    for (int i = 0; i < rows; i++, sums += PANEL, y += stride)
        for (int j = 0; j < PANEL && j < columns; j += LANES) {
            const int64_t left = columns - j;
            const __mmask16 some = left >= LANES ? 0xffff : (__mmask16)((1u << left) - 1);
            __m512 v = _mm512_loadu_ps(sums + j);
            if (bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(some, bias + j));
            if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(some, y + j));
            if (relu) v = _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LE_OQ), _mm512_setzero_ps());
            _mm512_mask_storeu_ps(y + j, some, v);
        }
}

/* y [M, N], rows `stride` apart, = a b + bias (or null); `add`: y += instead. Blocks of rows stay in the nearest cache
   while the panels pass by. */
static void multiply(
    int64_t M, int64_t N, int64_t K, const uint16_t *a, int64_t row, int64_t pair, const uint16_t *b, const float *bias,
    int relu, int add, float *y, int64_t stride
) {
    const int64_t pairs = (K + 1) / 2, block = 8 * TILE;
    for (int64_t k = 0; k < pairs; k += DEPTH) {
        const int64_t depth = pairs - k < DEPTH ? pairs - k : DEPTH;
        const int last = k + depth == pairs;
        for (int64_t from = 0; from < M; from += block) {
            const int64_t end = from + block < M ? from + block : M;
            for (int64_t n = 0; n < N; n += PANEL) {
                const uint16_t *panel = b + n * 2 * pairs + k * 2 * PANEL;
                for (int64_t m = from, rows; m < end; m += rows) {
                    float sums[TILE * PANEL];
                    rows = some_rows(end - m, depth, a + m * row + k * pair, row, pair, panel, sums);
                    put(rows, N - n, sums, last && bias ? bias + n : 0, relu && last, add || k, y + m * stride + n, stride);
                }
            }
        }
    }
}

/* The gradient of a weight [N, K] += dy [R, N] transposed times x [R, K], both rounded; a, b: room for both and a row more. */
static inline void weight_back(
    int64_t R, int64_t N, int64_t K, const uint16_t *dy, const uint16_t *x, float *gradient, uint16_t *a, uint16_t *b
) {
    pair_rows(R, N, dy, (int)N, a);
    pair_rows(R, K, x, PANEL, b);
    multiply(N, K, R, a, 2, 2 * N, b, 0, 0, 1, gradient, K);
}

static inline void bias_back(int64_t R, int64_t N, const float *dy, float *gradient) {
    for (int64_t r = 0; r < R; r++, dy += N)
        for (int64_t n = 0; n < N; n += LANES) store(gradient + n, load(gradient + n) + load(dy + n));
}

/* The next so many bytes of a room. */
static inline char *taken(char **at, int64_t bytes) {
    char *here = *at;
    *at += up(bytes, 64);
    return here;
}
#endif

/* Products with packed matrices, in three kinds of numbers.

   A packed matrix [N, K] lies in panels of PANEL outputs, outputs padded with zeros: K x PANEL numbers each. In BYTES a
   panel's numbers w of an output are round(w / scale), scale = max |w| / 127, four neighbouring inputs side by side; then
   come PANEL scales, and PANEL sums of an output's numbers times 128. */

#include "vectors.h"

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

#define TILE_ROWS 12 /* rows of the largest tile on any machine */

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
    vec sums[TILE_ROWS][2];
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
    __m512 sums[TILE_ROWS][2];
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

/* x: four neighbouring inputs as one number, each with 128 added; K a multiple of four. The sums, less what the 128 have
   added, are brought to scale by those of outputs and rows. */
INLINE tile_bytes(int rows, int K, const uint8_t *x, const float *factors, const int8_t *w, float *out) {
    __m512i sums[TILE_ROWS][2];
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
    for (int h = 0; h < 2; h++) {
        const vec scales = load((const float *)w + h * LANES);
        const __m512i less = _mm512_loadu_si512((const float *)w + PANEL + h * LANES);
        UNROLLED for (int i = 0; i < rows; i++)
            store(out + i * PANEL + h * LANES, (vec)_mm512_cvtepi32_ps(_mm512_sub_epi32(sums[i][h], less)) * (scales * factors[i]));
    }
}

/* x [M, K] to bytes, rows of `inputs`, and the rows' scales. A row that holds no number has a scale that is none. */
static void to_bytes(int M, int K, int inputs, const float *x, uint8_t *bytes, float *factors) {
    const __m512i sign = _mm512_set1_epi32((int32_t)0x80000000);
    for (int m = 0; m < M; m++, x += K, bytes += inputs) {
        /* Without their signs numbers are in order as integers are, and what is none is above them. */
        __m512i sizes = _mm512_setzero_si512();
        for (int k = 0; k < K; k += LANES) {
            const __mmask16 some = K - k < LANES ? (__mmask16)((1u << (K - k)) - 1) : 0xffff;
            sizes = _mm512_max_epu32(sizes, _mm512_andnot_si512(sign, _mm512_maskz_loadu_epi32(some, x + k)));
        }
        const uint32_t bits = _mm512_reduce_max_epu32(sizes);
        float most;
        memcpy(&most, &bits, 4);
        const __m512 factor = _mm512_set1_ps(most > 0 ? 127 / most : 0);
        factors[m] = most / 127 + (most - most);
        for (int k = 0; k < inputs; k += LANES) {
            const int left = K - k < LANES ? K - k : LANES, whole = inputs - k < LANES ? inputs - k : LANES;
            const __mmask16 some = left > 0 ? (__mmask16)((1u << left) - 1) : 0, room = (__mmask16)((1u << whole) - 1);
            const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + k), factor));
            _mm_mask_storeu_epi8(bytes + k, room, _mm512_cvtepi32_epi8(_mm512_add_epi32(rounded, _mm512_set1_epi32(128))));
        }
    }
}
#endif

/* The rows of a product as its tiles read them. */
struct inputs {
    int K, kind, stride; /* stride: numbers of a row in BYTES */
    const void *numbers;
    const float *factors;
};

/* x [M, K]; `space`: room for M x (K + 4) numbers of 4 bytes, but for SINGLE. */
static struct inputs inputs_of(int M, int K, const float *x, int kind, void *space) {
    struct inputs in = {.K = K, .kind = kind, .stride = (K + 3) / 4 * 4, .numbers = x};
    (void)M, (void)space;
#ifdef __AVX512BF16__
    if (kind == HALF) {
        const int64_t count = (int64_t)M * K;
        uint16_t *halves = space;
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES)
            _mm256_storeu_si256((__m256i *)(halves + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
        for (; i < count; i++) halves[i] = shortened(x[i]);
        in.numbers = halves;
    }
#endif
#ifdef __AVX512VNNI__
    if (kind == BYTES) {
        float *factors = space;
        uint8_t *bytes = (uint8_t *)(factors + M);
        to_bytes(M, K, in.stride, x, bytes, factors);
        in.numbers = bytes, in.factors = factors;
    }
#endif
    return in;
}

/* Sums [rows, PANEL] of the rows from m on, as many as a tile takes of those left, times a panel; returns how many. */
static int tile_sums(const struct inputs *in, int m, int left, const void *w, float *sums) {
    const int rows = tile_of(left), K = in->K;
    const int64_t first = (int64_t)m * K;
    switch (in->kind) {
#ifdef __AVX512BF16__
    case HALF: {
        const uint16_t *x = (const uint16_t *)in->numbers + first;
#define HALVES(R) tile_half(R, K, x, w, sums)
        TILES(HALVES)
        break;
    }
#endif
#ifdef __AVX512VNNI__
    case BYTES: {
        const uint8_t *x = (const uint8_t *)in->numbers + (int64_t)m * in->stride;
        const float *factors = in->factors + m;
#define BYTEWISE(R) tile_bytes(R, in->stride, x, factors, w, sums)
        TILES(BYTEWISE)
        break;
    }
#endif
    default: {
        const float *x = (const float *)in->numbers + first;
#define SINGLES(R) tile_single(R, K, x, w, sums)
        TILES(SINGLES)
    }
    }
    return rows;
}

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

/* y [M, N] = x [M, K] times the packed weight, plus bias (padded to panels, or null); `add`: y += instead. `space`: as of
   inputs_of. */
static void product(
    int M, int N, int K, const float *x, const void *packed, const float *bias, float *y, int relu, int add, int kind, void *space
) {
    const int64_t stride = panel_bytes(K, kind);
    const struct inputs in = inputs_of(M, K, x, kind, space);
    for (int block = 0; block < M; block += BLOCK) {
        const int end = block + BLOCK < M ? block + BLOCK : M;
        for (int n = 0; n < N; n += PANEL) {
            const void *w = (const char *)packed + n / PANEL * stride;
            for (int m = block, rows; m < end; m += rows) {
                float sums[TILE_ROWS * PANEL];
                rows = tile_sums(&in, m, end - m, w, sums);
                put(rows, sums, bias ? bias + n : 0, y + (int64_t)m * N + n, N, N - n, relu, add);
            }
        }
    }
}

/* The same for a caller outside. */
void linear(int M, int N, int K, const float *x, const void *packed, const float *bias, float *y, int kind, void *space) {
    product(M, N, K, x, packed, bias, y, 0, 0, kind, space);
}

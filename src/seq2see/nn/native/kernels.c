/* One step of a Transformer's decoder for many rows, and what search asks of the scores.

   Everything here has a twin in PyTorch, and a test that holds the two together. A row's numbers depend on that row
   alone, in one order of operations: they are the same to the last bit whatever other rows stand beside it.

   N rows, D width, H heads, K width of a head, F feed-forward, L layers, V vocabulary, P positions, S source positions.
   A packed matrix [N, K] lies in panels of PANEL outputs: K x PANEL numbers each, outputs padded with zeros. */

#include "vectors.h"

#ifdef __AVX512BF16__
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

static uint16_t shortened(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

int panel(void) { return PANEL; }
int block(void) { return BLOCK; }

int has_bfloat16(void) {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;
#endif
}

/* weight [N, K] to panels; `half`: to bfloat16, two neighbouring inputs side by side (K even). */
void pack(const float *weight, int N, int K, void *packed, int half) {
    for (int n = 0; n < N; n += PANEL)
        for (int k = 0; k < K; k++)
            for (int j = 0; j < PANEL; j++) {
                const float w = n + j < N ? weight[(int64_t)(n + j) * K + k] : 0.0f;
                const int64_t at = (int64_t)n * K;
                if (half) ((uint16_t *)packed)[at + (k / 2) * 2 * PANEL + 2 * j + k % 2] = shortened(w);
                else ((float *)packed)[at + (int64_t)k * PANEL + j] = w;
            }
}

#define TILES(CALL) \
    switch (rows) { \
    case 1: CALL(1); break; \
    case 2: CALL(2); break; \
    case 3: CALL(3); break; \
    case 4: CALL(4); break; \
    case 5: CALL(5); break; \
    case 6: CALL(6); break; \
    case 7: CALL(7); break; \
    case 8: CALL(8); break; \
    case 9: CALL(9); break; \
    case 10: CALL(10); break; \
    case 11: CALL(11); break; \
    default: CALL(12); \
    }

static inline __attribute__((always_inline)) void put(vec first, vec second, float *y, int columns, int relu, int add) {
    if (relu) {
        first = (vec)((ivec)first & (first > 0));
        second = (vec)((ivec)second & (second > 0));
    }
    if (columns >= PANEL) {
        if (add) {
            first += load(y);
            second += load(y + LANES);
        }
        store(y, first);
        store(y + LANES, second);
        return;
    }
    for (int j = 0; j < columns; j++) y[j] = (add ? y[j] : 0) + (j < LANES ? first[j] : second[j - LANES]);
}

static inline __attribute__((always_inline)) void tile_single(
    int rows, int K, const float *x, const float *w, const float *bias, float *y, int stride, int columns, int relu, int add
) {
    vec sums[12][2];
    const vec b0 = bias ? load(bias) : all(0), b1 = bias ? load(bias + LANES) : all(0);
    for (int i = 0; i < rows; i++) sums[i][0] = b0, sums[i][1] = b1;
    for (int k = 0; k < K; k++, w += PANEL) {
        const vec w0 = load(w), w1 = load(w + LANES);
        for (int i = 0; i < rows; i++) {
            const float factor = x[(int64_t)i * K + k];
            sums[i][0] += factor * w0;
            sums[i][1] += factor * w1;
        }
    }
    for (int i = 0; i < rows; i++) put(sums[i][0], sums[i][1], y + (int64_t)i * stride, columns, relu, add);
}

#ifdef __AVX512BF16__
static inline __attribute__((always_inline)) void tile_half(
    int rows, int K, const uint16_t *x, const uint16_t *w, const float *bias, float *y, int stride, int columns, int relu, int add
) {
    __m512 sums[12][2];
    const __m512 b0 = bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
    const __m512 b1 = bias ? _mm512_loadu_ps(bias + LANES) : _mm512_setzero_ps();
    for (int i = 0; i < rows; i++) sums[i][0] = b0, sums[i][1] = b1;
    for (int k = 0; k < K; k += 2, w += 2 * PANEL) {
        const __m512bh w0 = (__m512bh)_mm512_loadu_si512(w), w1 = (__m512bh)_mm512_loadu_si512(w + PANEL);
        for (int i = 0; i < rows; i++) {
            uint32_t pair;
            memcpy(&pair, x + (int64_t)i * K + k, 4);
            const __m512bh factors = (__m512bh)_mm512_set1_epi32((int)pair);
            sums[i][0] = _mm512_dpbf16_ps(sums[i][0], factors, w0);
            sums[i][1] = _mm512_dpbf16_ps(sums[i][1], factors, w1);
        }
    }
    for (int i = 0; i < rows; i++) put((vec)sums[i][0], (vec)sums[i][1], y + (int64_t)i * stride, columns, relu, add);
}
#endif

/* y [M, N] = x [M, K] times the packed weight, plus bias (padded to panels, or null); `add`: y += instead.
   `space`: room for M x K bfloat16 numbers, where `half`. */
static void product(
    int M, int N, int K, const float *x, const void *packed, const float *bias, float *y, int relu, int add, int half, void *space
) {
#ifdef __AVX512BF16__
    if (half) {
        const int64_t count = (int64_t)M * K;
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES)
            _mm256_storeu_si256(
                (__m256i *)((uint16_t *)space + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i))
            );
        for (; i < count; i++) ((uint16_t *)space)[i] = shortened(x[i]);
    }
#endif
    for (int block = 0; block < M; block += BLOCK) {
        const int end = block + BLOCK < M ? block + BLOCK : M;
        for (int n = 0; n < N; n += PANEL) {
            const int columns = N - n;
            const float *b = bias ? bias + n : 0;
            for (int m = block; m < end; m += TILE) {
                const int rows = end - m < TILE ? end - m : TILE;
                float *out = y + (int64_t)m * N + n;
#ifdef __AVX512BF16__
                if (half) {
                    const uint16_t *in = (uint16_t *)space + (int64_t)m * K, *w = (uint16_t *)packed + (int64_t)n * K;
#define HALF(R) tile_half(R, K, in, w, b, out, N, columns, relu, add)
                    TILES(HALF)
                    continue;
                }
#endif
                const float *in = x + (int64_t)m * K, *w = (const float *)packed + (int64_t)n * K;
#define SINGLE(R) tile_single(R, K, in, w, b, out, N, columns, relu, add)
                TILES(SINGLE)
            }
        }
    }
}

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

struct layer {
    const void *own, *own_out, *cross, *cross_out, *inner, *outer; /* packed; `own`: query, key and value together */
    const float *inner_bias, *outer_bias;
    const float *own_scale, *own_shift, *cross_scale, *cross_shift, *inner_scale, *inner_shift;
};

struct step {
    int32_t N, D, H, F, L, P, S, B, pre, half; /* P: positions read, this one included; S 0: no memory */
    float epsilon;
    const struct layer *layers;
    const float *last_scale, *last_shift; /* null: no norm at the end */
    const float *cosine, *sine;           /* of this position, [K / 2]; null: no rotation */
    const float *const *past;             /* of each earlier position its keys and values [L, 2, rows, D] */
    const int32_t *past_rows;
    const int32_t *path;                  /* [N, P - 1]: which of its rows a row has come through */
    float *present;                       /* [L, 2, N, D], to be filled */
    const float *memory;                  /* [L, 2, B, S, D] */
    const int32_t *sentence, *lengths;    /* [N] and [B] */
    float *x;                             /* [N, D]: what is read; then the hidden states */
    float *weights;                       /* [N, L, H, S] for attention to the memory; null: not wanted */
    float *space;                         /* of at least room() numbers */
};

static int64_t wide(const struct step *s) { return s->F > 3 * s->D ? s->F : 3 * s->D; }

/* How many floats `space` has to hold. */
int64_t room(const struct step *s) {
    const int64_t longest = (s->P > s->S ? s->P : s->S) + LANES;
    return (int64_t)s->N * (2 * s->D + 2 * wide(s)) + longest * (s->H + 4) + 64;
}

void step(struct step *s) {
    const int N = s->N, D = s->D, K = s->D / s->H, earlier = s->P - 1;
    const int64_t longest = (s->P > s->S ? s->P : s->S) + LANES;
    float *y = s->space, *context = y + (int64_t)N * D, *wider = context + (int64_t)N * D;
    float *scores = wider + (int64_t)N * wide(s), *half = scores + longest * s->H;
    const float **keys = (const float **)(half + (int64_t)N * wide(s)), **values = keys + longest;
    keys = (const float **)(((uintptr_t)keys + 15) & ~(uintptr_t)15);
    values = keys + longest;
    for (int l = 0; l < s->L; l++) {
        const struct layer *at = s->layers + l;
        const float *in = s->x;
        if (s->pre) normalise(N, D, s->x, at->own_scale, at->own_shift, s->epsilon, y), in = y;
        product(N, 3 * D, D, in, at->own, 0, wider, 0, 0, s->half, half);
        float *own_keys = s->present + (int64_t)(2 * l) * N * D, *own_values = own_keys + (int64_t)N * D;
        for (int n = 0; n < N; n++) {
            float *row = wider + (int64_t)n * 3 * D;
            if (s->cosine) turn(D, K, s->cosine, s->sine, row), turn(D, K, s->cosine, s->sine, row + D);
            memcpy(own_keys + (int64_t)n * D, row + D, 4 * D);
            memcpy(own_values + (int64_t)n * D, row + 2 * D, 4 * D);
        }
        for (int n = 0; n < N; n++) {
            for (int p = 0; p < earlier; p++) {
                const int64_t rows = s->past_rows[p], row = s->path[(int64_t)n * earlier + p];
                keys[p] = s->past[p] + (2 * l * rows + row) * D;
                values[p] = keys[p] + rows * D;
            }
            keys[earlier] = own_keys + (int64_t)n * D;
            values[earlier] = own_values + (int64_t)n * D;
            look(D, s->H, s->P, wider + (int64_t)n * 3 * D, keys, values, context + (int64_t)n * D, scores);
        }
        product(N, D, D, context, at->own_out, 0, s->x, 0, 1, s->half, half);
        if (!s->pre) normalise(N, D, s->x, at->own_scale, at->own_shift, s->epsilon, s->x);
        if (s->S) {
            in = s->x;
            if (s->pre) normalise(N, D, s->x, at->cross_scale, at->cross_shift, s->epsilon, y), in = y;
            product(N, D, D, in, at->cross, 0, wider, 0, 0, s->half, half);
            for (int n = 0; n < N; n++) {
                const int b = s->sentence[n], count = s->lengths[b], padded = (count + LANES - 1) / LANES * LANES;
                const float *first = s->memory + ((int64_t)(2 * l) * s->B + b) * s->S * D;
                for (int p = 0; p < count; p++) {
                    keys[p] = first + (int64_t)p * D;
                    values[p] = keys[p] + (int64_t)s->B * s->S * D;
                }
                look(D, s->H, count, wider + (int64_t)n * D, keys, values, context + (int64_t)n * D, scores);
                if (s->weights)
                    for (int h = 0; h < s->H; h++) {
                        float *w = s->weights + (((int64_t)n * s->L + l) * s->H + h) * s->S;
                        for (int p = 0; p < s->S; p++) w[p] = p < count ? scores[(int64_t)h * padded + p] : 0;
                    }
            }
            product(N, D, D, context, at->cross_out, 0, s->x, 0, 1, s->half, half);
            if (!s->pre) normalise(N, D, s->x, at->cross_scale, at->cross_shift, s->epsilon, s->x);
        }
        in = s->x;
        if (s->pre) normalise(N, D, s->x, at->inner_scale, at->inner_shift, s->epsilon, y), in = y;
        product(N, s->F, D, in, at->inner, at->inner_bias, wider, 1, 0, s->half, half);
        product(N, D, s->F, wider, at->outer, at->outer_bias, s->x, 0, 1, s->half, half);
        if (!s->pre) normalise(N, D, s->x, at->inner_scale, at->inner_shift, s->epsilon, s->x);
    }
    if (s->last_scale) normalise(N, D, s->x, s->last_scale, s->last_shift, s->epsilon, s->x);
}

/* Logits less their log-sum-exp, in place. */
static void log_softmax(float *x, int N, int V) {
    for (int n = 0; n < N; n++, x += V) {
        vec m = all(-INFINITY), s = all(0);
        int v = 0;
        for (; v + LANES <= V; v += LANES) m = larger(load(x + v), m);
        float highest = highest_of(m), total = 0;
        for (; v < V; v++) highest = x[v] > highest ? x[v] : highest;
        for (v = 0; v + LANES <= V; v += LANES) s += exponential(load(x + v) - highest);
        total = sum(s);
        for (; v < V; v++) total += expf(x[v] - highest);
        /* No number, or none above minus infinity: the whole row is no number, as in PyTorch. */
        const float less = highest + logf(total);
        for (v = 0; v + LANES <= V; v += LANES) store(x + v, load(x + v) - less);
        for (; v < V; v++) x[v] -= less;
    }
}

/* Hidden states [N, D] to log-probabilities [N, V]; `space`: BLOCK x D floats. */
void foresee(int N, int V, int D, const float *x, const void *packed, const float *bias, float *y, int half, void *space) {
    for (int n = 0; n < N; n += BLOCK) {
        const int rows = N - n < BLOCK ? N - n : BLOCK;
        product(rows, V, D, x + (int64_t)n * D, packed, bias, y + (int64_t)n * V, 0, 0, half, space);
        log_softmax(y + (int64_t)n * V, rows, V);
    }
}

/* The `count` (at most 64) largest values of each row, largest first; of equal ones the lower columns, in their order. */
void largest(const float *x, int N, int V, int count, float *values, int64_t *columns) {
    for (int n = 0; n < N; n++, x += V, values += count, columns += count) {
        int found = 0;
        float least = -INFINITY;
        for (int v = 0; v < V;) {
            if (found == count && v + 4 * LANES <= V) {
                const vec a = larger(load(x + v), load(x + v + LANES));
                const vec b = larger(load(x + v + 2 * LANES), load(x + v + 3 * LANES));
                if (!any(larger(a, b) > least)) {
                    v += 4 * LANES;
                    continue;
                }
            }
            if (found == count && v + LANES <= V && !any(load(x + v) > least)) {
                v += LANES;
                continue;
            }
            const int end = v + LANES < V ? v + LANES : V;
            for (; v < end; v++) {
                const float at = x[v];
                if (found == count && !(at > least)) continue;
                int place = found < count ? found++ : count - 1;
                for (; place > 0 && values[place - 1] < at; place--) {
                    values[place] = values[place - 1];
                    columns[place] = columns[place - 1];
                }
                values[place] = at;
                columns[place] = v;
                least = values[found - 1];
            }
        }
    }
}

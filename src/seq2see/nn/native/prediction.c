/* The cross-entropy of an output layer and its gradients, without the table of all logits (see training/loss.py).

   With z = W h + b, gold y and smoothing e a row's loss is lse(z) - (1 - e) z_y - e mean z, and the gradient of the logits
   p - (1 - e) 1_y - e / V. Here exp(z - c) is formed while a tile of logits is in the registers, and rounded to bfloat16 for
   the two products behind it; dividing by their sum s is left to the other factors. c is the gold logit: what matters has
   about its size, and where a logit is so much larger that exp would overflow, the rows are done again with the largest.
   The gold entries are left out of the products and come in float32: coefficients (p_y - (1 - e)) of W_y and of h.

   N rows, D width, V vocabulary. */

#include "half.h"

#ifdef __AVX512BF16__

#define ROWS (8 * TILE)
#define HIGHEST 60.0f

struct prediction {
    int32_t N, D, V;
    float smoothing;
    const float *hidden;             /* [N, D] */
    const int64_t *gold;             /* [N] */
    const float *weight, *bias;      /* [V, D]; [V] or null */
    const float *mean;               /* [D]: the mean row of the weight */
    const uint16_t *forward, *back;  /* the weight laid out, of prediction_room numbers each */
    float *loss, *coefficient;       /* [N] */
    float *hidden_gradient;          /* [N, D] */
    float *gradient;                 /* [D + 1, V]: of the weight, transposed, and of the bias; without the gold entries
                                        and what is the same for all words */
    char *space;                     /* of prediction_space bytes */
};

int64_t prediction_room(int V, int D) { return panels_room(D, V) > panels_room(V, D) ? panels_room(D, V) : panels_room(V, D); }

void prediction_pack(int V, int D, const float *weight, uint16_t *forward, uint16_t *back) {
    panels_of_columns(V, D, weight, forward);
    panels_of_rows(V, D, weight, back);
}

/* Rows whose exponentials are kept for one product. */
static int64_t together(int64_t V) {
    const int64_t rows = (4 << 20) / V / ROWS * ROWS;
    return rows < ROWS ? ROWS : rows > 4 * ROWS ? 4 * ROWS : rows;
}

struct work {
    uint16_t *lines, *pairs, *hidden, *scaled, *scaled_pairs;
    float *products;
};

static struct work work_at(const struct prediction *p, char **at) {
    const int64_t D = p->D, V = up(p->V, PANEL), most = together(p->V);
    struct work w;
    w.lines = (uint16_t *)taken(at, 2 * ROWS * V);
    w.pairs = (uint16_t *)taken(at, 2 * most * V);
    w.hidden = (uint16_t *)taken(at, 2 * ROWS * D);
    w.scaled = (uint16_t *)taken(at, 2 * most * (D + LANES));
    w.scaled_pairs = (uint16_t *)taken(at, 2 * most * (D + LANES));
    w.products = (float *)taken(at, 4 * ROWS * D);
    return w;
}

int64_t prediction_space(const struct prediction *p) {
    char *at = 0;
    work_at(p, &at);
    return at - (char *)0;
}

struct rows {
    vec sums[ROWS], totals[ROWS], highest[ROWS];
};

/* Exponentials of a tile of logits: to rows [ROWS, V] and to pairs of rows in a panel. */
static void exponentials(
    int count, int columns, const float *logits, const float *bias, const float *shift, struct rows *r, int from, uint16_t *line,
    int64_t V, uint16_t *pairs
) {
    for (int i = 0; i < count; i += 2)
        for (int j = 0; j < PANEL; j += LANES) {
            const int left = columns - j;
            const __mmask16 some = left >= LANES ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
            __m256i rounded[2];
            rounded[1] = _mm256_setzero_si256();
            for (int k = 0; k < 2 && i + k < count; k++) {
                const int at = i + k;
                __m512 z = _mm512_loadu_ps(logits + at * PANEL + j);
                if (bias) z = _mm512_add_ps(z, _mm512_maskz_loadu_ps(some, bias + j));
                const __m512 e = _mm512_maskz_mov_ps(some, (__m512)exponential((vec)z - shift[at]));
                r->sums[from + at] += (vec)e;
                r->totals[from + at] += (vec)_mm512_maskz_mov_ps(some, z);
                r->highest[from + at] = (vec)_mm512_mask_max_ps((__m512)r->highest[from + at], some, z, (__m512)r->highest[from + at]);
                rounded[k] = (__m256i)_mm512_cvtneps_pbh(e);
                _mm256_storeu_si256((__m256i *)(line + at * V + j), rounded[k]);
            }
            _mm512_storeu_si512(pairs + i / 2 * 2 * PANEL + 2 * j, paired(rounded[0], rounded[1]));
        }
}

/* Exponentials of up to ROWS rows, their sums, and the totals of their logits. Returns whether none was too large. */
static int exponentials_of(
    const struct prediction *p, int count, const uint16_t *hidden, const float *bias, const float *shift, struct rows *r,
    uint16_t *lines, uint16_t *pairs, int64_t all_pairs
) {
    const int64_t V = up(p->V, PANEL), D = p->D;
    for (int i = 0; i < count; i++) r->sums[i] = r->totals[i] = all(0), r->highest[i] = all(-INFINITY);
    for (int64_t n = 0; n < p->V; n += PANEL)
        for (int m = 0, rows; m < count; m += rows) {
            float logits[TILE * PANEL];
            rows = some_rows(count - m, (D + 1) / 2, hidden + m * D, D, 2, p->forward + n * up(D, 2), logits);
            /* Pairs begin at even rows: an odd tile can only be the last. */
            if (rows % 2 && m + rows < count) rows--;
            exponentials(
                rows, p->V - (int)n, logits, bias ? bias + n : 0, shift + m, r, m, lines + m * V + n, V,
                pairs + n * 2 * all_pairs + m / 2 * 2 * PANEL
            );
        }
    int fine = 1;
    for (int i = 0; i < count; i++) fine &= !(highest_of(r->highest[i]) - shift[i] > HIGHEST);
    return fine;
}

void predict(const struct prediction *p) {
    const int64_t D = p->D, V = up(p->V, PANEL), most = together(p->V), wider = D + LANES;
    char *room = p->space;
    const struct work w = work_at(p, &room);
    memset(p->gradient, 0, 4 * (D + 1) * (int64_t)p->V);
    for (int64_t from = 0; from < p->N; from += most) {
        const int64_t end = from + most < p->N ? from + most : p->N, all_pairs = (end - from + 1) / 2;
        for (int64_t first = from; first < end; first += ROWS) {
            const int count = (int)(end - first < ROWS ? end - first : ROWS);
            const float *h = p->hidden + first * D;
            float shift[ROWS], gold[ROWS];
            struct rows r;
            to_halves(count * D, h, w.hidden);
            for (int i = 0; i < count; i++) {
                const float *own = p->weight + p->gold[first + i] * D;
                vec dot = all(0);
                for (int d = 0; d < D; d += LANES) {
                    uint16_t numbers[LANES];
                    _mm256_storeu_si256((__m256i *)numbers, halves(own + d));
                    dot += wide(w.hidden + i * D + d) * wide(numbers);
                }
                shift[i] = gold[i] = sum(dot) + (p->bias ? p->bias[p->gold[first + i]] : 0);
            }
            uint16_t *here = w.pairs + (first - from) / 2 * 2 * PANEL;
            if (!exponentials_of(p, count, w.hidden, p->bias, shift, &r, w.lines, here, all_pairs)) {
                for (int i = 0; i < count; i++) {
                    const float highest = highest_of(r.highest[i]);
                    if (highest - shift[i] > HIGHEST) shift[i] = highest;
                }
                exponentials_of(p, count, w.hidden, p->bias, shift, &r, w.lines, here, all_pairs);
            }
            for (int i = 0; i < count; i++) {
                const int64_t y = p->gold[first + i], row = first - from + i;
                const float total = sum(r.sums[i]), mean = sum(r.totals[i]) / p->V;
                const float share = expf(gold[i] - shift[i]) / total;
                p->loss[first + i] = (shift[i] - gold[i]) + logf(total) + p->smoothing * (gold[i] - mean);
                p->coefficient[first + i] = share - (1 - p->smoothing);
                w.lines[i * V + y] = 0;
                w.pairs[y / PANEL * PANEL * 2 * all_pairs + row / 2 * 2 * PANEL + y % PANEL * 2 + row % 2] = 0;
                uint16_t *to = w.scaled + row * wider;
                for (int64_t d = 0; d < D; d += LANES)
                    _mm256_storeu_si256((__m256i *)(to + d), (__m256i)_mm512_cvtneps_pbh((__m512)(load(h + i * D + d) / total)));
                memset(to + D, 0, 2 * LANES);
                to[D] = half(1 / total);
                r.sums[i] = all(1 / total);
            }
            multiply(count, D, p->V, w.lines, V, 2, p->back, 0, 0, 0, w.products, D);
            for (int i = 0; i < count; i++) {
                const float *own = p->weight + p->gold[first + i] * D;
                for (int64_t d = 0; d < D; d += LANES)
                    store(
                        p->hidden_gradient + (first + i) * D + d,
                        load(w.products + i * D + d) * r.sums[i] + load(own + d) * p->coefficient[first + i] -
                            load(p->mean + d) * p->smoothing
                    );
            }
        }
        pair_rows(end - from, wider, w.scaled, (int)wider, w.scaled_pairs);
        multiply(D + 1, p->V, end - from, w.scaled_pairs, 2, 2 * wider, w.pairs, 0, 0, 1, p->gradient, p->V);
    }
}

struct collection {
    int32_t count, D, V, from, to;
    float uniform_bias;
    const float *const *parts;
    const float *uniform; /* [D] */
    float *weight, *bias; /* [V, D]; [V] or null */
};

/* Words from `from` to before `to`: the gradients of weight and bias out of those of `count` parts, and what is the same
   for all words. */
void collect(const struct collection *c) {
    const int D = c->D;
    const int64_t V = c->V;
    for (int64_t v = c->from; v < c->to; v += LANES) {
        const int words = c->to - v < LANES ? (int)(c->to - v) : LANES;
        const __mmask16 some = (__mmask16)((1u << words) - 1);
        for (int d = 0; d < D; d += LANES) {
            float sums[LANES * LANES], turned[LANES * LANES];
            for (int i = 0; i < LANES; i++) {
                __m512 x = _mm512_setzero_ps();
                for (int k = 0; k < c->count; k++)
                    x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(some, c->parts[k] + (d + i) * V + v));
                _mm512_storeu_ps(sums + i * LANES, x);
            }
            transpose(LANES, sums, LANES, turned, LANES);
            for (int i = 0; i < words; i++)
                store(c->weight + (v + i) * D + d, load(turned + i * LANES) + load(c->uniform + d));
        }
        for (int i = 0; c->bias && i < words; i++) {
            float total = c->uniform_bias;
            for (int k = 0; k < c->count; k++) total += c->parts[k][D * V + v + i];
            c->bias[v + i] = total;
        }
    }
}
#endif

/* What search asks of the output layer: log-probabilities, or the best of them alone.

   Scores are looked at tile by tile, as the products leave them, and sums of exponentials are corrected when a larger score
   comes than was to be expected (Milakov and Gimelshein 2018): a table of all scores of many rows would not stay in the
   caches.

   N rows, D width, V vocabulary, C best of a row. */

#pragma once

#include "products.h"

#define FAR 60.0f /* e to this power is no danger in float32 */

/* The sum of e^(score - shift) over the scores of a row. */
struct tally {
    vec total;
    float shift;
};

/* Counts in a panel; `first`: nothing has been counted. */
static inline void count_in(struct tally *t, vec a, vec b, int first) {
    const vec m = larger(a, b);
    if (first) *t = (struct tally){all(0), -INFINITY};
    if (lanes_of(m > t->shift + FAR)) {
        const float highest = highest_of(m);
        t->total *= expf(t->shift - highest);
        t->shift = highest;
    }
    const float shift = t->shift > -INFINITY ? t->shift : 0; /* else what is counted here will be multiplied by 0 */
    t->total += exponential(a - shift) + exponential(b - shift);
}

/* Scores less this are log-probabilities. No number where some score is none, or infinite, or none above minus infinity. */
static inline float log_of(const struct tally *t) {
    return t->shift > -INFINITY ? t->shift + logf(sum(t->total)) : NAN;
}

/* A panel's two vectors; beyond the last of `columns` minus infinity. */
static inline void scores_of(const float *sums, const float *bias, int columns, vec *a, vec *b) {
    *a = load(sums) + load(bias);
    *b = load(sums + LANES) + load(bias + LANES);
    if (columns >= PANEL) return;
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    *a = either(lane < columns, *a, all(-INFINITY));
    *b = either(lane + LANES < columns, *b, all(-INFINITY));
}

/* Hidden states [N, D] to log-probabilities [N, V]; `space`: BLOCK x (D + 4) floats. */
void foresee(int N, int V, int D, const float *x, const void *packed, const float *bias, float *y, int kind, void *space) {
    const int64_t stride = panel_bytes(D, kind);
    for (int from = 0; from < N; from += BLOCK, x += (int64_t)BLOCK * D, y += (int64_t)BLOCK * V) {
        const int rows = N - from < BLOCK ? N - from : BLOCK;
        const struct inputs in = inputs_of(rows, D, x, kind, space);
        struct tally tallies[BLOCK];
        for (int n = 0; n < V; n += PANEL)
            for (int m = 0, some; m < rows; m += some) {
                float sums[TILE_ROWS * PANEL];
                some = tile_sums(&in, m, rows - m, (const char *)packed + n / PANEL * stride, sums);
                put(some, sums, bias + n, y + (int64_t)m * V + n, V, V - n, 0, 0);
                for (int i = 0; i < some; i++) {
                    vec a, b;
                    scores_of(sums + i * PANEL, bias + n, V - n, &a, &b);
                    count_in(tallies + m + i, a, b, !n);
                }
            }
        for (int m = 0; m < rows; m++) {
            const float less = log_of(tallies + m);
            float *row = y + (int64_t)m * V;
            int v = 0;
            for (; v + LANES <= V; v += LANES) store(row + v, load(row + v) - less);
            for (; v < V; v++) row[v] -= less;
        }
    }
}

/* The best so far, best first; of equals the lower columns, in their order. */
struct best {
    float *values;
    int64_t *columns;
    int count, found;
    float least; /* what a value has to be above */
};

static void take_in(struct best *b, float value, int64_t column) {
    int place = b->found < b->count ? b->found++ : b->count - 1;
    for (; place > 0 && b->values[place - 1] < value; place--) {
        b->values[place] = b->values[place - 1];
        b->columns[place] = b->columns[place - 1];
    }
    b->values[place] = value;
    b->columns[place] = column;
    if (b->found == b->count) b->least = b->values[b->count - 1];
}

/* Takes in what is above the least of a vector's values, the first of them in this column; none of `never`. */
static inline void take_some(struct best *b, vec values, int64_t column, int refused, const int32_t *never) {
    float each[LANES];
    unsigned above = lanes_of(values > b->least);
    if (!above) return;
    store(each, values);
    for (; above; above &= above - 1) {
        const int lane = __builtin_ctz(above);
        int fine = each[lane] > b->least;
        for (int k = 0; k < refused; k++) fine &= never[k] != column + lane;
        if (fine) take_in(b, each[lane], column + lane);
    }
}

/* Log-probabilities out of scores. All are no numbers where the row has no distribution; and what is refused comes last. */
static void settle(struct best *b, float less, int refused, const int32_t *never) {
    for (int k = 0; k < refused && b->found < b->count; k++, b->found++) {
        b->values[b->found] = -INFINITY;
        b->columns[b->found] = never[k];
    }
    for (; b->found < b->count; b->found++) b->values[b->found] = -INFINITY, b->columns[b->found] = 0;
    for (int c = 0; c < b->count; c++) {
        b->values[c] -= less;
        /* Scores that differed may be equal by now. */
        for (int at = c; at && b->values[at - 1] == b->values[at] && b->columns[at - 1] > b->columns[at]; at--) {
            const int64_t column = b->columns[at];
            b->columns[at] = b->columns[at - 1];
            b->columns[at - 1] = column;
        }
    }
}

/* The `count` best log-probabilities of each row [N, count] and their columns, none of `never`; all of them no numbers where
   the row has no distribution. `space`: as of foresee. */
void foresee_best(
    int N, int V, int D, const float *x, const void *packed, const float *bias, int kind, int refused, const int32_t *never,
    int count, float *values, int64_t *columns, void *space
) {
    const int64_t stride = panel_bytes(D, kind);
    for (int from = 0; from < N; from += BLOCK, x += (int64_t)BLOCK * D) {
        const int rows = N - from < BLOCK ? N - from : BLOCK;
        const struct inputs in = inputs_of(rows, D, x, kind, space);
        struct tally tallies[BLOCK];
        struct best best[BLOCK];
        for (int m = 0; m < rows; m++) {
            const int64_t place = (int64_t)(from + m) * count;
            best[m] = (struct best){values + place, columns + place, count, 0, -INFINITY};
        }
        for (int n = 0; n < V; n += PANEL)
            for (int m = 0, some; m < rows; m += some) {
                float sums[TILE_ROWS * PANEL];
                some = tile_sums(&in, m, rows - m, (const char *)packed + n / PANEL * stride, sums);
                for (int i = 0; i < some; i++) {
                    vec a, b;
                    scores_of(sums + i * PANEL, bias + n, V - n, &a, &b);
                    count_in(tallies + m + i, a, b, !n);
                    if (!lanes_of(larger(a, b) > best[m + i].least)) continue;
                    take_some(best + m + i, a, n, refused, never);
                    take_some(best + m + i, b, n + LANES, refused, never);
                }
            }
        for (int m = 0; m < rows; m++) settle(best + m, log_of(tallies + m), refused, never);
    }
}

/* The `count` largest values of each row, largest first, and their columns; of equal ones the lower. */
void largest(const float *x, int N, int V, int count, float *values, int64_t *columns) {
    for (int n = 0; n < N; n++, x += V, values += count, columns += count) {
        struct best best = {values, columns, count, 0, -INFINITY};
        int v = 0;
        for (; v + 4 * LANES <= V; v += 4 * LANES) {
            const vec a = larger(load(x + v), load(x + v + LANES));
            const vec b = larger(load(x + v + 2 * LANES), load(x + v + 3 * LANES));
            if (!lanes_of(larger(a, b) > best.least)) continue;
            for (int i = 0; i < 4 * LANES; i += LANES) take_some(&best, load(x + v + i), v + i, 0, 0);
        }
        for (; v < V; v++)
            if (x[v] > best.least) take_in(&best, x[v], v);
        /* Too few are above minus infinity: the lowest of the other columns. */
        for (v = 0; v < V && best.found < count; v++) {
            int taken = 0;
            for (int c = 0; c < best.found; c++) taken |= columns[c] == v;
            if (!taken) values[best.found] = x[v], columns[best.found++] = v;
        }
    }
}

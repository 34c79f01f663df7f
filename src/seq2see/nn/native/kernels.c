/* The layers of a Transformer for many rows, and what search asks of the scores.

   Everything here has a twin in PyTorch, and a test that holds the two together. A row's numbers depend on that row
   (and the rows it looks at) alone, in one order of operations: they are the same to the last bit whatever other rows
   stand beside it.

   N rows, D width, H heads, K width of a head, F feed-forward, L layers, V vocabulary, P positions, S source positions,
   B sentences, R rows of all sentences one after the other, T positions at most. */

#include "attention.h"
#include "decoder.h"
#include "scores.h"

static int64_t wide(const struct shape *s) { return s->F > 3 * s->D ? s->F : 3 * s->D; }

/* What is computed in: places for numbers of N rows, and for the keys and values that one row looks at. */
struct space {
    float *y, *context, *wider, *scores, *narrow;
    const float **keys, **values;
};

/* How many floats the space for N rows holds, each of which looks at `longest` positions at most. */
int64_t room(const struct shape *s, int N, int longest) {
    return (int64_t)N * (2 * s->D + 2 * wide(s) + 8) + weights_room(s->H, longest) + 4 * (longest + LANES) + 64;
}

static struct space divide(const struct shape *s, int N, int longest, float *at) {
    const int64_t most = longest + LANES;
    struct space space = {.y = at};
    space.context = space.y + (int64_t)N * s->D;
    space.wider = space.context + (int64_t)N * s->D;
    space.scores = space.wider + (int64_t)N * wide(s);
    space.narrow = space.scores + weights_room(s->H, longest);
    space.keys = (const float **)(((uintptr_t)(space.narrow + (int64_t)N * (wide(s) + 4)) + 15) & ~(uintptr_t)15);
    space.values = space.keys + most;
    return space;
}

/* x += what a sub-layer made (product of `in` [N, K] with `weight`); after it the norm, where norms come after. */
static void add(
    const struct shape *s, int N, int K, const float *in, const void *weight, const float *bias, const float *scale,
    const float *shift, float *x, const struct space *at
) {
    product(N, s->D, K, in, weight, bias, x, 0, 1, s->kind, at->narrow);
    if (!s->pre) normalise(N, s->D, x, scale, shift, s->epsilon, x);
}

/* What a sub-layer reads: x, normalised where norms come before. */
static const float *read(
    const struct shape *s, int N, const float *x, const float *scale, const float *shift, const struct space *at
) {
    if (!s->pre) return x;
    normalise(N, s->D, x, scale, shift, s->epsilon, at->y);
    return at->y;
}

static void feed_forward(const struct shape *s, const struct layer *l, int N, float *x, const struct space *at) {
    const float *in = read(s, N, x, l->inner_scale, l->inner_shift, at);
    product(N, s->F, s->D, in, l->inner, l->inner_bias, at->wider, 1, 0, s->kind, at->narrow);
    add(s, N, s->F, at->wider, l->outer, l->outer_bias, l->inner_scale, l->inner_shift, x, at);
}

/* Queries, keys and values of x side by side in at->wider. */
static void project_all(const struct shape *s, const struct layer *l, int N, const float *x, const struct space *at) {
    const float *in = read(s, N, x, l->own_scale, l->own_shift, at);
    product(N, 3 * s->D, s->D, in, l->own, 0, at->wider, 0, 0, s->kind, at->narrow);
}

/* The encoder. x [R, D]: embeddings of B sentences, sentence b from row first[b] on; then its states. cosine and sine of
   each position [S, K / 2], or null. */
void encode(
    const struct shape *s, int B, const int32_t *first, int causal, const float *cosine, const float *sine, float *x, float *space
) {
    const int D = s->D, K = D / s->H, R = first[B];
    int longest = 0;
    for (int b = 0; b < B; b++) longest = first[b + 1] - first[b] > longest ? first[b + 1] - first[b] : longest;
    const struct space at = divide(s, R, longest, space);
    for (int l = 0; l < s->L; l++) {
        const struct layer *layer = s->layers + l;
        project_all(s, layer, R, x, &at);
        for (int b = 0; b < B; b++) {
            const int count = first[b + 1] - first[b];
            float *rows = at.wider + (int64_t)first[b] * 3 * D;
            for (int p = 0; p < count; p++) {
                float *row = rows + (int64_t)p * 3 * D;
                if (cosine) {
                    const int64_t turns = (int64_t)p * (K / 2);
                    turn(D, K, cosine + turns, sine + turns, row);
                    turn(D, K, cosine + turns, sine + turns, row + D);
                }
                at.keys[p] = row + D;
                at.values[p] = row + 2 * D;
            }
            for (int p = 0; p < count; p++)
                look(
                    D, s->H, causal ? p + 1 : count, rows + (int64_t)p * 3 * D, at.keys, at.values,
                    at.context + (int64_t)(first[b] + p) * D, at.scores
                );
        }
        add(s, R, D, at.context, layer->own_out, 0, layer->own_scale, layer->own_shift, x, &at);
        feed_forward(s, layer, R, x, &at);
    }
    if (s->last_scale) normalise(R, D, x, s->last_scale, s->last_shift, s->epsilon, x);
}

/* One step of the decoder: one position of every row. (The C library has a `step` of its own.) */
void decoder_step(const struct shape *s, const struct step *t) {
    const int N = t->N, D = s->D, K = s->D / s->H, earlier = t->P - 1;
    const struct space at = divide(s, N, t->P > t->S ? t->P : t->S, t->space);
    for (int l = 0; l < s->L; l++) {
        const struct layer *layer = s->layers + l;
        project_all(s, layer, N, t->x, &at);
        float *own_keys = t->present + (int64_t)(2 * l) * N * D, *own_values = own_keys + (int64_t)N * D;
        for (int n = 0; n < N; n++) {
            float *row = at.wider + (int64_t)n * 3 * D;
            if (t->cosine) turn(D, K, t->cosine, t->sine, row), turn(D, K, t->cosine, t->sine, row + D);
            memcpy(own_keys + (int64_t)n * D, row + D, 4 * D);
            memcpy(own_values + (int64_t)n * D, row + 2 * D, 4 * D);
        }
        for (int n = 0; n < N; n++) {
            for (int p = 0; p < earlier; p++) {
                const int64_t rows = t->past_rows[p], row = t->path[(int64_t)n * t->stride + p];
                at.keys[p] = t->past[p] + (2 * l * rows + row) * D;
                at.values[p] = at.keys[p] + rows * D;
            }
            at.keys[earlier] = own_keys + (int64_t)n * D;
            at.values[earlier] = own_values + (int64_t)n * D;
            const float *query = at.wider + (int64_t)n * 3 * D;
            look(D, s->H, t->P, query, at.keys, at.values, at.context + (int64_t)n * D, at.scores);
        }
        add(s, N, D, at.context, layer->own_out, 0, layer->own_scale, layer->own_shift, t->x, &at);
        if (t->S) {
            const float *in = read(s, N, t->x, layer->cross_scale, layer->cross_shift, &at);
            product(N, D, D, in, layer->cross, 0, at.wider, 0, 0, s->kind, at.narrow);
            for (int n = 0; n < N; n++) {
                const int b = t->sentence[n], count = t->first[b + 1] - t->first[b];
                const int64_t rows = t->first[t->B];
                const float *first = t->memory + (2 * l * rows + t->first[b]) * D;
                for (int p = 0; p < count; p++) {
                    at.keys[p] = first + (int64_t)p * D;
                    at.values[p] = at.keys[p] + rows * D;
                }
                const float *query = at.wider + (int64_t)n * D;
                look(D, s->H, count, query, at.keys, at.values, at.context + (int64_t)n * D, at.scores);
                if (t->weights)
                    for (int h = 0; h < s->H; h++) {
                        float *w = t->weights + (((int64_t)n * s->L + l) * s->H + h) * t->S;
                        for (int p = 0; p < t->S; p++) w[p] = p < count ? at.scores[weight_at(s->H, count, h, p)] : 0;
                    }
            }
            add(s, N, D, at.context, layer->cross_out, 0, layer->cross_scale, layer->cross_shift, t->x, &at);
        }
        feed_forward(s, layer, N, t->x, &at);
    }
    if (s->last_scale) normalise(N, D, t->x, s->last_scale, s->last_shift, s->epsilon, t->x);
}

/* The output layer of each list: the columns of the whole one, side by side. */
void gather(const struct shape *s, const struct writing *w) {
    const struct lists *l = w->lists;
    if (!l) return;
    const int64_t panel = panel_bytes(s->D, s->kind), across = panel / (4 * PANEL);
    for (int b = 0; b < w->step.N; b++)
        for (int i = 0; i < l->count[b]; i++) {
            const int64_t at = (int64_t)l->first[b] * PANEL + i;
            const int token = l->tokens[at];
            const uint32_t *from = (const uint32_t *)((const char *)w->output + token / PANEL * panel) + token % PANEL;
            uint32_t *to = (uint32_t *)((char *)l->weights + at / PANEL * panel) + i % PANEL;
            for (int64_t k = 0; k < across; k++) to[k * PANEL] = from[k * PANEL];
            l->biases[at] = w->bias[token];
        }
}

/* The `count` best tokens of each row at position p; rows of a sentence lie side by side. */
void foresee_rows(
    const struct shape *s, const struct writing *w, int rows, int p, int count, const float *x, const int32_t *sentence, void *space
) {
    const int end_too = p < w->least, D = s->D;
    const struct lists *l = w->lists;
    if (!l) {
        foresee_best(
            rows, w->V, D, x, w->output, w->bias, s->kind, w->refused + end_too, w->never, count, w->values, w->columns, space
        );
        return;
    }
    const int64_t panel = panel_bytes(D, s->kind);
    for (int from = 0, to; from < rows; from = to) {
        const int b = sentence[from];
        for (to = from + 1; to < rows && sentence[to] == b;) to++;
        const int64_t first = l->first[b];
        float *values = w->values + (int64_t)from * count;
        int64_t *columns = w->columns + (int64_t)from * count;
        foresee_best(
            to - from, l->count[b], D, x + (int64_t)from * D, (const char *)l->weights + first * panel, l->biases + first * PANEL,
            s->kind, end_too, l->end + b, count, values, columns, space
        );
        for (int c = 0; c < (to - from) * count; c++) columns[c] = l->tokens[first * PANEL + columns[c]];
    }
}

/* What a row reads: the embedding of a token at position p. */
void embed(const struct writing *w, int D, int p, int token, float *x) {
    for (int d = 0; d < D; d += LANES) {
        const vec e = load(w->embedding + (int64_t)token * D + d) * w->scale;
        store(x + d, w->positions ? e + load(w->positions + (int64_t)p * D + d) : e);
    }
}

/* The likeliest token of each row again and again, until it ends; of equally likely ones the lowest. 0: done; 1: some
   row's scores are no distribution, or leave it nothing to write. */
int write_greedily(const struct shape *s, const struct writing *w) {
    const int N = w->step.N, D = s->D, K = D / s->H, T = w->T;
    int32_t *path = w->rows + T, *slot = path + (int64_t)N * T, *sentence = slot + N;
    const float **past = (const float **)w->step.past;
    struct step t = w->step;
    t.stride = T;
    t.past_rows = w->rows;
    t.path = path;
    t.sentence = sentence;
    for (int n = 0; n < N; n++) slot[n] = sentence[n] = n, w->lengths[n] = 0;
    gather(s, w);
    float *cache = w->cache;
    for (int p = 0, rows = N; rows; p++) {
        for (int n = 0; n < rows; n++) {
            const int token = p ? w->tokens[(int64_t)slot[n] * T + p - 1] : w->start;
            embed(w, D, p, token, t.x + (int64_t)n * D);
        }
        t.N = rows;
        t.P = p + 1;
        t.cosine = w->cosine ? w->cosine + (int64_t)p * (K / 2) : 0;
        t.sine = w->sine ? w->sine + (int64_t)p * (K / 2) : 0;
        t.present = cache;
        past[p] = cache;
        w->rows[p] = rows;
        cache += (int64_t)s->L * 2 * rows * D;
        decoder_step(s, &t);
        foresee_rows(s, w, rows, p, 1, t.x, sentence, t.space);
        int left = 0;
        for (int n = 0; n < rows; n++) {
            const int own = slot[n], best = (int)w->columns[n];
            if (!(w->values[n] > -INFINITY)) return 1;
            w->tokens[(int64_t)own * T + p] = best;
            w->log_probs[(int64_t)own * T + p] = w->values[n];
            w->lengths[own] = p + 1;
            if (best == w->end || p + 1 >= w->limits[own]) continue;
            if (left < n) memcpy(path + (int64_t)left * T, path + (int64_t)n * T, 4 * p);
            path[(int64_t)left * T + p] = n;
            slot[left] = own;
            sentence[left++] = sentence[n];
        }
        rows = left;
    }
    return 0;
}

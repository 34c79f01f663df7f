/* Beam search in one call: what search/beam.py does where only tokens and lengths are restricted.

   A row is one of the W best beginnings of its sentence; rows of a sentence lie side by side, best first. Step p reads the
   rows of p tokens each. B sentences, N rows, C best tokens of a row, X = 2 W candidates of a sentence, T tokens at most. */

#include "decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct beams {
    struct writing writing;      /* limits and N are of sentences; tokens, log_probs, lengths: [B, nbest, T], [B, nbest] */
    int32_t W, nbest, most_rows; /* most_rows: B W */
    double enough;               /* endings of a sentence that are enough */
    const double *norms;         /* [T + 1]: what a sum of so many log-probabilities is divided by */
    int32_t *ended, *count;      /* [B, nbest]: whether by `end`; [B]: how many */
    int32_t *rows;               /* [T, most_rows]: the token of each row of the next step … */
    float *chosen;               /* … and its log-probability */
    double *scores;              /* [B, nbest] */
};

struct candidate {
    double sum;
    float log_prob;
    int32_t token, parent;
};

/* The tokens of row n after p steps, and one more. */
static void record(
    const struct beams *s, const int32_t *path, int n, int p, const struct candidate *last, int32_t *tokens, float *log_probs
) {
    for (int q = 0; q < p; q++) {
        const int64_t row = (int64_t)q * s->most_rows + (q + 1 < p ? path[q + 1] : n);
        tokens[q] = s->rows[row];
        log_probs[q] = s->chosen[row];
    }
    tokens[p] = last->token;
    log_probs[p] = last->log_prob;
}

/* Puts a hypothesis into the list of sentence b: those that ended first, then by score, equals behind. */
static void admit(const struct beams *s, int b, int p, int ended, const struct candidate *c, const int32_t *path) {
    const struct writing *w = &s->writing;
    const int64_t T = w->T, first = (int64_t)b * s->nbest;
    const double score = c->sum / s->norms[p + 1];
    int place = s->count[b];
    while (place && (s->ended[first + place - 1] < ended || (s->ended[first + place - 1] == ended && s->scores[first + place - 1] < score)))
        place--;
    if (place == s->nbest) return;
    const int kept = s->count[b] < s->nbest ? s->count[b] : s->nbest - 1;
    for (int64_t i = first + kept; i > first + place; i--) {
        s->scores[i] = s->scores[i - 1], s->ended[i] = s->ended[i - 1], w->lengths[i] = w->lengths[i - 1];
        memcpy(w->tokens + i * T, w->tokens + (i - 1) * T, 4 * T);
        memcpy(w->log_probs + i * T, w->log_probs + (i - 1) * T, 4 * T);
    }
    const int64_t at = first + place;
    s->scores[at] = score, s->ended[at] = ended, w->lengths[at] = p + 1;
    record(s, path, c->parent, p, c, w->tokens + at * T, w->log_probs + at * T);
    s->count[b] = kept + 1;
}

/* The score that a new ending has to beat: that of the last of nbest; minus infinity while there are fewer. */
static double worst(const struct beams *s, int b) {
    const int64_t last = (int64_t)b * s->nbest + s->nbest - 1;
    return s->count[b] == s->nbest && s->ended[last] ? s->scores[last] : -INFINITY;
}

/* What a step works on: rows, and where those of a sentence begin. */
struct front {
    int32_t *path, *sentence, *token;
    double *sum;
    int32_t N;
};

/* Goes on with sentence b, whose rows are [from, to): its endings into its list, its best others into `next`. Returns 1
   where a row has no distribution or nothing to go on with. */
static int go_on(
    const struct beams *s, int b, int p, int C, const struct front *front, int from, int to, struct candidate *candidates,
    int *found, struct front *next
) {
    const struct writing *w = &s->writing;
    const int64_t T = w->T;
    const int most = 2 * s->W;
    int count = 0;
    for (int n = from; n < to; n++) {
        const float *values = w->values + (int64_t)n * C;
        if (!(values[0] > -INFINITY)) return 1;
        for (int c = 0; c < C; c++) {
            const float log_prob = values[c];
            const double sum = front->sum[n] + (double)log_prob;
            if (!(sum > -INFINITY) || (count == most && !(sum > candidates[count - 1].sum))) break;
            int place = count < most ? count++ : most - 1;
            for (; place && candidates[place - 1].sum < sum; place--) candidates[place] = candidates[place - 1];
            candidates[place] = (struct candidate){sum, log_prob, (int32_t)w->columns[(int64_t)n * C + c], n};
        }
    }
    const double before = worst(s, b);
    for (int x = 0; x < count && x < s->W; x++) {
        if (candidates[x].token != w->end) continue;
        found[b]++;
        if (candidates[x].sum / s->norms[p + 1] > before) admit(s, b, p, 1, candidates + x, front->path + candidates[x].parent * T);
    }
    int kept = 0;
    for (int x = 0; x < count && kept < s->W; x++)
        if (candidates[x].token != w->end) candidates[kept++] = candidates[x];
    const int last = p + 1 >= w->limits[b];
    const double now = worst(s, b);
    if (last && now == -INFINITY)
        for (int x = 0; x < kept; x++) admit(s, b, p, 0, candidates + x, front->path + candidates[x].parent * T);
    const int full = now > -INFINITY && (s->W == 1 || !kept || candidates[0].sum / s->norms[w->limits[b]] <= now);
    if (last || full || found[b] >= s->enough || !kept) return 0;
    for (int x = 0; x < kept; x++) {
        const int m = next->N++;
        memcpy(next->path + m * T, front->path + candidates[x].parent * T, 4 * p);
        next->path[m * T + p] = candidates[x].parent;
        next->sentence[m] = b;
        next->sum[m] = candidates[x].sum;
        next->token[m] = candidates[x].token;
        s->rows[(int64_t)p * s->most_rows + m] = candidates[x].token;
        s->chosen[(int64_t)p * s->most_rows + m] = candidates[x].log_prob;
    }
    return 0;
}

/* 0: done; 1: it has to be done step by step, or there is no memory. */
int write_beams(const struct shape *s, const struct beams *beams) {
    const struct writing *w = &beams->writing;
    const int B = w->step.N, D = s->D, K = D / s->H, T = w->T, most = beams->most_rows;
    const int C = 2 * beams->W < w->V ? 2 * beams->W : w->V;
    const int64_t path_room = (int64_t)most * T;
    int32_t *numbers = malloc(4 * (2 * path_room + 4 * (int64_t)most + B + T));
    double *sums = malloc(8 * 2 * (int64_t)most);
    struct candidate *candidates = malloc(sizeof *candidates * (2 * beams->W + 1));
    int failed = !numbers || !sums || !candidates;
    struct front front = {0}, next = {0};
    if (!failed) {
        gather(s, w);
        front = (struct front){numbers, numbers + 2 * path_room, numbers + 2 * path_room + most, sums, B};
        next = (struct front){numbers + path_room, front.token + most, front.token + 2 * (int64_t)most, sums + most, 0};
        int32_t *found = next.token + most, *rows = found + B;
        float *cache = w->cache;
        for (int b = 0; b < B; b++) front.sentence[b] = b, front.sum[b] = 0, front.token[b] = w->start, found[b] = beams->count[b] = 0;
        const float **past = (const float **)w->step.past;
        for (int p = 0; front.N && !failed; p++) {
            struct step t = w->step;
            t.N = front.N;
            t.P = p + 1;
            t.stride = T;
            t.past_rows = rows;
            t.path = front.path;
            t.sentence = front.sentence;
            t.cosine = w->cosine ? w->cosine + (int64_t)p * (K / 2) : 0;
            t.sine = w->sine ? w->sine + (int64_t)p * (K / 2) : 0;
            t.present = cache;
            for (int n = 0; n < front.N; n++) embed(w, D, p, front.token[n], t.x + (int64_t)n * D);
            past[p] = cache;
            rows[p] = front.N;
            cache += (int64_t)s->L * 2 * front.N * D;
            decoder_step(s, &t);
            foresee_rows(s, w, front.N, p, C, t.x, front.sentence, t.space);
            next.N = 0;
            for (int from = 0, to; from < front.N && !failed; from = to) {
                const int b = front.sentence[from];
                for (to = from + 1; to < front.N && front.sentence[to] == b;) to++;
                failed = go_on(beams, b, p, C, &front, from, to, candidates, found, &next);
            }
            const struct front old = front;
            front = next;
            next = old;
        }
    }
    free(numbers), free(sums), free(candidates);
    return failed;
}

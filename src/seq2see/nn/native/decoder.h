/* What the kernels of a decoder are handed. */

#pragma once

#include <stdint.h>

struct layer {
    const void *own, *own_out, *cross, *cross_out, *inner, *outer; /* packed; `own`: query, key and value together */
    const float *inner_bias, *outer_bias;
    const float *own_scale, *own_shift, *cross_scale, *cross_shift, *inner_scale, *inner_shift;
};

/* What the rows share in every layer. */
struct shape {
    int32_t D, H, F, L, pre, kind;
    float epsilon;
    const struct layer *layers;
    const float *last_scale, *last_shift; /* null: no norm at the end */
};

struct step {
    int32_t N, P, S, B, stride;        /* P: positions read, this one included; S: source positions at most, 0: no memory */
    const float *cosine, *sine;        /* of this position, [K / 2]; null: no rotation */
    const float *const *past;          /* of each earlier position its keys and values [L, 2, rows, D] */
    const int32_t *past_rows;
    const int32_t *path;               /* [N, stride]: which of an earlier position's rows a row has come through */
    float *present;                    /* [L, 2, N, D], to be filled */
    const float *memory;               /* [L, 2, R, D] */
    const int32_t *sentence, *first;   /* [N]; [B + 1]: where a sentence begins in the memory */
    float *x;                          /* [N, D]: what is read; then the hidden states */
    float *weights;                    /* [N, L, H, S] for attention to the memory; null: not wanted */
    float *space;                      /* of room(shape, N, larger of P and S) floats */
};

/* For each sentence the tokens that there are, `end` among them, ascending; a list begins at a whole panel. */
struct lists {
    const int32_t *tokens, *first, *count, *end; /* [B + 1]: panel of a list's begin; [B]: tokens, and where `end` is */
    void *weights;                               /* to be filled: the output layer of each list */
    float *biases;
};

struct writing {
    struct step step;            /* N, S, B, memory, first; the rest is filled in here */
    int32_t V, T, start, end;    /* vocabulary, positions at most, the tokens before the first and after the last */
    int32_t refused, least;      /* how many tokens are never written; how many at least stand before `end` */
    float scale;                 /* of an embedding, before a position is added */
    const int32_t *never;        /* `end` stands behind them */
    const float *embedding;      /* [V, D] */
    const float *positions;      /* [T, D], or null */
    const float *cosine, *sine;  /* [T, K / 2], or null */
    const void *output;          /* packed [V, D] */
    const float *bias;
    const int32_t *limits;       /* [N]: tokens at most, `end` included */
    const struct lists *lists;   /* null: any token may be written */
    float *cache;                /* [T, L, 2, N, D] */
    int32_t *rows;               /* [T + N * (T + 2)], to work in */
    float *values;               /* the best of each row, [N, C], */
    int64_t *columns;            /* and their tokens; greedy: one, beam: as many as it looks at */
    int32_t *tokens;             /* [N, T] */
    float *log_probs;            /* [N, T] */
    int32_t *lengths;            /* [N] */
};

void gather(const struct shape *s, const struct writing *w);
void foresee_rows(
    const struct shape *s, const struct writing *w, int rows, int p, int count, const float *x, const int32_t *sentence, void *space
);
void embed(const struct writing *w, int D, int p, int token, float *x);
void decoder_step(const struct shape *s, const struct step *t);

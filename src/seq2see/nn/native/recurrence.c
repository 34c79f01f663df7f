/* A recurrent layer in one direction for training, forward and back (the formulas: nn/cells.py).

   A part has some sentences, longest first: at every step those that go on are the first so many. Its rows lie step by
   step: row first[t] + b is step t of sentence b, and no padding is computed. Products are of bfloat16 with sums in
   float32, everything else is float32.

   B sentences of the part, R rows, E width of the input, D width of the state, P parts of a cell (rnn 1, gru 3, lstm 4),
   G = P D. Gates in PyTorch's order: reset, update, new; input, forget, cell, output. */

#include "half.h"

#ifdef __AVX512BF16__

enum { RNN, GRU, LSTM };

struct layer {
    int32_t cell, E, D;
    const float *input_weight, *hidden_weight; /* [G, E], [G, D] */
    const float *input_bias, *hidden_bias;     /* [G] */
    uint16_t *packed;                          /* of recurrence_room numbers */
};

struct reading {
    const struct layer *layer;
    int32_t B, T;
    const int32_t *first;    /* [T + 1] */
    const int64_t *place;    /* [R]: which row of the caller's input and output it is */
    const int64_t *sentence; /* [B]: which row of the caller's states */
    const float *x, *h, *c;  /* the caller's: inputs, and states before the first step */
    float *out, *h_last, *c_last;
    const float *out_gradient, *h_gradient, *c_gradient; /* of these */
    float *dx, *dh, *dc;     /* of x, h and c, to be filled */
    float *gradients;        /* of the weights and then the biases, to be filled */
    char *kept, *space;      /* of recurrence_kept and recurrence_space bytes */
};

static int64_t parts_of(int cell) { return cell == LSTM ? 4 : cell == GRU ? 3 : 1; }
static int64_t gates_of(const struct layer *l) { return parts_of(l->cell) * l->D; }

struct packed {
    uint16_t *input, *input_back, *hidden, *hidden_back;
};

static struct packed packed_of(const struct layer *l) {
    const int64_t G = gates_of(l), E = up(l->E, PANEL);
    struct packed p = {.input = l->packed};
    p.input_back = p.input + G * E;
    p.hidden = p.input_back + G * E;
    p.hidden_back = p.hidden + G * l->D;
    return p;
}

int64_t recurrence_room(const struct layer *l) { return 2 * gates_of(l) * (up(l->E, PANEL) + l->D); }

void recurrence_pack(const struct layer *l) {
    const struct packed p = packed_of(l);
    const int64_t G = gates_of(l);
    panels_of_columns(G, l->E, l->input_weight, p.input);
    panels_of_rows(G, l->E, l->input_weight, p.input_back);
    panels_of_columns(G, l->D, l->hidden_weight, p.hidden);
    panels_of_rows(G, l->D, l->hidden_weight, p.hidden_back);
}

/* Kept from the way forward to the way back. `new`: a GRU's hidden part of its new state, before the reset. */
struct kept {
    uint16_t *x, *before; /* inputs, and the states before each step, rounded */
    float *gates, *c, *h, *new;
};

static struct kept kept_at(const struct reading *r, char **at) {
    const struct layer *l = r->layer;
    const int64_t R = r->first[r->T], D = l->D;
    struct kept k = {0};
    k.x = (uint16_t *)taken(at, 2 * R * l->E);
    k.before = (uint16_t *)taken(at, 2 * R * D);
    k.gates = (float *)taken(at, 4 * R * gates_of(l));
    k.h = (float *)taken(at, 4 * R * D);
    if (l->cell == LSTM) k.c = (float *)taken(at, 4 * R * D);
    if (l->cell == GRU) k.new = (float *)taken(at, 4 * R * D);
    return k;
}

int64_t recurrence_kept(const struct reading *r) {
    char *at = 0;
    kept_at(r, &at);
    return at - (char *)0;
}

struct space {
    float *step, *sums, *h, *c;
    uint16_t *gates, *hidden_gates, *a, *b;
};

static struct space space_at(const struct reading *r, char **at) {
    const struct layer *l = r->layer;
    const int64_t R = up(r->first[r->T], 2), G = gates_of(l), D = l->D, widest = l->E > D ? l->E : D;
    struct space s;
    s.step = (float *)taken(at, 4 * r->B * G);
    s.h = (float *)taken(at, 4 * r->B * D);
    s.c = (float *)taken(at, 4 * r->B * D);
    s.sums = (float *)taken(at, 4 * R * l->E);
    s.gates = (uint16_t *)taken(at, 2 * R * G);
    s.hidden_gates = (uint16_t *)taken(at, 2 * R * G);
    s.a = (uint16_t *)taken(at, 2 * R * G);
    s.b = (uint16_t *)taken(at, 2 * R * up(widest, PANEL));
    return s;
}

int64_t recurrence_space(const struct reading *r) {
    char *at = 0;
    space_at(r, &at);
    return at - (char *)0;
}

static inline vec magnitude(vec x) { return (vec)((ivec)x & 0x7fffffff); }
static inline vec signed_as(vec x, vec sign) { return (vec)((ivec)x | ((ivec)sign & (int32_t)0x80000000)); }

static inline vec hyperbolic(vec x) {
    const vec e = exponential(-2.0f * magnitude(x));
    return signed_as((1.0f - e) / (1.0f + e), x) + (x - x); /* what is no number stays so */
}

static inline vec logistic(vec x) {
    const vec e = exponential(-magnitude(x)), s = 1.0f / (1.0f + e);
    const ivec below = x < 0.0f;
    return (vec)(((ivec)(e * s) & below) | ((ivec)s & ~below)) + (x - x);
}

/* One step of a row: gates in place, from what the input says (and for a GRU from `own`, what the state says). */
static void step_row(int cell, int64_t D, float *gates, const float *own, const float *before, const float *c_before, float *new, float *c, float *h) {
    for (int64_t d = 0; d < D; d += LANES) {
        if (cell == LSTM) {
            const vec i = logistic(load(gates + d)), f = logistic(load(gates + D + d));
            const vec g = hyperbolic(load(gates + 2 * D + d)), o = logistic(load(gates + 3 * D + d));
            const vec cell_state = f * load(c_before + d) + i * g;
            store(gates + d, i), store(gates + D + d, f), store(gates + 2 * D + d, g), store(gates + 3 * D + d, o);
            store(c + d, cell_state);
            store(h + d, o * hyperbolic(cell_state));
        } else if (cell == GRU) {
            const vec r = logistic(load(gates + d) + load(own + d)), z = logistic(load(gates + D + d) + load(own + D + d));
            const vec hidden = load(own + 2 * D + d), n = hyperbolic(load(gates + 2 * D + d) + r * hidden);
            store(gates + d, r), store(gates + D + d, z), store(gates + 2 * D + d, n);
            store(new + d, hidden);
            store(h + d, n + z * (load(before + d) - n));
        } else
            store(h + d, hyperbolic(load(gates + d)));
    }
}

static int going_on(const struct reading *r, int t) { return t < r->T ? r->first[t + 1] - r->first[t] : 0; }

/* A sentence's state before step t: of those kept, or the caller's. */
static const float *before_step(const struct reading *r, const float *kept, const float *start, int t, int b) {
    const int64_t D = r->layer->D;
    return t ? kept + (r->first[t - 1] + b) * D : start + r->sentence[b] * D;
}

void recurrence_forward(const struct reading *r) {
    const struct layer *l = r->layer;
    const int64_t D = l->D, E = l->E, G = gates_of(l), R = r->first[r->T];
    const struct packed p = packed_of(l);
    char *at = r->kept, *room = r->space;
    const struct kept k = kept_at(r, &at);
    const struct space s = space_at(r, &room);
    float *bias = s.step;
    for (int64_t i = 0; i < R; i++) to_halves(E, r->x + r->place[i] * E, k.x + i * E);
    for (int64_t g = 0; g < G; g++) bias[g] = l->input_bias[g] + (l->cell == GRU ? 0 : l->hidden_bias[g]);
    multiply(R, G, E, k.x, E, 2, p.input, bias, 0, 0, k.gates, G);
    for (int t = 0; t < r->T; t++) {
        const int n = going_on(r, t);
        const int64_t now = r->first[t];
        uint16_t *before = k.before + now * D;
        for (int b = 0; b < n; b++) to_halves(D, before_step(r, k.h, r->h, t, b), before + b * D);
        if (l->cell == GRU) multiply(n, G, D, before, D, 2, p.hidden, l->hidden_bias, 0, 0, s.step, G);
        else multiply(n, G, D, before, D, 2, p.hidden, 0, 0, 1, k.gates + now * G, G);
        for (int b = 0; b < n; b++) {
            const int64_t row = now + b, sentence = r->sentence[b];
            const float *h = before_step(r, k.h, r->h, t, b), *c = k.c ? before_step(r, k.c, r->c, t, b) : 0;
            step_row(
                l->cell, D, k.gates + row * G, s.step + b * G, h, c, k.new ? k.new + row * D : 0, k.c ? k.c + row * D : 0, k.h + row * D
            );
            memcpy(r->out + r->place[row] * D, k.h + row * D, 4 * D);
            if (b < going_on(r, t + 1)) continue;
            memcpy(r->h_last + sentence * D, k.h + row * D, 4 * D);
            if (k.c) memcpy(r->c_last + sentence * D, k.c + row * D, 4 * D);
        }
    }
}

/* The gradients of a row's gates, in place, out of dh and for an LSTM dc, which becomes that of the cell before; `own`: of
   what a GRU's state says. dh becomes what reaches the state before beside the gates. */
static void step_row_back(
    int cell, int64_t D, float *gates, float *own, const float *before, const float *c_before, const float *new, const float *c,
    const float *h, float *dh, float *dc
) {
    for (int64_t d = 0; d < D; d += LANES) {
        const vec given = load(dh + d);
        if (cell == LSTM) {
            const vec i = load(gates + d), f = load(gates + D + d), g = load(gates + 2 * D + d), o = load(gates + 3 * D + d);
            const vec squashed = hyperbolic(load(c + d));
            const vec total = load(dc + d) + given * o * (1.0f - squashed * squashed);
            store(gates + d, total * g * i * (1.0f - i));
            store(gates + D + d, total * load(c_before + d) * f * (1.0f - f));
            store(gates + 2 * D + d, total * i * (1.0f - g * g));
            store(gates + 3 * D + d, given * squashed * o * (1.0f - o));
            store(dc + d, total * f);
            store(dh + d, all(0));
        } else if (cell == GRU) {
            const vec r = load(gates + d), z = load(gates + D + d), n = load(gates + 2 * D + d);
            const vec dn = given * (1.0f - z) * (1.0f - n * n), dr = dn * load(new + d) * r * (1.0f - r);
            const vec dz = given * (load(before + d) - n) * z * (1.0f - z);
            store(gates + d, dr), store(gates + D + d, dz), store(gates + 2 * D + d, dn);
            store(own + d, dr), store(own + D + d, dz), store(own + 2 * D + d, dn * r);
            store(dh + d, given * z);
        } else {
            const vec state = load(h + d);
            store(gates + d, given * (1.0f - state * state));
            store(dh + d, all(0));
        }
    }
}

void recurrence_backward(const struct reading *r) {
    const struct layer *l = r->layer;
    const int64_t D = l->D, E = l->E, G = gates_of(l), R = r->first[r->T];
    const struct packed p = packed_of(l);
    char *at = r->kept, *room = r->space;
    const struct kept k = kept_at(r, &at);
    const struct space s = space_at(r, &room);
    float *input_weight = r->gradients, *hidden_weight = input_weight + G * E, *input_bias = hidden_weight + G * D;
    float *hidden_bias = input_bias + G;
    memset(r->gradients, 0, 4 * (G * E + G * D + 2 * G));
    for (int t = r->T - 1; t >= 0; t--) {
        const int n = going_on(r, t), later = going_on(r, t + 1);
        const int64_t now = r->first[t];
        for (int b = 0; b < n; b++) {
            const int64_t row = now + b, sentence = r->sentence[b];
            float *dh = s.h + b * D, *dc = s.c + b * D;
            const float *given = r->out_gradient + r->place[row] * D;
            if (b >= later) {
                memcpy(dh, r->h_gradient + sentence * D, 4 * D);
                if (k.c) memcpy(dc, r->c_gradient + sentence * D, 4 * D);
            }
            for (int64_t d = 0; d < D; d += LANES) store(dh + d, load(dh + d) + load(given + d));
            const float *h = before_step(r, k.h, r->h, t, b), *c = k.c ? before_step(r, k.c, r->c, t, b) : 0;
            step_row_back(
                l->cell, D, k.gates + row * G, s.step + b * G, h, c, k.new ? k.new + row * D : 0, k.c ? k.c + row * D : 0,
                k.h + row * D, dh, dc
            );
        }
        const float *own = l->cell == GRU ? s.step : k.gates + now * G;
        to_halves(n * G, own, s.hidden_gates + now * G);
        if (l->cell == GRU) bias_back(n, G, s.step, hidden_bias);
        multiply(n, D, G, s.hidden_gates + now * G, G, 2, p.hidden_back, 0, 0, 1, s.h, D);
    }
    for (int b = 0; b < r->B; b++) {
        const int64_t sentence = r->sentence[b];
        const int read = b < going_on(r, 0);
        memcpy(r->dh + sentence * D, read ? s.h + b * D : r->h_gradient + sentence * D, 4 * D);
        if (k.c) memcpy(r->dc + sentence * D, read ? s.c + b * D : r->c_gradient + sentence * D, 4 * D);
    }
    bias_back(R, G, k.gates, input_bias);
    if (l->cell != GRU) memcpy(hidden_bias, input_bias, 4 * G);
    const uint16_t *gates = s.hidden_gates;
    if (l->cell == GRU) to_halves(R * G, k.gates, s.gates), gates = s.gates;
    weight_back(R, G, D, s.hidden_gates, k.before, hidden_weight, s.a, s.b);
    weight_back(R, G, E, gates, k.x, input_weight, s.a, s.b);
    multiply(R, E, G, gates, G, 2, p.input_back, 0, 0, 0, s.sums, E);
    for (int64_t i = 0; i < R; i++) memcpy(r->dx + r->place[i] * E, s.sums + i * E, 4 * E);
}
#endif

/* Tasks side by side, a thread each. */

#include <pthread.h>
#include <stdint.h>

/* PyTorch's own threads, where it has brought OpenMP along: after its work they spin for a while, and would be in the way
   of others. */
extern void GOMP_parallel(void (*work)(void *), void *given, unsigned threads, unsigned flags) __attribute__((weak));
extern int omp_get_thread_num(void) __attribute__((weak));
extern int omp_get_num_threads(void) __attribute__((weak));

struct share {
    void (*work)(const void *);
    const void *const *on;
    int first, step, count;
};

static void run(const struct share *s, int first, int step) {
    for (int i = first; i < s->count; i += step) s->work(s->on[i]);
}

static void run_as_openmp(void *given) { run(given, omp_get_thread_num(), omp_get_num_threads()); }

static void *run_as_thread(void *given) {
    const struct share *share = given;
    run(share, share->first, share->step);
    return 0;
}

/* `work` on each of them. */
void side_by_side(void (*work)(const void *), int32_t count, const void *const *on) {
    enum { MOST = 256 };
    struct share whole = {work, on, 0, 1, count};
    if (count == 1) {
        run(&whole, 0, 1);
        return;
    }
    if (GOMP_parallel && omp_get_thread_num && omp_get_num_threads) {
        GOMP_parallel(run_as_openmp, &whole, (unsigned)count, 0);
        return;
    }
    pthread_t threads[MOST];
    struct share shares[MOST];
    const int all = count < MOST ? count : MOST;
    int begun = 1;
    for (; begun < all; begun++) {
        shares[begun] = (struct share){work, on, begun, all, count};
        if (pthread_create(&threads[begun], 0, run_as_thread, &shares[begun])) break;
    }
    for (int i = begun; i < all; i++) run(&whole, i, all); /* no thread could be had for these */
    run(&whole, 0, all);
    for (int i = 1; i < begun; i++) pthread_join(threads[i], 0);
}

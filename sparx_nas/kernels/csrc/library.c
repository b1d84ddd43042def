/* The library: all instruction sets the compiler offers, one chosen when it is used. */

#define _DEFAULT_SOURCE
#include "tasks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(name) JOIN(name, SET)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#define BLOCK_VECTORS 2

#include "turn.h"

#if defined(__aarch64__)
#define SET neon /* of every 64-bit ARM */
#else
#define SET portable
#endif
#define LANES 4
#include "instruction_set.h"

#if defined(__x86_64__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define SET avx2
#define LANES 8
#include "instruction_set.h"
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(                                                         \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
#endif
#define SET avx512
#define LANES 16
#include "instruction_set.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

enum { DONE = 0, NO_MEMORY = 1, NO_SUCH_SET = 2 };

#if defined(__aarch64__)
static const instruction_set *const SETS[] = {&table_neon};
#elif defined(__x86_64__)
static const instruction_set *const SETS[] = {&table_portable, &table_avx2, &table_avx512};
#else
static const instruction_set *const SETS[] = {&table_portable};
#endif

/* Sizes of the tasks, in the order of kernels/tasks.py, which compares them with its own; 0 ends
 * them. */
int64_t sparx_task_size(int kind) {
    const int64_t sizes[] = {sizeof(map_task), sizeof(sequence_task), sizeof(depthwise_task),
                             sizeof(feed_forward_task), sizeof(scan_task), sizeof(projection_task),
                             sizeof(convolution_task), sizeof(aggregator_task)};
    return kind >= 0 && kind < (int)(sizeof sizes / sizeof *sizes) ? sizes[kind] : 0;
}

/* Ask for large pages under memory that nothing was written to yet: a page fault for every 4 KiB
 * of a large result takes as long as the scan. */
void sparx_large_pages(void *memory, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = 1 << 21;
    uintptr_t from = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)memory + (uintptr_t)bytes) & ~(page - 1);
    if (from < end) madvise((void *)from, end - from, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

int sparx_sets(void) { return sizeof SETS / sizeof *SETS; }

const char *sparx_set_name(int set) { return SETS[set]->name; }

/* Tell whether this processor has an instruction set. */
int sparx_set_runs(int set) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == 1) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (set == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return set == 0;
}

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static float *scratch_of(int64_t floats) {
    return aligned_alloc(64, ((size_t)floats * sizeof(float) + 63) / 64 * 64 + 64);
}

/* Give every thread a scratch and let the threads share the items of all samples. */
#define SHARE(floats, items, work)                                           \
    int failed = 0;                                                          \
    _Pragma("omp parallel num_threads((int)task->threads) reduction(| : failed)") { \
        int thread = thread_number();                                        \
        float *scratch = scratch_of(floats);                                 \
        failed = !scratch;                                                   \
        _Pragma("omp for schedule(static)")                                  \
        for (int64_t i = 0; i < task->batch * (items); i++) {                \
            int64_t sample = i / (items), item = i % (items);                \
            if (scratch) work;                                               \
        }                                                                    \
        (void)thread;                                                        \
        free(scratch);                                                       \
    }                                                                        \
    return failed ? NO_MEMORY : DONE

#define SHARE_SAMPLES(work)                                                  \
    _Pragma("omp parallel num_threads((int)task->threads)") {                \
        int thread = thread_number();                                        \
        _Pragma("omp for schedule(static)")                                  \
        for (int64_t sample = 0; sample < task->batch; sample++) work;       \
        (void)thread;                                                        \
    }                                                                        \
    return DONE

int sparx_map_forward(const map_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE(use->map_scratch(task, 0), task->groups, use->map_forward(task, sample, item, scratch));
}

int sparx_map_backward(const map_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE(use->map_scratch(task, 1), task->groups,
          use->map_backward(task, sample, item, thread, scratch));
}

int sparx_sequence_forward(const sequence_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE(use->sequence_scratch(task, 0), task->sets * task->groups,
          use->sequence_forward(task, sample, item, scratch));
}

int sparx_sequence_backward(const sequence_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE(use->sequence_scratch(task, 1), task->sets * task->groups,
          use->sequence_backward(task, sample, item, thread, scratch));
}

int sparx_depthwise_forward(const depthwise_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE_SAMPLES(use->depthwise_forward(task, sample));
}

int sparx_depthwise_backward(const depthwise_task *task, int set) {
    if (set < 0 || set >= sparx_sets()) return NO_SUCH_SET;
    const instruction_set *use = SETS[set];
    SHARE_SAMPLES(use->depthwise_backward(task, sample, thread));
}

#include "parts.h"
#include "feed_forward_part.h"
#include "scan_part.h"
#include "single_part.h"
#include "aggregator_part.h"

/* A part of a block, forward or back, and the floats that it keeps and has to have room for. */
#define PART(name, forward, backward, kept_of, room_of)                       \
    int sparx_##name##_forward(const name##_task *task, int set) {            \
        const instruction_set *use = SETS[set];                               \
        return forward;                                                       \
    }                                                                         \
    int sparx_##name##_backward(const name##_task *task, int set) {           \
        const instruction_set *use = SETS[set];                               \
        return backward;                                                      \
    }                                                                         \
    int64_t sparx_##name##_kept(const name##_task *task) { return kept_of; }  \
    int64_t sparx_##name##_room(const name##_task *task, int back) {          \
        (void)back;                                                           \
        return room_of;                                                       \
    }

PART(feed_forward, feed_forward_forward(task, use), feed_forward_backward(task, use),
     feed_forward_keep(task).size, feed_forward_lay_out(task).size)
PART(scan, scan_forward(task, use, set), scan_backward(task, use, set), scan_keep(task).size,
     scan_lay_out(task, back).size)
PART(projection, projection_forward(task, use), projection_backward(task, use),
     projection_keep(task).size, projection_room(task))
PART(convolution, convolution_forward(task, use), convolution_backward(task, use),
     0 * task->batch, convolution_room(task))
PART(aggregator, aggregator_forward(task, use), aggregator_backward(task, use),
     aggregator_keep(task).size, aggregator_lay_out(task, back).size)

/* What the kernels are asked, shared by all instruction sets; the Python side mirrors it.
 *
 * Letters as in reference.py. Tensors are contiguous float32; sizes count elements.
 */
#ifndef SPARX_TASKS_H
#define SPARX_TASKS_H

#include <stdint.h>

/* Activations, numbered as in kernels/tasks.py. */
enum { NO_ACTIVATION = 0, GELU = 1, SILU = 2, RELU = 3 };

/* The four-direction scan of maps, x and y (B, H, W, D). codes (B, H*W, 4, R+2N) are the low-rank
 * steps, then B, then C, of every position in map order. A (4, N, D) is negative, skip (D) the sum
 * of the four Ds. groups splits the channels of one sample between threads. */
typedef struct {
    int64_t batch, height, width, channels, rank, states, groups, threads;
    const float *x, *codes, *dt_weight /* (4, R, D) */, *dt_bias /* (4, D) */, *A, *skip;
    float *y;
    /* For the backward pass. */
    const float *gradient;   /* of y */
    float *grad_x;           /* (B, H, W, D), without what comes through the codes */
    float *grad_z;           /* (4, B, H*W, D), of what softplus is given */
    float *grad_rows;        /* (groups, B, H*W, 4, 2N), of B and C */
    float *grad_params;      /* (threads, 4, N+1, D): of A, then of dt_bias; zeroed before */
} map_task;

/* The scan of sequences in one direction; u and delta (B, K*D, L), A (K*D, N), rows B and C
 * (B, K, N, L). */
typedef struct {
    int64_t batch, sets, channels, length, states, groups, threads;
    const float *u, *delta, *A, *B, *C, *skip, *bias;
    float *y;
    const float *gradient;
    float *grad_u, *grad_delta; /* as u */
    float *grad_B, *grad_C;     /* (groups, B, K, N, L) */
    float *grad_params;         /* (threads, N+2, K*D): of A, of skip, of bias; zeroed before */
} sequence_task;

/* A depthwise convolution of stride 1 that keeps the map's size; x and y (B, H, W, C), weight
 * (K, K, C) with K odd. Without `bias` there is none; with `add_input` x is added to the result. */
typedef struct {
    int64_t batch, height, width, channels, kernel, add_input, threads;
    const float *x, *weight, *bias;
    float *y;
    const float *gradient;
    float *grad_x;
    float *grad_params; /* (threads, K*K + 1, C): of weight, then of bias; zeroed before */
} depthwise_task;

/* One instruction set: scratch sizes in floats, and the work of one sample and channel group. */
typedef struct {
    const char *name;
    int64_t lanes;
    int64_t (*map_scratch)(const map_task *, int backward);
    void (*map_forward)(const map_task *, int64_t sample, int64_t group, float *scratch);
    void (*map_backward)(const map_task *, int64_t sample, int64_t group, int thread,
                         float *scratch);
    int64_t (*sequence_scratch)(const sequence_task *, int backward);
    void (*sequence_forward)(const sequence_task *, int64_t sample, int64_t item, float *scratch);
    void (*sequence_backward)(const sequence_task *, int64_t sample, int64_t item, int thread,
                              float *scratch);
    void (*depthwise_forward)(const depthwise_task *, int64_t sample);
    void (*depthwise_backward)(const depthwise_task *, int64_t sample, int thread);
} instruction_set;

#endif

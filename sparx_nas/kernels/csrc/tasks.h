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
 * (K, K, C) with K odd. Without `bias` there is none; with `add_input` x is added to the result. With
 * an activation, `activated` becomes that of y. */
typedef struct {
    int64_t batch, height, width, channels, kernel, add_input, activation, threads;
    const float *x, *weight, *bias;
    float *y, *activated;
    const float *gradient;
    float *grad_x;
    float *grad_params; /* (threads, K*K + 1, C): of weight, then of bias; zeroed before */
} depthwise_task;

/* The normalisation of samples (B, P, C), over a whole sample or at each position; stats (B, 2) or
 * (B, P, 2) are mean and inverse deviation. With `add` the gradient of x is added to what is there. */
typedef struct {
    int64_t batch, positions, channels, whole, add, threads;
    double eps;
    const float *x, *weight, *bias;
    float *y, *stats;
    const float *gradient;
    float *grad_x;
    float *grad_params; /* (threads, 2, C): of weight, then of bias; zeroed before */
} norm_task;

/* y = an activation of x, or grad_x = gradient * its slope at x, over B samples of `count` floats. */
typedef struct {
    int64_t batch, count, kind, threads;
    const float *x;
    float *y;
    const float *gradient;
    float *grad_x; /* may be the gradient */
} activation_task;

/* y += x * weight + bias, by channel, over samples (B, P, C); backwards grad_x = gradient * weight. */
typedef struct {
    int64_t batch, positions, channels, threads;
    const float *x, *weight, *bias;
    float *y;
    const float *gradient;
    float *grad_x;
    float *grad_params; /* (threads, 2, C): of weight, then of bias; zeroed before */
} scale_task;

/* y = batch norm of x (rows, C), with GELU behind it or not; stats (2, C) are mean and inverse
 * deviation. In training running statistics move by `momentum` towards those of the rows. */
typedef struct {
    int64_t rows, channels, training, gelu;
    double eps;
    float momentum;
    const float *x, *weight, *bias;
    float *running_mean, *running_var, *y, *stats;
    const float *gradient;
    float *grad_x, *grads; /* (2, C): of weight, then of bias */
} batch_norm_task;

/* A depthwise convolution with a stride; x (B, H, W, C), weight (K, K, C). */
typedef struct {
    int64_t height, width, channels, kernel, stride, padding, out_height, out_width;
    const float *x, *weight;
    float *y;
    const float *gradient;
    float *grad_x, *grad_params; /* (threads, K*K, C), zeroed before */
} strided_task;

/* Attention among channels in groups: query and key (B, asked, C), value and y (B, places, C), weights
 * (B, C, group). */
typedef struct {
    int64_t channels, group, asked, places;
    const float *query, *key, *value;
    float *weights, *y;
    const float *gradient;
    float *grad_query, *grad_key, *grad_value;
} attention_task;

/* The interface of BLAS's single-precision product. */
typedef void sgemm_function(const char *, const char *, const int *, const int *, const int *,
                            const float *, const float *, const int *, const float *, const int *,
                            const float *, float *, const int *);

/* Parts of a block. Maps are (B, H, W, channels), weights as torch has them, a weight or bias that is
 * not there is nought. `blas` may be nought. `kept` is written forward and read on the way back,
 * `room` is for the way; `grads` takes the gradients of the weights, in the order of their names,
 * biases too where there are none. */

/* y = scale * x + shift + fc2(activation(conv(fc1(norm(x))))). */
typedef struct {
    int64_t batch, height, width, channels, hidden, kernel /* 0: none */, residual, activation;
    int64_t whole, threads;
    double eps;
    sgemm_function *blas;
    const float *x, *norm, *norm_b, *fc1, *fc1_b, *conv, *conv_b, *fc2, *fc2_b, *scale, *shift;
    float *y, *kept, *room;
    const float *gradient;
    float *grad_x, *grads;
} feed_forward_task;

/* y = scale * x + shift + proj(norm(scan(activation(conv(h))))), the scan as in map_task; `chunk`
 * samples are walked back at once. */
typedef struct {
    int64_t batch, height, width, channels, inner, kernel /* 0: none */, activation, whole, rank;
    int64_t states, chunk, groups, threads;
    double eps;
    sgemm_function *blas;
    const float *h, *x, *conv, *conv_b, *x_proj, *dt_weight, *dt_bias, *A_logs, *skip;
    const float *norm, *norm_b, *proj, *proj_b, *scale, *shift;
    float *y, *kept, *room;
    const float *gradient;
    float *grad_h, *grad_x, *grads;
} scan_task;

/* y = proj(norm(x)) with `inner` channels, or norm(x) for 0. */
typedef struct {
    int64_t batch, height, width, channels, inner, whole, threads;
    double eps;
    sgemm_function *blas;
    const float *x, *norm, *norm_b, *proj, *proj_b;
    float *y, *kept, *room;
    const float *gradient;
    float *grad_x, *grads;
} projection_task;

/* y = conv(x), plus x if residual. */
typedef struct {
    int64_t batch, height, width, channels, kernel, residual, threads;
    sgemm_function *blas;
    const float *x, *conv, *conv_b;
    float *y, *kept, *room;
    const float *gradient;
    float *grad_x, *grads;
} convolution_task;

/* What a ganglion makes of a stream x and of maps with S times its C channels, (B, H, W, D): queries
 * and keys are shrunk by `reduction`. `options` (6, 3) has of every batch norm whether it trains, its
 * momentum and its eps: of the maps, then reduced and mapped queries, keys, and values. */
typedef struct {
    int64_t batch, height, width, channels, sources, inner, reduction, whole, threads;
    double eps;
    sgemm_function *blas;
    const float *x, *maps;
    const float *norm, *norm_b, *conv, *bn, *bn_b, *proj, *proj_b;
    const float *q_conv, *q_bn, *q_bn_b, *q_proj, *q_out, *q_out_b;
    const float *k_conv, *k_bn, *k_bn_b, *k_proj, *k_out, *k_out_b;
    const float *v_proj, *v_out, *v_out_b, *mix, *mix_b, *mix_proj, *mix_proj_b;
    const float *options;
    float *means[6], *variances[6];
    float *y, *kept, *room;
    const float *gradient;
    float *grad_x, *grad_maps, *grads;
} aggregator_task;

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
    void (*norm_forward)(const norm_task *, int64_t sample);
    void (*norm_backward)(const norm_task *, int64_t sample, int thread);
    void (*activation_forward)(const activation_task *, int64_t sample);
    void (*activation_backward)(const activation_task *, int64_t sample);
    void (*scale_forward)(const scale_task *, int64_t sample);
    void (*scale_backward)(const scale_task *, int64_t sample, int thread);
    void (*batch_norm_forward)(const batch_norm_task *, int64_t block);
    void (*batch_norm_backward)(const batch_norm_task *, int64_t block);
    void (*strided_forward)(const strided_task *, int64_t sample);
    void (*strided_backward)(const strided_task *, int64_t sample, int thread);
    void (*attention_forward)(const attention_task *, int64_t sample, float *scratch);
    void (*attention_backward)(const attention_task *, int64_t sample, float *scratch);
    void (*code_backward)(const map_task *, int64_t sample, float *of_codes, float *of_dt);
    void (*minus_exp)(float *x, int64_t count);
    sgemm_function *sgemm;
} instruction_set;

#endif

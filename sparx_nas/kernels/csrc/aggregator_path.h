/* Norms and convolutions of an aggregator, and the paths of queries, keys and values. */

static norm_task aggregator_norm(const aggregator_task *t, const aggregator_kept *kept) {
    return (norm_task){.batch = t->batch, .positions = t->height * t->width,
                       .channels = t->channels * t->sources, .whole = t->whole,
                       .threads = t->threads, .eps = t->eps, .x = t->maps, .weight = t->norm,
                       .bias = t->norm_b, .y = kept->normed, .stats = kept->norm_stats};
}

static depthwise_task aggregator_conv(const aggregator_task *t, const aggregator_kept *kept) {
    return (depthwise_task){.batch = t->batch, .height = t->height, .width = t->width,
                            .channels = t->channels * t->sources, .kernel = 3,
                            .threads = t->threads, .x = kept->normed, .y = kept->conv};
}

static depthwise_task aggregator_mix(const aggregator_task *t, const aggregator_kept *kept) {
    return (depthwise_task){.batch = t->batch, .height = t->height, .width = t->width,
                            .channels = 3 * t->channels, .kernel = 3, .activation = GELU,
                            .threads = t->threads, .x = kept->shuffled, .bias = t->mix_b,
                            .y = kept->before, .activated = kept->after};
}

/* Batch norm `which` of the six, of rows x. */
static batch_norm_task aggregator_bn(const aggregator_task *t, int which, int64_t rows,
                                     int64_t channels, const float *x, const float *weight,
                                     const float *bias, float *y, float *stats) {
    const float *option = t->options + 3 * which;
    return (batch_norm_task){.rows = rows, .channels = channels, .training = option[0] != 0,
                             .momentum = option[1], .eps = option[2], .x = x, .weight = weight,
                             .bias = bias, .running_mean = t->means[which],
                             .running_var = t->variances[which], .y = y, .stats = stats};
}

static void run_bn(const instruction_set *use, const batch_norm_task *task, int64_t threads) {
    EACH_SAMPLE((task->channels + use->lanes - 1) / use->lanes, threads,
                use->batch_norm_forward(task, sample));
}

static void run_bn_back(const instruction_set *use, batch_norm_task task, int64_t threads,
                        const float *gradient, float *grad_x, float *grads) {
    task.gradient = gradient, task.grad_x = grad_x, task.grads = grads;
    EACH_SAMPLE((task.channels + use->lanes - 1) / use->lanes, threads,
                use->batch_norm_backward(&task, sample));
}

static void gelu_rows(const aggregator_task *t, const instruction_set *use, const float *x, float *y) {
    activation_task act = {.batch = t->batch, .count = t->height * t->width * t->channels,
                           .kind = GELU, .threads = t->threads, .x = x, .y = y};
    EACH_SAMPLE(t->batch, t->threads, use->activation_forward(&act, sample));
}

static void gelu_rows_back(const aggregator_task *t, const instruction_set *use, const float *x,
                           float *gradient) {
    activation_task act = {.batch = t->batch, .count = t->height * t->width * t->channels,
                           .kind = GELU, .threads = t->threads, .x = x, .gradient = gradient,
                           .grad_x = gradient};
    EACH_SAMPLE(t->batch, t->threads, use->activation_backward(&act, sample));
}

/* The weights of a path, and where their gradients go. */
typedef struct {
    const float *conv, *bn, *bn_b, *proj, *out, *out_b;
    float *of_conv, *of_bn, *of_proj, *of_out;
    int which; /* of the first of its batch norms */
} aggregator_weights;

static strided_task aggregator_strided(const aggregator_task *t, const float *x, float *y,
                                       const float *turned) {
    return (strided_task){.height = t->height, .width = t->width, .channels = t->channels,
                          .kernel = t->reduction + 1, .stride = t->reduction,
                          .padding = (t->reduction + 1) / 2,
                          .out_height = reduced_side(t, t->height),
                          .out_width = reduced_side(t, t->width), .x = x, .weight = turned, .y = y};
}

static batch_norm_task path_reduced(const aggregator_task *t, const aggregator_path *path,
                                    const aggregator_weights *w) {
    batch_norm_task task =
        aggregator_bn(t, w->which, t->batch * asked_places(t), t->channels, path->reduced, w->bn,
                      w->bn_b, path->active, path->reduced_stats);
    task.gelu = 1;
    return task;
}

static batch_norm_task path_out(const aggregator_task *t, const aggregator_path *path,
                                const aggregator_weights *w, int64_t rows) {
    return aggregator_bn(t, w->which + 1, rows, t->channels, path->mapped, w->out, w->out_b,
                         path->out, path->stats);
}

/* x (B, H, W, C) along a path; `rows` are those of its end. */
static void path_forward(const aggregator_task *t, const instruction_set *use,
                         const aggregator_room *room, const float *x, int64_t rows,
                         const aggregator_path *path, const aggregator_weights *w) {
    int64_t C = t->channels, side = t->reduction + 1;
    const float *active = path->active ? path->active : x;
    if (path->active) {
        turn(C, side * side, w->conv, room->turned);
        strided_task conv = aggregator_strided(t, x, path->reduced, room->turned);
        EACH_SAMPLE(t->batch, t->threads, use->strided_forward(&conv, sample));
        batch_norm_task bn = path_reduced(t, path, w);
        run_bn(use, &bn, t->threads);
    }
    product(t->blas ? t->blas : use->sgemm, 0, 1, rows, C, C, active, w->proj, 0, path->mapped);
    batch_norm_task bn = path_out(t, path, w, rows);
    run_bn(use, &bn, t->threads);
}

/* The way back: from the gradient of its end, which is room too, to that of x. */
static void path_backward(const aggregator_task *t, const instruction_set *use,
                          const aggregator_room *room, const float *x, int64_t rows,
                          const aggregator_path *path, const aggregator_weights *w, float *gradient,
                          float *other, float *grad_x) {
    int64_t C = t->channels, taps = (t->reduction + 1) * (t->reduction + 1);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    const float *active = path->active ? path->active : x;
    run_bn_back(use, path_out(t, path, w, rows), t->threads, gradient, other, w->of_out);
    product(blas, 1, 0, C, C, rows, other, active, 0, w->of_proj);
    product(blas, 0, 0, rows, C, C, other, w->proj, 0, path->active ? gradient : grad_x);
    if (!path->active) return;
    run_bn_back(use, path_reduced(t, path, w), t->threads, gradient, other, w->of_bn);
    turn(C, taps, w->conv, room->turned);
    memset(room->parts, 0, sizeof(float) * (size_t)(t->threads * taps * C));
    strided_task conv = aggregator_strided(t, x, 0, room->turned);
    conv.gradient = other, conv.grad_x = grad_x, conv.grad_params = room->parts;
    EACH_SAMPLE(t->batch, t->threads, use->strided_backward(&conv, sample, thread));
    float *sums = room->parts + t->threads * taps * C;
    add_up(t->threads, taps * C, room->parts, sums);
    turn(taps, C, sums, w->of_conv);
}

/* The weights of queries, keys and values in this order, gradients from `grads` on; returns where
 * those end. */
static float *paths_of(const aggregator_task *t, float *grads, aggregator_weights *w) {
    int64_t C = t->channels, taps = (t->reduction + 1) * (t->reduction + 1);
    w[0] = (aggregator_weights){t->q_conv, t->q_bn, t->q_bn_b, t->q_proj, t->q_out, t->q_out_b,
                                0, 0, 0, 0, 1};
    w[1] = (aggregator_weights){t->k_conv, t->k_bn, t->k_bn_b, t->k_proj, t->k_out, t->k_out_b,
                                0, 0, 0, 0, 3};
    w[2] = (aggregator_weights){0, 0, 0, t->v_proj, t->v_out, t->v_out_b, 0, 0, 0, 0, 4};
    for (int i = 0; i < 3; i++) {
        int reduces = i < 2 && t->reduction > 1;
        w[i].of_conv = grads, w[i].of_bn = grads + (reduces ? taps * C : 0);
        w[i].of_proj = w[i].of_bn + (reduces ? 2 * C : 0), w[i].of_out = w[i].of_proj + C * C;
        grads = w[i].of_out + 2 * C;
    }
    return grads;
}

/* Single layers, forward and back: a norm with or without a 1x1 map behind it, and a depthwise
 * convolution; see projection_task and convolution_task in tasks.h. */

typedef struct {
    float *normed, *stats;
    int64_t size;
} projection_kept;

static projection_kept projection_keep(const projection_task *t) {
    int64_t places = t->batch * t->height * t->width;
    float *room = t->kept;
    projection_kept kept = {0};
    kept.normed = t->inner ? taken(&room, places * t->channels) : t->y;
    kept.stats = taken(&room, 2 * (t->whole ? t->batch : places));
    kept.size = room - t->kept;
    return kept;
}

static int64_t projection_room(const projection_task *t) {
    int64_t places = t->batch * t->height * t->width;
    return (t->inner ? places * t->channels + 16 : 0) + t->threads * 2 * t->channels;
}

static norm_task projection_norm(const projection_task *t, const projection_kept *kept) {
    return (norm_task){.batch = t->batch, .positions = t->height * t->width,
                       .channels = t->channels, .whole = t->whole, .threads = t->threads,
                       .eps = t->eps, .x = t->x, .weight = t->norm, .bias = t->norm_b,
                       .y = kept->normed, .stats = kept->stats};
}

static int projection_forward(const projection_task *t, const instruction_set *use) {
    projection_kept kept = projection_keep(t);
    norm_rows(use, projection_norm(t, &kept));
    if (t->inner)
        linear(t->blas ? t->blas : use->sgemm, t->batch * t->height * t->width, t->channels,
               t->inner, kept.normed, t->proj, t->proj_b, t->y);
    return DONE;
}

static int projection_backward(const projection_task *t, const instruction_set *use) {
    int64_t C = t->channels, D = t->inner;
    projection_kept kept = projection_keep(t);
    norm_task norm = projection_norm(t, &kept);
    float *room = t->room, *of_proj = t->grads + 2 * C;
    norm.gradient = t->gradient, norm.grad_x = t->grad_x;
    if (D) {
        float *of_normed = taken(&room, t->batch * t->height * t->width * C);
        linear_back(t->blas ? t->blas : use->sgemm, t->batch * t->height * t->width, C, D,
                    t->gradient, kept.normed, t->proj, of_normed, of_proj, of_proj + D * C);
        norm.gradient = of_normed;
    }
    norm_rows_back(use, norm, room, t->grads);
    return DONE;
}

static int64_t convolution_room(const convolution_task *t) {
    int64_t taps = t->kernel * t->kernel;
    return (taps + (t->threads + 1) * (taps + 1)) * t->channels;
}

static depthwise_task convolution_rows(const convolution_task *t) {
    return (depthwise_task){.batch = t->batch, .height = t->height, .width = t->width,
                            .channels = t->channels, .kernel = t->kernel,
                            .add_input = t->residual, .threads = t->threads, .x = t->x,
                            .bias = t->conv_b, .y = t->y, .gradient = t->gradient,
                            .grad_x = t->grad_x};
}

static int convolution_forward(const convolution_task *t, const instruction_set *use) {
    depthwise_rows(use, convolution_rows(t), t->conv, t->room);
    return DONE;
}

static int convolution_backward(const convolution_task *t, const instruction_set *use) {
    float *parts = t->room + t->kernel * t->kernel * t->channels;
    depthwise_rows_back(use, convolution_rows(t), t->conv, t->room, parts, t->grads);
    return DONE;
}

/* The second half of a block, forward and back; see feed_forward_task in tasks.h. */

/* What the way back needs. */
typedef struct {
    float *normed, *stats, *wide, *before, *after;
    int64_t size;
} feed_forward_kept;

static feed_forward_kept feed_forward_keep(const feed_forward_task *t) {
    int64_t places = t->batch * t->height * t->width;
    float *room = t->kept;
    feed_forward_kept kept = {0};
    kept.normed = taken(&room, places * t->channels);
    kept.stats = taken(&room, 2 * (t->whole ? t->batch : places));
    kept.wide = taken(&room, places * t->hidden);
    kept.before = t->kernel ? taken(&room, places * t->hidden) : kept.wide;
    kept.after = taken(&room, places * t->hidden);
    kept.size = room - t->kept;
    return kept;
}

/* What is needed on the way: the gradients of two wide maps, a turned weight, parts of sums. */
typedef struct {
    float *first, *second, *turned, *parts;
    int64_t size;
} feed_forward_room;

static feed_forward_room feed_forward_lay_out(const feed_forward_task *t) {
    int64_t places = t->batch * t->height * t->width, taps = t->kernel * t->kernel;
    int64_t widest = t->hidden > t->channels ? t->hidden : t->channels;
    float *room = t->room;
    feed_forward_room out = {0};
    out.first = taken(&room, places * widest);
    out.second = taken(&room, places * widest);
    out.turned = taken(&room, taps * t->hidden);
    out.parts = taken(&room, (t->threads + 1) * (taps + 2) * widest);
    out.size = room - t->room;
    return out;
}

static norm_task feed_forward_norm(const feed_forward_task *t, const feed_forward_kept *kept) {
    return (norm_task){.batch = t->batch, .positions = t->height * t->width,
                       .channels = t->channels, .whole = t->whole, .threads = t->threads,
                       .eps = t->eps, .x = t->x, .weight = t->norm, .bias = t->norm_b,
                       .y = kept->normed, .stats = kept->stats};
}

static depthwise_task feed_forward_conv(const feed_forward_task *t, const feed_forward_kept *kept) {
    return (depthwise_task){.batch = t->batch, .height = t->height, .width = t->width,
                            .channels = t->hidden, .kernel = t->kernel, .add_input = t->residual,
                            .activation = t->activation, .threads = t->threads, .x = kept->wide,
                            .bias = t->conv_b, .y = kept->before, .activated = kept->after};
}

static activation_task feed_forward_act(const feed_forward_task *t, const feed_forward_kept *kept) {
    return (activation_task){.batch = t->batch, .count = t->height * t->width * t->hidden,
                             .kind = t->activation, .threads = t->threads, .x = kept->before,
                             .y = kept->after};
}

static scale_task feed_forward_stream(const feed_forward_task *t) {
    return (scale_task){.batch = t->batch, .positions = t->height * t->width,
                        .channels = t->channels, .threads = t->threads, .x = t->x,
                        .weight = t->scale, .bias = t->shift, .y = t->y};
}

static int feed_forward_forward(const feed_forward_task *t, const instruction_set *use) {
    int64_t C = t->channels, M = t->hidden, places = t->batch * t->height * t->width;
    feed_forward_kept kept = feed_forward_keep(t);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    norm_rows(use, feed_forward_norm(t, &kept));
    linear(blas, places, C, M, kept.normed, t->fc1, t->fc1_b, kept.wide);
    if (t->kernel) {
        depthwise_rows(use, feed_forward_conv(t, &kept), t->conv, feed_forward_lay_out(t).turned);
    } else {
        activation_task act = feed_forward_act(t, &kept);
        EACH_SAMPLE(t->batch, t->threads, use->activation_forward(&act, sample));
    }
    linear(blas, places, M, C, kept.after, t->fc2, t->fc2_b, t->y);
    add_stream(use, feed_forward_stream(t));
    return DONE;
}

static int feed_forward_backward(const feed_forward_task *t, const instruction_set *use) {
    int64_t C = t->channels, M = t->hidden, places = t->batch * t->height * t->width;
    int64_t taps = t->kernel * t->kernel;
    feed_forward_kept kept = feed_forward_keep(t);
    feed_forward_room room = feed_forward_lay_out(t);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    float *of_norm = t->grads, *of_fc1 = of_norm + 2 * C, *of_conv = of_fc1 + M * C + M;
    float *of_fc2 = of_conv + (t->kernel ? taps * M + M : 0), *of_scale = of_fc2 + C * M + C;
    scale_task stream = feed_forward_stream(t);
    stream.gradient = t->gradient, stream.grad_x = t->grad_x;
    add_stream_back(use, stream, room.parts, of_scale);
    linear_back(blas, places, M, C, t->gradient, kept.after, t->fc2, room.first, of_fc2,
                of_fc2 + C * M);
    activation_task act = feed_forward_act(t, &kept);
    act.gradient = act.grad_x = room.first;
    EACH_SAMPLE(t->batch, t->threads, use->activation_backward(&act, sample));
    float *of_wide = room.first, *of_normed = room.second;
    if (t->kernel) {
        depthwise_task conv = feed_forward_conv(t, &kept);
        conv.gradient = room.first, conv.grad_x = room.second;
        depthwise_rows_back(use, conv, t->conv, room.turned, room.parts, of_conv);
        of_wide = room.second, of_normed = room.first;
    }
    linear_back(blas, places, C, M, of_wide, kept.normed, t->fc1, of_normed, of_fc1,
                of_fc1 + M * C);
    norm_task norm = feed_forward_norm(t, &kept);
    norm.add = 1, norm.gradient = of_normed, norm.grad_x = t->grad_x;
    norm_rows_back(use, norm, room.parts, of_norm);
    return DONE;
}

/* A ganglion's aggregator, forward and back; see aggregator_task in tasks.h. */

/* A path that asks, one that answers: reduced, normed and activated, mapped, normed. */
typedef struct {
    float *reduced, *reduced_stats, *active, *mapped, *stats, *out;
} aggregator_path;

typedef struct {
    float *normed, *norm_stats, *conv, *bn_stats, *active, *key_before, *value_before, *key_in;
    float *value_in, *weights, *read, *shuffled, *before, *after;
    aggregator_path query, key, value;
    int64_t size;
} aggregator_kept;

static int64_t reduced_side(const aggregator_task *t, int64_t side) {
    int64_t r = t->reduction, padding = (r + 1) / 2;
    return r <= 1 ? side : (side + 2 * padding - (r + 1)) / r + 1;
}

static int64_t asked_places(const aggregator_task *t) {
    return reduced_side(t, t->height) * reduced_side(t, t->width);
}

/* Whether queries, as large as the map, stand for the stream in what follows. */
static int stream_asked(const aggregator_task *t) {
    return reduced_side(t, t->height) == t->height && reduced_side(t, t->width) == t->width;
}

static int64_t made_channels(const aggregator_task *t) { return t->inner / 3 * 3; }

static aggregator_path aggregator_path_in(float **room, int64_t floats, int64_t C, int reduces) {
    aggregator_path path = {0};
    if (reduces) {
        path.reduced = taken(room, floats);
        path.reduced_stats = taken(room, 2 * C);
        path.active = taken(room, floats);
    }
    path.mapped = taken(room, floats);
    path.stats = taken(room, 2 * C);
    path.out = taken(room, floats);
    return path;
}

static aggregator_kept aggregator_keep(const aggregator_task *t) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    int64_t few = t->batch * asked_places(t) * C;
    float *room = t->kept;
    aggregator_kept kept = {0};
    kept.normed = taken(&room, places * E);
    kept.norm_stats = taken(&room, 2 * (t->whole ? t->batch : places));
    kept.conv = taken(&room, places * E);
    kept.bn_stats = taken(&room, 2 * E);
    kept.active = taken(&room, places * E);
    kept.key_before = taken(&room, places * C);
    kept.value_before = taken(&room, places * C);
    kept.key_in = taken(&room, places * C);
    kept.value_in = taken(&room, places * C);
    kept.query = aggregator_path_in(&room, few, C, t->reduction > 1);
    kept.key = aggregator_path_in(&room, few, C, t->reduction > 1);
    kept.value = aggregator_path_in(&room, places * C, C, 0);
    kept.weights = taken(&room, t->batch * C * (C / 4));
    kept.read = taken(&room, places * C);
    kept.shuffled = taken(&room, places * 3 * C);
    kept.before = taken(&room, places * 3 * C);
    kept.after = taken(&room, places * 3 * C);
    kept.size = room - t->kept;
    return kept;
}

/* Room on the way; gradients of maps on the way back. */
typedef struct {
    float *turned, *scratch, *parts, *made, *wide[2], *maps[2], *some[6];
    int64_t size;
} aggregator_room;

static aggregator_room aggregator_lay_out(const aggregator_task *t, int backward) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    int64_t side = t->reduction + 1, taps = side * side > 9 ? side * side : 9;
    int64_t widest = E > 3 * C ? E : 3 * C;
    float *room = t->room;
    aggregator_room out = {0};
    out.turned = taken(&room, taps * widest);
    out.scratch = taken(&room, t->threads * 2 * (C / 4) * (C / 4));
    if (backward) {
        out.parts = taken(&room, (t->threads + 2) * (taps + 1) * widest);
        out.made = taken(&room, places * made_channels(t));
        for (int i = 0; i < 2; i++) out.wide[i] = taken(&room, places * 3 * C);
        for (int i = 0; i < 2; i++) out.maps[i] = taken(&room, places * E);
        for (int i = 0; i < 6; i++) out.some[i] = taken(&room, places * C);
    }
    out.size = room - t->room;
    return out;
}

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

static attention_task aggregator_attention(const aggregator_task *t, const aggregator_kept *kept) {
    return (attention_task){.channels = t->channels, .group = t->channels / 4,
                            .asked = asked_places(t), .places = t->height * t->width,
                            .query = kept->query.out, .key = kept->key.out,
                            .value = kept->value.out, .weights = kept->weights, .y = kept->read};
}

/* Stream, what was read, and values, one behind the other, have channel c*3 + m; it moves to m*C + c,
 * or back again from a gradient. */
static void shuffle(const aggregator_task *t, float *const *three, float *mixed, int back) {
    int64_t places = t->batch * t->height * t->width, C = t->channels;
    for (int64_t p = 0; p < places; p++)
        for (int64_t i = 0; i < 3 * C; i++) {
            float *one = three[i / C] + p * C + i % C, *other = mixed + p * 3 * C + i % 3 * C + i / 3;
            if (back) *one = *other;
            else *other = *one;
        }
}

/* The one or two channels that three groups cannot make are means of others: of all, or of the first
 * and of the last half. */
static void pad_rows(const aggregator_task *t) {
    int64_t places = t->batch * t->height * t->width, D = t->inner, made = made_channels(t);
    int64_t missing = D - made, count = missing == 1 ? made : (made + 1) / 2;
    for (int64_t p = 0; p < places; p++)
        for (int64_t i = 0; i < missing; i++) {
            float *row = t->y + p * D, sum = 0;
            for (int64_t j = 0; j < count; j++) sum += row[(i ? made - count : 0) + j];
            row[made + i] = sum / (float)count;
        }
}

static void pad_rows_back(const aggregator_task *t, float *of_made) {
    int64_t places = t->batch * t->height * t->width, D = t->inner, made = made_channels(t);
    int64_t missing = D - made, count = missing == 1 ? made : (made + 1) / 2;
    for (int64_t p = 0; p < places; p++) {
        const float *given = t->gradient + p * D;
        float *to = of_made + p * made;
        memcpy(to, given, sizeof(float) * (size_t)made);
        for (int64_t i = 0; i < missing; i++)
            for (int64_t j = 0; j < count; j++)
                to[(i ? made - count : 0) + j] += given[made + i] / (float)count;
    }
}

/* Three groups of C channels each to a third of what is made. */
static void grouped_forward(const aggregator_task *t, sgemm_function *blas, const float *x) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, third = t->inner / 3;
    for (int64_t p = 0; p < places; p++)
        memcpy(t->y + p * t->inner, t->mix_proj_b, sizeof(float) * (size_t)(3 * third));
    for (int m = 0; m < 3; m++)
        product_in(blas, 0, 1, places, third, C, x + m * C, 3 * C, t->mix_proj + m * third * C, C, 1,
                   t->y + m * third, t->inner);
}

static void grouped_backward(const aggregator_task *t, sgemm_function *blas, const float *x,
                             const float *gradient, float *grad_x, float *grads) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, third = t->inner / 3;
    for (int m = 0; m < 3; m++) {
        const float *given = gradient + m * third;
        product_in(blas, 0, 0, places, C, third, given, 3 * third, t->mix_proj + m * third * C, C, 0,
                   grad_x + m * C, 3 * C);
        product_in(blas, 1, 0, third, C, places, given, 3 * third, x + m * C, 3 * C, 0,
                   grads + m * third * C, C);
    }
    column_sums(places, 3 * third, gradient, grads + 3 * third * C);
}

static int aggregator_forward(const aggregator_task *t, const instruction_set *use) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    int64_t few = t->batch * asked_places(t);
    aggregator_kept kept = aggregator_keep(t);
    aggregator_room room = aggregator_lay_out(t, 0);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    aggregator_weights w[3];
    paths_of(t, 0, w);
    norm_rows(use, aggregator_norm(t, &kept));
    depthwise_rows(use, aggregator_conv(t, &kept), t->conv, room.turned);
    batch_norm_task bn = aggregator_bn(t, 0, places, E, kept.conv, t->bn, t->bn_b, kept.active,
                                       kept.bn_stats);
    bn.gelu = 1;
    run_bn(use, &bn, t->threads);
    linear(blas, places, E, C, kept.active, t->proj, t->proj_b, kept.key_before);
    linear(blas, places, E, C, kept.active, t->proj + C * E, t->proj_b + C, kept.value_before);
    gelu_rows(t, use, kept.key_before, kept.key_in);
    gelu_rows(t, use, kept.value_before, kept.value_in);
    path_forward(t, use, &room, t->x, few, &kept.query, &w[0]);
    path_forward(t, use, &room, kept.key_in, few, &kept.key, &w[1]);
    path_forward(t, use, &room, kept.value_in, places, &kept.value, &w[2]);
    attention_task attention = aggregator_attention(t, &kept);
    EACH_SAMPLE(t->batch, t->threads,
                use->attention_forward(&attention, sample,
                                       room.scratch + thread * 2 * (C / 4) * (C / 4)));
    float *three[] = {stream_asked(t) ? kept.query.out : (float *)t->x, kept.read, kept.value.out};
    shuffle(t, three, kept.shuffled, 0);
    depthwise_rows(use, aggregator_mix(t, &kept), t->mix, room.turned);
    grouped_forward(t, blas, kept.after);
    pad_rows(t);
    return DONE;
}

/* The way back through attention and the three paths: from gradients of stream, what was read and
 * values in some[0..2] to those of x, and of keys and values before their GELU in some[1..2]. */
static void paths_backward(const aggregator_task *t, const instruction_set *use,
                           const aggregator_kept *kept, const aggregator_room *room,
                           const aggregator_weights *w) {
    int64_t places = t->batch * t->height * t->width, C = t->channels;
    int64_t few = t->batch * asked_places(t);
    float *const *some = room->some;
    attention_task attention = aggregator_attention(t, kept);
    attention.gradient = some[1], attention.grad_query = some[3], attention.grad_key = some[4];
    attention.grad_value = some[5];
    EACH_SAMPLE(t->batch, t->threads,
                use->attention_backward(&attention, sample,
                                        room->scratch + thread * 2 * (C / 4) * (C / 4)));
    for (int64_t i = 0; i < places * C; i++) some[2][i] += some[5][i];
    path_backward(t, use, room, kept->value_in, places, &kept->value, &w[2], some[2], some[5],
                  some[1]);
    memcpy(some[2], some[1], sizeof(float) * (size_t)(places * C));
    gelu_rows_back(t, use, kept->value_before, some[2]);
    path_backward(t, use, room, kept->key_in, few, &kept->key, &w[1], some[4], some[5], some[1]);
    gelu_rows_back(t, use, kept->key_before, some[1]);
    if (stream_asked(t))
        for (int64_t i = 0; i < places * C; i++) some[3][i] += some[0][i];
    path_backward(t, use, room, t->x, few, &kept->query, &w[0], some[3], some[5], t->grad_x);
    if (!stream_asked(t))
        for (int64_t i = 0; i < places * C; i++) t->grad_x[i] += some[0][i];
}

static int aggregator_backward(const aggregator_task *t, const instruction_set *use) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    aggregator_kept kept = aggregator_keep(t);
    aggregator_room room = aggregator_lay_out(t, 1);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    float *of_norm = t->grads, *of_conv = of_norm + 2 * E, *of_bn = of_conv + 9 * E;
    float *of_proj = of_bn + 2 * E, *of_paths = of_proj + 2 * C * E + 2 * C;
    aggregator_weights w[3];
    float *of_mix = paths_of(t, of_paths, w), *of_grouped = of_mix + 30 * C;
    pad_rows_back(t, room.made);
    grouped_backward(t, blas, kept.after, room.made, room.wide[0], of_grouped);
    activation_task act = {.batch = t->batch, .count = t->height * t->width * 3 * C, .kind = GELU,
                           .threads = t->threads, .x = kept.before, .gradient = room.wide[0],
                           .grad_x = room.wide[0]};
    EACH_SAMPLE(t->batch, t->threads, use->activation_backward(&act, sample));
    depthwise_task mix = aggregator_mix(t, &kept);
    mix.gradient = room.wide[0], mix.grad_x = room.wide[1];
    depthwise_rows_back(use, mix, t->mix, room.turned, room.parts, of_mix);
    shuffle(t, room.some, room.wide[1], 1);
    paths_backward(t, use, &kept, &room, w);
    for (int half = 0; half < 2; half++) {
        const float *given = room.some[1 + half], *weight = t->proj + half * C * E;
        product(blas, 0, 0, places, E, C, given, weight, half ? 1 : 0, room.maps[0]);
        product(blas, 1, 0, C, E, places, given, kept.active, 0, of_proj + half * C * E);
        column_sums(places, C, given, of_proj + 2 * C * E + half * C);
    }
    batch_norm_task bn = aggregator_bn(t, 0, places, E, kept.conv, t->bn, t->bn_b, kept.active,
                                       kept.bn_stats);
    bn.gelu = 1;
    run_bn_back(use, bn, t->threads, room.maps[0], room.maps[1], of_bn);
    depthwise_task conv = aggregator_conv(t, &kept);
    conv.gradient = room.maps[1], conv.grad_x = room.maps[0];
    /* There is no bias, whose gradient would be written behind that of the weight. */
    float *grads = room.parts + (t->threads + 1) * 10 * E;
    depthwise_rows_back(use, conv, t->conv, room.turned, room.parts, grads);
    memcpy(of_conv, grads, sizeof(float) * (size_t)(9 * E));
    norm_task norm = aggregator_norm(t, &kept);
    norm.gradient = room.maps[0], norm.grad_x = t->grad_maps;
    norm_rows_back(use, norm, room.parts, of_norm);
    return DONE;
}

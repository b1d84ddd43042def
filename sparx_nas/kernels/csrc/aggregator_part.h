/* A ganglion's aggregator, forward and back; see aggregator_task in tasks.h. */

#include "aggregator_room.h"
#include "aggregator_path.h"

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

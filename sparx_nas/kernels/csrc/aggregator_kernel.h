/* What an aggregator is made of besides the rest: batch norm, a strided depthwise convolution of one
 * sample, attention among its channels; for one instruction set. */

/* Batch norm of the channels from `c` on, and its activation. */
static void NAME(batch_norm_forward)(const batch_norm_task *task, int64_t block) {
    int64_t C = task->channels, c = block * LANES, n = C - c;
    VEC mean, inverse;
    if (task->training) {
        VEC sum = {0}, squares = {0}, first = NAME(load_part)(task->x + c, n);
        for (int64_t from = 0; from < task->rows; from += 256) {
            int64_t end = task->rows - from < 256 ? task->rows : from + 256;
            VEC part = {0};
            for (int64_t p = from; p < end; p++) part += NAME(load_part)(task->x + p * C + c, n) - first;
            sum += part;
        }
        mean = first + sum / (float)task->rows;
        for (int64_t from = 0; from < task->rows; from += 256) {
            int64_t end = task->rows - from < 256 ? task->rows : from + 256;
            VEC part = {0};
            for (int64_t p = from; p < end; p++) {
                VEC off = NAME(load_part)(task->x + p * C + c, n) - mean;
                part += off * off;
            }
            squares += part;
        }
        VEC variance = squares / (float)task->rows;
        for (int i = 0; i < LANES; i++) inverse[i] = (float)(1 / sqrt(variance[i] + task->eps));
        float m = task->momentum;
        VEC of_mean = NAME(load_part)(task->running_mean + c, n);
        VEC of_variance = NAME(load_part)(task->running_var + c, n);
        VEC unbiased = squares / (float)(task->rows - 1);
        NAME(store_part)(task->running_mean + c, (1 - m) * of_mean + m * mean, n);
        NAME(store_part)(task->running_var + c, (1 - m) * of_variance + m * unbiased, n);
    } else {
        mean = NAME(load_part)(task->running_mean + c, n);
        VEC variance = NAME(load_part)(task->running_var + c, n);
        for (int i = 0; i < LANES; i++) inverse[i] = (float)(1 / sqrt(variance[i] + task->eps));
    }
    NAME(store_part)(task->stats + c, mean, n);
    NAME(store_part)(task->stats + C + c, inverse, n);
    VEC weight = NAME(load_part)(task->weight + c, n), bias = NAME(load_part)(task->bias + c, n);
    for (int64_t p = 0; p < task->rows; p++) {
        VEC y = (NAME(load_part)(task->x + p * C + c, n) - mean) * inverse * weight + bias;
        NAME(store_part)(task->y + p * C + c, task->gelu ? NAME(gelu)(y) : y, n);
    }
}

static void NAME(batch_norm_backward)(const batch_norm_task *task, int64_t block) {
    int64_t C = task->channels, c = block * LANES, n = C - c;
    VEC mean = NAME(load_part)(task->stats + c, n), inverse = NAME(load_part)(task->stats + C + c, n);
    VEC weight = NAME(load_part)(task->weight + c, n), bias = NAME(load_part)(task->bias + c, n);
    VEC of_weight = {0}, of_bias = {0};
    for (int64_t from = 0; from < task->rows; from += 256) {
        int64_t end = task->rows - from < 256 ? task->rows : from + 256;
        VEC along = {0}, plain = {0};
        for (int64_t p = from; p < end; p++) {
            VEC scaled = (NAME(load_part)(task->x + p * C + c, n) - mean) * inverse;
            VEC given = NAME(load_part)(task->gradient + p * C + c, n);
            if (task->gelu) given *= NAME(gelu_slope)(scaled * weight + bias);
            NAME(store_part)(task->grad_x + p * C + c, given, n);
            along += given * scaled;
            plain += given;
        }
        of_weight += along;
        of_bias += plain;
    }
    NAME(store_part)(task->grads + c, of_weight, n);
    NAME(store_part)(task->grads + C + c, of_bias, n);
    VEC factor = weight * inverse, on_plain = {0}, on_along = {0};
    if (task->training) on_plain = of_bias / (float)task->rows, on_along = of_weight / (float)task->rows;
    for (int64_t p = 0; p < task->rows; p++) {
        VEC scaled = (NAME(load_part)(task->x + p * C + c, n) - mean) * inverse;
        VEC given = NAME(load_part)(task->grad_x + p * C + c, n);
        NAME(store_part)(task->grad_x + p * C + c, factor * (given - on_plain - scaled * on_along), n);
    }
}

/* The map's place that a tap of a strided convolution reads; -1 beyond the map. */
INLINE int64_t NAME(read_place)(const strided_task *t, int64_t i, int64_t j, int64_t tap) {
    int64_t row = i * t->stride + tap / t->kernel - t->padding;
    int64_t column = j * t->stride + tap % t->kernel - t->padding;
    int inside = row >= 0 && column >= 0 && row < t->height && column < t->width;
    return inside ? row * t->width + column : -1;
}

static void NAME(strided_forward)(const strided_task *t, int64_t sample) {
    int64_t C = t->channels, taps = t->kernel * t->kernel;
    const float *x = t->x + sample * t->height * t->width * C;
    float *y = t->y + sample * t->out_height * t->out_width * C;
    for (int64_t i = 0; i < t->out_height; i++)
        for (int64_t j = 0; j < t->out_width; j++, y += C)
            for (int64_t c = 0; c < C; c += LANES) {
                VEC sum = {0};
                for (int64_t tap = 0; tap < taps; tap++) {
                    int64_t place = NAME(read_place)(t, i, j, tap);
                    if (place >= 0)
                        sum += NAME(load_part)(t->weight + tap * C + c, C - c) *
                               NAME(load_part)(x + place * C + c, C - c);
                }
                NAME(store_part)(y + c, sum, C - c);
            }
}

static void NAME(strided_backward)(const strided_task *t, int64_t sample, int thread) {
    int64_t C = t->channels, taps = t->kernel * t->kernel, whole = t->height * t->width * C;
    const float *x = t->x + sample * whole;
    const float *g = t->gradient + sample * t->out_height * t->out_width * C;
    float *grad_x = t->grad_x + sample * whole, *params = t->grad_params + thread * taps * C;
    for (int64_t i = 0; i < whole; i++) grad_x[i] = 0;
    for (int64_t i = 0; i < t->out_height; i++)
        for (int64_t j = 0; j < t->out_width; j++, g += C)
            for (int64_t tap = 0; tap < taps; tap++) {
                int64_t place = NAME(read_place)(t, i, j, tap);
                if (place < 0) continue;
                for (int64_t c = 0; c < C; c += LANES) {
                    int64_t n = C - c;
                    VEC given = NAME(load_part)(g + c, n);
                    float *to = grad_x + place * C + c, *sum = params + tap * C + c;
                    VEC weight = NAME(load_part)(t->weight + tap * C + c, n);
                    NAME(store_part)(to, NAME(load_part)(to, n) + given * weight, n);
                    VEC read = NAME(load_part)(x + place * C + c, n);
                    NAME(store_part)(sum, NAME(load_part)(sum, n) + given * read, n);
                }
            }
}

/* to (count, count) = the sums over places of left[i] right[j]. */
INLINE void NAME(outer_sums)(const float *left, const float *right, int64_t places, int64_t step,
                             int64_t count, float factor, float *to) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j += LANES) {
            VEC sum = {0};
            for (int64_t p = 0; p < places; p++)
                sum += left[p * step + i] * NAME(load_part)(right + p * step + j, count - j);
            NAME(store_part)(to + i * count + j, sum * factor, count - j);
        }
}

/* Of every place, to[j] = the sum over i of from[i] matrix[i][j]. */
INLINE void NAME(mixed)(const float *from, const float *matrix, int64_t places, int64_t step,
                        int64_t count, float *to) {
    for (int64_t p = 0; p < places; p++)
        for (int64_t j = 0; j < count; j += LANES) {
            VEC sum = {0};
            for (int64_t i = 0; i < count; i++)
                sum += from[p * step + i] * NAME(load_part)(matrix + i * count + j, count - j);
            NAME(store_part)(to + p * step + j, sum, count - j);
        }
}

INLINE void NAME(turned)(const float *from, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++) to[j * count + i] = from[i * count + j];
}

/* The softmax of a row; lanes beyond its end count for nothing. */
INLINE void NAME(softmax)(float *row, int64_t count) {
    float top = row[0], total = 0;
    for (int64_t i = 1; i < count; i++) top = row[i] > top ? row[i] : top;
    for (int64_t i = 0; i < count; i += LANES) {
        NAME(store_part)(row + i, NAME(exp)(NAME(load_part)(row + i, count - i) - top), count - i);
        total += NAME(sum)(NAME(load_part)(row + i, count - i));
    }
    for (int64_t i = 0; i < count; i += LANES)
        NAME(store_part)(row + i, NAME(load_part)(row + i, count - i) / total, count - i);
}

static void NAME(attention_forward)(const attention_task *t, int64_t sample, float *scratch) {
    int64_t C = t->channels, c = t->group, asked = sample * t->asked * C, read = sample * t->places * C;
    float factor = 1 / sqrtf((float)t->asked);
    for (int64_t first = 0; first < C; first += c) {
        float *weights = t->weights + (sample * C + first) * c;
        NAME(outer_sums)(t->query + asked + first, t->key + asked + first, t->asked, C, c, factor, weights);
        for (int64_t i = 0; i < c; i++) NAME(softmax)(weights + i * c, c);
        NAME(turned)(weights, c, scratch);
        NAME(mixed)(t->value + read + first, scratch, t->places, C, c, t->y + read + first);
    }
}

static void NAME(attention_backward)(const attention_task *t, int64_t sample, float *scratch) {
    int64_t C = t->channels, c = t->group, asked = sample * t->asked * C, read = sample * t->places * C;
    float factor = 1 / sqrtf((float)t->asked), *turned = scratch + c * c;
    for (int64_t first = 0; first < C; first += c) {
        const float *weights = t->weights + (sample * C + first) * c, *g = t->gradient + read + first;
        NAME(mixed)(g, weights, t->places, C, c, t->grad_value + read + first);
        NAME(outer_sums)(g, t->value + read + first, t->places, C, c, 1, scratch);
        for (int64_t i = 0; i < c; i++) {
            float *row = scratch + i * c, along = 0;
            for (int64_t j = 0; j < c; j++) along += row[j] * weights[i * c + j];
            for (int64_t j = 0; j < c; j++) row[j] = (row[j] - along) * weights[i * c + j] * factor;
        }
        NAME(turned)(scratch, c, turned);
        NAME(mixed)(t->key + asked + first, turned, t->asked, C, c, t->grad_query + asked + first);
        NAME(mixed)(t->query + asked + first, scratch, t->asked, C, c, t->grad_key + asked + first);
    }
}

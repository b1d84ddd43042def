/* The normalisation of one sample, over all of it or at each position over its channels, for one
 * instruction set. */

enum { NAME(FLUSH) = 2048 };

/* The sum of x - shift over `count` floats, or of its square; in double precision but for short runs. */
INLINE double NAME(total)(const float *x, int64_t count, float shift, const int square) {
    double sum = 0;
    for (int64_t from = 0; from < count; from += NAME(FLUSH)) {
        int64_t end = count - from < NAME(FLUSH) ? count : from + NAME(FLUSH);
        VEC part[2] = {{0}, {0}};
        int64_t i = from;
        for (; i + 2 * LANES <= end; i += 2 * LANES)
            for (int v = 0; v < 2; v++) {
                VEC off = NAME(load)(x + i + v * LANES) - shift;
                part[v] += square ? off * off : off;
            }
        sum += NAME(sum)(part[0] + part[1]);
        for (; i < end; i++) {
            float off = x[i] - shift;
            sum += square ? off * off : off;
        }
    }
    return sum;
}

INLINE void NAME(moments)(const float *x, int64_t count, double eps, float *stats) {
    /* Deviations from the first value, so that a large mean costs no digits. */
    double mean = x[0] + NAME(total)(x, count, x[0], 0) / count;
    double variance = NAME(total)(x, count, (float)mean, 1) / count;
    stats[0] = (float)mean;
    stats[1] = (float)(1 / sqrt(variance + eps));
}

INLINE void NAME(normalise)(const norm_task *task, const float *x, float *y, const float *stats) {
    for (int64_t c = 0; c < task->channels; c += LANES) {
        int64_t n = task->channels - c;
        VEC scaled = (NAME(load_part)(x + c, n) - stats[0]) * stats[1];
        VEC weight = NAME(load_part)(task->weight + c, n);
        NAME(store_part)(y + c, scaled * weight + NAME(load_part)(task->bias + c, n), n);
    }
}

static void NAME(norm_forward)(const norm_task *task, int64_t sample) {
    int64_t C = task->channels, P = task->positions;
    const float *x = task->x + sample * P * C;
    float *y = task->y + sample * P * C, *stats = task->stats + sample * (task->whole ? 1 : P) * 2;
    if (task->whole) NAME(moments)(x, P * C, task->eps, stats);
    for (int64_t p = 0; p < P; p++) {
        if (!task->whole) NAME(moments)(x + p * C, C, task->eps, stats + 2 * p);
        NAME(normalise)(task, x + p * C, y + p * C, task->whole ? stats : stats + 2 * p);
    }
}

/* Add what `rows` rows, each with its stats `step` floats on, give to the gradients of weight and
 * bias, and to `means` the sums of gradient * weight, plain and times the normalised x. */
INLINE void NAME(norm_sums)(const norm_task *task, const float *x, const float *g, int64_t rows,
                            const float *stats, float *params, float *means) {
    int64_t C = task->channels;
    VEC plain = {0}, along = {0};
    for (int64_t c = 0; c < C; c += LANES) {
        int64_t n = C - c;
        VEC of_weight = {0}, of_bias = {0}, weight = NAME(load_part)(task->weight + c, n);
        for (int64_t p = 0; p < rows; p++) {
            VEC given = NAME(load_part)(g + p * C + c, n);
            of_bias += given;
            of_weight += given * ((NAME(load_part)(x + p * C + c, n) - stats[0]) * stats[1]);
        }
        plain += of_bias * weight;
        along += of_weight * weight;
        NAME(store_part)(params + c, NAME(load_part)(params + c, n) + of_weight, n);
        NAME(store_part)(params + C + c, NAME(load_part)(params + C + c, n) + of_bias, n);
    }
    means[0] = NAME(sum)(plain) / (float)(rows * C);
    means[1] = NAME(sum)(along) / (float)(rows * C);
}

INLINE void NAME(norm_back)(const norm_task *task, const float *x, const float *g, float *grad_x,
                            const float *stats, const float *means) {
    for (int64_t c = 0; c < task->channels; c += LANES) {
        int64_t n = task->channels - c;
        VEC scaled = (NAME(load_part)(x + c, n) - stats[0]) * stats[1];
        VEC given = NAME(load_part)(g + c, n) * NAME(load_part)(task->weight + c, n);
        VEC out = (given - means[0] - scaled * means[1]) * stats[1];
        if (task->add) out += NAME(load_part)(grad_x + c, n);
        NAME(store_part)(grad_x + c, out, n);
    }
}

static void NAME(norm_backward)(const norm_task *task, int64_t sample, int thread) {
    int64_t C = task->channels, P = task->positions, rows = task->whole ? P : 1;
    const float *x = task->x + sample * P * C, *g = task->gradient + sample * P * C;
    const float *stats = task->stats + sample * (P / rows) * 2;
    float *grad_x = task->grad_x + sample * P * C, *params = task->grad_params + thread * 2 * C;
    for (int64_t p = 0; p < P; p += rows, stats += 2) {
        float means[2];
        NAME(norm_sums)(task, x + p * C, g + p * C, rows, stats, params, means);
        for (int64_t q = p; q < p + rows; q++)
            NAME(norm_back)(task, x + q * C, g + q * C, grad_x + q * C, stats, means);
    }
}

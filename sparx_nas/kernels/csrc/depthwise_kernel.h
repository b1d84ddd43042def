/* The depthwise convolution of one sample, channels across lanes, for one instruction set. */

/* The taps of one side that meet the map around a place: from *low to before *high. */
static void NAME(taps)(int64_t place, int64_t side, int64_t kernel, int64_t *low, int64_t *high) {
    int64_t half = kernel / 2;
    *low = place < half ? half - place : 0;
    *high = place + half >= side ? side + half - place : kernel;
}

/* from (H, W, C) around (i, j), weighted: tap (a, b) reads (i + a - K/2, j + b - K/2), or with
 * `turned` the place that reads (i, j) through that tap. */
INLINE void NAME(weigh)(VEC *sum, const depthwise_task *task, const float *from, int64_t i,
                        int64_t j, int64_t first, int64_t n, const int turned, const int full) {
    int64_t K = task->kernel, half = K / 2, C = task->channels, a, a_end, b_from, b_end;
    NAME(taps)(i, task->height, K, &a, &a_end);
    NAME(taps)(j, task->width, K, &b_from, &b_end);
    for (; a < a_end; a++)
        for (int64_t b = b_from; b < b_end; b++) {
            int64_t tap = turned ? (K - 1 - a) * K + K - 1 - b : a * K + b;
            const float *weight = task->weight + tap * C + first;
            const float *row = from + ((i + a - half) * task->width + j + b - half) * C + first;
            EACH(v) sum[v] += GET(weight, v) * GET(row, v);
        }
}

/* Inside the map all taps are there: K is known to the compiler, for the sizes that are common. */
INLINE void NAME(weigh_all)(VEC *sum, const depthwise_task *task, const float *from, int64_t i,
                            int64_t j, int64_t first, const int K, const int turned) {
    int64_t C = task->channels;
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) {
            int64_t tap = turned ? K * K - 1 - (a * K + b) : a * K + b;
            const float *weight = task->weight + tap * C + first;
            const float *row = from + ((i + a - K / 2) * task->width + j + b - K / 2) * C + first;
            EACH(v) sum[v] += NAME(load)(AT(weight, v)) * NAME(load)(AT(row, v));
        }
}

INLINE void NAME(depthwise_walk)(const depthwise_task *task, const float *from, float *to,
                                 int64_t first, int64_t n, const int backward, const int full) {
    for (int64_t i = 0; i < task->height; i++)
        for (int64_t j = 0; j < task->width; j++) {
            int64_t at = (i * task->width + j) * task->channels + first;
            VEC sum[BLOCK_VECTORS];
            EACH(v) {
                sum[v] = NAME(all)(0);
                if (!backward && task->bias) sum[v] = GET(task->bias + first, v);
                if (task->add_input) sum[v] += GET(from + at, v);
            }
            int64_t half = task->kernel / 2;
            int inside = i >= half && j >= half && i + half < task->height &&
                         j + half < task->width;
            if (full && inside && half == 1)
                NAME(weigh_all)(sum, task, from, i, j, first, 3, backward);
            else if (full && inside && half == 2)
                NAME(weigh_all)(sum, task, from, i, j, first, 5, backward);
            else
                NAME(weigh)(sum, task, from, i, j, first, n, backward, full);
            EACH(v) PUT(to + at, v, sum[v]);
            if (!backward && task->activation == GELU)
                EACH(v) PUT(task->activated + (to - task->y) + at, v, NAME(gelu)(sum[v]));
            else if (!backward && task->activation == SILU)
                EACH(v) PUT(task->activated + (to - task->y) + at, v, NAME(silu)(sum[v]));
            else if (!backward && task->activation == RELU)
                EACH(v) PUT(task->activated + (to - task->y) + at, v, NAME(relu)(sum[v]));
        }
}

/* Add up gradient * x for every tap, and gradient for the bias. */
INLINE void NAME(depthwise_weights)(const depthwise_task *task, const float *x, const float *g,
                                    float *params, int64_t first, int64_t n, const int full) {
    int64_t K = task->kernel, half = K / 2, C = task->channels;
    for (int64_t tap = 0; tap < K * K; tap++) {
        int64_t down = tap / K - half, right = tap % K - half;
        int64_t i = down < 0 ? -down : 0, j_from = right < 0 ? -right : 0;
        int64_t i_end = down > 0 ? task->height - down : task->height;
        int64_t j_end = right > 0 ? task->width - right : task->width;
        VEC sum[BLOCK_VECTORS] = {{0}};
        for (; i < i_end; i++)
            for (int64_t j = j_from; j < j_end; j++) {
                const float *given = g + (i * task->width + j) * C + first;
                const float *read = x + ((i + down) * task->width + j + right) * C + first;
                EACH(v) sum[v] += GET(given, v) * GET(read, v);
            }
        float *to = params + tap * C + first;
        EACH(v) PUT(to, v, GET(to, v) + sum[v]);
    }
    VEC sum[BLOCK_VECTORS] = {{0}};
    for (int64_t p = 0; p < task->height * task->width; p++)
        EACH(v) sum[v] += GET(g + p * C + first, v);
    float *to = params + K * K * C + first;
    EACH(v) PUT(to, v, GET(to, v) + sum[v]);
}

static void NAME(depthwise_forward)(const depthwise_task *task, int64_t sample) {
    int64_t C = task->channels, at = sample * task->height * task->width * C;
    for (int64_t first = 0; first < C; first += BLOCK) {
        int64_t n = C - first;
        if (n >= BLOCK)
            NAME(depthwise_walk)(task, task->x + at, task->y + at, first, BLOCK, 0, 1);
        else
            NAME(depthwise_walk)(task, task->x + at, task->y + at, first, n, 0, 0);
    }
}

static void NAME(depthwise_backward)(const depthwise_task *task, int64_t sample, int thread) {
    int64_t C = task->channels, K = task->kernel;
    int64_t at = sample * task->height * task->width * C;
    const float *x = task->x + at, *g = task->gradient + at;
    float *params = task->grad_params + thread * (K * K + 1) * C;
    for (int64_t first = 0; first < C; first += BLOCK) {
        int64_t n = C - first;
        if (n >= BLOCK) {
            NAME(depthwise_walk)(task, g, task->grad_x + at, first, BLOCK, 1, 1);
            NAME(depthwise_weights)(task, x, g, params, first, BLOCK, 1);
        } else {
            NAME(depthwise_walk)(task, g, task->grad_x + at, first, n, 1, 0);
            NAME(depthwise_weights)(task, x, g, params, first, n, 0);
        }
    }
}

/* What is done to every element of a sample, for one instruction set: an activation and its slope,
 * and the scale and shift of a channel. */

INLINE void NAME(activations)(const activation_task *task, int64_t from, const int64_t kind) {
    for (int64_t i = 0; i < task->count; i += LANES) {
        int64_t n = task->count - i;
        VEC x = NAME(load_part)(task->x + from + i, n);
        NAME(store_part)(task->y + from + i, NAME(activated)(x, kind), n);
    }
}

static void NAME(activation_forward)(const activation_task *task, int64_t sample) {
    int64_t from = sample * task->count;
    if (task->kind == GELU) NAME(activations)(task, from, GELU);
    else if (task->kind == SILU) NAME(activations)(task, from, SILU);
    else NAME(activations)(task, from, RELU);
}

INLINE void NAME(slopes)(const activation_task *task, int64_t from, const int64_t kind) {
    for (int64_t i = 0; i < task->count; i += LANES) {
        int64_t n = task->count - i;
        VEC slope = NAME(slope)(NAME(load_part)(task->x + from + i, n), kind);
        VEC out = NAME(load_part)(task->gradient + from + i, n) * slope;
        NAME(store_part)(task->grad_x + from + i, out, n);
    }
}

static void NAME(activation_backward)(const activation_task *task, int64_t sample) {
    int64_t from = sample * task->count;
    if (task->kind == GELU) NAME(slopes)(task, from, GELU);
    else if (task->kind == SILU) NAME(slopes)(task, from, SILU);
    else NAME(slopes)(task, from, RELU);
}

static void NAME(minus_exp)(float *x, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES)
        NAME(store_part)(x + i, -NAME(exp)(NAME(load_part)(x + i, count - i)), count - i);
}

static void NAME(scale_forward)(const scale_task *task, int64_t sample) {
    int64_t C = task->channels, from = sample * task->positions * C;
    for (int64_t c = 0; c < C; c += LANES) {
        int64_t n = C - c;
        VEC weight = NAME(load_part)(task->weight + c, n), bias = NAME(load_part)(task->bias + c, n);
        for (int64_t p = 0; p < task->positions; p++) {
            int64_t at = from + p * C + c;
            VEC scaled = NAME(load_part)(task->x + at, n) * weight + bias;
            NAME(store_part)(task->y + at, NAME(load_part)(task->y + at, n) + scaled, n);
        }
    }
}

static void NAME(scale_backward)(const scale_task *task, int64_t sample, int thread) {
    int64_t C = task->channels, from = sample * task->positions * C;
    float *params = task->grad_params + thread * 2 * C;
    for (int64_t c = 0; c < C; c += LANES) {
        int64_t n = C - c;
        VEC weight = NAME(load_part)(task->weight + c, n), of_weight = {0}, of_bias = {0};
        for (int64_t p = 0; p < task->positions; p++) {
            int64_t at = from + p * C + c;
            VEC given = NAME(load_part)(task->gradient + at, n);
            of_weight += given * NAME(load_part)(task->x + at, n);
            of_bias += given;
            NAME(store_part)(task->grad_x + at, given * weight, n);
        }
        NAME(store_part)(params + c, NAME(load_part)(params + c, n) + of_weight, n);
        NAME(store_part)(params + C + c, NAME(load_part)(params + C + c, n) + of_bias, n);
    }
}

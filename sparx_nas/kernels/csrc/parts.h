/* Whole parts of a block, forward and back, from the kernels of one instruction set and a BLAS.
 *
 * Included once by library.c. Weights are as torch has them; `grads` is one run of memory with the
 * gradients of all weights in the order in which the task names them.
 */

#define EACH_SAMPLE(samples, workers, work)                                  \
    do {                                                                     \
        const int team = (int)(workers);                                     \
        _Pragma("omp parallel num_threads(team)") {                          \
            int thread = thread_number();                                    \
            _Pragma("omp for schedule(static)")                              \
            for (int64_t sample = 0; sample < (samples); sample++) work;     \
            (void)thread;                                                    \
        }                                                                    \
    } while (0)

/* c (m, n) = a (m, k) b (k, n) + keep * c, all by rows that are so many floats apart; with turned_a
 * a is (k, m), with turned_b b is (n, k). */
static void product_in(sgemm_function *blas, int turned_a, int turned_b, int64_t m, int64_t n,
                       int64_t k, const float *a, int64_t a_step, const float *b, int64_t b_step,
                       float keep, float *c, int64_t c_step) {
    const int rows = (int)m, columns = (int)n, depth = (int)k;
    const int left = (int)a_step, right = (int)b_step, to = (int)c_step;
    const float one = 1;
    blas(turned_b ? "T" : "N", turned_a ? "T" : "N", &columns, &rows, &depth, &one, b, &right, a,
         &left, &keep, c, &to);
}

/* The same of matrices without gaps. */
static void product(sgemm_function *blas, int turned_a, int turned_b, int64_t m, int64_t n,
                    int64_t k, const float *a, const float *b, float keep, float *c) {
    product_in(blas, turned_a, turned_b, m, n, k, a, turned_a ? m : k, b, turned_b ? k : n, keep, c,
               n);
}

/* y (rows, outputs) = x (rows, inputs) weight' + bias; weight (outputs, inputs). */
static void linear(sgemm_function *blas, int64_t rows, int64_t inputs, int64_t outputs, const float *x,
                   const float *weight, const float *bias, float *y) {
    if (bias)
        for (int64_t i = 0; i < rows; i++) memcpy(y + i * outputs, bias, sizeof(float) * (size_t)outputs);
    product(blas, 0, 1, rows, outputs, inputs, x, weight, bias ? 1 : 0, y);
}

/* The sums of the columns of x (rows, columns). */
static void column_sums(int64_t rows, int64_t columns, const float *x, float *sums) {
    memset(sums, 0, sizeof(float) * (size_t)columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) sums[j] += x[i * columns + j];
}

/* The way back of `linear`; grad_x may be nought. */
static void linear_back(sgemm_function *blas, int64_t rows, int64_t inputs, int64_t outputs,
                        const float *gradient, const float *x, const float *weight, float *grad_x,
                        float *of_weight, float *of_bias) {
    if (grad_x) product(blas, 0, 0, rows, inputs, outputs, gradient, weight, 0, grad_x);
    product(blas, 1, 0, outputs, inputs, rows, gradient, x, 0, of_weight);
    column_sums(rows, outputs, gradient, of_bias);
}

/* to = the sum over threads of parts (threads, count). */
static void add_up(int64_t threads, int64_t count, const float *parts, float *to) {
    memcpy(to, parts, sizeof(float) * (size_t)count);
    for (int64_t t = 1; t < threads; t++)
        for (int64_t i = 0; i < count; i++) to[i] += parts[t * count + i];
}

/* to (columns, rows) = from (rows, columns), turned. */
static void turn(int64_t rows, int64_t columns, const float *from, float *to) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

static void norm_rows(const instruction_set *use, norm_task task) {
    EACH_SAMPLE(task.batch, task.threads, use->norm_forward(&task, sample));
}

/* Norm's way back; grads are those of weight and bias, parts (threads, 2, C). */
static void norm_rows_back(const instruction_set *use, norm_task task, float *parts, float *grads) {
    memset(parts, 0, sizeof(float) * (size_t)(task.threads * 2 * task.channels));
    task.grad_params = parts;
    EACH_SAMPLE(task.batch, task.threads, use->norm_backward(&task, sample, thread));
    add_up(task.threads, 2 * task.channels, parts, grads);
}

/* A depthwise convolution by a weight (C, K * K); `turned` is room for it, (K * K, C). */
static void depthwise_rows(const instruction_set *use, depthwise_task task, const float *weight,
                           float *turned) {
    turn(task.channels, task.kernel * task.kernel, weight, turned);
    task.weight = turned;
    EACH_SAMPLE(task.batch, task.threads, use->depthwise_forward(&task, sample));
}

/* Its way back; grads are those of weight (C, K * K) and bias, parts (threads + 1, K * K + 1, C). */
static void depthwise_rows_back(const instruction_set *use, depthwise_task task,
                                const float *weight, float *turned, float *parts, float *grads) {
    int64_t taps = task.kernel * task.kernel, C = task.channels, count = (taps + 1) * C;
    turn(C, taps, weight, turned);
    memset(parts, 0, sizeof(float) * (size_t)(task.threads * count));
    task.weight = turned, task.grad_params = parts;
    EACH_SAMPLE(task.batch, task.threads, use->depthwise_backward(&task, sample, thread));
    float *sums = parts + task.threads * count;
    add_up(task.threads, count, parts, sums);
    turn(taps, C, sums, grads);
    memcpy(grads + taps * C, sums + taps * C, sizeof(float) * (size_t)C);
}

/* y += x * weight + bias, or y += x without a weight. */
static void add_stream(const instruction_set *use, scale_task task) {
    if (task.weight) {
        EACH_SAMPLE(task.batch, task.threads, use->scale_forward(&task, sample));
    } else {
        for (int64_t i = 0; i < task.batch * task.positions * task.channels; i++)
            task.y[i] += task.x[i];
    }
}

static void add_stream_back(const instruction_set *use, scale_task task, float *parts,
                            float *grads) {
    int64_t count = task.batch * task.positions * task.channels;
    if (!task.weight) {
        memcpy(task.grad_x, task.gradient, sizeof(float) * (size_t)count);
        return;
    }
    memset(parts, 0, sizeof(float) * (size_t)(task.threads * 2 * task.channels));
    task.grad_params = parts;
    EACH_SAMPLE(task.batch, task.threads, use->scale_backward(&task, sample, thread));
    add_up(task.threads, 2 * task.channels, parts, grads);
}

/* Run of memory that is handed out from its beginning. */
static float *taken(float **room, int64_t floats) {
    float *start = *room;
    *room += (floats + 15) / 16 * 16;
    return start;
}

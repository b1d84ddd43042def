/* A matrix product with the interface of BLAS's sgemm, for where there is no BLAS, and what lies
 * between the maps of a scan and the low-rank codes of their steps; for one instruction set. */

/* c (rows, columns, every c_step floats a row) += a b; a row of a is `a_row` and its next column
 * `a_column` floats on, b is by rows. Four rows at a time, so that b is read once for them. */
INLINE void NAME(product_rows)(int64_t rows, int64_t columns, int64_t depth, float factor,
                               const float *a, int64_t a_row, int64_t a_column, const float *b,
                               int64_t b_step, float *c, int64_t c_step) {
    for (int64_t j = 0; j < columns; j += LANES) {
        int64_t n = columns - j;
        for (int64_t i = 0; i < rows; i += 4) {
            VEC sum[4] = {{0}, {0}, {0}, {0}};
            int64_t there = rows - i < 4 ? rows - i : 4;
            for (int64_t k = 0; k < depth; k++) {
                VEC right = NAME(load_part)(b + k * b_step + j, n);
                for (int64_t m = 0; m < there; m++)
                    sum[m] += a[(i + m) * a_row + k * a_column] * right;
            }
            for (int64_t m = 0; m < there; m++) {
                float *to = c + (i + m) * c_step + j;
                NAME(store_part)(to, NAME(load_part)(to, n) + factor * sum[m], n);
            }
        }
    }
}

/* As BLAS has it, by columns: C (m, n) = alpha op(A) op(B) + beta C. */
static void NAME(sgemm)(const char *turn_a, const char *turn_b, const int *m, const int *n,
                        const int *k, const float *alpha, const float *A, const int *lda,
                        const float *B, const int *ldb, const float *beta, float *C,
                        const int *ldc) {
    int turned_a = *turn_a == 'T', turned_b = *turn_b == 'T';
    for (int j = 0; j < *n; j++)
        for (int i = 0; i < *m; i++)
            C[j * (int64_t)*ldc + i] = *beta == 0 ? 0 : *beta * C[j * (int64_t)*ldc + i];
    /* By rows this is C' = op(B)' op(A)': the right factor is op(A)', which has to lie by rows. */
    float *copy = 0;
    const float *right = A;
    int64_t step = *lda;
    if (turned_a) {
        copy = malloc(sizeof(float) * (size_t)(*k * (int64_t)*m + 1));
        if (!copy) abort();
        for (int64_t i = 0; i < *m; i++)
            for (int64_t p = 0; p < *k; p++) copy[p * *m + i] = A[i * *lda + p];
        right = copy, step = *m;
    }
    NAME(product_rows)(*n, *m, *k, *alpha, B, turned_b ? 1 : *ldb, turned_b ? *ldb : 1, right, step,
                       C, *ldc);
    free(copy);
}

/* Of one sample and direction k: the gradients of the steps' codes from those of z, what softplus is
 * given, and the sums that become the gradient of dt_weight (4, R, D). */
INLINE void NAME(code_sums)(const map_task *task, const float *z, const float *codes, float *of_dt,
                            int64_t k) {
    int64_t D = task->channels, R = task->rank, length = task->height * task->width;
    int64_t stride = 4 * (R + 2 * task->states);
    for (int64_t first = 0; first < R; first += 4)
        for (int64_t d = 0; d < D; d += LANES) {
            VEC sum[4] = {{0}, {0}, {0}, {0}};
            int64_t n = D - d, there = R - first < 4 ? R - first : 4;
            for (int64_t p = 0; p < length; p++) {
                VEC given = NAME(load_part)(z + p * D + d, n);
                const float *code = codes + p * stride + k * (R + 2 * task->states) + first;
                for (int64_t r = 0; r < there; r++) sum[r] += code[r] * given;
            }
            for (int64_t r = 0; r < there; r++) {
                float *to = of_dt + (k * R + first + r) * D + d;
                NAME(store_part)(to, NAME(load_part)(to, n) + sum[r], n);
            }
        }
}

static void NAME(code_backward)(const map_task *task, int64_t sample, float *of_codes,
                                float *of_dt) {
    int64_t D = task->channels, R = task->rank, N = task->states;
    int64_t length = task->height * task->width, each = R + 2 * N, start = sample * length;
    for (int64_t k = 0; k < 4; k++) {
        const float *z = task->grad_z + (k * task->batch * length + start) * D;
        NAME(code_sums)(task, z, task->codes + start * 4 * each, of_dt, k);
        for (int64_t p = 0; p < length; p++) {
            float *to = of_codes + ((start + p) * 4 + k) * each;
            for (int64_t r = 0; r < R; r++) {
                const float *weight = task->dt_weight + (k * R + r) * D;
                VEC sum = {0};
                int64_t d = 0;
                for (; d + LANES <= D; d += LANES)
                    sum += NAME(load)(z + p * D + d) * NAME(load)(weight + d);
                if (d < D)
                    sum += NAME(load_part)(z + p * D + d, D - d) *
                           NAME(load_part)(weight + d, D - d);
                to[r] = NAME(sum)(sum);
            }
            for (int64_t s = 0; s < 2 * N; s++) {
                to[R + s] = 0;
                for (int64_t group = 0; group < task->groups; group++)
                    to[R + s] += task->grad_rows[((group * task->batch * length + start + p) * 4 + k) *
                                                     2 * N + s];
            }
        }
    }
}

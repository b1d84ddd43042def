/* The four-direction scan of one sample's map, for one instruction set; included once for each.
 *
 * Channels lie across lanes and a block of BLOCK channels stays in registers while a direction
 * walks over the positions, so that a direction is no more than the order of the rows it reads.
 */

#define BLOCK (BLOCK_VECTORS * LANES)

/* The row that direction k visits at each step: 0 row by row, 1 column by column, 2 and 3 back. */
static void NAME(fill_order)(int64_t *order, int k, int64_t height, int64_t width) {
    int64_t length = height * width, t = 0;
    if (k & 1)
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = 0; i < height; i++) order[t++] = i * width + j;
    else
        for (; t < length; t++) order[t] = t;
    if (k >= 2)
        for (int64_t i = 0; i < length / 2; i++) {
            int64_t swap = order[i];
            order[i] = order[length - 1 - i];
            order[length - 1 - i] = swap;
        }
}

/* Where things lie in a thread's scratch, in floats. */
typedef struct {
    int64_t *order;
    float *dt_weight, *bias, *skip, *A;      /* of a block: (R | 1 | 1 | N, BLOCK) */
    float *state, *grad_A;                   /* (N, BLOCK) */
    float *step, *slope, *decays, *states;   /* (L, 1 | 1 | N | N, BLOCK) */
    float *rows;                             /* (L, 2N, LANES): gradients of B and C by lane */
    int64_t size;
} NAME(map_room);

static NAME(map_room) NAME(map_lay_out)(const map_task *task, int backward, float *scratch) {
    NAME(map_room) room = {0};
    int64_t length = task->height * task->width, states = task->states, at = 0;
#define ROOM(name, floats) (room.name = (void *)(scratch + at), at += ((floats) + 15) / 16 * 16)
    ROOM(order, 2 * length);
    ROOM(dt_weight, task->rank * BLOCK);
    ROOM(bias, BLOCK);
    ROOM(skip, BLOCK);
    ROOM(A, states * BLOCK);
    ROOM(state, states * BLOCK);
    if (backward) {
        ROOM(grad_A, states * BLOCK);
        ROOM(step, length * BLOCK);
        ROOM(slope, length * BLOCK);
        ROOM(decays, length * states * BLOCK);
        ROOM(states, length * states * BLOCK);
        ROOM(rows, length * 2 * states * LANES);
    }
#undef ROOM
    room.size = at;
    return room;
}

static int64_t NAME(map_scratch)(const map_task *task, int backward) {
    return NAME(map_lay_out)(task, backward, 0).size;
}

/* A block of one sample and direction: n valid channels from `first` on. */
typedef struct {
    const map_task *task;
    NAME(map_room) room;
    int64_t sample, first, n;
    int k;
} NAME(map_block);

INLINE void NAME(copy_padded)(float *to, const float *from, int64_t n) {
    for (int v = 0; v < BLOCK_VECTORS; v++)
        NAME(store)(to + v * LANES, NAME(load_part)(from + v * LANES, n - v * LANES));
}

static void NAME(map_take_block)(const NAME(map_block) *b) {
    const map_task *t = b->task;
    int64_t D = t->channels, k = b->k;
    for (int64_t r = 0; r < t->rank; r++)
        NAME(copy_padded)(b->room.dt_weight + r * BLOCK,
                          t->dt_weight + (k * t->rank + r) * D + b->first, b->n);
    NAME(copy_padded)(b->room.bias, t->dt_bias + k * D + b->first, b->n);
    NAME(copy_padded)(b->room.skip, t->skip + b->first, b->n);
    for (int64_t s = 0; s < t->states; s++)
        NAME(copy_padded)(b->room.A + s * BLOCK, t->A + (k * t->states + s) * D + b->first, b->n);
}

#define EACH(v) for (int v = 0; v < BLOCK_VECTORS; v++)
#define AT(base, v) ((base) + (v) * LANES)
#define GET(base, v) (full ? NAME(load)(AT(base, v)) : NAME(load_part)(AT(base, v), n - (v) * LANES))
#define PUT(base, v, value)                              \
    (full ? NAME(store)(AT(base, v), value)              \
          : NAME(store_part)(AT(base, v), value, n - (v) * LANES))

/* What softplus is given at one position: bias + code . dt_weight. */
INLINE void NAME(low_rank)(VEC *z, const NAME(map_room) *room, const float *code, int64_t rank) {
    EACH(v) z[v] = NAME(load)(AT(room->bias, v));
    for (int64_t r = 0; r < rank; r++)
        EACH(v) z[v] += code[r] * NAME(load)(AT(room->dt_weight + r * BLOCK, v));
}

INLINE void NAME(map_forward_block)(const NAME(map_block) *b, const int64_t states,
                                    const int full) {
    const map_task *task = b->task;
    const NAME(map_room) *room = &b->room;
    int64_t length = task->height * task->width, D = task->channels, n = b->n;
    int64_t R = task->rank, stride = 4 * (R + 2 * states);
    int64_t start = b->sample * length;
    VEC one[BLOCK_VECTORS] = {{0}};
    VEC *state = states == 1 ? one : (VEC *)room->state;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++) state[i] = NAME(all)(0);
    for (int64_t t = 0; t < length; t++) {
        int64_t place = start + room->order[t];
        const float *code = task->codes + place * stride + b->k * (R + 2 * states);
        const float *x = task->x + place * D + b->first;
        float *y = task->y + place * D + b->first;
        VEC z[BLOCK_VECTORS], drive[BLOCK_VECTORS], out[BLOCK_VECTORS];
        NAME(low_rank)(z, room, code, R);
        EACH(v) {
            VEC value = GET(x, v);
            z[v] = NAME(softplus)(z[v]);
            drive[v] = z[v] * value;
            out[v] = b->k ? GET(y, v) : value * NAME(load)(AT(room->skip, v));
        }
        for (int64_t s = 0; s < states; s++) EACH(v) {
                VEC *h = state + s * BLOCK_VECTORS + v;
                *h = NAME(exp)(z[v] * NAME(load)(AT(room->A + s * BLOCK, v))) * *h +
                     code[R + s] * drive[v];
                out[v] += code[R + states + s] * *h;
            }
        EACH(v) PUT(y, v, out[v]);
    }
}

/* Walk forward once more and keep what the way back needs. */
INLINE void NAME(map_record_block)(const NAME(map_block) *b, const int64_t states,
                                   const int full) {
    const map_task *task = b->task;
    const NAME(map_room) *room = &b->room;
    int64_t length = task->height * task->width, D = task->channels, n = b->n;
    int64_t R = task->rank, stride = 4 * (R + 2 * states), start = b->sample * length;
    VEC one[BLOCK_VECTORS] = {{0}};
    VEC *state = states == 1 ? one : (VEC *)room->state;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++) state[i] = NAME(all)(0);
    for (int64_t t = 0; t < length; t++) {
        int64_t place = start + room->order[t];
        const float *code = task->codes + place * stride + b->k * (R + 2 * states);
        const float *x = task->x + place * D + b->first;
        VEC z[BLOCK_VECTORS], drive[BLOCK_VECTORS];
        NAME(low_rank)(z, room, code, R);
        EACH(v) {
            VEC slope;
            z[v] = NAME(softplus_and_slope)(z[v], &slope);
            drive[v] = z[v] * GET(x, v);
            NAME(store)(AT(room->step + t * BLOCK, v), z[v]);
            NAME(store)(AT(room->slope + t * BLOCK, v), slope);
        }
        for (int64_t s = 0; s < states; s++) EACH(v) {
                VEC *h = state + s * BLOCK_VECTORS + v;
                VEC decay = NAME(exp)(z[v] * NAME(load)(AT(room->A + s * BLOCK, v)));
                *h = decay * *h + code[R + s] * drive[v];
                NAME(store)(AT(room->decays + (t * states + s) * BLOCK, v), decay);
                NAME(store)(AT(room->states + (t * states + s) * BLOCK, v), *h);
            }
    }
}

INLINE void NAME(map_return_block)(const NAME(map_block) *b, float *grad_params,
                                   const int64_t states, const int full) {
    const map_task *task = b->task;
    const NAME(map_room) *room = &b->room;
    int64_t length = task->height * task->width, D = task->channels, n = b->n;
    int64_t R = task->rank, stride = 4 * (R + 2 * states), start = b->sample * length;
    float *grad_z = task->grad_z + b->k * task->batch * length * D;
    VEC one[BLOCK_VECTORS] = {{0}}, one_A[BLOCK_VECTORS] = {{0}}, bias[BLOCK_VECTORS] = {{0}};
    VEC *carry = states == 1 ? one : (VEC *)room->state;
    VEC *grad_A = states == 1 ? one_A : (VEC *)room->grad_A;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++)
        carry[i] = grad_A[i] = NAME(all)(0);
    for (int64_t t = length - 1; t >= 0; t--) {
        int64_t place = start + room->order[t], from = place * D + b->first;
        const float *code = task->codes + place * stride + b->k * (R + 2 * states);
        VEC g[BLOCK_VECTORS], x[BLOCK_VECTORS], step[BLOCK_VECTORS];
        VEC to_drive[BLOCK_VECTORS] = {{0}}, to_step[BLOCK_VECTORS] = {{0}};
        EACH(v) {
            g[v] = GET(task->gradient + from, v);
            x[v] = GET(task->x + from, v);
            step[v] = NAME(load)(AT(room->step + t * BLOCK, v));
        }
        for (int64_t s = 0; s < states; s++) {
            VEC of_B = NAME(all)(0), of_C = NAME(all)(0);
            EACH(v) {
                int64_t i = s * BLOCK_VECTORS + v, kept = (t * states + s) * BLOCK;
                VEC decay = NAME(load)(AT(room->decays + kept, v));
                VEC before =
                    t ? NAME(load)(AT(room->states + kept - states * BLOCK, v)) : NAME(all)(0);
                VEC to_state = g[v] * code[R + states + s] + carry[i];
                of_C += g[v] * NAME(load)(AT(room->states + kept, v));
                of_B += to_state * step[v] * x[v];
                to_drive[v] += to_state * code[R + s];
                carry[i] = to_state * decay;
                VEC to_exponent = carry[i] * before;
                to_step[v] += to_exponent * NAME(load)(AT(room->A + s * BLOCK, v));
                grad_A[i] += to_exponent * step[v];
            }
            float *rows = room->rows + (t * 2 * states + s) * LANES;
            NAME(store)(rows, NAME(load)(rows) + of_B);
            rows += states * LANES;
            NAME(store)(rows, NAME(load)(rows) + of_C);
        }
        float *grad_x = task->grad_x + from;
        EACH(v) {
            VEC to_z = (to_step[v] + to_drive[v] * x[v]) *
                       NAME(load)(AT(room->slope + t * BLOCK, v));
            VEC kept = b->k ? GET(grad_x, v) : g[v] * NAME(load)(AT(room->skip, v));
            bias[v] += to_z;
            PUT(grad_z + from, v, to_z);
            PUT(grad_x, v, kept + to_drive[v] * step[v]);
        }
    }
    for (int64_t s = 0; s <= states; s++) EACH(v) {
            float *sum = grad_params + (b->k * (states + 1) + s) * D + b->first;
            VEC more = s < states ? grad_A[s * BLOCK_VECTORS + v] : bias[v];
            PUT(sum, v, GET(sum, v) + more);
        }
}

/* The channels of a group: whole blocks, as equal as they come. */
static void NAME(map_group)(const map_task *task, int64_t group, int64_t *first, int64_t *end) {
    int64_t blocks = (task->channels + BLOCK - 1) / BLOCK;
    *first = blocks * group / task->groups * BLOCK;
    *end = blocks * (group + 1) / task->groups * BLOCK;
    if (*end > task->channels) *end = task->channels;
}

/* Call a block function with the cases that the compiler shall know: one state, no tail. */
#define CASES(function, ...)                                       \
    do {                                                           \
        int whole = block.n >= BLOCK;                              \
        if (block.n > BLOCK) block.n = BLOCK;                      \
        if (task->states == 1 && whole) function(__VA_ARGS__, 1, 1); \
        else if (task->states == 1) function(__VA_ARGS__, 1, 0);   \
        else if (whole) function(__VA_ARGS__, task->states, 1);    \
        else function(__VA_ARGS__, task->states, 0);               \
    } while (0)

static void NAME(map_forward)(const map_task *task, int64_t sample, int64_t group,
                              float *scratch) {
    NAME(map_block) block = {task, NAME(map_lay_out)(task, 0, scratch), sample, 0, 0, 0};
    int64_t first, end;
    NAME(map_group)(task, group, &first, &end);
    for (block.k = 0; block.k < 4; block.k++) {
        NAME(fill_order)(block.room.order, block.k, task->height, task->width);
        for (block.first = first; block.first < end; block.first += BLOCK) {
            block.n = end - block.first;
            NAME(map_take_block)(&block);
            CASES(NAME(map_forward_block), &block);
        }
    }
}

static void NAME(map_backward)(const map_task *task, int64_t sample, int64_t group, int thread,
                               float *scratch) {
    NAME(map_block) block = {task, NAME(map_lay_out)(task, 1, scratch), sample, 0, 0, 0};
    int64_t length = task->height * task->width, pairs = 2 * task->states, first, end;
    float *params = task->grad_params + thread * 4 * (task->states + 1) * task->channels;
    float *rows = task->grad_rows + (group * task->batch + sample) * length * 4 * pairs;
    NAME(map_group)(task, group, &first, &end);
    for (block.k = 0; block.k < 4; block.k++) {
        NAME(fill_order)(block.room.order, block.k, task->height, task->width);
        for (int64_t i = 0; i < length * pairs * LANES; i++) block.room.rows[i] = 0;
        for (block.first = first; block.first < end; block.first += BLOCK) {
            block.n = end - block.first;
            NAME(map_take_block)(&block);
            CASES(NAME(map_record_block), &block);
            CASES(NAME(map_return_block), &block, params);
        }
        for (int64_t t = 0; t < length; t++)
            for (int64_t s = 0; s < pairs; s++)
                rows[(block.room.order[t] * 4 + block.k) * pairs + s] =
                    NAME(sum)(NAME(load)(block.room.rows + (t * pairs + s) * LANES));
    }
}

/* The one-direction scan of sequences laid out (channels, L), for one instruction set.
 *
 * Tiles of a block of channels are turned so that channels lie across lanes, scanned, and turned
 * back; everything between stays in the tile.
 */

/* Where things lie in a thread's scratch: tiles are (L, BLOCK). */
typedef struct {
    float *u, *step;
    float *y;     /* the result; on the way back its gradient, then that of u in its place */
    float *slope; /* of softplus, then the gradient of what softplus is given in its place */
    float *A, *skip, *bias, *state, *grad_A;   /* (N | 1 | 1 | N | N, BLOCK) */
    float *decays, *states;                    /* (L, N, BLOCK) */
    float *rows;                               /* (L, 2N, LANES) */
    int64_t size;
} NAME(sequence_room);

static NAME(sequence_room) NAME(sequence_lay_out)(const sequence_task *task, int backward,
                                                  float *scratch) {
    NAME(sequence_room) room = {0};
    int64_t tile = task->length * BLOCK, states = task->states, at = 0;
#define ROOM(name, floats) (room.name = scratch + at, at += ((floats) + 15) / 16 * 16)
    ROOM(u, tile);
    ROOM(step, tile);
    ROOM(y, tile);
    ROOM(A, states * BLOCK);
    ROOM(skip, BLOCK);
    ROOM(bias, BLOCK);
    ROOM(state, states * BLOCK);
    if (backward) {
        ROOM(slope, tile);
        ROOM(grad_A, states * BLOCK);
        ROOM(decays, tile * states);
        ROOM(states, tile * states);
        ROOM(rows, task->length * 2 * states * LANES);
    }
#undef ROOM
    room.size = at;
    return room;
}

static int64_t NAME(sequence_scratch)(const sequence_task *task, int backward) {
    return NAME(sequence_lay_out)(task, backward, 0).size;
}

/* Turn n channels (rows of L) into a tile and back; lanes beyond n are zero. */
#define TURNED 16
static void NAME(turn)(float *tile, const float *rows, int64_t n, int64_t length) {
    for (int64_t at = 0; at < length; at += TURNED) {
        int64_t end = at + TURNED < length ? at + TURNED : length;
        int64_t fours = n / 4 * 4, quads = at + (end - at) / 4 * 4;
        for (int64_t c = 0; c < fours; c += 4) {
            for (int64_t t = at; t < quads; t += 4)
                turn_four(tile + t * BLOCK + c, BLOCK, rows + c * length + t, length);
            for (int64_t t = quads; t < end; t++)
                for (int64_t i = c; i < c + 4; i++) tile[t * BLOCK + i] = rows[i * length + t];
        }
        for (int64_t c = fours; c < BLOCK; c++)
            for (int64_t t = at; t < end; t++)
                tile[t * BLOCK + c] = c < n ? rows[c * length + t] : 0;
    }
}

static void NAME(turn_back)(float *rows, const float *tile, int64_t n, int64_t length) {
    for (int64_t at = 0; at < length; at += TURNED) {
        int64_t end = at + TURNED < length ? at + TURNED : length;
        int64_t fours = n / 4 * 4, quads = at + (end - at) / 4 * 4;
        for (int64_t c = 0; c < fours; c += 4) {
            for (int64_t t = at; t < quads; t += 4)
                turn_four(rows + c * length + t, length, tile + t * BLOCK + c, BLOCK);
            for (int64_t t = quads; t < end; t++)
                for (int64_t i = c; i < c + 4; i++) rows[i * length + t] = tile[t * BLOCK + i];
        }
        for (int64_t c = fours; c < n; c++)
            for (int64_t t = at; t < end; t++) rows[c * length + t] = tile[t * BLOCK + c];
    }
}

/* A block of a sample and set: n valid channels from `channel` of all K*D on. */
typedef struct {
    const sequence_task *task;
    NAME(sequence_room) room;
    int64_t channel, n;
    const float *B, *C; /* (N, L) */
} NAME(sequence_block);

static void NAME(sequence_take_block)(const NAME(sequence_block) *b, int64_t rows) {
    const sequence_task *t = b->task;
    NAME(turn)(b->room.u, t->u + rows, b->n, t->length);
    NAME(turn)(b->room.step, t->delta + rows, b->n, t->length);
    NAME(copy_padded)(b->room.skip, t->skip + b->channel, b->n);
    NAME(copy_padded)(b->room.bias, t->bias + b->channel, b->n);
    for (int64_t s = 0; s < t->states; s++)
        for (int64_t c = 0; c < BLOCK; c++)
            b->room.A[s * BLOCK + c] = c < b->n ? t->A[(b->channel + c) * t->states + s] : 0;
}

INLINE void NAME(sequence_forward_block)(const NAME(sequence_block) *b, const int64_t states) {
    const NAME(sequence_room) *room = &b->room;
    int64_t length = b->task->length;
    VEC one[BLOCK_VECTORS] = {{0}};
    VEC *state = states == 1 ? one : (VEC *)room->state;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++) state[i] = NAME(all)(0);
    for (int64_t t = 0; t < length; t++) {
        VEC step[BLOCK_VECTORS], drive[BLOCK_VECTORS], out[BLOCK_VECTORS];
        EACH(v) {
            VEC u = NAME(load)(AT(room->u + t * BLOCK, v));
            step[v] = NAME(softplus)(NAME(load)(AT(room->step + t * BLOCK, v)) +
                                     NAME(load)(AT(room->bias, v)));
            drive[v] = step[v] * u;
            out[v] = u * NAME(load)(AT(room->skip, v));
        }
        for (int64_t s = 0; s < states; s++) EACH(v) {
                VEC *h = state + s * BLOCK_VECTORS + v;
                *h = NAME(exp)(step[v] * NAME(load)(AT(room->A + s * BLOCK, v))) * *h +
                     b->B[s * length + t] * drive[v];
                out[v] += b->C[s * length + t] * *h;
            }
        EACH(v) NAME(store)(AT(room->y + t * BLOCK, v), out[v]);
    }
}

INLINE void NAME(sequence_record_block)(const NAME(sequence_block) *b, const int64_t states) {
    const NAME(sequence_room) *room = &b->room;
    int64_t length = b->task->length;
    VEC one[BLOCK_VECTORS] = {{0}};
    VEC *state = states == 1 ? one : (VEC *)room->state;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++) state[i] = NAME(all)(0);
    for (int64_t t = 0; t < length; t++) {
        VEC step[BLOCK_VECTORS], drive[BLOCK_VECTORS];
        EACH(v) {
            VEC slope, z = NAME(load)(AT(room->step + t * BLOCK, v)) +
                           NAME(load)(AT(room->bias, v));
            step[v] = NAME(softplus_and_slope)(z, &slope);
            drive[v] = step[v] * NAME(load)(AT(room->u + t * BLOCK, v));
            NAME(store)(AT(room->step + t * BLOCK, v), step[v]);
            NAME(store)(AT(room->slope + t * BLOCK, v), slope);
        }
        for (int64_t s = 0; s < states; s++) EACH(v) {
                VEC *h = state + s * BLOCK_VECTORS + v;
                VEC decay = NAME(exp)(step[v] * NAME(load)(AT(room->A + s * BLOCK, v)));
                *h = decay * *h + b->B[s * length + t] * drive[v];
                NAME(store)(AT(room->decays + (t * states + s) * BLOCK, v), decay);
                NAME(store)(AT(room->states + (t * states + s) * BLOCK, v), *h);
            }
    }
}

INLINE void NAME(sequence_return_block)(const NAME(sequence_block) *b, float *params,
                                        const int64_t states) {
    const NAME(sequence_room) *room = &b->room;
    int64_t length = b->task->length, all = b->task->sets * b->task->channels;
    VEC one[BLOCK_VECTORS] = {{0}}, one_A[BLOCK_VECTORS] = {{0}};
    VEC skip[BLOCK_VECTORS] = {{0}}, bias[BLOCK_VECTORS] = {{0}};
    VEC *carry = states == 1 ? one : (VEC *)room->state;
    VEC *grad_A = states == 1 ? one_A : (VEC *)room->grad_A;
    for (int64_t i = 0; i < states * BLOCK_VECTORS; i++)
        carry[i] = grad_A[i] = NAME(all)(0);
    for (int64_t t = length - 1; t >= 0; t--) {
        VEC g[BLOCK_VECTORS], u[BLOCK_VECTORS], step[BLOCK_VECTORS];
        VEC to_drive[BLOCK_VECTORS] = {{0}}, to_step[BLOCK_VECTORS] = {{0}};
        EACH(v) {
            g[v] = NAME(load)(AT(room->y + t * BLOCK, v));
            u[v] = NAME(load)(AT(room->u + t * BLOCK, v));
            step[v] = NAME(load)(AT(room->step + t * BLOCK, v));
            skip[v] += g[v] * u[v];
        }
        for (int64_t s = 0; s < states; s++) {
            VEC of_B = NAME(all)(0), of_C = NAME(all)(0);
            EACH(v) {
                int64_t i = s * BLOCK_VECTORS + v, kept = (t * states + s) * BLOCK;
                VEC decay = NAME(load)(AT(room->decays + kept, v));
                VEC before =
                    t ? NAME(load)(AT(room->states + kept - states * BLOCK, v)) : NAME(all)(0);
                VEC to_state = g[v] * b->C[s * length + t] + carry[i];
                of_C += g[v] * NAME(load)(AT(room->states + kept, v));
                of_B += to_state * step[v] * u[v];
                to_drive[v] += to_state * b->B[s * length + t];
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
        EACH(v) {
            VEC to_z = (to_step[v] + to_drive[v] * u[v]) *
                       NAME(load)(AT(room->slope + t * BLOCK, v));
            bias[v] += to_z;
            NAME(store)(AT(room->slope + t * BLOCK, v), to_z);
            NAME(store)(AT(room->y + t * BLOCK, v),
                        g[v] * NAME(load)(AT(room->skip, v)) + to_drive[v] * step[v]);
        }
    }
    const int full = 0;
    int64_t n = b->n;
    for (int64_t s = 0; s < states + 2; s++) EACH(v) {
            float *sum = params + s * all + b->channel;
            VEC more = s < states ? grad_A[s * BLOCK_VECTORS + v] : s == states ? skip[v] : bias[v];
            PUT(sum, v, GET(sum, v) + more);
        }
}

/* The channels within a set of an item, and where the item's rows begin. */
static NAME(sequence_block) NAME(sequence_item)(const sequence_task *task, int64_t sample,
                                                int64_t item, int backward, float *scratch,
                                                int64_t *first, int64_t *end) {
    int64_t set = item / task->groups, group = item % task->groups;
    int64_t blocks = (task->channels + BLOCK - 1) / BLOCK;
    int64_t row = (sample * task->sets + set) * task->states * task->length;
    *first = blocks * group / task->groups * BLOCK;
    *end = blocks * (group + 1) / task->groups * BLOCK;
    if (*end > task->channels) *end = task->channels;
    return (NAME(sequence_block)){task, NAME(sequence_lay_out)(task, backward, scratch),
                                  0,    0,
                                  task->B + row, task->C + row};
}

static void NAME(sequence_forward)(const sequence_task *task, int64_t sample, int64_t item,
                                   float *scratch) {
    int64_t first, end, set = item / task->groups, all = task->sets * task->channels;
    NAME(sequence_block) block =
        NAME(sequence_item)(task, sample, item, 0, scratch, &first, &end);
    for (; first < end; first += BLOCK) {
        block.channel = set * task->channels + first;
        block.n = end - first < BLOCK ? end - first : BLOCK;
        int64_t rows = (sample * all + block.channel) * task->length;
        NAME(sequence_take_block)(&block, rows);
        if (task->states == 1) NAME(sequence_forward_block)(&block, 1);
        else NAME(sequence_forward_block)(&block, task->states);
        NAME(turn_back)(task->y + rows, block.room.y, block.n, task->length);
    }
}

static void NAME(sequence_backward)(const sequence_task *task, int64_t sample, int64_t item,
                                    int thread, float *scratch) {
    int64_t first, end, set = item / task->groups, group = item % task->groups;
    int64_t all = task->sets * task->channels, length = task->length, states = task->states;
    NAME(sequence_block) block =
        NAME(sequence_item)(task, sample, item, 1, scratch, &first, &end);
    float *params = task->grad_params + thread * (states + 2) * all;
    for (int64_t i = 0; i < length * 2 * states * LANES; i++) block.room.rows[i] = 0;
    for (; first < end; first += BLOCK) {
        block.channel = set * task->channels + first;
        block.n = end - first < BLOCK ? end - first : BLOCK;
        int64_t rows = (sample * all + block.channel) * length;
        NAME(sequence_take_block)(&block, rows);
        NAME(turn)(block.room.y, task->gradient + rows, block.n, length);
        if (states == 1) {
            NAME(sequence_record_block)(&block, 1);
            NAME(sequence_return_block)(&block, params, 1);
        } else {
            NAME(sequence_record_block)(&block, states);
            NAME(sequence_return_block)(&block, params, states);
        }
        NAME(turn_back)(task->grad_u + rows, block.room.y, block.n, length);
        NAME(turn_back)(task->grad_delta + rows, block.room.slope, block.n, length);
    }
    int64_t row = ((group * task->batch + sample) * task->sets + set) * states * length;
    for (int64_t s = 0; s < states; s++)
        for (int64_t t = 0; t < length; t++) {
            float *rows = block.room.rows + (t * 2 * states + s) * LANES;
            task->grad_B[row + s * length + t] = NAME(sum)(NAME(load)(rows));
            task->grad_C[row + s * length + t] =
                NAME(sum)(NAME(load)(rows + states * LANES));
        }
}

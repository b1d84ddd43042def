/* The end of a scanning mixer with the stream added, forward and back; see scan_task in tasks.h. */

typedef struct {
    float *before, *after, *codes, *scanned, *normed, *stats;
    int64_t size;
} scan_kept;

static int64_t scan_codes(const scan_task *t) { return 4 * (t->rank + 2 * t->states); }

static scan_kept scan_keep(const scan_task *t) {
    int64_t places = t->batch * t->height * t->width, wide = places * t->inner;
    float *room = t->kept;
    scan_kept kept = {0};
    kept.before = t->kernel ? taken(&room, wide) : (float *)t->h;
    kept.after = taken(&room, wide);
    kept.codes = taken(&room, places * scan_codes(t));
    kept.scanned = taken(&room, wide);
    kept.normed = taken(&room, wide);
    kept.stats = taken(&room, 2 * (t->whole ? t->batch : places));
    kept.size = room - t->kept;
    return kept;
}

/* Room on the way; what stands from `first` on is for the way back. */
typedef struct {
    float *A, *dt_weight, *skip, *turned;
    float *first, *second, *parts, *of_z, *of_rows, *of_codes, *of_scan, *of_dt;
    int64_t size;
} scan_room;

static scan_room scan_lay_out(const scan_task *t, int backward) {
    int64_t D = t->inner, length = t->height * t->width, taps = t->kernel * t->kernel;
    int64_t widest = D > t->channels ? D : t->channels, some = t->chunk * length;
    float *room = t->room;
    scan_room out = {0};
    out.A = taken(&room, 4 * t->states * D);
    out.dt_weight = taken(&room, 4 * t->rank * D);
    out.skip = taken(&room, D);
    out.turned = taken(&room, taps * D);
    if (backward) {
        out.first = taken(&room, t->batch * length * D);
        out.second = taken(&room, t->batch * length * D);
        out.parts = taken(&room, (t->threads + 1) * (taps + 2) * widest);
        out.of_z = taken(&room, 4 * some * D);
        out.of_rows = taken(&room, t->groups * some * 8 * t->states);
        out.of_codes = taken(&room, some * scan_codes(t));
        out.of_scan = taken(&room, (t->threads + 1) * 4 * (t->states + 1) * D);
        out.of_dt = taken(&room, (t->threads + 1) * 4 * t->rank * D);
    }
    out.size = room - t->room;
    return out;
}

/* Bring the scan's parameters into the order in which it reads them. */
static void scan_prepare(const scan_task *t, const instruction_set *use, const scan_room *room) {
    int64_t D = t->inner, N = t->states, R = t->rank;
    for (int64_t k = 0; k < 4; k++) {
        turn(D, N, t->A_logs + k * D * N, room->A + k * N * D);
        turn(D, R, t->dt_weight + k * D * R, room->dt_weight + k * R * D);
    }
    use->minus_exp(room->A, 4 * N * D);
    for (int64_t d = 0; d < D; d++)
        room->skip[d] = t->skip[d] + t->skip[D + d] + t->skip[2 * D + d] + t->skip[3 * D + d];
}

static map_task scan_map(const scan_task *t, const scan_kept *kept, const scan_room *room) {
    return (map_task){.batch = t->batch, .height = t->height, .width = t->width,
                      .channels = t->inner, .rank = t->rank, .states = t->states,
                      .groups = t->groups, .threads = t->threads, .x = kept->after,
                      .codes = kept->codes, .dt_weight = room->dt_weight, .dt_bias = t->dt_bias,
                      .A = room->A, .skip = room->skip, .y = kept->scanned};
}

static norm_task scan_norm(const scan_task *t, const scan_kept *kept) {
    return (norm_task){.batch = t->batch, .positions = t->height * t->width, .channels = t->inner,
                       .whole = t->whole, .threads = t->threads, .eps = t->eps,
                       .x = kept->scanned, .weight = t->norm, .bias = t->norm_b,
                       .y = kept->normed, .stats = kept->stats};
}

static depthwise_task scan_conv(const scan_task *t, const scan_kept *kept) {
    return (depthwise_task){.batch = t->batch, .height = t->height, .width = t->width,
                            .channels = t->inner, .kernel = t->kernel,
                            .activation = t->activation, .threads = t->threads, .x = t->h,
                            .bias = t->conv_b, .y = kept->before, .activated = kept->after};
}

static scale_task scan_stream(const scan_task *t) {
    return (scale_task){.batch = t->batch, .positions = t->height * t->width,
                        .channels = t->channels, .threads = t->threads, .x = t->x,
                        .weight = t->scale, .bias = t->shift, .y = t->y};
}

static activation_task scan_act(const scan_task *t, const scan_kept *kept) {
    return (activation_task){.batch = t->batch, .count = t->height * t->width * t->inner,
                             .kind = t->activation, .threads = t->threads, .x = kept->before,
                             .y = kept->after};
}

static int scan_forward(const scan_task *t, const instruction_set *use, int set) {
    int64_t D = t->inner, places = t->batch * t->height * t->width;
    scan_kept kept = scan_keep(t);
    scan_room room = scan_lay_out(t, 0);
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    if (t->kernel) {
        depthwise_rows(use, scan_conv(t, &kept), t->conv, room.turned);
    } else {
        activation_task act = scan_act(t, &kept);
        EACH_SAMPLE(t->batch, t->threads, use->activation_forward(&act, sample));
    }
    product(blas, 0, 1, places, scan_codes(t), D, kept.after, t->x_proj, 0, kept.codes);
    scan_prepare(t, use, &room);
    map_task map = scan_map(t, &kept, &room);
    if (sparx_map_forward(&map, set)) return NO_MEMORY;
    norm_rows(use, scan_norm(t, &kept));
    linear(blas, places, D, t->channels, kept.normed, t->proj, t->proj_b, t->y);
    add_stream(use, scan_stream(t));
    return DONE;
}

/* Where the gradients of the scan's own parameters go. */
typedef struct {
    float *x_proj, *dt_weight, *dt_bias, *A_logs, *skip;
} scan_grads;

/* The way back of a few samples from `from` on: to room->first from the gradient in room->second. */
static int scan_some_back(const scan_task *t, const instruction_set *use, int set, int64_t from,
                          map_task map, const scan_room *room, float *of_x_proj) {
    int64_t D = t->inner, wide = from * t->height * t->width * D, each = scan_codes(t);
    int64_t places = map.batch * t->height * t->width, count = 4 * t->rank * D;
    sgemm_function *blas = t->blas ? t->blas : use->sgemm;
    map.x += wide, map.codes += from * t->height * t->width * each;
    map.gradient = room->second + wide, map.grad_x = room->first + wide;
    map.grad_z = room->of_z, map.grad_rows = room->of_rows, map.grad_params = room->of_scan;
    if (sparx_map_backward(&map, set)) return NO_MEMORY;
    EACH_SAMPLE(map.batch, t->threads,
                use->code_backward(&map, sample, room->of_codes, room->of_dt + thread * count));
    product(blas, 0, 0, places, D, each, room->of_codes, t->x_proj, 1, map.grad_x);
    product(blas, 1, 0, each, D, places, room->of_codes, map.x, from ? 1 : 0, of_x_proj);
    return DONE;
}

/* Add up what threads found, and bring it into the order of the parameters. */
static void scan_finish(const scan_task *t, const scan_room *room, const float *after,
                        scan_grads to) {
    int64_t D = t->inner, N = t->states, R = t->rank, places = t->batch * t->height * t->width;
    float *scan = room->of_scan + t->threads * 4 * (N + 1) * D;
    float *dt = room->of_dt + t->threads * 4 * R * D;
    add_up(t->threads, 4 * (N + 1) * D, room->of_scan, scan);
    add_up(t->threads, 4 * R * D, room->of_dt, dt);
    for (int64_t k = 0; k < 4; k++) {
        turn(R, D, dt + k * R * D, to.dt_weight + k * D * R);
        const float *own = scan + k * (N + 1) * D;
        memcpy(to.dt_bias + k * D, own + N * D, sizeof(float) * (size_t)D);
        /* A = -exp(A_logs), so its derivative is A itself. */
        for (int64_t d = 0; d < D; d++)
            for (int64_t s = 0; s < N; s++)
                to.A_logs[(k * D + d) * N + s] = own[s * D + d] * room->A[(k * N + s) * D + d];
    }
    memset(to.skip, 0, sizeof(float) * (size_t)D);
    for (int64_t i = 0; i < places; i++)
        for (int64_t d = 0; d < D; d++) to.skip[d] += room->second[i * D + d] * after[i * D + d];
    for (int k = 1; k < 4; k++) memcpy(to.skip + k * D, to.skip, sizeof(float) * (size_t)D);
}

static int scan_backward(const scan_task *t, const instruction_set *use, int set) {
    int64_t C = t->channels, D = t->inner, N = t->states, R = t->rank;
    int64_t places = t->batch * t->height * t->width, taps = t->kernel * t->kernel;
    scan_kept kept = scan_keep(t);
    scan_room room = scan_lay_out(t, 1);
    float *of_conv = t->grads, *own = of_conv + (t->kernel ? taps * D + D : 0);
    scan_grads to = {own, own + scan_codes(t) * D, 0, 0, 0};
    to.dt_bias = to.dt_weight + 4 * D * R, to.A_logs = to.dt_bias + 4 * D;
    to.skip = to.A_logs + 4 * D * N;
    float *of_norm = to.skip + 4 * D, *of_proj = of_norm + 2 * D;
    scale_task stream = scan_stream(t);
    stream.gradient = t->gradient, stream.grad_x = t->grad_x;
    add_stream_back(use, stream, room.parts, of_proj + C * D + C);
    linear_back(t->blas ? t->blas : use->sgemm, places, D, C, t->gradient, kept.normed, t->proj,
                room.first, of_proj, of_proj + C * D);
    norm_task norm = scan_norm(t, &kept);
    norm.gradient = room.first, norm.grad_x = room.second;
    norm_rows_back(use, norm, room.parts, of_norm);
    scan_prepare(t, use, &room);
    memset(room.of_scan, 0, sizeof(float) * (size_t)(t->threads * 4 * (N + 1) * D));
    memset(room.of_dt, 0, sizeof(float) * (size_t)(t->threads * 4 * R * D));
    map_task map = scan_map(t, &kept, &room);
    for (int64_t from = 0; from < t->batch; from += t->chunk) {
        map.batch = t->batch - from < t->chunk ? t->batch - from : t->chunk;
        if (scan_some_back(t, use, set, from, map, &room, to.x_proj)) return NO_MEMORY;
    }
    scan_finish(t, &room, kept.after, to);
    activation_task act = scan_act(t, &kept);
    act.gradient = room.first, act.grad_x = t->kernel ? room.first : t->grad_h;
    EACH_SAMPLE(t->batch, t->threads, use->activation_backward(&act, sample));
    if (t->kernel) {
        depthwise_task conv = scan_conv(t, &kept);
        conv.gradient = room.first, conv.grad_x = t->grad_h;
        depthwise_rows_back(use, conv, t->conv, room.turned, room.parts, of_conv);
    }
    return DONE;
}

/* Where an aggregator keeps what the way back needs, and what it takes on the way. */

/* A path that asks, one that answers: reduced, normed and activated, mapped, normed. */
typedef struct {
    float *reduced, *reduced_stats, *active, *mapped, *stats, *out;
} aggregator_path;

typedef struct {
    float *normed, *norm_stats, *conv, *bn_stats, *active, *key_before, *value_before, *key_in;
    float *value_in, *weights, *read, *shuffled, *before, *after;
    aggregator_path query, key, value;
    int64_t size;
} aggregator_kept;

static int64_t reduced_side(const aggregator_task *t, int64_t side) {
    int64_t r = t->reduction, padding = (r + 1) / 2;
    return r <= 1 ? side : (side + 2 * padding - (r + 1)) / r + 1;
}

static int64_t asked_places(const aggregator_task *t) {
    return reduced_side(t, t->height) * reduced_side(t, t->width);
}

/* Whether queries, as large as the map, stand for the stream in what follows. */
static int stream_asked(const aggregator_task *t) {
    return reduced_side(t, t->height) == t->height && reduced_side(t, t->width) == t->width;
}

static int64_t made_channels(const aggregator_task *t) { return t->inner / 3 * 3; }

static aggregator_path aggregator_path_in(float **room, int64_t floats, int64_t C, int reduces) {
    aggregator_path path = {0};
    if (reduces) {
        path.reduced = taken(room, floats);
        path.reduced_stats = taken(room, 2 * C);
        path.active = taken(room, floats);
    }
    path.mapped = taken(room, floats);
    path.stats = taken(room, 2 * C);
    path.out = taken(room, floats);
    return path;
}

static aggregator_kept aggregator_keep(const aggregator_task *t) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    int64_t few = t->batch * asked_places(t) * C;
    float *room = t->kept;
    aggregator_kept kept = {0};
    kept.normed = taken(&room, places * E);
    kept.norm_stats = taken(&room, 2 * (t->whole ? t->batch : places));
    kept.conv = taken(&room, places * E);
    kept.bn_stats = taken(&room, 2 * E);
    kept.active = taken(&room, places * E);
    kept.key_before = taken(&room, places * C);
    kept.value_before = taken(&room, places * C);
    kept.key_in = taken(&room, places * C);
    kept.value_in = taken(&room, places * C);
    kept.query = aggregator_path_in(&room, few, C, t->reduction > 1);
    kept.key = aggregator_path_in(&room, few, C, t->reduction > 1);
    kept.value = aggregator_path_in(&room, places * C, C, 0);
    kept.weights = taken(&room, t->batch * C * (C / 4));
    kept.read = taken(&room, places * C);
    kept.shuffled = taken(&room, places * 3 * C);
    kept.before = taken(&room, places * 3 * C);
    kept.after = taken(&room, places * 3 * C);
    kept.size = room - t->kept;
    return kept;
}

/* Room on the way; gradients of maps on the way back. */
typedef struct {
    float *turned, *scratch, *parts, *made, *wide[2], *maps[2], *some[6];
    int64_t size;
} aggregator_room;

static aggregator_room aggregator_lay_out(const aggregator_task *t, int backward) {
    int64_t places = t->batch * t->height * t->width, C = t->channels, E = C * t->sources;
    int64_t side = t->reduction + 1, taps = side * side > 9 ? side * side : 9;
    int64_t widest = E > 3 * C ? E : 3 * C;
    float *room = t->room;
    aggregator_room out = {0};
    out.turned = taken(&room, taps * widest);
    out.scratch = taken(&room, t->threads * 2 * (C / 4) * (C / 4));
    if (backward) {
        out.parts = taken(&room, (t->threads + 2) * (taps + 1) * widest);
        out.made = taken(&room, places * made_channels(t));
        for (int i = 0; i < 2; i++) out.wide[i] = taken(&room, places * 3 * C);
        for (int i = 0; i < 2; i++) out.maps[i] = taken(&room, places * E);
        for (int i = 0; i < 6; i++) out.some[i] = taken(&room, places * C);
    }
    out.size = room - t->room;
    return out;
}

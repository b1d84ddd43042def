/* Four by four floats, turned. */

typedef float quad __attribute__((vector_size(16)));
typedef float quad_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

#ifdef __clang__
#define MIX(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t quad_places __attribute__((vector_size(16)));
#define MIX(a, b, i, j, k, l) __builtin_shuffle(a, b, (quad_places){i, j, k, l})
#endif

INLINE void turn_four(float *to, int64_t to_stride, const float *from, int64_t from_stride) {
    quad a = (quad) * (const quad_anywhere *)from;
    quad b = (quad) * (const quad_anywhere *)(from + from_stride);
    quad c = (quad) * (const quad_anywhere *)(from + 2 * from_stride);
    quad d = (quad) * (const quad_anywhere *)(from + 3 * from_stride);
    quad ab_low = MIX(a, b, 0, 4, 1, 5), cd_low = MIX(c, d, 0, 4, 1, 5);
    quad ab_high = MIX(a, b, 2, 6, 3, 7), cd_high = MIX(c, d, 2, 6, 3, 7);
    *(quad_anywhere *)to = MIX(ab_low, cd_low, 0, 1, 4, 5);
    *(quad_anywhere *)(to + to_stride) = MIX(ab_low, cd_low, 2, 3, 6, 7);
    *(quad_anywhere *)(to + 2 * to_stride) = MIX(ab_high, cd_high, 0, 1, 4, 5);
    *(quad_anywhere *)(to + 3 * to_stride) = MIX(ab_high, cd_high, 2, 3, 6, 7);
}

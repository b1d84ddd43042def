/* Vectors of LANES floats in the compiler's own extension, and the functions the scan needs.
 *
 * Included once an instruction set, with LANES and NAME(x) defined; no include guard for that.
 */

typedef float NAME(vec) __attribute__((vector_size(4 * LANES)));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * LANES)));
typedef float NAME(anywhere) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define VEC NAME(vec)
#define INTS NAME(ints)

INLINE VEC NAME(all)(float value) { return value - (VEC){0}; }

INLINE VEC NAME(load)(const float *from) { return (VEC)(*(const NAME(anywhere) *)from); }

INLINE void NAME(store)(float *to, VEC v) { *(NAME(anywhere) *)to = v; }

/* The first n of LANES; the rest is zero, and nothing beyond them is touched. */
#if LANES == 16
INLINE VEC NAME(load_part)(const float *from, int64_t n) {
    return n >= LANES ? NAME(load)(from)
                      : (VEC)_mm512_maskz_loadu_ps((__mmask16)(n > 0 ? (1u << n) - 1 : 0), from);
}

INLINE void NAME(store_part)(float *to, VEC v, int64_t n) {
    if (n >= LANES) NAME(store)(to, v);
    else if (n > 0) _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif LANES == 8
INLINE __m256i NAME(first)(int64_t n) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes);
}

INLINE VEC NAME(load_part)(const float *from, int64_t n) {
    return n >= LANES ? NAME(load)(from) : (VEC)_mm256_maskload_ps(from, NAME(first)(n));
}

INLINE void NAME(store_part)(float *to, VEC v, int64_t n) {
    if (n >= LANES) NAME(store)(to, v);
    else _mm256_maskstore_ps(to, NAME(first)(n), (__m256)v);
}
#else
INLINE VEC NAME(load_part)(const float *from, int64_t n) {
    if (n >= LANES) return NAME(load)(from);
    VEC v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = from[i];
    return v;
}

INLINE void NAME(store_part)(float *to, VEC v, int64_t n) {
    if (n >= LANES) NAME(store)(to, v);
    else
        for (int64_t i = 0; i < n; i++) to[i] = v[i];
}
#endif

INLINE float NAME(sum)(VEC v) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
}

INLINE VEC NAME(choose)(INTS mask, VEC yes, VEC no) {
    return (VEC)((mask & (INTS)yes) | (~mask & (INTS)no));
}

/* e^x to 1e-7 relative; 0 below -87.7, infinite above 88.4, NaN for NaN. */
INLINE VEC NAME(exp)(VEC x) {
    x = NAME(choose)(x < -88.0f, NAME(all)(-88.0f), x);
    x = NAME(choose)(x > 89.0f, NAME(all)(89.0f), x);
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    VEC shifted = x * 1.44269504f + magic;
    VEC n = shifted - magic;
    VEC r = x - n * 0.693359375f + n * 2.12194440e-4f;
    VEC p = 1.3933643e-3f * r + 8.3631752e-3f;
    p = p * r + 4.1666467e-2f;
    p = p * r + 1.6666576e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    INTS bits = ((INTS)shifted - (INTS)NAME(all)(magic) + 127) << 23;
    return p * (VEC)bits;
}

/* log(1 + e) for e in [0, 1] as 2 atanh(s), s = e / (2 + e) <= 1/3; relative to e, so tiny e too. */
INLINE VEC NAME(log1p_of)(VEC s) {
    VEC q = s * s;
    VEC p = 0.13436028f * q + 0.14116539f;
    p = p * q + 0.20003860f;
    p = p * q + 0.33333319f;
    return 2.0f * s + 2.0f * s * q * p;
}

INLINE VEC NAME(softplus)(VEC z) {
    VEC e = NAME(exp)(NAME(choose)(z < 0.0f, z, -z));
    return NAME(choose)(z > 0.0f, z, (VEC){0}) + NAME(log1p_of)(e / (2.0f + e));
}

/* softplus(z) and its derivative, the logistic function, with one division. */
INLINE VEC NAME(softplus_and_slope)(VEC z, VEC *slope) {
    VEC e = NAME(exp)(NAME(choose)(z < 0.0f, z, -z));
    VEC above = 1.0f + e, further = 2.0f + e;
    VEC inverse = 1.0f / (above * further);
    VEC near = further * inverse; /* 1 / (1 + e) */
    *slope = NAME(choose)(z < 0.0f, e * near, near);
    return NAME(choose)(z > 0.0f, z, (VEC){0}) + NAME(log1p_of)(e * above * inverse);
}

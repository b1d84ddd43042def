/* Activations and their slopes, for one instruction set. */

/* The normal distribution's share below -a, for a >= 0; `bell` becomes e^(-a^2/2). The share over the
 * bell is smooth in t = 1 / (1 + 0.3 a): eight terms fitted for the least relative error, 1.5e-7. */
INLINE VEC NAME(below)(VEC a, VEC *bell) {
    VEC t = 1.0f / (1.0f + 0.3f * a);
    VEC p = 0.03567477f * t - 0.157203026f;
    p = p * t + 0.206353404f;
    p = p * t - 0.0536835469f;
    p = p * t + 0.128561573f;
    p = p * t + 0.0999135089f;
    p = p * t + 0.120753953f;
    p = p * t + 0.119629299f;
    *bell = NAME(exp)(-0.5f * a * a);
    return *bell * (p * t);
}

/* x times the normal distribution's share below x. */
INLINE VEC NAME(gelu)(VEC x) {
    VEC bell, left = NAME(below)(NAME(choose)(x < 0.0f, -x, x), &bell);
    return x * NAME(choose)(x < 0.0f, left, 1.0f - left);
}

INLINE VEC NAME(gelu_slope)(VEC x) {
    VEC bell, left = NAME(below)(NAME(choose)(x < 0.0f, -x, x), &bell);
    return NAME(choose)(x < 0.0f, left, 1.0f - left) + x * bell * 0.398942280f;
}

/* 1 / (1 + e^-x), from e^-|x|, which cannot overflow. */
INLINE VEC NAME(logistic)(VEC x) {
    VEC e = NAME(exp)(NAME(choose)(x < 0.0f, x, -x)), near = 1.0f / (1.0f + e);
    return NAME(choose)(x < 0.0f, e * near, near);
}

INLINE VEC NAME(silu)(VEC x) { return x * NAME(logistic)(x); }

INLINE VEC NAME(silu_slope)(VEC x) {
    VEC share = NAME(logistic)(x);
    return share * (1.0f + x * (1.0f - share));
}

INLINE VEC NAME(relu)(VEC x) { return NAME(choose)(x < 0.0f, (VEC){0}, x); }

INLINE VEC NAME(relu_slope)(VEC x) {
    return NAME(choose)(x > 0.0f, NAME(all)(1.0f), (VEC){0});
}

/* NO_ACTIVATION .. of tasks.h; `kind` is known where this is inlined. */
INLINE VEC NAME(activated)(VEC x, int64_t kind) {
    return kind == GELU ? NAME(gelu)(x) : kind == SILU ? NAME(silu)(x)
         : kind == RELU ? NAME(relu)(x) : x;
}

INLINE VEC NAME(slope)(VEC x, int64_t kind) {
    return kind == GELU ? NAME(gelu_slope)(x) : kind == SILU ? NAME(silu_slope)(x)
         : kind == RELU ? NAME(relu_slope)(x) : NAME(all)(1.0f);
}

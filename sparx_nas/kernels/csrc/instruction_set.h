/* All kernels for one instruction set: SET is its name, LANES how many floats a vector holds. */

#include "vector.h"
#include "activation.h"
#include "map_kernel.h"
#include "sequence_kernel.h"
#include "depthwise_kernel.h"
#include "norm_kernel.h"
#include "rows_kernel.h"
#include "product_kernel.h"
#include "aggregator_kernel.h"

static const instruction_set NAME(table) = {
    TEXT(SET),
    LANES,
    NAME(map_scratch),
    NAME(map_forward),
    NAME(map_backward),
    NAME(sequence_scratch),
    NAME(sequence_forward),
    NAME(sequence_backward),
    NAME(depthwise_forward),
    NAME(depthwise_backward),
    NAME(norm_forward),
    NAME(norm_backward),
    NAME(activation_forward),
    NAME(activation_backward),
    NAME(scale_forward),
    NAME(scale_backward),
    NAME(batch_norm_forward),
    NAME(batch_norm_backward),
    NAME(strided_forward),
    NAME(strided_backward),
    NAME(attention_forward),
    NAME(attention_backward),
    NAME(code_backward),
    NAME(minus_exp),
    NAME(sgemm),
};

#undef SET
#undef LANES
#undef VEC
#undef INTS
#undef BLOCK
#undef EACH
#undef AT
#undef GET
#undef PUT
#undef CASES
#undef TURNED

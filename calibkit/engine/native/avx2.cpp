// The kernels for AVX2 with FMA (x86-64-v3).

#if defined(__x86_64__)

#pragma GCC target("avx2,fma")

#include <immintrin.h>

#include "kernels.h"

#define CALIBKIT_LEVEL 1

namespace calibkit {
namespace {
#include "lanes.h"
#include "products.h"
#include "scoring.h"
#include "states.h"
#include "whole.h"
#include "whole_products.h"
#include "integer_states.h"
#include "integer_sums.h"
}  // namespace

const Kernels avx2_kernels = {"avx2", true, false, score, states, dot,
                              integer_states, integer_sums};

}  // namespace calibkit

#endif

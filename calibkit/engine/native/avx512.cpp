// The kernels for AVX-512.

#if defined(__x86_64__)

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")

// GCC 12 warns of its own "undefined" vectors in this header
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels.h"

#define CALIBKIT_LEVEL 2

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

const Kernels avx512_kernels = {"avx512", true, false, score, states, dot,
                                integer_states, integer_sums};

}  // namespace calibkit

#endif

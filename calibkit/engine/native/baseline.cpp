// The kernels in plain C++, for processors without AVX2 and for other architectures.

#include "kernels.h"

#define CALIBKIT_LEVEL 0

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

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif

const Kernels baseline_kernels = {"baseline", kFused, false, score, states, dot,
                                  integer_states, integer_sums};

}  // namespace calibkit

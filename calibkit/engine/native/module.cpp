// The C interface that ctypes calls, and the empty Python module that lets setuptools place it.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cmath>
#include <new>

#include "kernels.h"

#if defined(_WIN32)
#define CALIBKIT_API extern "C" __declspec(dllexport)
#else
#define CALIBKIT_API extern "C" __attribute__((visibility("default")))
#endif

namespace {

using calibkit::Kernels;

// Fastest first.
int supported(const Kernels **found) {
  int count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512vnni")) found[count++] = &calibkit::vnni_kernels;
  if (avx512) found[count++] = &calibkit::avx512_kernels;
  if (avx2) found[count++] = &calibkit::avx2_kernels;
#endif
  found[count++] = &calibkit::baseline_kernels;
  return count;
}

const Kernels *level(int which) {
  const Kernels *found[4];
  const int count = supported(found);
  return which >= 0 && which < count ? found[which] : nullptr;
}

constexpr double kLn2 = 0.69314718055994530942;

}  // namespace

// The number that the Python side expects; changes whenever a signature below does.
CALIBKIT_API int calibkit_interface() { return 3; }

CALIBKIT_API int calibkit_levels() {
  const Kernels *found[4];
  return supported(found);
}

CALIBKIT_API const char *calibkit_level_name(int which) {
  const Kernels *kernels = level(which);
  return kernels == nullptr ? "" : kernels->name;
}

CALIBKIT_API int calibkit_level_fused(int which) {
  const Kernels *kernels = level(which);
  return kernels != nullptr && kernels->fused;
}

CALIBKIT_API int calibkit_level_codes(int which) {
  const Kernels *kernels = level(which);
  return kernels != nullptr && kernels->codes;
}

// Peaks and masses of all tokens (see ScoringTask). Returns 0, or 1 without memory.
CALIBKIT_API int calibkit_score(int which, int64_t tokens, int64_t hidden, int64_t words,
                                int64_t labels, const float *rows, const int8_t *codes,
                                const void *weights, const float *scale, const float *factors,
                                float *peaks, float *masses) {
  const int64_t row = labels * calibkit::kLanes;
  int64_t window = (int64_t{1} << 17) / row / calibkit::kGroup * calibkit::kGroup;  // 512 KiB
  window = window < calibkit::kGroup ? calibkit::kGroup : window > 256 ? 256 : window;
  auto *sums = new (std::nothrow) float[static_cast<size_t>(window * row)];
  if (sums == nullptr) return 1;
  level(which)->score({tokens, hidden, words, labels, rows, codes, weights, scale, factors, sums,
                       window, peaks, masses});
  delete[] sums;
  return 0;
}

// log p of every token's target under every label, from the peaks and masses of `calibkit_score`.
//
// rows (T, H) floats or codes as floats; matrix (V, H) likewise; unit (V,) float64: what a product
// of row and column is worth in nats; biases (K, V); tops (K,): each label's largest bias.
// A mass below `least` may have lost terms; those are summed again from all logits, in float64.
CALIBKIT_API void calibkit_log_probs(int which, int64_t tokens, int64_t hidden, int64_t words,
                                     int64_t labels, const float *rows, const float *matrix,
                                     const double *unit, const float *biases, const float *tops,
                                     const int64_t *targets, const float *peaks,
                                     const float *masses, double least, float *found) {
  const auto dot = level(which)->dot;
  for (int64_t t = 0; t < tokens; ++t) {
    const float *state = rows + t * hidden;
    const int64_t target = targets[t];
    const double gold = unit[target] * dot(state, matrix + target * hidden, hidden);
    for (int64_t label = 0; label < labels; ++label) {
      const float *bias = biases + label * words;
      const double mass = masses[t * labels + label];
      double total;
      if (mass >= least) {
        total = tops[label] + kLn2 * (peaks[t] + std::log2(mass));
      } else {
        double top = -INFINITY, sum = 0.0;
        for (int64_t v = 0; v < words; ++v) {
          const double logit = unit[v] * dot(state, matrix + v * hidden, hidden) + bias[v];
          if (logit > top) {
            sum *= std::exp(top - logit);
            top = logit;
          }
          sum += std::exp(logit - top);
        }
        total = top + std::log(sum);
      }
      found[t * labels + label] = static_cast<float>(gold + bias[target] - total);
    }
  }
}

// Hidden states of a batch (see StatesTask). quantizers: (scale, low, high) of the accumulators of
// input, forget, output and cell gate, of the cell state and of the hidden state: (6, 3).
// Returns 0, or 1 without memory.
CALIBKIT_API int calibkit_states(int which, int64_t documents, int64_t steps, int64_t hidden,
                                 int64_t columns, const int64_t *active, const int64_t *ids,
                                 const float *table, const float *weights, const float *bias,
                                 const float *quantizers, const float *in, const float *forget,
                                 const float *out_gate, const float *candidate,
                                 const float *squashed, float *out) {
  const int64_t padded = (hidden + calibkit::kLanes - 1) / calibkit::kLanes * calibkit::kLanes;
  const int64_t size = calibkit::kWindow * (2 * padded + columns + calibkit::kLanes);
  auto *scratch = new (std::nothrow) float[static_cast<size_t>(size)];
  if (scratch == nullptr) return 1;
  calibkit::Quantizer q[6];
  for (int i = 0; i < 6; ++i) {
    q[i] = {quantizers[3 * i], quantizers[3 * i + 1], quantizers[3 * i + 2]};
  }
  level(which)->states({documents, steps, hidden, columns, active, ids, table, weights, bias,
                        {q[0], q[1], q[2], q[3]}, {in, forget, out_gate, candidate}, q[4],
                        squashed, q[5], scratch, out});
  delete[] scratch;
  return 0;
}

// Hidden states of a batch on integers (see IntegerStatesTask). numbers: shift, low and high of the
// four gates; multiplier and shift of kept, fresh and result; low and high of the cell state and
// of the hidden state: (22,). Returns 0, or 1 without memory.
CALIBKIT_API int calibkit_integer_states(
    int which, int64_t documents, int64_t steps, int64_t hidden, int64_t columns, int shared,
    const int64_t *active, const int64_t *ids, const int32_t *inputs, const int32_t *weights,
    const int32_t *start, const int32_t *from_input, const int32_t *from_hidden,
    const int32_t *numbers, const int32_t *in, const int32_t *forget, const int32_t *out_gate,
    const int32_t *candidate, const int32_t *squashed, double scale, float *out) {
  const int64_t padded = (hidden + calibkit::kLanes - 1) / calibkit::kLanes * calibkit::kLanes;
  const int64_t size = calibkit::kWindow * (2 * padded + columns + calibkit::kLanes) + padded;
  auto *scratch = new (std::nothrow) int32_t[static_cast<size_t>(size)];
  if (scratch == nullptr) return 1;
  const int32_t *tables[4] = {in, forget, out_gate, candidate};
  calibkit::IntegerGate gates[4];
  for (int g = 0; g < 4; ++g) {
    gates[g] = {from_input,         from_hidden, numbers[3 * g], numbers[3 * g + 1],
                numbers[3 * g + 2], tables[g]};
  }
  const calibkit::Ratio kept = {numbers[12], numbers[13]}, fresh = {numbers[14], numbers[15]},
                        result = {numbers[16], numbers[17]};
  level(which)->integer_states({documents, steps, hidden, columns, active, ids, inputs, weights,
                                start, shared != 0, {gates[0], gates[1], gates[2], gates[3]},
                                kept, fresh, numbers[18], numbers[19], squashed, result,
                                numbers[20], numbers[21], static_cast<float>(scale), scratch,
                                out});
  delete[] scratch;
  return 0;
}

// Peaks and totals of all tokens (see IntegerSumsTask).
CALIBKIT_API void calibkit_integer_sums(int which, int64_t tokens, int64_t hidden, int64_t words,
                                        int64_t labels, const void *codes, const int32_t *weights,
                                        const int32_t *start, const int32_t *units, int shift,
                                        const int32_t *tops, const int32_t *factors,
                                        const int32_t *powers, int32_t *peaks, int64_t *totals) {
  level(which)->integer_sums({tokens, hidden, words, labels, codes, weights, start, units, shift,
                              tops, factors, powers, peaks, totals});
}

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernels",
                                 "Native kernels; called by ctypes.", -1,
                                 nullptr, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__kernels() { return PyModule_Create(&definition); }

// What a build of the kernels for one instruction set offers, and the tasks that it is given.
//
// Every kernel gives the same bits at every instruction set: a dot product is one chain of fused
// multiply-adds in the order of its columns, sums over a vocabulary run in 16 lanes, the lanes are
// added up in a fixed order, and nothing is left to the compiler (-ffp-contract=off).

#pragma once

#include <stdint.h>

namespace calibkit {

constexpr int kLanes = 16;       // floats that are worked on side by side
constexpr int kGroup = 8;        // tokens whose logits are in the first-level cache together
constexpr int kWords = 48 * 16;  // words of the vocabulary in one cache block
constexpr int kWindow = 64;      // documents that take all their steps before the next ones

// Sums of exponentials over the vocabulary, for every token and every label.
//
// A logit in bits is scale[v] * (state . weight[v]), scale having log2(e) in it; the states are
// either floats or integer codes whose products are whole numbers below 2^24.
struct ScoringTask {
  int64_t tokens;      // T, a multiple of kGroup
  int64_t hidden;      // H
  int64_t words;       // V, without padding
  int64_t labels;      // K
  const float *rows;   // (T, H) float states, or codes as floats where there is no VNNI
  const int8_t *codes; // (T, quads, 4) codes padded with zeros; only with VNNI
  const void *weights; // packed: (blocks, H, 16) float or (blocks, quads, 16, 4) biased by 128
  const float *scale;  // (blocks, 16)
  const float *factors;  // (K, blocks, 16): exp(bias - the label's largest), zero in the padding
  float *sums;           // scratch (window, K, 16)
  int64_t window;        // tokens per pass over the vocabulary, a multiple of kGroup
  float *peaks;          // out (T,): the largest logit, in bits
  float *masses;         // out (T, K): sum over words of 2^(logit - peak) * factor
};

// One quantizer: integer codes low .. high, a code's value is code * scale.
struct Quantizer {
  float scale, low, high;
};

// The hidden states of a batch of documents in packed order, longest document first.
struct StatesTask {
  int64_t documents;      // n
  int64_t steps;          // of the longest document
  int64_t hidden;         // H
  int64_t columns;        // 4 H rounded up to whole vectors
  const int64_t *active;  // (steps,): documents that reach the step
  const int64_t *ids;     // (total,): rows of the table
  const float *table;     // (rows, 4 H) + 16: input-to-hidden products; input|forget|output|cell
  const float *weights;   // (columns / 16, H, 16): hidden-to-hidden
  const float *bias;      // (4 H + 16,)
  Quantizer accumulator[4];     // input, forget, output, cell
  const float *nonlinear[4];    // quantized sigmoid, sigmoid, sigmoid, tanh by accumulator code
  Quantizer cell;               // also of the two products that make it up
  const float *squashed;        // quantized tanh by cell code
  Quantizer output;
  float *scratch;  // kWindow * (2 * padded + columns + 16), padded = H rounded up + 16
  float *out;      // (total, H)
};

struct Kernels {
  const char *name;
  bool fused;  // whether a fused multiply-add is one instruction
  bool codes;  // whether integer codes are multiplied as bytes
  void (*score)(const ScoringTask &);
  void (*states)(const StatesTask &);
  // dot product of two float rows, in the order and rounding of `score` and `states`
  float (*dot)(const float *, const float *, int64_t);
};

extern const Kernels baseline_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
extern const Kernels vnni_kernels;
#endif

}  // namespace calibkit

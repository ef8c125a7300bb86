// What a build of the kernels for one instruction set offers, and the tasks that it is given.
//
// Every kernel gives the same bits at every instruction set: a dot product is one chain of fused
// multiply-adds in the order of its columns, sums over a vocabulary run in 16 lanes, the lanes are
// added up in a fixed order, and nothing is left to the compiler (-ffp-contract=off). The integer
// kernels are exact, so that their order does not matter.

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

// The integer engine. A ratio of scales is multiplier / 2^shift.
struct Ratio {
  int32_t multiplier;
  int shift;
};

// One gate: from its two sums of products to the codes of its quantized nonlinearity.
struct IntegerGate {
  const int32_t *from_input;   // (4 H + 16,), of all gates: a unit of the input sum in
  const int32_t *from_hidden;  // accumulator codes, times 2^shift; and of the hidden sum
  int shift;
  int32_t low, high;     // of the accumulator
  const int32_t *table;  // codes by accumulator code, `low` first
};

// Hidden states of a batch on integers; documents, steps and so on as in StatesTask.
struct IntegerStatesTask {
  int64_t documents, steps, hidden, columns;
  const int64_t *active, *ids;
  const int32_t *inputs;   // (words, 4 H) + 16: input sums with the bias; input|forget|output|cell
  const int32_t *weights;  // (columns / 16, groups, 16) of packed codes, see whole.h
  const int32_t *start;    // (columns,): minus what the sums get from the offset of packed codes
  bool shared;             // whether from_input and from_hidden are the same
  IntegerGate gates[4];    // input, forget, output, cell
  Ratio kept, fresh;       // f * c and i * g in cell codes
  int32_t cell_low, cell_high;
  const int32_t *squashed;  // codes of tanh by cell code
  Ratio result;             // o * tanh in hidden codes
  int32_t low, high;        // of these
  float scale;
  int32_t *scratch;  // kWindow * (2 * padded + columns + 16) + padded, padded = H rounded up
  float *out;        // (total, H): hidden codes times scale
};

// Sums of powers of two over the vocabulary, for every token and every label.
struct IntegerSumsTask {
  int64_t tokens;  // a multiple of kGroup
  int64_t hidden, words, labels;
  const void *codes;       // (tokens, groups * pack) packed codes
  const int32_t *weights;  // (blocks, groups, 16) of packed codes
  const int32_t *start;    // (blocks, 16)
  const int32_t *units;    // (blocks, 16): a unit of a product in 2^-16 bits, times 2^shift
  int shift;
  const int32_t *tops;     // (blocks, 16): added to every logit; far below all in the padding
  const int32_t *factors;  // (K, blocks, 16): 24 fraction bits; zero in the padding
  const int32_t *powers;   // (32,): 2^(-i / 32) with 30 fraction bits
  int32_t *peaks;          // out (T,): whole bits
  int64_t *totals;         // out (T, K): 37 fraction bits
};

struct Kernels {
  const char *name;
  bool fused;  // whether a fused multiply-add is one instruction
  bool codes;  // whether integer codes are multiplied as bytes, four at a time
  void (*score)(const ScoringTask &);
  void (*states)(const StatesTask &);
  // dot product of two float rows, in the order and rounding of `score` and `states`
  float (*dot)(const float *, const float *, int64_t);
  void (*integer_states)(const IntegerStatesTask &);
  void (*integer_sums)(const IntegerSumsTask &);
};

extern const Kernels baseline_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
extern const Kernels vnni_kernels;
#endif

}  // namespace calibkit

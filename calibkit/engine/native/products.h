// Blocked matrix products: rows of states times a packed matrix, 16 columns a vector.
// Every element is one chain of fused multiply-adds from zero, in the order of k.

#if CALIBKIT_LEVEL >= 2
constexpr int kRows = 8, kVectors = 3;  // 24 sums in registers
#else
constexpr int kRows = 4, kVectors = 1;  // 8 sums of 8 floats in registers
#endif

// Sums live in named variables rather than arrays: compilers keep the former in registers, but not
// always the elements of the latter. CALIBKIT_ROWS(X) writes X out for rows 0 .. 7.
#define CALIBKIT_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

template <int R, int N>
inline void product_tile(const float *rows, int64_t stride, const float *packed, int64_t depth,
                         float *out, int64_t out_stride) {
  const Lanes zero = spread(0.0f);
#define CALIBKIT_START(r) Lanes a##r = zero, b##r = zero, c##r = zero;
  CALIBKIT_ROWS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t k = 0; k < depth; ++k) {
    const Lanes a = load(packed + k * kLanes);
    const Lanes b = N > 1 ? load(packed + (depth + k) * kLanes) : zero;
    const Lanes c = N > 2 ? load(packed + (2 * depth + k) * kLanes) : zero;
#define CALIBKIT_STEP(r)                          \
  if constexpr (r < R) {                          \
    const Lanes x = spread(rows[r * stride + k]); \
    a##r = fused(x, a, a##r);                     \
    if constexpr (N > 1) b##r = fused(x, b, b##r); \
    if constexpr (N > 2) c##r = fused(x, c, c##r); \
  }
    CALIBKIT_ROWS(CALIBKIT_STEP)
#undef CALIBKIT_STEP
  }
#define CALIBKIT_FINISH(r)                                                  \
  if constexpr (r < R) {                                                    \
    store(out + r * out_stride, a##r);                                      \
    if constexpr (N > 1) store(out + r * out_stride + kLanes, b##r);        \
    if constexpr (N > 2) store(out + r * out_stride + 2 * kLanes, c##r);    \
  }
  CALIBKIT_ROWS(CALIBKIT_FINISH)
#undef CALIBKIT_FINISH
}

template <int R>
inline void product_rows(const float *rows, int64_t stride, const float *packed, int64_t depth,
                         int64_t vectors, float *out, int64_t out_stride) {
  switch (vectors) {
    case 1:
      return product_tile<R, 1>(rows, stride, packed, depth, out, out_stride);
#if CALIBKIT_LEVEL >= 2
    case 2:
      return product_tile<R, 2>(rows, stride, packed, depth, out, out_stride);
    default:
      return product_tile<R, 3>(rows, stride, packed, depth, out, out_stride);
#endif
  }
}

// out (count, vectors * 16) = rows (count, depth) @ packed; a block of columns meets all rows
// before the next one, so that it stays in the first-level cache.
inline void product(const float *rows, int64_t stride, int64_t count, const float *packed,
                    int64_t depth, int64_t vectors, float *out, int64_t out_stride) {
  for (int64_t v = 0; v < vectors; v += kVectors) {
    const int64_t width = vectors - v < kVectors ? vectors - v : kVectors;
    const float *block = packed + v * depth * kLanes;
    int64_t r = 0;
    for (; r + kRows <= count; r += kRows) {
      product_rows<kRows>(rows + r * stride, stride, block, depth, width,
                          out + r * out_stride + v * kLanes, out_stride);
    }
    const float *rest = rows + r * stride;
    float *to = out + r * out_stride + v * kLanes;
    switch (count - r) {
      case 1: product_rows<1>(rest, stride, block, depth, width, to, out_stride); break;
      case 2: product_rows<2>(rest, stride, block, depth, width, to, out_stride); break;
      case 3: product_rows<3>(rest, stride, block, depth, width, to, out_stride); break;
#if CALIBKIT_LEVEL >= 2
      case 4: product_rows<4>(rest, stride, block, depth, width, to, out_stride); break;
      case 5: product_rows<5>(rest, stride, block, depth, width, to, out_stride); break;
      case 6: product_rows<6>(rest, stride, block, depth, width, to, out_stride); break;
      case 7: product_rows<7>(rest, stride, block, depth, width, to, out_stride); break;
#endif
      default: break;
    }
  }
}

inline float dot(const float *a, const float *b, int64_t depth) {
  float sum = 0.0f;
  for (int64_t k = 0; k < depth; ++k) sum = __builtin_fmaf(a[k], b[k], sum);
  return sum;
}

#if CALIBKIT_LEVEL == 3
// Whole-number products of kGroup rows of signed bytes and up to three vectors of 16 words, whose
// weights are stored as unsigned bytes w + 128: the excess, 128 * (a row's total), is subtracted
// at the start. Exact in 32-bit integers, and so are the floats that they become.
inline __m512i add_quads(__m512i sum, __m512i weights, __m512i codes) {
  // GCC 12 keeps a second copy of every sum around the intrinsic _mm512_dpbusd_epi32
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(codes));
  return sum;
}

template <int N>
inline void codes_tile(const int8_t *rows, const int32_t *totals, const uint8_t *packed,
                       int64_t quads, float *out, int64_t out_stride) {
  const __m512i zero = _mm512_setzero_si512();
#define CALIBKIT_START(r)                                   \
  __m512i a##r = _mm512_set1_epi32(-128 * totals[r]);       \
  __m512i b##r = a##r, c##r = a##r;
  CALIBKIT_ROWS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t k = 0; k < quads; ++k) {
    const __m512i a = _mm512_loadu_si512(packed + k * 64);
    const __m512i b = N > 1 ? _mm512_loadu_si512(packed + (quads + k) * 64) : zero;
    const __m512i c = N > 2 ? _mm512_loadu_si512(packed + (2 * quads + k) * 64) : zero;
#define CALIBKIT_STEP(r)                                          \
  {                                                               \
    int32_t four;                                                 \
    __builtin_memcpy(&four, rows + (r * quads + k) * 4, 4);       \
    const __m512i x = _mm512_set1_epi32(four);                    \
    a##r = add_quads(a##r, a, x);                       \
    if constexpr (N > 1) b##r = add_quads(b##r, b, x);  \
    if constexpr (N > 2) c##r = add_quads(c##r, c, x);  \
  }
    CALIBKIT_ROWS(CALIBKIT_STEP)
#undef CALIBKIT_STEP
  }
#define CALIBKIT_FINISH(r)                                                                     \
  store(out + r * out_stride, {_mm512_cvtepi32_ps(a##r)});                                     \
  if constexpr (N > 1) store(out + r * out_stride + kLanes, {_mm512_cvtepi32_ps(b##r)});       \
  if constexpr (N > 2) store(out + r * out_stride + 2 * kLanes, {_mm512_cvtepi32_ps(c##r)});
  CALIBKIT_ROWS(CALIBKIT_FINISH)
#undef CALIBKIT_FINISH
}
#endif

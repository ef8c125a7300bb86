// Products of rows of codes with a packed matrix of codes, in whole numbers; see products.h.

template <int R, int N>
inline void whole_tile(const Code *rows, int64_t stride, const int32_t *packed, int64_t groups,
                       const int32_t *start, int32_t *out, int64_t out_stride) {
#define CALIBKIT_START(r)                                       \
  Whole a##r = load(start);                                     \
  Whole b##r = N > 1 ? load(start + kLanes) : a##r;             \
  Whole c##r = N > 2 ? load(start + 2 * kLanes) : a##r;
  CALIBKIT_ROWS(CALIBKIT_START)
#undef CALIBKIT_START
  for (int64_t k = 0; k < groups; ++k) {
    const Whole a = load(packed + k * kLanes);
    const Whole b = N > 1 ? load(packed + (groups + k) * kLanes) : a;
    const Whole c = N > 2 ? load(packed + (2 * groups + k) * kLanes) : a;
#define CALIBKIT_STEP(r)                                                \
  if constexpr (r < R) {                                                \
    int32_t codes;                                                      \
    __builtin_memcpy(&codes, rows + r * stride + k * kPack, 4);         \
    const Whole x = spread(codes);                                      \
    a##r = packed_product(a##r, x, a);                                  \
    if constexpr (N > 1) b##r = packed_product(b##r, x, b);             \
    if constexpr (N > 2) c##r = packed_product(c##r, x, c);             \
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
inline void whole_rows(const Code *rows, int64_t stride, const int32_t *packed, int64_t groups,
                       int64_t vectors, const int32_t *start, int32_t *out, int64_t out_stride) {
  switch (vectors) {
    case 1:
      return whole_tile<R, 1>(rows, stride, packed, groups, start, out, out_stride);
#if CALIBKIT_LEVEL >= 2
    case 2:
      return whole_tile<R, 2>(rows, stride, packed, groups, start, out, out_stride);
    default:
      return whole_tile<R, 3>(rows, stride, packed, groups, start, out, out_stride);
#endif
  }
}

// out (count, vectors * 16) = start + rows (count, groups * kPack) @ packed, as `product` does it.
inline void whole_product(const Code *rows, int64_t stride, int64_t count, const int32_t *packed,
                          int64_t groups, int64_t vectors, const int32_t *start, int32_t *out,
                          int64_t out_stride) {
  for (int64_t v = 0; v < vectors; v += kVectors) {
    const int64_t width = vectors - v < kVectors ? vectors - v : kVectors;
    const int32_t *block = packed + v * groups * kLanes;
    const int32_t *from = start + v * kLanes;
    int64_t r = 0;
    for (; r + kRows <= count; r += kRows) {
      whole_rows<kRows>(rows + r * stride, stride, block, groups, width, from,
                        out + r * out_stride + v * kLanes, out_stride);
    }
    const Code *rest = rows + r * stride;
    int32_t *to = out + r * out_stride + v * kLanes;
    switch (count - r) {
      case 1: whole_rows<1>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 2: whole_rows<2>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 3: whole_rows<3>(rest, stride, block, groups, width, from, to, out_stride); break;
#if CALIBKIT_LEVEL >= 2
      case 4: whole_rows<4>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 5: whole_rows<5>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 6: whole_rows<6>(rest, stride, block, groups, width, from, to, out_stride); break;
      case 7: whole_rows<7>(rest, stride, block, groups, width, from, to, out_stride); break;
#endif
      default: break;
    }
  }
}

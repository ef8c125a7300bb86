// Sixteen 32-bit whole numbers side by side, and their 64-bit products, at the instruction set
// chosen by CALIBKIT_LEVEL (see lanes.h).
//
// Whole: sixteen int32. Wide: their sixteen int64 products. Total: a sum of unsigned 64-bit
// products, spread over some lanes. Shift: a division by a power of two that rounds halves upward.
//
// Codes that meet a matrix are packed four or two to 32 bits, and so are its codes: with VNNI
// unsigned bytes (codes counted from the lowest one) times signed bytes, else pairs of 16 bits.

#if CALIBKIT_LEVEL == 3
using Code = uint8_t;
constexpr int kPack = 4;
#else
using Code = int16_t;
constexpr int kPack = 2;
#endif

#if CALIBKIT_LEVEL == 0

struct Whole {
  int32_t at[kLanes];
};
struct Wide {
  int64_t at[kLanes];
};
struct Total {
  uint64_t sum;
};
struct Shift {
  int64_t half;
  int count;
  explicit Shift(int shift) : half(shift > 0 ? int64_t{1} << (shift - 1) : 0), count(shift) {}
};

#define CALIBKIT_EACH(type, expression)                          \
  type r;                                                        \
  for (int i = 0; i < kLanes; ++i) r.at[i] = (expression);       \
  return r

inline Whole load(const int32_t *p) { CALIBKIT_EACH(Whole, p[i]); }
inline Whole spread(int32_t x) { CALIBKIT_EACH(Whole, x); }
inline void store(int32_t *p, const Whole &a) {
  for (int i = 0; i < kLanes; ++i) p[i] = a.at[i];
}
// lanes that stand for nothing may overflow, so sums are those of unsigned numbers
inline Whole operator+(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Whole, static_cast<int32_t>(static_cast<uint32_t>(a.at[i]) +
                                            static_cast<uint32_t>(b.at[i])));
}
inline Whole operator-(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Whole, static_cast<int32_t>(static_cast<uint32_t>(a.at[i]) -
                                            static_cast<uint32_t>(b.at[i])));
}
inline Whole operator&(const Whole &a, const Whole &b) { CALIBKIT_EACH(Whole, a.at[i] & b.at[i]); }
inline Whole larger(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Whole, a.at[i] > b.at[i] ? a.at[i] : b.at[i]);
}
inline Whole smaller(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Whole, a.at[i] < b.at[i] ? a.at[i] : b.at[i]);
}
inline Whole look_up(const int32_t *table, const Whole &index) {
  CALIBKIT_EACH(Whole, table[index.at[i]]);
}
template <int N>
inline Whole right(const Whole &a) {
  CALIBKIT_EACH(Whole, static_cast<int32_t>(static_cast<uint32_t>(a.at[i]) >> N));
}
inline Whole right(const Whole &a, const Whole &counts) {
  CALIBKIT_EACH(Whole, counts.at[i] > 31 ? 0 : static_cast<int32_t>(
                                                   static_cast<uint32_t>(a.at[i]) >> counts.at[i]));
}
// products of numbers of 15 bits and a sign, one of them not negative
inline Whole short_product(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Whole, a.at[i] * b.at[i]);
}
inline Wide product(const Whole &a, const Whole &b) {
  CALIBKIT_EACH(Wide, static_cast<int64_t>(a.at[i]) * b.at[i]);
}
inline Wide operator+(const Wide &a, const Wide &b) {
  CALIBKIT_EACH(Wide, static_cast<int64_t>(static_cast<uint64_t>(a.at[i]) +
                                           static_cast<uint64_t>(b.at[i])));
}
inline Whole shifted(const Wide &a, const Shift &s) {
  CALIBKIT_EACH(Whole, static_cast<int32_t>((a.at[i] + s.half) >> s.count));
}
inline void store_floats(float *p, const Whole &a, float scale) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<float>(a.at[i]) * scale;
}
inline void store_codes(Code *p, const Whole &a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<Code>(a.at[i]);
}
inline int32_t largest(const Whole &a) {
  int32_t top = a.at[0];
  for (int i = 1; i < kLanes; ++i) top = a.at[i] > top ? a.at[i] : top;
  return top;
}
inline Whole packed_product(const Whole &sum, const Whole &codes, const Whole &weights) {
  int16_t a[2 * kLanes], b[2 * kLanes];
  __builtin_memcpy(a, codes.at, sizeof a);
  __builtin_memcpy(b, weights.at, sizeof b);
  CALIBKIT_EACH(Whole, sum.at[i] + a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
}
inline Whole odd(const Whole &a) { return a; }
inline Total nothing() { return {0}; }
inline Total add(Total total, const Whole &a, const Whole &, const Whole &b, const Whole &) {
  for (int i = 0; i < kLanes; ++i) {
    total.sum += static_cast<uint64_t>(static_cast<uint32_t>(a.at[i])) *
                 static_cast<uint32_t>(b.at[i]);
  }
  return total;
}
inline uint64_t sum(Total total) { return total.sum; }
struct Powers {
  const int32_t *table;
  explicit Powers(const int32_t *from) : table(from) {}
  Whole operator()(const Whole &index) const { CALIBKIT_EACH(Whole, table[index.at[i] & 31]); }
};
#undef CALIBKIT_EACH

#elif CALIBKIT_LEVEL == 1

struct Whole {
  __m256i a, b;
};
struct Wide {
  __m256i even_a, odd_a, even_b, odd_b;
};
struct Total {
  __m256i sum;
};
// AVX2 has no arithmetic shift of 64 bits: 2^62 is added before a logical one and taken off again
struct Shift {
  __m256i half, back;
  __m128i count;
  explicit Shift(int shift)
      : half(_mm256_set1_epi64x((int64_t{1} << 62) +
                                (shift > 0 ? int64_t{1} << (shift - 1) : 0))),
        back(_mm256_set1_epi32(static_cast<int32_t>((int64_t{1} << 62) >> shift))),
        count(_mm_cvtsi32_si128(shift)) {}
};

inline Whole load(const int32_t *p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p + 8))};
}
inline Whole spread(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline void store(int32_t *p, const Whole &x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), x.a);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p + 8), x.b);
}
inline Whole operator+(const Whole &x, const Whole &y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
inline Whole operator-(const Whole &x, const Whole &y) {
  return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
}
inline Whole operator&(const Whole &x, const Whole &y) {
  return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
}
inline Whole larger(const Whole &x, const Whole &y) {
  return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)};
}
inline Whole smaller(const Whole &x, const Whole &y) {
  return {_mm256_min_epi32(x.a, y.a), _mm256_min_epi32(x.b, y.b)};
}
inline Whole look_up(const int32_t *table, const Whole &index) {
  return {_mm256_i32gather_epi32(table, index.a, 4), _mm256_i32gather_epi32(table, index.b, 4)};
}
template <int N>
inline Whole right(const Whole &x) {
  return {_mm256_srli_epi32(x.a, N), _mm256_srli_epi32(x.b, N)};
}
inline Whole right(const Whole &x, const Whole &counts) {
  return {_mm256_srlv_epi32(x.a, counts.a), _mm256_srlv_epi32(x.b, counts.b)};
}
inline Whole short_product(const Whole &x, const Whole &y) {
  return {_mm256_madd_epi16(x.a, y.a), _mm256_madd_epi16(x.b, y.b)};
}
inline __m256i odd(__m256i x) { return _mm256_srli_epi64(x, 32); }
inline Whole odd(const Whole &x) { return {odd(x.a), odd(x.b)}; }
inline Wide product(const Whole &x, const Whole &y) {
  return {_mm256_mul_epi32(x.a, y.a), _mm256_mul_epi32(odd(x.a), odd(y.a)),
          _mm256_mul_epi32(x.b, y.b), _mm256_mul_epi32(odd(x.b), odd(y.b))};
}
inline Wide operator+(const Wide &x, const Wide &y) {
  return {_mm256_add_epi64(x.even_a, y.even_a), _mm256_add_epi64(x.odd_a, y.odd_a),
          _mm256_add_epi64(x.even_b, y.even_b), _mm256_add_epi64(x.odd_b, y.odd_b)};
}
inline __m256i shifted(__m256i even, __m256i odd, const Shift &s) {
  even = _mm256_srl_epi64(_mm256_add_epi64(even, s.half), s.count);
  odd = _mm256_srl_epi64(_mm256_add_epi64(odd, s.half), s.count);
  return _mm256_sub_epi32(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA), s.back);
}
inline Whole shifted(const Wide &x, const Shift &s) {
  return {shifted(x.even_a, x.odd_a, s), shifted(x.even_b, x.odd_b, s)};
}
inline void store_floats(float *p, const Whole &x, float scale) {
  const __m256 factor = _mm256_set1_ps(scale);
  _mm256_storeu_ps(p, _mm256_mul_ps(_mm256_cvtepi32_ps(x.a), factor));
  _mm256_storeu_ps(p + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(x.b), factor));
}
inline void store_codes(Code *p, const Whole &x) {
  const __m256i mixed = _mm256_packs_epi32(x.a, x.b);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), _mm256_permute4x64_epi64(mixed, 0xD8));
}
inline int32_t largest(const Whole &x) {
  const __m256i m = _mm256_max_epi32(x.a, x.b);
  __m128i q = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  q = _mm_max_epi32(q, _mm_shuffle_epi32(q, 0x4E));
  return _mm_cvtsi128_si32(_mm_max_epi32(q, _mm_shuffle_epi32(q, 0xB1)));
}
inline Whole packed_product(const Whole &sum, const Whole &codes, const Whole &weights) {
  return {_mm256_add_epi32(sum.a, _mm256_madd_epi16(codes.a, weights.a)),
          _mm256_add_epi32(sum.b, _mm256_madd_epi16(codes.b, weights.b))};
}
inline Total nothing() { return {_mm256_setzero_si256()}; }
inline Total add(Total total, const Whole &x, const Whole &x_odd, const Whole &y,
                 const Whole &y_odd) {
  const __m256i a = _mm256_add_epi64(_mm256_mul_epu32(x.a, y.a), _mm256_mul_epu32(x.b, y.b));
  const __m256i b =
      _mm256_add_epi64(_mm256_mul_epu32(x_odd.a, y_odd.a), _mm256_mul_epu32(x_odd.b, y_odd.b));
  return {_mm256_add_epi64(total.sum, _mm256_add_epi64(a, b))};
}
inline uint64_t sum(Total total) {
  const __m128i q = _mm_add_epi64(_mm256_castsi256_si128(total.sum),
                                  _mm256_extracti128_si256(total.sum, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(q)) +
         static_cast<uint64_t>(_mm_extract_epi64(q, 1));
}
struct Powers {
  const int32_t *table;
  explicit Powers(const int32_t *from) : table(from) {}
  Whole operator()(const Whole &index) const { return look_up(table, index & spread(31)); }
};

#else

struct Whole {
  __m512i v;
};
struct Wide {
  __m512i even, odd;
};
struct Total {
  __m512i sum;
};
struct Shift {
  __m512i half, count;
  explicit Shift(int shift)
      : half(_mm512_set1_epi64(shift > 0 ? int64_t{1} << (shift - 1) : 0)),
        count(_mm512_set1_epi64(shift)) {}
};

inline Whole load(const int32_t *p) { return {_mm512_loadu_si512(p)}; }
inline Whole spread(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline void store(int32_t *p, Whole x) { _mm512_storeu_si512(p, x.v); }
inline Whole operator+(Whole x, Whole y) { return {_mm512_add_epi32(x.v, y.v)}; }
inline Whole operator-(Whole x, Whole y) { return {_mm512_sub_epi32(x.v, y.v)}; }
inline Whole operator&(Whole x, Whole y) { return {_mm512_and_si512(x.v, y.v)}; }
inline Whole larger(Whole x, Whole y) { return {_mm512_max_epi32(x.v, y.v)}; }
inline Whole smaller(Whole x, Whole y) { return {_mm512_min_epi32(x.v, y.v)}; }
inline Whole look_up(const int32_t *table, Whole index) {
  return {_mm512_i32gather_epi32(index.v, table, 4)};
}
template <int N>
inline Whole right(Whole x) {
  return {_mm512_srli_epi32(x.v, N)};
}
inline Whole right(Whole x, Whole counts) { return {_mm512_srlv_epi32(x.v, counts.v)}; }
inline Whole short_product(Whole x, Whole y) { return {_mm512_madd_epi16(x.v, y.v)}; }
inline Whole odd(Whole x) { return {_mm512_srli_epi64(x.v, 32)}; }
inline Wide product(Whole x, Whole y) {
  return {_mm512_mul_epi32(x.v, y.v), _mm512_mul_epi32(odd(x).v, odd(y).v)};
}
inline Wide operator+(Wide x, Wide y) {
  return {_mm512_add_epi64(x.even, y.even), _mm512_add_epi64(x.odd, y.odd)};
}
inline Whole shifted(Wide x, const Shift &s) {
  const __m512i even = _mm512_srav_epi64(_mm512_add_epi64(x.even, s.half), s.count);
  const __m512i odd = _mm512_srav_epi64(_mm512_add_epi64(x.odd, s.half), s.count);
  return {_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32))};
}
inline void store_floats(float *p, Whole x, float scale) {
  _mm512_storeu_ps(p, _mm512_mul_ps(_mm512_cvtepi32_ps(x.v), _mm512_set1_ps(scale)));
}
inline void store_codes(Code *p, Whole x) {
#if CALIBKIT_LEVEL == 3
  _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtepi32_epi8(x.v));
#else
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), _mm512_cvtepi32_epi16(x.v));
#endif
}
inline int32_t largest(Whole x) { return _mm512_reduce_max_epi32(x.v); }
inline Whole packed_product(Whole sum, Whole codes, Whole weights) {
#if CALIBKIT_LEVEL == 3
  return {add_quads(sum.v, codes.v, weights.v)};
#else
  return {_mm512_add_epi32(sum.v, _mm512_madd_epi16(codes.v, weights.v))};
#endif
}
inline Total nothing() { return {_mm512_setzero_si512()}; }
inline Total add(Total total, Whole x, Whole x_odd, Whole y, Whole y_odd) {
  const __m512i even = _mm512_add_epi64(total.sum, _mm512_mul_epu32(x.v, y.v));
  return {_mm512_add_epi64(even, _mm512_mul_epu32(x_odd.v, y_odd.v))};
}
inline uint64_t sum(Total total) {
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(total.sum));
}
struct Powers {
  __m512i low, high;
  explicit Powers(const int32_t *from)
      : low(_mm512_loadu_si512(from)), high(_mm512_loadu_si512(from + kLanes)) {}
  Whole operator()(Whole index) const { return {_mm512_permutex2var_epi32(low, index.v, high)}; }
};

#endif

// Sixteen floats side by side, at the instruction set chosen by CALIBKIT_LEVEL:
// 0 plain C++, 1 AVX2 with FMA, 2 AVX-512, 3 AVX-512 with VNNI.
//
// Included inside an unnamed namespace of one translation unit per level, so that no function
// compiled for a newer processor can be linked into the path of an older one.

#if CALIBKIT_LEVEL == 0

struct Lanes {
  float at[kLanes];
};

#define CALIBKIT_EACH(expression)          \
  Lanes r;                                 \
  for (int i = 0; i < kLanes; ++i) {       \
    r.at[i] = (expression);                \
  }                                        \
  return r

inline Lanes load(const float *p) { CALIBKIT_EACH(p[i]); }
inline Lanes spread(float x) { CALIBKIT_EACH(x); }
inline void store(float *p, Lanes a) {
  for (int i = 0; i < kLanes; ++i) p[i] = a.at[i];
}
inline Lanes operator+(Lanes a, Lanes b) { CALIBKIT_EACH(a.at[i] + b.at[i]); }
inline Lanes operator-(Lanes a, Lanes b) { CALIBKIT_EACH(a.at[i] - b.at[i]); }
inline Lanes operator*(Lanes a, Lanes b) { CALIBKIT_EACH(a.at[i] * b.at[i]); }
inline Lanes fused(Lanes a, Lanes b, Lanes c) {
  CALIBKIT_EACH(__builtin_fmaf(a.at[i], b.at[i], c.at[i]));
}
// the second operand where either is not a number, as on x86
inline Lanes larger(Lanes a, Lanes b) { CALIBKIT_EACH(a.at[i] > b.at[i] ? a.at[i] : b.at[i]); }
inline Lanes smaller(Lanes a, Lanes b) { CALIBKIT_EACH(a.at[i] < b.at[i] ? a.at[i] : b.at[i]); }
inline Lanes nearest(Lanes a) { CALIBKIT_EACH(__builtin_rintf(a.at[i])); }
inline Lanes quotient(Lanes a, Lanes b, Lanes) { CALIBKIT_EACH(a.at[i] / b.at[i]); }
inline Lanes look_up(const float *table, Lanes index) {
  CALIBKIT_EACH(table[static_cast<int32_t>(index.at[i])]);
}
inline Lanes add_exponent(Lanes a, Lanes biased) {
  Lanes r;
  for (int i = 0; i < kLanes; ++i) {
    uint32_t bits, n;
    __builtin_memcpy(&bits, &a.at[i], 4);
    __builtin_memcpy(&n, &biased.at[i], 4);
    bits += n << 23;
    __builtin_memcpy(&r.at[i], &bits, 4);
  }
  return r;
}
inline float largest(Lanes a) {
  float top = a.at[0];
  for (int i = 1; i < kLanes; ++i) top = a.at[i] > top ? a.at[i] : top;
  return top;
}
#undef CALIBKIT_EACH

#elif CALIBKIT_LEVEL == 1

struct Lanes {
  __m256 a, b;
};

inline Lanes load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline Lanes spread(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline void store(float *p, Lanes x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline Lanes operator+(Lanes x, Lanes y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
inline Lanes operator-(Lanes x, Lanes y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
inline Lanes operator*(Lanes x, Lanes y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
inline Lanes fused(Lanes x, Lanes y, Lanes z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Lanes fused_minus(Lanes x, Lanes y, Lanes z) {
  return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
}
inline Lanes larger(Lanes x, Lanes y) {
  return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)};
}
inline Lanes smaller(Lanes x, Lanes y) {
  return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)};
}
inline Lanes nearest(Lanes x) {
  constexpr int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, how), _mm256_round_ps(x.b, how)};
}
inline Lanes look_up(const float *table, Lanes index) {
  return {_mm256_i32gather_ps(table, _mm256_cvtps_epi32(index.a), 4),
          _mm256_i32gather_ps(table, _mm256_cvtps_epi32(index.b), 4)};
}
inline __m256 add_exponent(__m256 x, __m256 biased) {
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(biased), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), n));
}
inline Lanes add_exponent(Lanes x, Lanes biased) {
  return {add_exponent(x.a, biased.a), add_exponent(x.b, biased.b)};
}
inline float largest(Lanes x) {
  const __m256 m = _mm256_max_ps(x.a, x.b);
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}

#else

struct Lanes {
  __m512 v;
};

inline Lanes load(const float *p) { return {_mm512_loadu_ps(p)}; }
inline Lanes spread(float x) { return {_mm512_set1_ps(x)}; }
inline void store(float *p, Lanes x) { _mm512_storeu_ps(p, x.v); }
inline Lanes operator+(Lanes x, Lanes y) { return {_mm512_add_ps(x.v, y.v)}; }
inline Lanes operator-(Lanes x, Lanes y) { return {_mm512_sub_ps(x.v, y.v)}; }
inline Lanes operator*(Lanes x, Lanes y) { return {_mm512_mul_ps(x.v, y.v)}; }
inline Lanes fused(Lanes x, Lanes y, Lanes z) { return {_mm512_fmadd_ps(x.v, y.v, z.v)}; }
inline Lanes fused_minus(Lanes x, Lanes y, Lanes z) {
  return {_mm512_fnmadd_ps(x.v, y.v, z.v)};
}
inline Lanes larger(Lanes x, Lanes y) { return {_mm512_max_ps(x.v, y.v)}; }
inline Lanes smaller(Lanes x, Lanes y) { return {_mm512_min_ps(x.v, y.v)}; }
inline Lanes nearest(Lanes x) {
  constexpr int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm512_roundscale_ps(x.v, how)};
}
inline Lanes look_up(const float *table, Lanes index) {
  return {_mm512_i32gather_ps(_mm512_cvtps_epi32(index.v), table, 4)};
}
inline Lanes add_exponent(Lanes x, Lanes biased) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(biased.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x.v), n))};
}
inline float largest(Lanes x) { return _mm512_reduce_max_ps(x.v); }

#endif

#if CALIBKIT_LEVEL > 0
// a / b, correctly rounded, given the correctly rounded reciprocal of b: two Newton steps with
// exact remainders (Markstein 1990); several times as fast as the division instruction.
inline Lanes quotient(Lanes a, Lanes b, Lanes reciprocal) {
  Lanes q = a * reciprocal;
  q = fused(fused_minus(q, b, a), reciprocal, q);
  return fused(fused_minus(q, b, a), reciprocal, q);
}
#endif

// 2^x for x <= 0, not below 2^-126; relative error below 2e-7.
// Rounding to a whole number by adding 1.5 * 2^23 leaves that number in the low bits.
inline Lanes power_of_two(Lanes x) {
  const Lanes magic = spread(12582912.0f);
  x = larger(x, spread(-126.0f));
  const Lanes shifted = x + magic;
  const Lanes r = x - (shifted - magic);  // exact, |r| <= 1/2
  Lanes p = spread(0x1.5bd97ap-10f);      // minimax on [-1/2, 1/2]
  p = fused(p, r, spread(0x1.3ce8b2p-7f));
  p = fused(p, r, spread(0x1.c6b6dap-5f));
  p = fused(p, r, spread(0x1.ebf9c2p-3f));
  p = fused(p, r, spread(0x1.62e42ap-1f));
  p = fused(p, r, spread(1.0f));
  return add_exponent(p, shifted);
}

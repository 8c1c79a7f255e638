// Sums and quotients of a register of floats, in double.
#pragma once

#include <cstdint>

#include "ev/scores.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {

/// As many doubles as there are lanes, register by register.
struct Doubles {
#if defined(__AVX512F__)
    using Part = __m512d;
    static constexpr int kPart = 8;
#elif defined(__AVX2__)
    using Part = __m256d;
    static constexpr int kPart = 4;
#else
    using Part = double;
    static constexpr int kPart = 1;
#endif
    static constexpr int kParts = kFloatLanes / kPart;

    Part parts[kParts];
};

EV_INLINE Doubles widened(Floats floats) {
#if defined(__AVX512F__)
    return {_mm512_cvtps_pd(_mm512_castps512_ps256(floats.raw)),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps(floats.raw, 1))};
#elif defined(__AVX2__)
    return {_mm256_cvtps_pd(_mm256_castps256_ps128(floats.raw)),
            _mm256_cvtps_pd(_mm256_extractf128_ps(floats.raw, 1))};
#else
    float values[kFloatLanes];
    store(values, floats);
    Doubles wide{};
    for (int i = 0; i < kFloatLanes; ++i) wide.parts[i] = static_cast<double>(values[i]);
    return wide;
#endif
}

EV_INLINE Floats narrowed(const Doubles& wide) {
#if defined(__AVX512F__)
    return Floats(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(wide.parts[0])),
                                     _mm512_cvtpd_ps(wide.parts[1]), 1));
#elif defined(__AVX2__)
    return Floats(_mm256_set_m128(_mm256_cvtpd_ps(wide.parts[1]), _mm256_cvtpd_ps(wide.parts[0])));
#else
    float values[kFloatLanes];
    for (int i = 0; i < kFloatLanes; ++i) values[i] = static_cast<float>(wide.parts[i]);
    return load(values);
#endif
}

EV_INLINE void add_to(Doubles* sums, const Doubles& values) {
    for (int i = 0; i < Doubles::kParts; ++i) sums->parts[i] = sums->parts[i] + values.parts[i];
}

/// 1 / sums.
EV_INLINE Doubles inverse_of(const Doubles& sums) {
    Doubles result{};
    for (int i = 0; i < Doubles::kParts; ++i) result.parts[i] = 1.0 / sums.parts[i];
    return result;
}

/// The eight sums of ev/scores.h of numbers that lie side by side.
class EightSums {
  public:
    /// Adds lane i to sum (first + i) % 8.
    void add(Floats floats, int first) {
        const Doubles wide = widened(floats);
        for (int i = 0; i < Doubles::kParts; ++i) {
            Doubles::Part& sum = sums_[(first / Doubles::kPart + i) % kCount];
            sum = sum + wide.parts[i];
        }
    }

    double total() const {
        double sums[kSums];
        std::memcpy(sums, sums_, sizeof sums);
        return total_of(sums);
    }

  private:
    static constexpr int kCount = kSums / Doubles::kPart;
    Doubles::Part sums_[kCount] = {};
};

}  // namespace EV_ISA
}  // namespace ev

#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace nativo::tensor {
namespace {

TEST(DType, NamesAndSizesGoBothWays) {
  for (const char* name : {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}) {
    const auto dtype = dtype_from_name(name);
    ASSERT_TRUE(dtype.has_value()) << name;
    EXPECT_EQ(dtype_name(*dtype), name);
  }
  EXPECT_EQ(dtype_size(DType::kBf16), 2U);
  EXPECT_EQ(dtype_size(DType::kI64), 8U);
  EXPECT_FALSE(dtype_from_name("f32").has_value());
}

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.0F), 0x3F80);
  // Halfway between 1 and its successor 1 + 2^-7 goes to the even one, beyond it up.
  EXPECT_EQ(f32_to_bf16(1.0F + 0x1p-8F), 0x3F80);
  EXPECT_EQ(f32_to_bf16(1.0F + 0x1p-8F + 0x1p-20F), 0x3F81);
  EXPECT_EQ(f32_to_bf16(1.0F + 0x3p-8F), 0x3F82);
  EXPECT_EQ(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::max())), INFINITY);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7F800001U)))));
  EXPECT_EQ(bf16_to_f32(f32_to_bf16(-INFINITY)), -INFINITY);
}

TEST(DType, EveryBf16SurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = bf16_to_f32(half);
    if (std::isnan(value)) continue;
    ASSERT_EQ(f32_to_bf16(value), half);
  }
}

#ifdef __FLT16_MANT_DIG__
TEST(DType, EveryF16AgreesWithTheCompilersOwn) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const auto expected = static_cast<float>(std::bit_cast<_Float16>(half));
    const float value = f16_to_f32(half);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value));
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
      continue;
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(expected));
    ASSERT_EQ(f32_to_f16(value), half);
  }
}

TEST(DType, F16RoundsAsTheCompilerDoes) {
  // A walk over all exponents with fractions near, at and beyond halfway.
  for (std::uint32_t bits = 0; bits < 0x7F800000U; bits += 0x3FFU) {
    const auto value = std::bit_cast<float>(bits);
    const auto expected = std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
    ASSERT_EQ(f32_to_f16(value), expected) << value;
    ASSERT_EQ(f32_to_f16(-value), expected | 0x8000U) << value;
  }
}
#endif

TEST(DType, F16Edges) {
  EXPECT_EQ(f32_to_f16(65504.0F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_f16(0x1p-24F), 0x0001);
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);  // halfway to the smallest: even is zero
  EXPECT_EQ(f32_to_f16(0x1.8p-25F), 0x0001);
  EXPECT_EQ(f32_to_f16(-0.0F), 0x8000);
  EXPECT_EQ(f16_to_f32(0x03FF), 0x3FFp-24F);
}

TEST(DType, WholeArrays) {
  const std::vector<float> values{0.0F, -1.5F, 3.25F, 1e-3F};
  std::vector<std::uint16_t> narrow(4);
  std::vector<float> back(4);
  f32_to_bf16(values, narrow);
  bf16_to_f32(narrow, back);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(back[i], values[i], std::fabs(values[i]) / 256);
  f32_to_f16(values, narrow);
  f16_to_f32(narrow, back);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(back[i], values[i], std::fabs(values[i]) / 2048);
}

}  // namespace
}  // namespace nativo::tensor

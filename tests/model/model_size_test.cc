#include "model/model_size.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace nativo::model {
namespace {

TEST(ModelSize, SevenBillionIsMistral) {
  const ModelSize size = model_size("7b");
  EXPECT_EQ(size.parameters, 7'000'000'000);
  EXPECT_EQ(size.config.parameter_count(), 7'241'732'096);  // as transformers counts Mistral 7B
}

TEST(ModelSize, OthersComeNear) {
  for (const char* text : {"30m", "125M", "500m", "1b", "1.5B", "2b", "3b", "5b", "10b", "13b",
                           "34b", "70b", "405b", "1t"}) {
    const ModelSize size = model_size(text);
    const auto made = static_cast<double>(size.config.parameter_count());
    EXPECT_NEAR(made / static_cast<double>(size.parameters), 1.0, 0.1) << text;
    EXPECT_EQ(size.config.heads % size.config.kv_heads, 0) << text;
  }
}

TEST(ModelSize, OnlyNumbersWithAUnitAreSizes) {
  for (const char* text :
       {"", "b", "7", "7bb", "-7b", "7 b", "0b", "nan b", "1e3b", "1.2.3b", "/7b", "models/7b"}) {
    EXPECT_FALSE(is_model_size(text)) << text;
    EXPECT_THROW(static_cast<void>(model_size(text)), Error) << text;
  }
  EXPECT_THROW(static_cast<void>(model_size("1k")), Error);
  EXPECT_THROW(static_cast<void>(model_size("99t")), Error);
}

}  // namespace
}  // namespace nativo::model

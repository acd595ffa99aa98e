#include "translate/engine_factory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "translate/translate_stage.h"

namespace nativo::translate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(EngineFactory, SaysWhyAnEngineCannotBeMade) {
  TranslateOptions german;
  german.from = "de";
  const auto route = engine_unavailable("apertium", german, "it");
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->code(), ExitCode::kConfig);
  const auto unknown = engine_unavailable("babelfish", {}, "it");
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->code(), ExitCode::kConfig);
  EXPECT_THAT(unknown->hint(), HasSubstr("apertium"));
  EXPECT_THROW((void)make_engine("babelfish", {}, "it"), Error);
  EXPECT_THAT(engine_names(), Contains("apertium"));
}

}  // namespace
}  // namespace nativo::translate

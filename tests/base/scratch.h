// Where a test may write. Tests run side by side, of several builds too: a name is never shared.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace nativo {

/// A path of the running test and process alone; nothing is made or removed there.
[[nodiscard]] inline std::filesystem::path scratch_path() {
  std::string name = "nativo";
  if (const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info()) {
    name += std::string("-") + test->test_suite_name() + "." + test->name();
  }
  std::replace(name.begin(), name.end(), '/', '-');  // of parametrised tests
  return std::filesystem::path(::testing::TempDir()) / (name + "-" + std::to_string(::getpid()));
}

}  // namespace nativo

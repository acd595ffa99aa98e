// What transformers renders, byte for byte: tests/golden/chat_templates, which
// tools/reference/chat_templates.py writes. Errors are compared as errors.
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "io/file.h"
#include "text/jinja_interpreter.h"

namespace nativo::text::jinja {
namespace {

/// The clock of the golden files: 31 January 2026, a Saturday, 12:34:56.
std::tm golden_now() {
  std::tm now{};
  now.tm_year = 126;
  now.tm_mday = 31;
  now.tm_hour = 12;
  now.tm_min = 34;
  now.tm_sec = 56;
  now.tm_wday = 6;
  now.tm_yday = 30;
  return now;
}

Json golden(const std::string& name) {
  const std::string path = std::string(NATIVO_SOURCE_DIR) + "/tests/golden/chat_templates/" + name;
  return parse_json(io::read_file(path), path);
}

/// Rendered text and generation spans as the golden files store them; null for an error.
Json rendered(const std::string& source, const Json& context, bool with_generation) {
  try {
    const Template parsed(source, "golden");
    const Rendered out = parsed.render(
        [&](Heap& heap) {
          Variables variables;
          for (const auto& [name, value] : context.items())
            variables.emplace_back(name, heap.from_json(value, 0));
          return variables;
        },
        golden_now());
    Json json = {{"text", out.text.bytes}};
    if (with_generation) {
      json["generation"] = Json::array();
      for (const auto& [begin, end] : out.generation)
        json["generation"].push_back(Json::array({begin, end}));
    }
    return json;
  } catch (const Error&) {
    return nullptr;
  }
}

Json with_defaults(Json context) {
  for (const char* name : {"tools", "documents"})
    if (!context.contains(name)) context[name] = nullptr;
  if (!context.contains("add_generation_prompt")) context["add_generation_prompt"] = false;
  if (!context.contains("messages")) context["messages"] = Json::array();
  return context;
}

void compare_cases(const std::string& file) {
  const Json all = golden(file);
  const Json context = with_defaults(all.at("context"));
  ASSERT_GT(all.at("cases").size(), 100U);
  for (const Json& row : all.at("cases")) {
    const Json out = rendered(row[0].get<std::string>(), context, false);
    EXPECT_EQ(out.is_null() ? out : out.at("text"), row[1]) << row[0].get<std::string>();
  }
}

TEST(JinjaGolden, Features) { compare_cases("features.json"); }

TEST(JinjaGolden, RandomExpressions) { compare_cases("random.json"); }

TEST(JinjaGolden, Families) {
  const Json all = golden("families.json");
  ASSERT_GT(all.at("templates").size(), 20U);
  for (const Json& one : all.at("templates")) {
    for (std::size_t i = 0; i < one.at("rendered").size(); ++i) {
      Json context = with_defaults(all.at("conversations")[i]);
      for (const auto& [name, value] : all.at("special").items()) context[name] = value;
      const Json& expected = one.at("rendered")[i];
      const bool generation = expected.is_object() && expected.contains("generation");
      EXPECT_EQ(rendered(one.at("template").get<std::string>(), context, generation), expected)
          << one.at("name") << ", conversation " << i;
    }
  }
}

}  // namespace
}  // namespace nativo::text::jinja

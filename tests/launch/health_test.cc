// A node's health, as it is found, told and compared.
#include "launch/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "io/temp_folder.h"

namespace nativo::launch {
namespace {

using testing::HasSubstr;

std::string right(double& rate) {
  rate = 1e9;
  return {};
}

const Check& find(const Health& health, const char* name) {
  return *std::ranges::find(health.checks, name, &Check::name);
}

TEST(CheckNode, FindsAGoodNodeGood) {
  const io::TempFolder folder;
  const Health health = check_node({.run = folder.path(), .disk = 1, .memory = 1}, right);
  EXPECT_TRUE(health.node_is_good() && health.shared_is_good()) << health.complaint();
  EXPECT_GT(find(health, "bandwidth").value, 1e6);
  EXPECT_LT(std::abs(find(health, "clock").value), 5.0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CheckNode, SaysWhatIsWrongAndWhoseFaultItIs) {
  const io::TempFolder folder;
  const Health poor = check_node({.run = folder.path(), .memory = 1e18}, right);
  EXPECT_FALSE(poor.node_is_good());
  EXPECT_TRUE(poor.shared_is_good());
  EXPECT_THAT(poor.complaint(), HasSubstr("memory: "));
  const Health full = check_node({.run = folder.path(), .disk = 1e18}, right);
  EXPECT_TRUE(full.node_is_good());
  EXPECT_FALSE(full.shared_is_good());
  const Health away = check_node({.run = folder.path() / "none"}, right);
  EXPECT_FALSE(away.node_is_good());
  EXPECT_TRUE(away.shared_is_good());
  const Health wrong = check_node({.run = folder.path()}, [](double&) { return "2 + 2 = 5"; });
  EXPECT_FALSE(wrong.node_is_good());
  EXPECT_EQ(wrong.complaint(), "arithmetic: 2 + 2 = 5");
  const Health blind = check_node({.run = folder.path(), .gpus = 640}, right);
  EXPECT_FALSE(blind.node_is_good());
}

TEST(Health, ComesBackFromJson) {
  const io::TempFolder folder;
  const Health health = check_node({.run = folder.path(), .disk = 1e18}, right);
  EXPECT_EQ(to_json(parse_health(to_json(health).dump())), to_json(health));
  for (const char* text : {"", "{}", "[]", R"({"node":"n1"})", R"({"node":1,"checks":[]})",
                           R"({"node":"n1","checks":[{"name":"memory"}]})"}) {
    EXPECT_THROW((void)parse_health(text), Error) << text;
  }
}

TEST(CompareNodes, FindsTheSlowOne) {
  const auto node = [](const char* name, double rate) {
    return Health{.node = name, .checks = {{.name = "bandwidth", .found = "x", .value = rate}}};
  };
  std::vector<Health> nodes = {node("a", 10), node("b", 4), node("c", 11), node("d", 9)};
  compare_nodes(nodes);
  EXPECT_TRUE(nodes[0].node_is_good());
  EXPECT_FALSE(nodes[1].node_is_good());
  EXPECT_TRUE(nodes[3].node_is_good());
  std::vector<Health> two = {node("a", 10), node("b", 1)};
  compare_nodes(two);
  EXPECT_TRUE(two[1].node_is_good());  // who of two is the slow one?
}

}  // namespace
}  // namespace nativo::launch

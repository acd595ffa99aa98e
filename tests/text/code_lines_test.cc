// What is code without a fence: whole runs, none of the prose around them.
#include "text/code_lines.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace nativo::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> code(const std::string& text) {
  std::vector<std::string> runs;
  for (const auto& [begin, end] : find_code_lines(text)) {
    runs.push_back(text.substr(begin, end - begin));
  }
  return runs;
}

TEST(CodeLines, AProgramIsOneRunWithEveryLineOfIt) {
  const std::string program =
      "import csv\n\nfilename = 'data.csv'\nsum_of_values = 0\n\n"
      "with open(filename, 'r') as csvfile:\n    reader = csv.reader(csvfile)\n"
      "    for row in reader:\n        sum_of_values += float(row[0])\n\nprint(sum_of_values)";
  EXPECT_THAT(code(program), ElementsAre(program));
  EXPECT_THAT(code("Here is the program:\n\n" + program + "\n\nIt prints the sum."),
              ElementsAre(program));
}

TEST(CodeLines, ACommandBetweenStatementsIsCodeToo) {
  const std::string script =
      "#!/bin/bash\n\nsearch_directory=\"/tmp\"\n"
      "find \"$search_directory\" -type f -exec cat {} +\necho_count=1";
  EXPECT_THAT(code(script), ElementsAre(script));
}

TEST(CodeLines, ASentenceBetweenStatementsStaysProse) {
  EXPECT_THAT(code("x = 1\nThen we double it.\ny = 2 * x"), ElementsAre("x = 1", "y = 2 * x"));
}

TEST(CodeLines, ProseIsNotCode) {
  EXPECT_THAT(code("With friends as guests:\nbring wine, bread and cheese."), IsEmpty());
  EXPECT_THAT(code("# A heading\n\nSome text (with brackets); and more.\n\n- a list\n- of things"),
              IsEmpty());
  EXPECT_THAT(code("Total = 5 + 3 = 8 apples\nThe answer is 8."), IsEmpty());
}

}  // namespace
}  // namespace nativo::text

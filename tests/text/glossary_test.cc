#include "text/glossary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace nativo::text {
namespace {

using ::testing::HasSubstr;

std::string found(const Glossary& glossary, std::string_view text) {
  std::string all;
  for (std::size_t i = 0; i < text.size();) {
    const GlossaryMatch match = glossary.match(text, i);
    if (match.end == std::string_view::npos) {
      ++i;
      continue;
    }
    all += in_case_of(*match.entry, text.substr(i, match.end - i)) + "|";
    i = match.end;
  }
  return all;
}

TEST(Glossary, ReadsItsFile) {
  const Glossary glossary = Glossary::parse(
      "\xEF\xBB\xBF# a comment\n\nneural  network\trete neurale\t\tnoun, as in the style guide\r\n"
      "Nativo\t\tkeep\nGo\tGo\tcase, word\tthe language\n",
      "g.tsv");
  ASSERT_EQ(glossary.entries().size(), 3U);
  EXPECT_EQ(glossary.entries()[0], (GlossaryEntry{"neural network", "rete neurale", false}));
  EXPECT_EQ(glossary.entries()[1], (GlossaryEntry{"Nativo", "Nativo", false}));
  EXPECT_EQ(glossary.entries()[2], (GlossaryEntry{"Go", "Go", true}));
  EXPECT_TRUE(Glossary::parse("", "g.tsv").empty());
}

TEST(Glossary, LongestWholeWordsInAnyCase) {
  const Glossary glossary = Glossary::parse(
      "network\trete\nneural network\trete neurale\nGo\tGo\tcase\nstate of the art\tstato "
      "dell'arte\n"
      "perché\twhy\n",
      "g.tsv");
  EXPECT_EQ(found(glossary, "The neural \xC2\xA0 network, a Network and NETWORK."),
            "rete neurale|Rete|RETE|");
  EXPECT_EQ(
      found(glossary, "networks, network's, networking, sub-network, network-wide, network_2"), "");
  EXPECT_EQ(found(glossary, "'network' (network). Go go PERCHÉ"), "rete|rete|Go|WHY|");
}

TEST(Glossary, ABadLineIsNamed) {
  const auto error = [](const std::string& bytes) {
    try {
      (void)Glossary::parse(bytes, "dir/g.tsv");
    } catch (const Error& e) {
      return std::string(e.what()) + " / " + e.hint();
    }
    return std::string("accepted");
  };
  EXPECT_EQ(error("a\tb\nterm alone\n"),
            "dir/g.tsv:2: no target for \"term alone\" / a line is: source TAB target; a name that "
            "stays has the flag keep");
  EXPECT_THAT(error("\tb\n"), HasSubstr("dir/g.tsv:1: no term"));
  EXPECT_THAT(error("a\tb\tcas\n"), HasSubstr("unknown flag \"cas\" / did you mean \"case\"?"));
  EXPECT_THAT(error("a\tb\tkeep\n"), HasSubstr("the flag keep and another target"));
  EXPECT_THAT(error("a\tb\nc\td\nA\tb\na\te\n"), HasSubstr("g.tsv:4: a second target for \"a\""));
  EXPECT_THAT(error("-x\tb\n"), HasSubstr("begins with no letter"));
  EXPECT_THAT(error("a\xFF\tb\n"), HasSubstr("g.tsv:1: not UTF-8"));
  EXPECT_THAT(error("a\x01\tb\n"), HasSubstr("control character"));
  EXPECT_THROW((void)Glossary::load("/no/such/file.tsv"), Error);
}

}  // namespace
}  // namespace nativo::text

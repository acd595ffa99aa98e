#include "text/line_wraps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/rng.h"
#include "base/strings.h"

namespace nativo::text {
namespace {

/// The text with " | " for each wrap.
std::string marked(const std::string& text) {
  std::string out;
  std::size_t at = 0;
  for (const LineWrap& wrap : find_line_wraps(text, find_spans(text))) {
    out += text.substr(at, wrap.begin - at) + " | ";
    at = wrap.end;
  }
  return out + text.substr(at);
}

Unwrapped unwrapped(const std::string& text) { return unwrap_lines(text, find_spans(text)); }

const std::string kBook =
    "Once upon a time there was a piece of wood. It was not an expensive\n"
    "piece of wood, far from it. Just a common block of firewood, one of\n"
    "those thick, solid logs that are put on the fire in winter to make\n"
    "cold rooms cozy and warm.\n"
    "\n"
    "I do not know how this really happened, yet the fact remains that one\n"
    "fine day this piece of wood found itself in the shop of an old\n"
    "carpenter.\n";

TEST(LineWraps, AParagraphWrappedAtAFixedWidth) {
  EXPECT_EQ(marked(kBook),
            "Once upon a time there was a piece of wood. It was not an expensive | "
            "piece of wood, far from it. Just a common block of firewood, one of | "
            "those thick, solid logs that are put on the fire in winter to make | "
            "cold rooms cozy and warm.\n\n"
            "I do not know how this really happened, yet the fact remains that one | "
            "fine day this piece of wood found itself in the shop of an old | "
            "carpenter.\n");
}

TEST(LineWraps, AListItemGoesOnIndented) {
  EXPECT_EQ(marked("- The first thing that you should do is to read this text to\n"
                   "  the very end of it.\r\n- The next."),
            "- The first thing that you should do is to read this text to | "
            "the very end of it.\r\n- The next.");
}

TEST(LineWraps, AQuotationKeepsItsMarks) {
  const std::string text =
      "He wrote:\n\n"
      "> > Quoted words are read as the sentence that they were before a\n"
      "> > program broke them into lines, and each of the lines gets its\n"
      "> > marks back.\n"
      "> \n"
      "> - So do the items of a list that somebody quotes in a letter of\n"
      ">   theirs.\n";
  EXPECT_EQ(marked(text),
            "He wrote:\n\n"
            "> > Quoted words are read as the sentence that they were before a | "
            "program broke them into lines, and each of the lines gets its | "
            "marks back.\n> \n"
            "> - So do the items of a list that somebody quotes in a letter of | theirs.\n");
  const Unwrapped source = unwrapped(text);
  EXPECT_EQ(rewrap_lines(source.text, source), text);
  // No break between the marks and the text, however short it became.
  EXPECT_EQ(rewrap_lines("He:\n\n> > Quoted\n> \n> - So theirs\n", source),
            "He:\n\n> > Quoted\n> \n> - So\n>   theirs\n");
}

TEST(LineWraps, LinesOfTheirOwnStay) {
  for (const std::string one :
       {"apples\npears\nand bananas",
        // There was room for the next word.
        "Write a function that takes a list of whole numbers,\nand then, in the end, returns a "
        "sum of all those that are even.",
        // Each line a sentence, each line an item, no line goes on in lower case.
        "The first sentence of this text is a long one and ends here.\nthe second is as long as "
        "the "
        "first one, or nearly, and ends.",
        "Shall I compare thee to a summer's day and to its weather?\nThou art more lovely and more "
        "temperate than it ever could be,\nRough winds do shake the darling buds of May all of the "
        "time,",
        "- one thing that is said in a rather long line of this list is\n- another thing that is "
        "said there",
        "# A heading that is as long as a line of a paragraph could be so\nand text below it",
        // A quotation that another goes on, of a line that is none, and without a blank.
        "> Quoted words stay as the lines in which they were quoted here\n> > by the one who wrote",
        "> Quoted words stay as the lines in which they were quoted here\nby the one who wrote",
        ">Quoted words stay as the lines in which they were quoted here\n>by the one who wrote",
        "A line with a hard break that Markdown keeps, because it ends in two  \nspaces",
        "The program has these options, each of which is explained there:\nhelp, version, quiet",
        "| one column of the table | another column of the table here |\n| a | b |",
        "See the code in the file that comes with this letter, please do:\n\n    int main() {\n   "
        "   return 0;\n    }\n"}) {
    EXPECT_EQ(marked(one), one);
  }
}

TEST(LineWraps, SpansAreNotCut) {
  const std::string text =
      "The value of this rather long expression is given as `some code\nthat goes on` in the next "
      "line.";
  EXPECT_EQ(marked(text), text);
}

TEST(LineWraps, WhatWasTakenOutComesBack) {
  const Unwrapped book = unwrapped(kBook);
  EXPECT_EQ(std::ranges::count(book.text, '\n'), 3);
  EXPECT_EQ(rewrap_lines(book.text, book), kBook);
  const std::string item =
      "* The first thing that you should do is to read this text to \r\n"
      "  the very end of it.";
  EXPECT_EQ(rewrap_lines(unwrapped(item).text, unwrapped(item)), item);
}

TEST(LineWraps, ATranslationIsBrokenWhereTheSourceWas) {
  const Unwrapped source = unwrapped(
      "This sentence is wrapped at the width of a terminal, as e-mails\n"
      "and books were for a long time, and goes on in the third of all\n"
      "its lines.");
  EXPECT_EQ(
      rewrap_lines("Questa frase va a capo alla larghezza di un terminale, come le e-mail e i "
                   "libri per molto tempo, e continua nella terza delle sue righe.",
                   source),
      "Questa frase va a capo alla larghezza di un terminale, come le\n"
      "e-mail e i libri per molto tempo, e continua nella terza delle\n"
      "sue righe.");
  // Not enough room, and not where a line would begin like an item.
  EXPECT_EQ(rewrap_lines("Breve così.", source), "Breve\ncosì.");
  EXPECT_EQ(rewrap_lines("Anna - Bruno - Carla - Dario", source), "Anna - Bruno -\nCarla -\nDario");
  EXPECT_EQ(rewrap_lines("Two\nlines", source), "Two\nlines");
}

TEST(LineWraps, AnyTextComesBackWhole) {
  constexpr std::string_view kPool = "abcdefgh I1.,`*_[]()<>#-|:\\$  \n\n\réà";
  Rng rng(5);
  std::size_t wraps = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const std::size_t lines = 2 + rng.below(4);
    for (std::size_t l = 0; l < lines; ++l) {
      const std::size_t words = 8 + rng.below(2);
      for (std::size_t w = 0; w < words; ++w) {
        const std::size_t letters = 5 + rng.below(2);
        for (std::size_t i = 0; i < letters; ++i) text += static_cast<char>('a' + rng.below(26));
        if (rng.below(20) == 0) text += kPool[rng.below(kPool.size())];
        if (w + 1 < words) text += ' ';
      }
      if (l + 1 < lines) text += rng.below(3) == 0 ? "\n  " : "\n";
    }
    const Unwrapped made = unwrapped(text);
    const std::string back = rewrap_lines(made.text, made);
    for (const Unwrapped::Line& line : made.lines) wraps += line.breaks.size();
    // The same lines again unless a damaged span forbade it.
    ASSERT_TRUE(back == text || back == made.text) << text;
    ASSERT_EQ(replace_all(replace_all(replace_all(back, "\n", " "), "\r", " "), "  ", " ").size(),
              replace_all(replace_all(replace_all(text, "\n", " "), "\r", " "), "  ", " ").size());
  }
  EXPECT_GT(wraps, 500U);
}

}  // namespace
}  // namespace nativo::text

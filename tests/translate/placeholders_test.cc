// Parts through engines that copy, rewrite, lose, double or glue them.
#include "translate/placeholders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "text/protected_spans.h"

namespace nativo::translate {
namespace {

Sentence sentence(const std::string& text) {
  Sentence made{text, {}};
  for (const text::Span& span : text::find_spans(text)) {
    made.parts.push_back({span.begin, span.end, span.kind});
  }
  return made;
}

/// What becomes of the sentence when the engine replaces `from` by `to` in its text.
std::string through(const Sentence& source, Disguise how, const std::string& from,
                    const std::string& to) {
  const auto disguised = disguise(source, how);
  if (!disguised) return "<too many>";
  const auto result = undisguise(source, *disguised, replace_all(disguised->text, from, to));
  return result ? result->text : "<damaged>";
}

TEST(Placeholders, EveryDisguiseComesBack) {
  const Sentence source = sentence("Call `f(x)` 12 times at 10:30, or 3.5 times with {name}.");
  ASSERT_EQ(source.parts.size(), 5U);
  for (const Disguise how :
       {Disguise::kNone, Disguise::kNumbers, Disguise::kLetters, Disguise::kUnknown}) {
    EXPECT_EQ(through(source, how, "times", "volte"),
              "Call `f(x)` 12 volte at 10:30, or 3.5 volte with {name}.");
    const auto disguised = disguise(source, how);
    ASSERT_TRUE(disguised.has_value());
    EXPECT_EQ(disguised->text.find("`f(x)`") == std::string::npos, how != Disguise::kNone);
    const auto back = undisguise(source, *disguised, disguised->text);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->parts, source.parts);
  }
}

TEST(Placeholders, OrderMayChangeAndPartsKnowTheirNewPlaces) {
  const Sentence source = sentence("From `a` to `b`.");
  const auto disguised = disguise(source, Disguise::kNumbers);
  ASSERT_EQ(disguised->text, "From 701 to 702.");
  const auto back = undisguise(source, *disguised, "A 702 da 701.");
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->text, "A `b` da `a`.");
  ASSERT_EQ(back->parts.size(), 2U);
  EXPECT_EQ(back->text.substr(back->parts[1].begin, back->parts[1].end - back->parts[1].begin),
            "`a`");
}

TEST(Placeholders, DamageIsSeen) {
  const Sentence source = sentence("Take 12 of `x` and 5.");
  EXPECT_EQ(through(source, Disguise::kNone, "12", ""), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "12", "12 12"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "12", "12.5"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "12", "112"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "12", "1 2"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "`x`", "`X`"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNone, "5", "5 and 7"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNumbers, "701", "7010"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNumbers, "701", "701 and 701"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kNumbers, "702", "7,02"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kLetters, "XA", "XAB"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kLetters, "XB", "XB XB"), "<damaged>");
  EXPECT_EQ(through(source, Disguise::kUnknown, "\uE001", ""), "<damaged>");
}

TEST(Placeholders, MarksThatTheSentenceHasAreNotTaken) {
  const Sentence source = sentence("Room XA is not `x`, gate 701x.");
  const auto letters = disguise(source, Disguise::kLetters);
  ASSERT_TRUE(letters.has_value());
  for (const std::string& mark : letters->marks) EXPECT_NE(mark, "XA");
  const auto numbers = disguise(source, Disguise::kNumbers);
  for (const std::string& mark : numbers->marks) EXPECT_NE(mark, "701");
}

TEST(Placeholders, EqualPartsAreCounted) {
  const Sentence source = sentence("Not `x` but `x`.");
  EXPECT_EQ(through(source, Disguise::kNone, "Not", "Non"), "Non `x` but `x`.");
  EXPECT_EQ(through(source, Disguise::kNone, " but `x`", ""), "<damaged>");
}

TEST(Placeholders, WithoutPartsAnythingGoes) {
  EXPECT_EQ(through({"No parts here.", {}}, Disguise::kNone, "No", "12"), "12 parts here.");
}

TEST(Placeholders, TooManyPartsAreLeftAlone) {
  std::string text = "Many:";
  for (int i = 0; i < 200; ++i) text += " `x" + std::to_string(i) + "`";
  EXPECT_EQ(through(sentence(text), Disguise::kNumbers, "a", "a"), "<too many>");
}

}  // namespace
}  // namespace nativo::translate

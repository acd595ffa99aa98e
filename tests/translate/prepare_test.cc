#include "translate/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/glossary.h"

namespace nativo::translate {
namespace {

using ::testing::ElementsAre;

TEST(Prepare, ChangesNothingUnasked) {
  const std::string text = "It is 3.5 kg, `x`, on 03/05/2024.\n\t_a_ ";
  const Prepared made = prepare(text, {});
  EXPECT_EQ(made.text, text);
  EXPECT_EQ(made.spans, text::find_spans(text));
  EXPECT_EQ(made.localized, 0U);
}

TEST(Prepare, NumbersDatesAndTerms) {
  const auto glossary = text::Glossary::parse("neural network\trete neurale\nBob\t\tkeep\n", "g");
  const Prepared made = prepare(
      "Neural network of Bob: 3.5 kg on 03/05/2024, a neural network, `neural network 3.5`.",
      {{true, true}, &glossary});
  EXPECT_EQ(made.text,
            "Rete neurale of Bob: 3,5 kg on 05/03/2024, a rete neurale, `neural network 3.5`.");
  EXPECT_EQ(made.localized, 2U);
  EXPECT_EQ(made.forced, 3U);
  EXPECT_THAT(made.terms, ElementsAre(Term{"neural network", "rete neurale"}, Term{"Bob", "Bob"}));
  EXPECT_TRUE(verify_prepared(made, made.text).ok());
  // Exactly these conversions, and no others.
  const auto proof = [&](std::string_view result) {
    const auto verdict = verify_prepared(made, result);
    return verdict.ok() ? "ok" : verdict.rejection().rule + " " + verdict.rejection().value;
  };
  EXPECT_EQ(proof("`neural network 3.5`: 05/03/2024, Rete neurale di Bob, 3,5 kg, la rete neurale; "
                  "ogni rete neurale"),
            "ok");
  EXPECT_EQ(
      proof("Rete neurale di Bob: 3.5 kg il 05/03/2024, la rete neurale, `neural network 3.5`"),
      "protected_span_lost 3,5");
  EXPECT_EQ(
      proof("Rete neurale di Bob: 3,5 kg il 03/05/2024, la rete neurale, `neural network 3.5`"),
      "protected_span_lost 05/03/2024");
  EXPECT_EQ(
      proof("Rete neurale di Bob: 3,5 kg il 05/03/2024, le reti neurali, `neural network 3.5`"),
      "protected_span_lost rete neurale");
  EXPECT_EQ(proof("Rete neurale di Roberto: 3,5 kg il 05/03/2024, la rete neurale, `neural network "
                  "3.5`"),
            "protected_span_lost Bob");
}

TEST(Prepare, AMnemonicThatWouldBeNoneStays) {
  const Prepared made = prepare("[tra&slate.argos]\npackage", {});
  EXPECT_TRUE(verify_prepared(made, made.text).ok());
}

TEST(Prepare, AMnemonicMovesToTheBeginningOfItsWord) {
  const Prepared made = prepare("Sal&va now, &Open", {});
  EXPECT_EQ(made.text, "&Salva now, &Open");
  EXPECT_TRUE(verify_prepared(made, "Ora &salva, &Apri").ok());
  EXPECT_FALSE(verify_prepared(made, "Ora salva, &Apri").ok());
}

}  // namespace
}  // namespace nativo::translate

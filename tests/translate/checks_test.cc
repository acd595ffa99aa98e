#include "translate/checks.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "translate/chatter.h"
#include "translate/loops.h"
#include "translate/number_match.h"

namespace nativo::translate {
namespace {

std::optional<Measurement> measured(Check check, std::string_view source, std::string_view result,
                                    const CheckOptions& options = {}) {
  for (const Measurement& m : TranslationChecks(options, "en", "it").measure(source, result)) {
    if (m.check == check) return m;
  }
  return std::nullopt;
}

bool fails(Check check, std::string_view source, std::string_view result) {
  return measured(check, source, result)->failed();
}

TEST(Checks, AGoodTranslationPassesAll) {
  const auto all =
      TranslationChecks({}, "en", "it")
          .measure("The train leaves at 10:30 from platform 4 (see https://example.org/a).",
                   "Il treno parte alle 10.30 dal binario 4 (vedi https://example.org/a).");
  EXPECT_EQ(all.size(), kCheckCount);
  for (const Measurement& m : all)
    EXPECT_FALSE(m.failed()) << check_name(m.check) << " " << m.value;
}

TEST(Checks, EmptyAndCopied) {
  EXPECT_TRUE(fails(Check::kEmpty, "Some words.", " ... "));
  EXPECT_TRUE(fails(Check::kEmpty, "Take `x` now.", "`x`"));
  EXPECT_FALSE(fails(Check::kEmpty, "`x` 12", "`x` 12"));
  const char* const source = "Please write the answer in your own words.";
  EXPECT_DOUBLE_EQ(measured(Check::kUntranslated, source, source)->value, 1.0);
  EXPECT_TRUE(fails(Check::kUntranslated, source, source));
  EXPECT_FALSE(fails(Check::kUntranslated, source, "Scrivi la risposta con parole tue."));
  EXPECT_FALSE(fails(Check::kUntranslated, "Sky Shader", "Sky Shader"));  // names stay
}

TEST(Checks, WrongLanguage) {
  EXPECT_TRUE(fails(Check::kWrongLanguage, "x",
                    "Das ist ein ganz gewöhnlicher deutscher Satz, der hier nicht hingehört."));
  EXPECT_FALSE(fails(Check::kWrongLanguage, "x",
                     "Questa è una frase italiana del tutto normale, lunga quanto basta."));
  EXPECT_FALSE(fails(Check::kWrongLanguage, "x", "Short one"));  // too short to be sure
}

TEST(Checks, Length) {
  const std::string source =
      "The museum is open from Tuesday to Sunday, and entrance is free for students of all "
      "schools.";
  EXPECT_TRUE(fails(Check::kLengthRatio, source, "Il museo è aperto."));
  EXPECT_FALSE(fails(Check::kLengthRatio, source,
                     "Il museo è aperto da martedì a domenica e l'ingresso è gratuito per gli "
                     "studenti di tutte le scuole."));
  EXPECT_FALSE(fails(Check::kLengthRatio, "OK", "Va bene"));  // short texts vary
}

TEST(Checks, NumbersInAnyConvention) {
  const auto lost = [](std::string_view source, std::string_view result) {
    return count_lost_numbers(source, result, "it");
  };
  EXPECT_EQ(lost("It costs 3,500.20 dollars.", "Costa 3.500,20 dollari."), 0U);
  EXPECT_EQ(lost("10 000 people", "10.000 persone"), 0U);
  EXPECT_EQ(lost("at 10:30", "alle 10.30"), 0U);
  EXPECT_EQ(lost("at 3 pm", "alle 15"), 0U);
  EXPECT_EQ(lost("in the 1980s", "negli anni '80"), 0U);
  EXPECT_EQ(lost("2 cats and 2 dogs", "due gatti e 2 cani"), 0U);
  EXPECT_EQ(lost("2 cats and 2 dogs", "due gatti e cani"), 1U);
  EXPECT_EQ(lost("12 months, 365 days", "12 mesi, 356 giorni"), 1U);
  EXPECT_EQ(lost("007", "7"), 0U);
  EXPECT_EQ(lost("in the 19th century", "nel XIX secolo"), 0U);
  EXPECT_EQ(lost("the 15th time", "la quindicesima volta"), 0U);
  EXPECT_EQ(lost("at 6:00", "alle sei"), 0U);
  EXPECT_EQ(lost("no digits", "3"), 0U);
  EXPECT_EQ(lost("99999999999999999999999999", "1"), 1U);
  EXPECT_TRUE(fails(Check::kNumbersLost, "Mix 250 grams.", "Mescola i grammi."));
}

TEST(Checks, Spans) {
  EXPECT_TRUE(fails(Check::kSpansDamaged, "Open `a.txt` now.", "Apri `a.tx` ora."));
  EXPECT_TRUE(fails(Check::kSpansDamaged, "Use %s here.", "Usa qui."));
  EXPECT_FALSE(fails(Check::kSpansDamaged, "Use %s and {x}.", "Usa {x} e %s."));
  EXPECT_FALSE(fails(Check::kSpansDamaged, "Buy 3.5 kg.", "Compra 3,5 kg."));
}

TEST(Checks, Loops) {
  EXPECT_EQ(longest_loop("olive olive olive olive olive"), 17U);  // from the third on
  EXPECT_EQ(longest_loop("molto, molto bello"), 0U);
  EXPECT_EQ(longest_loop("----------------------------"), 0U);
  EXPECT_EQ(longest_loop("a                          b"), 0U);
  EXPECT_GT(longest_loop("nooooooooooooooooooooooooo"), 20U);
  EXPECT_EQ(longest_loop(""), 0U);
  EXPECT_TRUE(fails(Check::kRepetition, "He likes olives.",
                    "Gli piacciono le olive, olive, olive, olive, olive, olive, olive."));
  const char* const song = "la la la la la la la la la la la la la";
  EXPECT_FALSE(fails(Check::kRepetition, song, song));
}

TEST(Checks, Truncation) {
  EXPECT_TRUE(fails(Check::kTruncation,
                    "He opened the door, looked outside and saw that it was raining.",
                    "Aprì la porta, guardò fuori e"));
  EXPECT_TRUE(fails(Check::kTruncation, "The result (see below) is good.", "Il risultato (vedi è"));
  EXPECT_TRUE(fails(Check::kTruncation, "He said \"yes\" twice.", "Disse \"sì due volte."));
  EXPECT_FALSE(fails(Check::kTruncation, "The result (see below).", "Il risultato (vedi sotto)."));
  EXPECT_FALSE(fails(Check::kTruncation, "Smile :) now.", "Sorridi :) ora."));
}

TEST(Checks, Chatter) {
  EXPECT_EQ(count_chatter("The cat sleeps.", "Ecco la traduzione: Il gatto dorme."), 1U);
  EXPECT_EQ(count_chatter("Here is the translation.", "Ecco la traduzione."), 0U);
  EXPECT_EQ(count_chatter("The cat sleeps.", "Il gatto dorme.\nTraduzione: Il gatto dorme."), 1U);
  EXPECT_EQ(count_chatter("The cat sleeps.", "\"Il gatto dorme.\""), 1U);
  EXPECT_EQ(count_chatter("\"The cat sleeps.\"", "\"Il gatto dorme.\""), 0U);
  EXPECT_EQ(count_chatter("Tell me a secret.", "Mi dispiace, ma non posso aiutarti."), 1U);
  EXPECT_EQ(count_chatter("I'm sorry, but I can't.", "Mi dispiace, ma non posso."), 0U);
  EXPECT_EQ(count_chatter("As an AI, I think.", "As an AI, penso."), 0U);
  EXPECT_EQ(count_chatter("Hello", "<think>hm</think>Ciao"), 2U);
}

TEST(Checks, OffAndLimitsComeFromTheOptions) {
  CheckOptions options;
  options.off = {"chatter", "empty"};
  EXPECT_EQ(TranslationChecks(options, "en", "it").measure("a", "b").size(), kCheckCount - 2);
  EXPECT_FALSE(measured(Check::kChatter, "a", "b", options).has_value());
  options.numbers_lost = 1;
  EXPECT_FALSE(measured(Check::kNumbersLost, "4567", "x", options)->failed());
  options.off = {"chater"};
  EXPECT_THROW(TranslationChecks(options, "en", "it"), Error);
}

TEST(Checks, AnyBytesAreMeasured) {
  const std::string_view hostile[] = {"",           "\xff\xfe", "(((((",    "\"",
                                      "1.1.1.1.1.", "\xe2\x80", "{{{{%s%%", "9'9'9'9 9 9"};
  const TranslationChecks checks({}, "xx", "yy");
  for (const std::string_view a : hostile) {
    for (const std::string_view b : hostile) {
      EXPECT_EQ(checks.measure(a, b).size(), kCheckCount);
    }
  }
}

}  // namespace
}  // namespace nativo::translate

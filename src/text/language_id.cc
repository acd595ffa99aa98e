#include "text/language_id.h"

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <array>

#include "base/strings.h"
#include "text/normalize.h"

namespace nativo::text {
namespace {

std::string code_of(CLD2::Language language) {
  if (language == CLD2::UNKNOWN_LANGUAGE) return {};
  const std::string code = CLD2::LanguageCode(language);
  // Hebrew's code before ISO 639 changed it.
  if (code == "iw") return "he";
  return code;
}

}  // namespace

LanguageGuess identify_prose(std::string_view prose_text) {
  const std::string_view sample = utf8_prefix(prose_text, std::size_t{1} << 20);
  const CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  std::array<CLD2::Language, 3> languages = {CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE,
                                             CLD2::UNKNOWN_LANGUAGE};
  std::array<int, 3> percents{};
  std::array<double, 3> scores{};
  int text_bytes = 0;
  bool reliable = false;
  int valid_bytes = 0;
  const CLD2::Language best = CLD2::ExtDetectLanguageSummaryCheckUTF8(
      sample.data(), static_cast<int>(sample.size()), /*is_plain_text=*/true, &hints, /*flags=*/0,
      languages.data(), percents.data(), scores.data(), nullptr, &text_bytes, &reliable,
      &valid_bytes);
  LanguageGuess guess;
  if (best == CLD2::UNKNOWN_LANGUAGE) return guess;
  guess.lang = code_of(languages[0]);
  guess.score = percents[0] / 100.0;
  guess.reliable = reliable && !guess.lang.empty();
  guess.second = code_of(languages[1]);
  guess.second_score = guess.second.empty() ? 0.0 : percents[1] / 100.0;
  guess.bytes = text_bytes;
  return guess;
}

LanguageGuess identify(std::string_view text) { return identify_prose(prose(text)); }

}  // namespace nativo::text

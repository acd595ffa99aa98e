// What a language model said, made into a translation or refused with a reason. Models chat around
// the answer, put fences around it, say it twice, lose lines: what cannot be misunderstood is put
// right, everything else is damage.
// Rule: nothing of the answer is believed unless it stands between the tags that were asked for.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace nativo::translate {

/// The name of the tag around the answer: "translation", or with a number when `source` has that.
[[nodiscard]] std::string answer_tag(std::string_view source);

/// The translation of `source` in `answer`, laid out like it: the same white space around every
/// line, the same empty lines. Rejections: no_translation, unfinished_translation,
/// several_translations, empty_translation, control_characters, lines_changed, and those of
/// text::verify_protected. Their value completes "that translation cannot be used: ".
[[nodiscard]] Result<std::string> translation_in(std::string_view source, std::string_view answer,
                                                 std::string_view tag);

}  // namespace nativo::translate

// The translations that deserve a look, side by side with what they were made of: the worst that
// were kept, and some that were rejected. For the report; nothing else depends on it.
#pragma once

#include <cstddef>
#include <filesystem>

#include "base/json.h"

namespace nativo::translate {

/// From the finished stage `translated` and the stage `input` that it read:
///   {"format": 1, "key": the stage's,
///    "worst": [{"source", "translation", "step", "length_ratio", "unknown_words", "round_trip"?,
///               "failures": [{"step", "rule", "value"}]}],
///    "rejected": [{"source", "rule", "value", "failures"?}]}
/// Worst first: unknown words, a length far from what is usual in this stage, a low round trip, and
/// failures on the way all count. At most `count` pairs and `count` rejects, of each rule some.
/// Texts are cut after 800 bytes. The same bytes for the same stages. Throws Error for damaged
/// stages.
[[nodiscard]] Json review_translations(const std::filesystem::path& translated,
                                       const std::filesystem::path& input, std::size_t count);

}  // namespace nativo::translate

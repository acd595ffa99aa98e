// The regular expressions of a tokenizer.json (GPT-2, Llama 3, Qwen, GPT-4o, DeepSeek and their
// like), matched as Oniguruma matches them: the first alternative that fits, greedy, with
// backtracking. A subset of its syntax; what is outside is refused, never guessed.
// Characters have the properties of the ICU that is linked (Unicode 15 in Debian 12).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text/byte_range.h"
#include "text/code_point_classes.h"

namespace nativo::text {

/// A compiled pattern: literals, classes ([..], nested, &&, ranges, \s \S \d \D \w \W \h, \p{..} by
/// ICU's names, \uHHHH, \x{..}), groups, (?i:..), (?:..), |, ? * + {m,n}, possessive ?+ *+ ++,
/// (?=..) (?!..), one-class (?<=.) (?<!.), ^ $ \A \z and the dot. Thread-safe after construction.
class SplitPattern {
 public:
  /// Throws Error(kData) that says what in `pattern` is not supported and where.
  explicit SplitPattern(std::string_view pattern);

  /// The non-empty spans [begin, end) of all matches in `text` (well-formed UTF-8), in order;
  /// an empty match gives (p, p). Throws Error(kData) when a text makes the pattern backtrack
  /// beyond 2^31 steps.
  [[nodiscard]] std::vector<ByteRange> find_all(std::string_view text) const;
  /// As above, appended to `matches`, with `base` added to each offset.
  void find_all(std::string_view text, std::size_t base, std::vector<ByteRange>& matches) const;

  enum class Op : std::uint8_t {
    kClass,      ///< one code point of the class
    kClassLoop,  ///< min to max of them, as many as possible
    kSplit,      ///< go on at `next`; if that fails, at `other`
    kJump,       ///< to `next`
    kLook,  ///< what starts behind must match here (or must not), nothing consumed; `next` after
    kLookBehind,  ///< the code point before is of the class (or is not)
    kAtomic,      ///< what starts behind matches once and for all; `next` after
    kLineStart,
    kLineEnd,
    kTextStart,
    kTextEnd,
    kMatch,
  };
  struct Instruction {
    Op op = Op::kMatch;
    bool flag = false;       ///< kClassLoop: possessive; kLook, kLookBehind: negative
    std::uint32_t mask = 0;  ///< the class
    std::uint32_t min = 0;
    std::uint32_t max = 0;  ///< kClassLoop; kUnlimited = no end
    std::uint32_t next = 0;
    std::uint32_t other = 0;
  };
  static constexpr std::uint32_t kUnlimited = 0xFFFFFFFF;

 private:
  struct Frame {
    std::uint32_t pc = 0;
    bool range = false;  ///< gives back one code point after another, down to `low`
    std::size_t position = 0;
    std::size_t low = 0;
  };
  std::optional<std::size_t> match(std::string_view text, std::size_t position, std::uint32_t pc,
                                   std::vector<Frame>& stack, std::uint64_t& budget) const;

  std::vector<Instruction> program_;
  std::optional<CodePointClasses> classes_;
};

}  // namespace nativo::text

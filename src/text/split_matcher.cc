// SplitPattern's matching: a program of few instructions, and an explicit stack to go back on.
#include "base/error.h"
#include "text/split_pattern.h"

namespace nativo::text {
namespace {

constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 31;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::size_t step_back(std::string_view text, std::size_t position) {
  --position;
  while (position > 0 && is_continuation(text[position])) --position;
  return position;
}

}  // namespace

std::optional<std::size_t> SplitPattern::match(std::string_view text, std::size_t position,
                                               std::uint32_t pc, std::vector<Frame>& stack,
                                               std::uint64_t& budget) const {
  const std::size_t bottom = stack.size();
  const auto spend = [&budget](std::uint64_t steps) {
    if (budget < steps) {
      throw Error(ExitCode::kData, "a pattern of the tokenizer takes too long on this text",
                  "cut the text into shorter lines");
    }
    budget -= steps;
  };
  while (true) {
    const Instruction& at = program_[pc];
    bool failed = false;
    switch (at.op) {
      case Op::kMatch:
        stack.resize(bottom);
        return position;
      case Op::kClass: {
        std::size_t after = position;
        failed = position == text.size() || (classes_->of(decode_utf8(text, after)) & at.mask) == 0;
        if (!failed) position = after;
        ++pc;
        break;
      }
      case Op::kClassLoop: {
        std::uint32_t count = 0;
        std::size_t low = position;
        const std::size_t start = position;
        while (count < at.max && position < text.size()) {
          std::size_t after = position;
          if ((classes_->of(decode_utf8(text, after)) & at.mask) == 0) break;
          position = after;
          if (++count == at.min) low = position;
        }
        spend(position - start);
        failed = count < at.min;
        ++pc;
        if (!failed && !at.flag && position > low) stack.push_back({pc, true, position, low});
        break;
      }
      case Op::kSplit:
        stack.push_back({at.other, false, position, 0});
        pc = at.next;
        break;
      case Op::kJump:
        pc = at.next;
        break;
      case Op::kLook:
        failed = match(text, position, pc + 1, stack, budget).has_value() == at.flag;
        pc = at.next;
        break;
      case Op::kAtomic: {
        const auto end = match(text, position, pc + 1, stack, budget);
        failed = !end;
        if (end) position = *end;
        pc = at.next;
        break;
      }
      case Op::kLookBehind: {
        bool there = false;
        if (position > 0) {
          std::size_t before = step_back(text, position);
          there = (classes_->of(decode_utf8(text, before)) & at.mask) != 0;
        }
        failed = there == at.flag;
        ++pc;
        break;
      }
      case Op::kLineStart:
        failed = position != 0 && (text[position - 1] != '\n' || position == text.size());
        ++pc;
        break;
      case Op::kLineEnd:
        failed = position != text.size() && text[position] != '\n';
        ++pc;
        break;
      case Op::kTextStart:
        failed = position != 0;
        ++pc;
        break;
      case Op::kTextEnd:
        failed = position != text.size();
        ++pc;
        break;
    }
    spend(1);
    if (!failed) continue;
    if (stack.size() == bottom) return std::nullopt;
    Frame& frame = stack.back();
    pc = frame.pc;
    if (frame.range) {
      position = frame.position = step_back(text, frame.position);
      if (frame.position == frame.low) stack.pop_back();
    } else {
      position = frame.position;
      stack.pop_back();
    }
  }
}

void SplitPattern::find_all(std::string_view text, std::size_t base,
                            std::vector<ByteRange>& matches) const {
  std::vector<Frame> stack;
  std::uint64_t budget = kMostSteps;
  std::optional<std::size_t> last_end;
  for (std::size_t position = 0; position <= text.size();) {
    const auto end = match(text, position, 0, stack, budget);
    // An empty match right behind another match does not count.
    if (end && (*end > position || last_end != *end)) {
      matches.emplace_back(base + position, base + *end);
      last_end = *end;
    }
    if (end && *end > position) {
      position = *end;
    } else if (position < text.size()) {
      static_cast<void>(decode_utf8(text, position));
    } else {
      break;
    }
  }
}

std::vector<ByteRange> SplitPattern::find_all(std::string_view text) const {
  std::vector<ByteRange> matches;
  find_all(text, 0, matches);
  return matches;
}

}  // namespace nativo::text

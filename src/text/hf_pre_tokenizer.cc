#include "text/hf_pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/strings.h"
#include "text/code_point_classes.h"
#include "text/hf_json.h"
#include "text/hf_normalizer.h"
#include "text/split_pattern.h"

namespace nativo::text {
namespace {

using Span = PreTokenized::Span;

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxSteps = 64;

/// Encoder.pat of GPT-2.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

enum class Behavior : std::uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

Behavior read_behavior(JsonObject& object, std::string_view absent) {
  const std::string_view name = object.text_or("behavior", absent);
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  refuse_json(object.path_of("behavior"), fmt::format("\"{}\" is not supported", printable(name)));
}

/// Cuts one piece by the matches inside it and appends the parts that are not empty.
class Cutter {
 public:
  Cutter(Behavior behavior, bool invert) : behavior_(behavior), invert_(invert) {}

  void cut(Span piece, const std::vector<Span>& matches, std::vector<Span>& parts) {
    run_ = false;
    open_ = {0, 0};
    std::size_t given = piece.first;
    const auto part = [&](std::size_t begin, std::size_t end, bool match) {
      take({begin, end}, match != invert_, parts);
    };
    for (const auto& [begin, end] : matches) {
      if (given != begin) part(given, begin, false);
      part(begin, end, true);
      given = end;
    }
    if (given != piece.second) part(given, piece.second, false);
    close(parts);
  }

 private:
  void close(std::vector<Span>& parts) {
    if (open_.first < open_.second) parts.push_back(open_);
    open_ = {0, 0};
  }

  // `open_` is the part that the next one may still join.
  void take(Span part, bool match, std::vector<Span>& parts) {
    bool joins = false;
    switch (behavior_) {
      case Behavior::kRemoved:
        close(parts);
        if (!match) open_ = part;
        return;
      case Behavior::kIsolated:
        break;
      case Behavior::kContiguous:
        joins = match == run_;
        break;
      case Behavior::kMergedWithPrevious:
        joins = match && !run_;
        break;
      case Behavior::kMergedWithNext:
        joins = run_ && !match;
        break;
    }
    run_ = match;
    if (joins && open_.first < open_.second) {
      open_.second = part.second;
    } else {
      close(parts);
      open_ = part;
    }
  }

  Behavior behavior_;
  bool invert_;
  bool run_ = false;  ///< the last part was a match
  Span open_ = {0, 0};
};

template <class Find>
void split_pieces(PreTokenized& text, Behavior behavior, bool invert, const Find& find) {
  text.scratch.clear();
  Cutter cutter(behavior, invert);
  for (const Span& piece : text.pieces) {
    text.matches.clear();
    find(std::string_view(text.text.text()).substr(piece.first, piece.second - piece.first),
         piece.first, text.matches);
    cutter.cut(piece, text.matches, text.scratch);
  }
  text.pieces.swap(text.scratch);
}

/// Bytes of the first letter: a mark that is put before it comes from it.
std::size_t first_letter(std::string_view piece) {
  std::size_t end = 0;
  if (!piece.empty()) static_cast<void>(decode_utf8(piece, end));
  return end;
}

/// Each letter of the class is a match of its own.
auto find_letters(Letters letters) {
  return [letters](std::string_view text, std::size_t base, std::vector<Span>& matches) {
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t start = i;
      if (is(decode_utf8(text, i), letters)) matches.emplace_back(base + start, base + i);
    }
  };
}

/// Writes the pieces anew, one behind another; rewrite(piece, its offset, first, writer) writes
/// one.
template <class Rewrite>
void rewrite_pieces(PreTokenized& text, const Rewrite& rewrite) {
  AlignedWriter writer(text.text);
  text.starts_text = text.starts_text && !text.pieces.empty() && text.pieces.front().first == 0;
  bool first = text.starts_text;
  for (Span& piece : text.pieces) {
    const std::size_t begin = writer.size();
    rewrite(std::string_view(text.text.text()).substr(piece.first, piece.second - piece.first),
            piece.first, first, writer);
    piece = {begin, writer.size()};
    first = false;
  }
  writer.commit();
}

}  // namespace

HfPreTokenizer::HfPreTokenizer(simdjson::dom::element json, std::string_view path) {
  add(json, std::string(path), 0);
}

void HfPreTokenizer::operator()(PreTokenized& text) const {
  for (const Step& step : steps_) step(text);
}

void HfPreTokenizer::add_byte_level(JsonObject& object) {
  object.ignore("trim_offsets");
  const bool add_space = object.flag_or("add_prefix_space", true);
  const bool use_regex = object.flag_or("use_regex", true);
  if (add_space) {
    steps_.emplace_back([](PreTokenized& text) {
      rewrite_pieces(
          text, [](std::string_view piece, std::size_t base, bool /*first*/, AlignedWriter& out) {
            if (!piece.starts_with(' ')) out.put(" ", base, base + first_letter(piece));
            out.keep(base, base + piece.size());
          });
    });
  }
  if (use_regex) {
    steps_.emplace_back(
        [pattern = std::make_shared<const SplitPattern>(kGpt2Pattern)](PreTokenized& text) {
          split_pieces(text, Behavior::kIsolated, false,
                       [&](std::string_view piece, std::size_t base, std::vector<Span>& matches) {
                         pattern->find_all(piece, base, matches);
                       });
        });
  }
  byte_level_ = true;
}

void HfPreTokenizer::add_metaspace(JsonObject& object) {
  const std::string mark(object.text("replacement"));
  if (count_code_points(mark) != 1) {
    refuse_json(object.path_of("replacement"), "is not one character");
  }
  object.ignore("str_rep");
  const bool add_prefix = object.flag_or("add_prefix_space", true);
  const std::string_view scheme = object.text_or("prepend_scheme", add_prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    refuse_json(object.path_of("prepend_scheme"),
                fmt::format("\"{}\" is not supported", printable(scheme)));
  }
  const bool always = scheme == "always";
  const bool at_start = scheme == "first";
  steps_.emplace_back([mark, always, at_start](PreTokenized& text) {
    rewrite_pieces(text, [&](std::string_view piece, std::size_t base, bool first,
                             AlignedWriter& out) {
      if ((always || (at_start && first)) && !piece.starts_with(mark) && !piece.starts_with(' ')) {
        out.put(mark, base, base + first_letter(piece));
      }
      for (std::size_t i = 0; i < piece.size();) {
        const std::size_t space = std::min(piece.find(' ', i), piece.size());
        out.keep(base + i, base + space);
        if (space < piece.size()) out.put(mark, base + space, base + space + 1);
        i = space + 1;
      }
    });
  });
  if (!object.flag_or("split", true)) return;
  steps_.emplace_back([mark](PreTokenized& text) {
    split_pieces(text, Behavior::kMergedWithNext, false,
                 [&](std::string_view piece, std::size_t base, std::vector<Span>& matches) {
                   for (std::size_t at = piece.find(mark); at != std::string_view::npos;
                        at = piece.find(mark, at + mark.size())) {
                     matches.emplace_back(base + at, base + at + mark.size());
                   }
                 });
  });
}

void HfPreTokenizer::add_split(JsonObject& object) {
  const HfPattern pattern(object.require("pattern"), object.path_of("pattern"));
  const Behavior behavior = read_behavior(object, "");
  const bool invert = object.flag_or("invert", false);
  steps_.emplace_back([pattern, behavior, invert](PreTokenized& text) {
    split_pieces(text, behavior, invert,
                 [&](std::string_view piece, std::size_t base, std::vector<Span>& matches) {
                   pattern.find_all(piece, base, matches);
                 });
  });
}

void HfPreTokenizer::add(simdjson::dom::element json, const std::string& path, int depth) {
  if (depth > kMaxDepth || steps_.size() > kMaxSteps) refuse_json(path, "nests too deep");
  if (byte_level_) refuse_json(path, "stands behind ByteLevel, which must be the last");
  JsonObject object(json, path);
  const std::string_view type = object.text("type");
  const auto letters = [this](Letters which, Behavior behavior) {
    steps_.emplace_back([which, behavior](PreTokenized& text) {
      split_pieces(text, behavior, false, find_letters(which));
    });
  };
  if (type == "Sequence") {
    std::size_t index = 0;
    for (const simdjson::dom::element child : object.array("pretokenizers")) {
      add(child, fmt::format("{}.pretokenizers[{}]", path, index++), depth + 1);
    }
  } else if (type == "ByteLevel") {
    add_byte_level(object);
  } else if (type == "Metaspace") {
    add_metaspace(object);
  } else if (type == "Split") {
    add_split(object);
  } else if (type == "Digits") {
    const bool apart = object.flag_or("individual_digits", false);
    letters(Letters::kNumeric, apart ? Behavior::kIsolated : Behavior::kContiguous);
  } else if (type == "Punctuation") {
    letters(Letters::kPunctuation, read_behavior(object, "Isolated"));
  } else if (type == "WhitespaceSplit") {
    letters(Letters::kWhiteSpace, Behavior::kRemoved);
  } else if (type == "BertPreTokenizer") {
    letters(Letters::kWhiteSpace, Behavior::kRemoved);
    letters(Letters::kPunctuation, Behavior::kIsolated);
  } else if (type == "Whitespace") {
    steps_.emplace_back([](PreTokenized& text) {
      // \w+|[^\w\s]+, what is neither is dropped.
      split_pieces(text, Behavior::kRemoved, true,
                   [](std::string_view piece, std::size_t base, std::vector<Span>& matches) {
                     const auto kind = [&](std::size_t& i) {
                       const char32_t c = decode_utf8(piece, i);
                       return is(c, Letters::kWord) ? 1 : is(c, Letters::kWhiteSpace) ? 0 : 2;
                     };
                     for (std::size_t i = 0; i < piece.size();) {
                       const std::size_t begin = i;
                       const int first = kind(i);
                       for (std::size_t after = i; i < piece.size() && kind(after) == first;) {
                         i = after;
                       }
                       if (first != 0) matches.emplace_back(base + begin, base + i);
                     }
                   });
    });
  } else if (type == "CharDelimiterSplit") {
    const std::string delimiter(object.text("delimiter"));
    if (count_code_points(delimiter) != 1) {
      refuse_json(object.path_of("delimiter"), "is not one character");
    }
    steps_.emplace_back([delimiter](PreTokenized& text) {
      split_pieces(text, Behavior::kRemoved, false,
                   [&](std::string_view piece, std::size_t base, std::vector<Span>& matches) {
                     for (std::size_t at = piece.find(delimiter); at != std::string_view::npos;
                          at = piece.find(delimiter, at + delimiter.size())) {
                       matches.emplace_back(base + at, base + at + delimiter.size());
                     }
                   });
    });
  } else {
    refuse_json(object.path_of("type"), fmt::format("\"{}\" is not supported", printable(type)));
  }
  object.done();
}

}  // namespace nativo::text

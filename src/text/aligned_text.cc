#include "text/aligned_text.h"

#include "base/error.h"

namespace nativo::text {
namespace {

struct Unit {
  std::size_t bytes = 1;
  bool well_formed = false;
};

/// What stands at `start`: a letter, or a maximal part of one (Unicode 15, tables 3-7 and 3-8).
Unit unit_at(std::string_view text, std::size_t start) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(start);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (start + i == text.size() || byte(start + i) < low || byte(start + i) > high) {
      return {i, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

/// 18 times is the most of NFKD; a hostile Replace or charsmap could do more.
std::size_t most_bytes_of(std::size_t source) { return (std::size_t{16} << 20) + 32 * source; }

}  // namespace

ByteRange AlignedText::origin(ByteRange bytes) const {
  const auto [begin, end] = bytes;
  if (origins_.empty()) return bytes;
  if (begin < end) return {origins_[begin].first, origins_[end - 1].second};
  const std::size_t place =
      begin < origins_.size() ? origins_[begin].first : origins_.back().second;
  return {place, place};
}

AlignedText AlignedText::part(ByteRange bytes) const {
  const auto [begin, end] = bytes;
  AlignedText part(text_.substr(begin, end - begin), tracked_);
  if (!tracked_) return part;
  part.origins_.reserve(end - begin);
  for (std::size_t i = begin; i < end; ++i) part.origins_.push_back(origin({i, i + 1}));
  return part;
}

AlignedWriter::AlignedWriter(AlignedText& source) : source_(source) {
  text_.reserve(source.text_.size() + 16);
  if (source.tracked_) origins_.reserve(source.text_.size() + 16);
}

void AlignedWriter::keep(std::size_t begin, std::size_t end) {
  text_.append(source_.text_, begin, end - begin);
  if (!source_.tracked_) return;
  for (std::size_t i = begin; i < end; ++i) origins_.push_back(source_.origin({i, i + 1}));
}

void AlignedWriter::put(std::string_view text, std::size_t begin, std::size_t end) {
  if (text_.size() + text.size() > most_bytes_of(source_.text_.size())) {
    throw Error(ExitCode::kData, "the tokenizer blows a text up beyond all bounds",
                "its normalizer is damaged");
  }
  text_ += text;
  if (source_.tracked_) origins_.insert(origins_.end(), text.size(), source_.origin({begin, end}));
}

void AlignedWriter::commit() {
  source_.text_ = std::move(text_);
  source_.origins_ = std::move(origins_);
}

AlignedText aligned_utf8(std::string_view bytes, bool tracked) {
  AlignedText text(std::string(bytes), tracked);
  AlignedWriter writer(text);
  for (std::size_t i = 0; i < bytes.size();) {
    const Unit unit = unit_at(bytes, i);
    if (unit.well_formed) {
      writer.keep(i, i + unit.bytes);
    } else {
      writer.put("\xEF\xBF\xBD", i, i + unit.bytes);
    }
    i += unit.bytes;
  }
  writer.commit();
  return text;
}

}  // namespace nativo::text

// A text that is being rewritten, and the bytes of the original that its bytes come from.
// Rule: a step never changes the text itself, it writes it anew with an AlignedWriter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/byte_range.h"

namespace nativo::text {

class AlignedText {
 public:
  AlignedText() = default;
  /// `text` is the original. Untracked, origins are not kept and origin() must not be asked.
  AlignedText(std::string text, bool tracked) : text_(std::move(text)), tracked_(tracked) {}

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool tracked() const { return tracked_; }
  [[nodiscard]] std::string take() { return std::move(text_); }
  /// `bytes` of it as a text of its own, of the same original.
  [[nodiscard]] AlignedText part(ByteRange bytes) const;

  /// Where `bytes` of text() come from in the original: from the begin of the first one's origin to
  /// the end of the last one's. An empty range gives the place where it would stand.
  [[nodiscard]] ByteRange origin(ByteRange bytes) const;

  /// Replaces every byte by change(byte): for steps that keep all lengths.
  template <class Change>
  void change_bytes(const Change& change) {
    for (char& c : text_) c = change(c);
  }

 private:
  friend class AlignedWriter;
  std::string text_;
  std::vector<ByteRange> origins_;  ///< by byte; empty while text_ is the original
  bool tracked_ = false;
};

/// Writes a text anew from parts of `source`, which takes it over at commit().
class AlignedWriter {
 public:
  explicit AlignedWriter(AlignedText& source);

  /// Appends the source's bytes [begin, end) as they are.
  void keep(std::size_t begin, std::size_t end);
  /// Appends `text`, which the source's bytes [begin, end) became.
  void put(std::string_view text, std::size_t begin, std::size_t end);
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  void commit();

 private:
  AlignedText& source_;
  std::string text_;
  std::vector<ByteRange> origins_;
};

/// `bytes` with each maximal ill-formed part replaced by U+FFFD (Unicode 15, table 3-8; the WHATWG
/// decoder).
[[nodiscard]] AlignedText aligned_utf8(std::string_view bytes, bool tracked);

}  // namespace nativo::text

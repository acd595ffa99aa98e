// Generation state: a key/value cache over one growing sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "model/decoder.h"

namespace nativo::model {

/// One sequence being decoded. The decoder must outlive it and its parameters must not change.
/// Invariant (tested): logits equal those of Decoder's full forward to rounding.
class DecodeSession {
 public:
  /// `capacity` tokens at most; memory is 2 * L * K * D * capacity floats.
  DecodeSession(const Decoder& decoder, std::int64_t capacity);
  ~DecodeSession();
  DecodeSession(DecodeSession&&) noexcept;
  DecodeSession& operator=(DecodeSession&&) noexcept;

  /// Appends `tokens` (ids in [0, V); length() + tokens.size() <= capacity) and returns the logits
  /// [V] that follow the last of them; valid until the next call.
  std::span<const float> append(std::span<const std::int32_t> tokens);

  /// Forgets all tokens from `length` on (0 <= length <= length()).
  void truncate(std::int64_t length);

  [[nodiscard]] std::int64_t length() const;
  [[nodiscard]] std::int64_t capacity() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace nativo::model

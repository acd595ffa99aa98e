// Digests: SHA-256 for files that must be trusted, XXH3-128 for content ids and keys of tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nativo {

/// Streaming SHA-256 (FIPS 180-4). Feed with update(), then call hex() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits. The object cannot be fed after this.
  [[nodiscard]] std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 of `bytes`, 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

/// XXH3, 128 bits, as 32 lower-case hex digits. Not for integrity against an adversary.
[[nodiscard]] std::string xxh128_hex(std::string_view bytes);

/// XXH3, 64 bits.
[[nodiscard]] std::uint64_t xxh64(std::string_view bytes, std::uint64_t seed = 0);

}  // namespace nativo

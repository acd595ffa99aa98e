// Looks at the bytes of a sentencepiece model before the library does. Not a second reader of the
// format: it only refuses what sentencepiece 0.1.97 does not survive.
// Rule: every number in the file is a lie until it has been compared with the bytes that are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nativo::text {

/// SentencePiece.Type of sentencepiece_model.proto.
enum class PieceType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

inline constexpr std::size_t kMaxPieceBytes = 1024;
inline constexpr std::size_t kMaxPieces = 1'000'000;
inline constexpr std::size_t kMaxModelBytes = std::size_t{64} << 20;

/// Checks the protobuf of a ModelProto (github.com/google/sentencepiece,
/// src/sentencepiece_model.proto) down to its fields: sizes, types, finite scores, exactly one
/// unknown piece, a normaliser trie whose walks stay inside it. Bounded: time and memory are linear
/// in the bytes. Returns the pieces' types by id. Throws Error(kData) that names `name` and the
/// place.
[[nodiscard]] std::vector<PieceType> check_sentencepiece_model(std::string_view bytes,
                                                               std::string_view name);

/// Checks a precompiled character map (see text/charsmap.h): no walk through its trie leaves its
/// bytes. Linear in the bytes; "" is none, and fine. Throws Error(kData) that names `name`.
void check_charsmap(std::string_view blob, std::string_view name);

}  // namespace nativo::text

#include "text/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::text {
namespace {

// Reads one message's fields in order (protobuf.dev/programming-guides/encoding). Groups do not
// occur in this format and are refused.
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t varint = 0;
  std::uint32_t fixed32 = 0;
  std::string_view bytes;
};

class Checker {
 public:
  explicit Checker(std::string_view name) : name_(name) {}

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ExitCode::kData,
                fmt::format("{}: not a usable sentencepiece model: {}", printable(name_), what),
                "give the tokenizer.model file that belongs to the weights, unchanged");
  }

  void require(bool condition, std::string_view what) const {
    if (!condition) fail(what);
  }

 private:
  std::string_view name_;
};

class MessageReader {
 public:
  MessageReader(std::string_view bytes, std::string_view where, const Checker& checker)
      : bytes_(bytes), where_(where), checker_(checker) {}

  std::optional<Field> next() {
    if (position_ == bytes_.size()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field;
    field.number = tag >> 3;
    if (field.number == 0 || field.number > 0x1FFFFFFF) fail("has a field number that cannot be");
    switch (tag & 7) {
      case 0:
        field.wire = Wire::kVarint;
        field.varint = varint();
        break;
      case 1:
        field.wire = Wire::kFixed64;
        take(8);
        break;
      case 2: {
        field.wire = Wire::kBytes;
        const std::uint64_t length = varint();
        if (length > bytes_.size() - position_) fail("has a field longer than the bytes left");
        field.bytes = take(static_cast<std::size_t>(length));
        break;
      }
      case 5:
        field.wire = Wire::kFixed32;
        std::memcpy(&field.fixed32, take(4).data(), 4);
        break;
      default:
        fail("has a field of a kind that cannot be");
    }
    return field;
  }

  void expect(const Field& field, Wire wire) const {
    if (field.wire != wire) fail(fmt::format("has field {} as another type", field.number));
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    checker_.fail(fmt::format("{} {} (at its byte {})", where_, what, position_));
  }

  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - position_) fail("is cut short");
    const std::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1)[0]);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail("has a number of more than 64 bits");
  }

  std::string_view bytes_;
  std::string_view where_;
  const Checker& checker_;
  std::size_t position_ = 0;
};

struct Piece {
  std::string_view text;
  PieceType type = PieceType::kNormal;
};

Piece read_piece(std::string_view bytes, std::size_t id, const Checker& checker) {
  const std::string where = fmt::format("piece {}", id);
  MessageReader reader(bytes, where, checker);
  Piece piece;
  while (const auto field = reader.next()) {
    if (field->number == 1) {
      reader.expect(*field, Wire::kBytes);
      piece.text = field->bytes;
    } else if (field->number == 2) {
      reader.expect(*field, Wire::kFixed32);
      checker.require(std::isfinite(std::bit_cast<float>(field->fixed32)),
                      where + " has a score that is not a number");
    } else if (field->number == 3) {
      reader.expect(*field, Wire::kVarint);
      checker.require(field->varint >= 1 && field->varint <= 6, where + " has an unknown type");
      piece.type = static_cast<PieceType>(field->varint);
    } else {
      checker.fail(fmt::format("{} has an unknown field {}", where, field->number));
    }
  }
  checker.require(!piece.text.empty(), where + " is empty");
  checker.require(
      piece.text.size() <= kMaxPieceBytes,
      fmt::format("{} is {} bytes long, more than {}", where, piece.text.size(), kMaxPieceBytes));
  checker.require(piece.text.find('\0') == std::string_view::npos, where + " holds a NUL");
  checker.require(is_valid_utf8(piece.text), where + " is not UTF-8");
  // Merging never makes control pieces, but a single letter is named by a table that holds them
  // too: the library would then make one from plain text, and fail on it.
  checker.require(piece.type != PieceType::kControl || count_code_points(piece.text) > 1,
                  where + " is a control piece of one letter");
  return piece;
}

// A character map is a double-array trie (darts-clone: 32-bit units) before a block of NUL-ended
// strings that its leaves point into. The library follows both without looking at their sizes, and
// keeps at most 32 leaves on one walk.
constexpr int kMaxLeavesOnAWalk = 32;
constexpr std::size_t kMaxCharsmapBytes = std::size_t{1} << 20;  // XLM-R's has 237 KB

void check_charsmap(std::string_view blob, const Checker& checker) {
  if (blob.empty()) return;
  checker.require(blob.size() <= kMaxCharsmapBytes, "its character map is larger than 1 MiB");
  std::uint32_t trie_bytes = 0;
  checker.require(blob.size() > sizeof trie_bytes, "its character map is cut short");
  std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  checker.require(trie_bytes % 4 == 0 && trie_bytes > 0 && trie_bytes < blob.size() - 4,
                  "its character map has a trie of an impossible size");
  const std::size_t units = trie_bytes / 4;
  const std::string_view strings = blob.substr(4 + trie_bytes);
  checker.require(strings.back() == '\0', "its character map's last string has no end");
  const auto unit = [&](std::size_t index) {
    std::uint32_t value = 0;
    std::memcpy(&value, blob.data() + 4 + 4 * index, 4);
    return value;
  };
  const auto offset = [](std::uint32_t u) -> std::size_t {
    return static_cast<std::size_t>(u >> 10) << ((u & (1U << 9)) >> 6);
  };

  // Nodes share their continuations, and a NUL in a text may follow unused units, so this is no
  // tree: each node is visited again when a walk with more leaves reaches it.
  std::vector<std::int8_t> most_leaves(units, -1);
  std::vector<std::size_t> open;
  const auto reach = [&](std::size_t node, int leaves) {
    checker.require((node | 0xFF) < units, "its character map's trie leaves its bytes");
    checker.require(leaves <= kMaxLeavesOnAWalk,
                    "its character map has too many rules for one place");
    if (leaves <= most_leaves[node]) return;
    most_leaves[node] = static_cast<std::int8_t>(leaves);
    open.push_back(node);
  };
  reach(offset(unit(0)), 0);
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    for (std::size_t label = 0; label < 256; ++label) {
      const std::uint32_t u = unit(node ^ label);
      if ((u & ((1U << 31) | 0xFF)) != label) continue;
      const std::size_t below = node ^ label ^ offset(u);
      const bool has_leaf = ((u >> 8) & 1) != 0;
      reach(below, most_leaves[node] + (has_leaf ? 1 : 0));
      checker.require(!has_leaf || (unit(below) & ((1U << 31) - 1)) < strings.size(),
                      "its character map points beyond its strings");
    }
  }
}

void check_normalizer(std::string_view bytes, std::string_view where, const Checker& checker) {
  MessageReader reader(bytes, where, checker);
  while (const auto field = reader.next()) {
    if (field->number == 2) {
      reader.expect(*field, Wire::kBytes);
      check_charsmap(field->bytes, checker);
    }
  }
}

// unigram = 1 and bpe = 2 are the kinds that real models have.
void check_trainer(std::string_view bytes, const Checker& checker) {
  constexpr std::uint64_t kModelType = 3;
  constexpr std::uint64_t kUnkSurface = 44;
  constexpr std::uint64_t kUnkPiece = 45;
  constexpr std::uint64_t kPadPiece = 48;
  MessageReader reader(bytes, "its trainer_spec", checker);
  while (const auto field = reader.next()) {
    if (field->number == kModelType) {
      reader.expect(*field, Wire::kVarint);
      checker.require(field->varint == 1 || field->varint == 2,
                      "its kind is neither BPE nor unigram");
    } else if (field->number >= kUnkSurface && field->number <= kPadPiece) {
      reader.expect(*field, Wire::kBytes);
      checker.require(field->bytes.size() <= kMaxPieceBytes &&
                          field->bytes.find('\0') == std::string_view::npos,
                      "its trainer_spec names a special piece that cannot be");
      checker.require(
          field->number == kUnkSurface || field->number < kUnkPiece || !field->bytes.empty(),
          "its trainer_spec names an empty special piece");
    }
  }
}

// The library matches user-defined pieces through the same kind of trie and keeps at most 64
// results.
constexpr std::size_t kMaxNestedPieces = 64;

void check_user_defined(std::vector<std::string_view> pieces, const Checker& checker) {
  std::sort(pieces.begin(), pieces.end());
  std::vector<std::string_view> prefixes;
  for (const std::string_view piece : pieces) {
    while (!prefixes.empty() && !piece.starts_with(prefixes.back())) prefixes.pop_back();
    prefixes.push_back(piece);
    checker.require(prefixes.size() <= kMaxNestedPieces,
                    "it has too many user-defined pieces that begin with one another");
  }
}

}  // namespace

std::vector<PieceType> check_sentencepiece_model(std::string_view bytes, std::string_view name) {
  const Checker checker(name);
  checker.require(!bytes.empty(), "it is empty");
  checker.require(bytes.size() <= kMaxModelBytes, "it is larger than 64 MiB");

  std::vector<PieceType> types;
  std::vector<std::string_view> user_defined;
  std::size_t unknown = 0;
  bool has_trainer = false;
  MessageReader reader(bytes, "the file", checker);
  while (const auto field = reader.next()) {
    if (field->number < 1 || field->number > 5) {
      checker.fail(fmt::format("the file has an unknown field {}", field->number));
    }
    reader.expect(*field, Wire::kBytes);
    if (field->number == 1) {
      checker.require(types.size() < kMaxPieces, "it has more than a million pieces");
      const Piece piece = read_piece(field->bytes, types.size(), checker);
      types.push_back(piece.type);
      if (piece.type == PieceType::kUnknown) ++unknown;
      if (piece.type == PieceType::kUserDefined) user_defined.push_back(piece.text);
    } else if (field->number == 2) {
      checker.require(!has_trainer, "it has two trainer_specs");
      has_trainer = true;
      check_trainer(field->bytes, checker);
    } else if (field->number == 3) {
      check_normalizer(field->bytes, "its normalizer_spec", checker);
    } else if (field->number == 5) {
      check_normalizer(field->bytes, "its denormalizer_spec", checker);
    }
  }
  checker.require(!types.empty(), "it has no pieces");
  checker.require(has_trainer, "it has no trainer_spec");
  checker.require(unknown == 1, "it does not have exactly one unknown piece");
  check_user_defined(std::move(user_defined), checker);
  return types;
}

void check_charsmap(std::string_view blob, std::string_view name) {
  check_charsmap(blob, Checker(name));
}

}  // namespace nativo::text

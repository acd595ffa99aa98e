// A CTranslate2 model.bin: named variables and aliases, binary versions 1 to 6.
// Not here: what the variables mean (model/encoder_decoder_config.h) and the files beside it
// (model/ctranslate2_directory.h). Rule: the file is hostile until every length in it has been
// checked against its size; nothing of a variable's size is allocated.
// Format: docs/formats/ctranslate2.md; opennmt.net/CTranslate2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nativo::model {

/// Element types, numbered as the format numbers them.
enum class CTranslate2Type : std::uint8_t { kF32, kI8, kI16, kI32, kF16, kBf16 };

/// 1, 2 or 4 bytes an element.
[[nodiscard]] std::size_t bytes_of(CTranslate2Type type);
/// "float32", "int8", ... as CTranslate2 names them.
[[nodiscard]] std::string_view name_of(CTranslate2Type type);

/// One variable, row-major, little-endian, at any alignment.
struct CTranslate2Variable {
  std::string name;
  CTranslate2Type type = CTranslate2Type::kF32;
  std::vector<std::int64_t> shape;  ///< [] is a single value
  std::int64_t elements = 0;        ///< the product of the shape
  std::string_view bytes;           ///< inside the file's content: elements * bytes_of(type)
};

class CTranslate2File {
 public:
  /// Parses `content`, which it keeps. Throws Error(kData) naming `where` and the place when
  /// anything in it is cut short, doubled, or does not fit its shape; when bytes follow the end; or
  /// when the version is unknown.
  CTranslate2File(std::string content, std::string where);
  CTranslate2File(const CTranslate2File&) = delete;
  CTranslate2File& operator=(const CTranslate2File&) = delete;

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] std::uint32_t version() const { return version_; }  ///< 1..6
  [[nodiscard]] const std::string& spec() const { return spec_; }   ///< "TransformerSpec"; "" in v1
  [[nodiscard]] std::uint32_t revision() const { return revision_; }  ///< of the spec
  /// In file order, names as of later revisions (the first had OpenNMT-tf's).
  [[nodiscard]] const std::vector<CTranslate2Variable>& variables() const { return variables_; }

  /// The variable of that name or alias, or nullptr. An alias of a weight also stands for the
  /// weight's `_scale` and `_zero`.
  [[nodiscard]] const CTranslate2Variable* find(std::string_view name) const;

  /// The single whole number of that name; nothing when absent. Throws Error(kData) when it is no
  /// single whole number.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  /// A string, stored as int8; nothing when absent.
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;

  /// The elements of a floating-point variable as f32 (values.size() == elements). Throws
  /// Error(kData) when it is of an integer type or holds a value that is not finite.
  void read(const CTranslate2Variable& variable, std::span<float> values) const;

  /// Throws Error(kData): "where: variable NAME: problem".
  [[noreturn]] void fail(std::string_view name, std::string_view problem) const;

 private:
  class Parser;

  std::string content_;
  std::string where_;
  std::uint32_t version_ = 0;
  std::string spec_;
  std::uint32_t revision_ = 1;
  std::vector<CTranslate2Variable> variables_;
  std::unordered_map<std::string, std::size_t> index_;  ///< names and aliases
};

}  // namespace nativo::model

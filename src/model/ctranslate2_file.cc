#include "model/ctranslate2_file.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/strings.h"
#include "tensor/dtype.h"

namespace nativo::model {
namespace {

constexpr std::uint32_t kNewestVersion = 6;
constexpr std::size_t kMaxRank = 8;
constexpr std::string_view kHint = "the file is damaged or was not written by CTranslate2";

std::string shown(std::string_view name) { return printable(utf8_prefix(name, 200)); }

void replace_first(std::string& text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

/// Revision 1 has the names of OpenNMT-tf's checkpoints.
std::string name_from_opennmt_tf(std::string name) {
  constexpr std::array<std::array<std::string_view, 2>, 8> kRenamed = {
      {{"transformer/", ""},
       {":0", ""},
       {"w_embs", "embeddings/weight"},
       {"kernel", "weight"},
       {"LayerNorm", "layer_norm"},
       {"dense", "projection"},
       {"conv1d_", "linear_"},
       {"conv1d", "linear_0"}}};
  for (const auto& [from, to] : kRenamed) replace_first(name, from, to);
  if (name.find("encoder") != std::string::npos) {
    replace_first(name, "multi_head", "self_attention");
  } else {
    replace_first(name, "masked_multi_head", "self_attention");
    replace_first(name, "multi_head", "attention");
  }
  return name;
}

template <class T>
T value_at(std::string_view bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

std::size_t bytes_of(CTranslate2Type type) {
  switch (type) {
    case CTranslate2Type::kF32:
    case CTranslate2Type::kI32:
      return 4;
    case CTranslate2Type::kI8:
      return 1;
    default:
      return 2;
  }
}

std::string_view name_of(CTranslate2Type type) {
  constexpr std::array<std::string_view, 6> kNames = {"float32", "int8",    "int16",
                                                      "int32",   "float16", "bfloat16"};
  return kNames[static_cast<std::size_t>(type)];
}

/// Reads the content from its start to its end.
class CTranslate2File::Parser {
 public:
  explicit Parser(CTranslate2File& file) : file_(file) {}

  void parse() {
    file_.version_ = number<std::uint32_t>("the version");
    if (file_.version_ < 1 || file_.version_ > kNewestVersion) {
      fail(fmt::format("binary version {} is unknown (1 to {} are read)", file_.version_,
                       kNewestVersion));
    }
    if (file_.version_ >= 2) {
      file_.spec_ = string("the spec's name");
      file_.revision_ = number<std::uint32_t>("the revision");
    }
    const auto variables = number<std::uint32_t>("the number of variables");
    // A variable takes at least 9 bytes: this bounds the list.
    if (variables > left() / 9) fail(fmt::format("{} variables do not fit", variables));
    file_.variables_.reserve(variables);
    for (std::uint32_t i = 0; i < variables; ++i) variable();
    if (file_.version_ >= 3) aliases();
    if (left() != 0) fail(fmt::format("{} bytes follow the end", left()));
  }

 private:
  [[nodiscard]] std::size_t left() const { return file_.content_.size() - at_; }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ExitCode::kData, fmt::format("{}: byte {}: {}", file_.where_, at_, problem),
                std::string(kHint));
  }

  std::string_view take(std::uint64_t count, std::string_view what) {
    if (count > left()) fail(fmt::format("the file ends inside {}", what));
    const std::string_view bytes(file_.content_.data() + at_, count);
    at_ += count;
    return bytes;
  }

  template <class T>
  T number(std::string_view what) {
    return value_at<T>(take(sizeof(T), what), 0);
  }

  std::string string(std::string_view what) {
    const auto length = number<std::uint16_t>(what);
    const std::string_view bytes = take(length, what);
    if (bytes.find('\0') + 1 != bytes.size() || bytes.empty()) {
      fail(fmt::format("{} is not a string that ends with a zero byte", what));
    }
    return std::string(bytes.substr(0, bytes.size() - 1));
  }

  std::string name(std::string_view what) {
    std::string name = string(what);
    return file_.revision_ == 1 ? name_from_opennmt_tf(std::move(name)) : name;
  }

  void add(const std::string& name, std::size_t variable) {
    if (!file_.index_.emplace(name, variable).second) {
      fail(fmt::format("variable {} appears twice", shown(name)));
    }
  }

  void variable() {
    CTranslate2Variable variable;
    variable.name = name("a variable's name");
    const std::string what = "variable " + shown(variable.name);
    const auto rank = number<std::uint8_t>(what);
    if (rank > kMaxRank) fail(fmt::format("{} has {} dimensions", what, rank));
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    variable.elements = 1;
    for (std::uint8_t i = 0; i < rank; ++i) {
      const std::int64_t size = number<std::uint32_t>(what);
      if (size > 0 && variable.elements > kMost / size) fail(what + " is too large");
      variable.elements *= size;
      variable.shape.push_back(size);
    }
    variable.type = type(what);
    const std::size_t item = bytes_of(variable.type);
    // Below version 4 the count is of elements, since then of bytes.
    const std::uint64_t bytes =
        std::uint64_t{number<std::uint32_t>(what)} * (file_.version_ < 4 ? item : 1);
    if (bytes != static_cast<std::uint64_t>(variable.elements) * item) {
      fail(fmt::format("{} has {} bytes but {} elements of {}", what, bytes, variable.elements,
                       name_of(variable.type)));
    }
    variable.bytes = take(bytes, what);
    add(variable.name, file_.variables_.size());
    file_.variables_.push_back(std::move(variable));
  }

  CTranslate2Type type(const std::string& what) {
    const auto code = number<std::uint8_t>(what);
    if (file_.version_ >= 4) {
      if (code > static_cast<std::uint8_t>(CTranslate2Type::kBf16)) {
        fail(fmt::format("{} has the unknown type {}", what, code));
      }
      return static_cast<CTranslate2Type>(code);
    }
    switch (code) {  // the bytes of an item
      case 4:
        return CTranslate2Type::kF32;
      case 2:
        return CTranslate2Type::kI16;
      case 1:
        return CTranslate2Type::kI8;
      default:
        fail(fmt::format("{} has items of {} bytes", what, code));
    }
  }

  void aliases() {
    const auto count = number<std::uint32_t>("the number of aliases");
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string alias = name("an alias");
      const std::string target = name("an alias's variable");
      const auto found = file_.index_.find(target);
      if (found == file_.index_.end()) {
        fail(fmt::format("{} stands for {}, which is not there", shown(alias), shown(target)));
      }
      add(alias, found->second);
      for (const char* part : {"_scale", "_zero"}) {
        const auto beside = file_.index_.find(target + part);
        if (beside != file_.index_.end()) file_.index_.emplace(alias + part, beside->second);
      }
    }
  }

  CTranslate2File& file_;
  std::size_t at_ = 0;
};

CTranslate2File::CTranslate2File(std::string content, std::string where)
    : content_(std::move(content)), where_(std::move(where)) {
  Parser(*this).parse();
}

void CTranslate2File::fail(std::string_view name, std::string_view problem) const {
  throw Error(ExitCode::kData, fmt::format("{}: variable {}: {}", where_, shown(name), problem),
              std::string(kHint));
}

const CTranslate2Variable* CTranslate2File::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &variables_[found->second];
}

std::optional<std::int64_t> CTranslate2File::integer(std::string_view name) const {
  const CTranslate2Variable* variable = find(name);
  if (variable == nullptr) return std::nullopt;
  if (variable->elements == 1) {
    switch (variable->type) {
      case CTranslate2Type::kI8:
        return value_at<std::int8_t>(variable->bytes, 0);
      case CTranslate2Type::kI16:
        return value_at<std::int16_t>(variable->bytes, 0);
      case CTranslate2Type::kI32:
        return value_at<std::int32_t>(variable->bytes, 0);
      default:
        break;
    }
  }
  fail(name, "must be a single whole number");
}

std::optional<std::string> CTranslate2File::text(std::string_view name) const {
  const CTranslate2Variable* variable = find(name);
  if (variable == nullptr) return std::nullopt;
  if (variable->type != CTranslate2Type::kI8) fail(name, "must be a string");
  return std::string(variable->bytes);
}

void CTranslate2File::read(const CTranslate2Variable& variable, std::span<float> values) const {
  NATIVO_CHECK(static_cast<std::int64_t>(values.size()) == variable.elements,
               "as many values as elements");
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (variable.type) {
      case CTranslate2Type::kF32:
        values[i] = value_at<float>(variable.bytes, i);
        break;
      case CTranslate2Type::kF16:
        values[i] = tensor::f16_to_f32(value_at<std::uint16_t>(variable.bytes, i));
        break;
      case CTranslate2Type::kBf16:
        values[i] = tensor::bf16_to_f32(value_at<std::uint16_t>(variable.bytes, i));
        break;
      default:
        fail(variable.name, "must be of a floating-point type");
    }
    if (!std::isfinite(values[i])) {
      fail(variable.name, fmt::format("element {} is not a finite number", i));
    }
  }
}

}  // namespace nativo::model

#include "model/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr std::string_view kHint = "the file is damaged or was not written by safetensors";

std::string in_quotes(std::string_view name) {
  return '"' + printable(utf8_prefix(name, 200)) + '"';
}

// Receives nlohmann's parse events; builds entries without a tree in between, so that memory stays
// in proportion to the header and duplicate keys are seen.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(std::string_view where) : where_(where) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (level_ == Level::kNothing) {
      level_ = Level::kFile;
    } else if (level_ == Level::kFile && file_key_ == "__metadata__") {
      level_ = Level::kMetadata;
    } else if (level_ == Level::kFile && !file_key_.empty()) {
      level_ = Level::kTensor;
      entry_ = {};
      entry_.name = file_key_;
      has_type_ = has_shape_ = has_offsets_ = false;
    } else {
      fail("an object where none belongs");
    }
    return true;
  }

  bool end_object() override {
    if (level_ == Level::kTensor) {
      if (!has_type_ || !has_shape_ || !has_offsets_) {
        fail(R"("dtype", "shape" and "data_offsets" are needed)");
      }
      header_.tensors.push_back(std::move(entry_));
    }
    level_ = level_ == Level::kFile ? Level::kNothing : Level::kFile;
    return true;
  }

  bool key(string_t& text) override {
    if (level_ == Level::kFile) {
      file_key_ = text;
      metadata_keys_.clear();
      if (text.empty()) fail("a tensor without a name");
      if (!file_keys_.insert(text).second) fail("it appears twice");
    } else if (level_ == Level::kMetadata) {
      inner_key_ = text;
      if (!metadata_keys_.insert(text).second) fail("a metadata key appears twice");
    } else {
      inner_key_ = text;
      bool* seen = text == "dtype"          ? &has_type_
                   : text == "shape"        ? &has_shape_
                   : text == "data_offsets" ? &has_offsets_
                                            : nullptr;
      if (seen == nullptr) fail("unknown key " + in_quotes(text));
      if (*seen) fail(in_quotes(text) + " appears twice");
      *seen = true;
    }
    return true;
  }

  bool string(string_t& text) override {
    if (level_ == Level::kMetadata) {
      header_.metadata.emplace_back(inner_key_, text);
    } else if (level_ == Level::kTensor && inner_key_ == "dtype") {
      const auto type = storage_type_from_safetensors(text);
      if (!type) fail("dtype " + in_quotes(text) + " is none of F32, F16, BF16, I8, U8");
      entry_.type = *type;
    } else {
      fail("a string where none belongs");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != Level::kTensor || inner_key_ == "dtype") fail("an array where none belongs");
    level_ = Level::kArray;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    level_ = Level::kTensor;
    if (inner_key_ == "shape") {
      for (const std::uint64_t size : numbers_) {
        if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
          fail("its shape overflows");
        }
        entry_.shape.push_back(static_cast<std::int64_t>(size));
      }
    } else {
      if (numbers_.size() != 2) fail("data_offsets needs two numbers");
      if (numbers_[1] < numbers_[0]) fail("data_offsets run backwards");
      entry_.offset = numbers_[0];
      entry_.bytes = numbers_[1] - numbers_[0];
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (level_ != Level::kArray) fail("a number where none belongs");
    if (numbers_.size() >= 64) fail("more than 64 numbers in a list");
    numbers_.push_back(value);
    return true;
  }

  bool null() override { return fail("null where none belongs"); }
  bool boolean(bool) override { return fail("a boolean where none belongs"); }
  bool number_integer(number_integer_t) override { return fail("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return fail("a number that is not whole");
  }
  bool binary(binary_t&) override { return fail("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    throw Error(ExitCode::kData,
                fmt::format("{}: the header is not JSON (at its byte {})", where_, position),
                std::string(kHint));
  }

 private:
  enum class Level { kNothing, kFile, kMetadata, kTensor, kArray };

  [[noreturn]] bool fail(const std::string& reason) const {
    throw Error(ExitCode::kData,
                level_ == Level::kNothing
                    ? fmt::format("{}: the header is not a JSON object", where_)
                    : fmt::format("{}: {}: {}", where_, in_quotes(file_key_), reason),
                std::string(kHint));
  }

  std::string_view where_;
  SafetensorsHeader header_;
  Level level_ = Level::kNothing;
  std::string file_key_;
  std::string inner_key_;
  std::unordered_set<std::string> file_keys_;
  std::unordered_set<std::string> metadata_keys_;
  TensorEntry entry_;
  bool has_type_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  std::vector<std::uint64_t> numbers_;
};

// The product of `shape`, or nothing when it or its bytes do not fit in 63 bits.
std::optional<std::int64_t> product(const std::vector<std::int64_t>& shape) {
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / 4;
  std::int64_t result = 1;
  for (const std::int64_t size : shape) {
    if (size != 0 && result > kLimit / size) return std::nullopt;
    result *= size;
  }
  return result;
}

}  // namespace

std::uint64_t safetensors_header_length(std::string_view first_bytes, std::uint64_t file_size,
                                        std::string_view where) {
  if (first_bytes.size() < 8 || file_size < 8) {
    throw Error(ExitCode::kData, fmt::format("{}: shorter than a safetensors file", where),
                std::string(kHint));
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= std::uint64_t{static_cast<unsigned char>(first_bytes[i])} << (8 * i);
  }
  if (length > kMaxSafetensorsHeader || length > file_size - 8) {
    throw Error(ExitCode::kData,
                fmt::format("{}: a header of {} bytes does not fit (file: {} bytes, limit: {})",
                            where, length, file_size, kMaxSafetensorsHeader),
                std::string(kHint));
  }
  return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_size,
                                           std::string_view where) {
  NATIVO_CHECK(json.size() + 8 <= file_size, "the header lies inside the file");
  if (json.empty() || json.front() != '{') {
    throw Error(ExitCode::kData, fmt::format("{}: the header does not begin with {{", where),
                std::string(kHint));
  }
  HeaderReader reader(where);
  Json::sax_parse(json.begin(), json.end(), &reader);
  SafetensorsHeader header = reader.take();

  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) {
              return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
            });
  const std::uint64_t data_start = 8 + json.size();
  const std::uint64_t data_size = file_size - data_start;
  std::uint64_t filled = 0;
  for (TensorEntry& entry : header.tensors) {
    const auto fail = [&](const std::string& reason) {
      throw Error(ExitCode::kData, fmt::format("{}: {}: {}", where, in_quotes(entry.name), reason),
                  std::string(kHint));
    };
    if (entry.bytes > data_size || entry.offset > data_size - entry.bytes) {
      fail(fmt::format("its bytes {}..{} lie outside the file's {} bytes of data", entry.offset,
                       entry.offset + entry.bytes, data_size));
    }
    if (entry.offset != filled) {
      fail(fmt::format("its bytes begin at {}, those before it end at {}", entry.offset, filled));
    }
    const auto elements = product(entry.shape);
    if (!elements) fail("its shape overflows");
    entry.elements = *elements;
    const std::uint64_t needed = static_cast<std::uint64_t>(*elements) * bytes_of(entry.type);
    if (needed != entry.bytes) {
      fail(fmt::format("{} of {} needs {} bytes, but data_offsets give {}", shape_text(entry.shape),
                       safetensors_name(entry.type), needed, entry.bytes));
    }
    filled += entry.bytes;
    entry.offset += data_start;
  }
  if (filled != data_size) {
    throw Error(
        ExitCode::kData,
        fmt::format("{}: {} bytes at its end belong to no tensor", where, data_size - filled),
        std::string(kHint));
  }
  return header;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace nativo::model

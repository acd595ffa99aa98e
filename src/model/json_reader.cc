// See the header.
#include "model/json_reader.h"

#include <fmt/core.h>

#include <cmath>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {

void JsonReader::fail(std::string_view key, std::string_view problem,
                      const std::string& hint) const {
  throw Error(ExitCode::kData, fmt::format("{}: \"{}\" {}", where_, key, problem), hint);
}

const Json* JsonReader::find(const char* key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t JsonReader::integer(const char* key, const Json& value, std::int64_t least,
                                 std::int64_t most) const {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                        : value.is_number_integer();
  if (!value.is_number_integer()) fail(key, "must be a whole number");
  const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
  if (!fits || number < least || number > most) {
    fail(key, fmt::format("must be between {} and {}, not {}", least, most, value.dump()));
  }
  return number;
}

std::int64_t JsonReader::size(const char* key, std::int64_t most) const {
  const Json* value = find(key);
  if (value == nullptr) fail(key, "is missing");
  return integer(key, *value, 1, most);
}

std::optional<std::int64_t> JsonReader::optional_size(const char* key, std::int64_t most) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  return integer(key, *value, 1, most);
}

double JsonReader::positive(const char* key, double otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) fail(key, "must be a number");
  const auto number = value->get<double>();
  if (!(number > 0.0) || !std::isfinite(number)) fail(key, "must be positive and finite");
  return number;
}

bool JsonReader::boolean(const char* key, bool otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "must be true or false");
  return value->get<bool>();
}

std::string shown_json(const Json& value) { return printable(utf8_prefix(dump_json(value), 80)); }

}  // namespace nativo::model

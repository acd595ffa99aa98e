#include "report/run_fields.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "io/file.h"

namespace nativo::report {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{256} << 20;

}  // namespace

Fields::Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json.is_object()) fail("", "an object is wanted");
}

void Fields::fail(std::string_view key, std::string_view what) const {
  throw Error(
      ExitCode::kData,
      fmt::format("{}: {}{}{}", printable(where_), printable(key), key.empty() ? "" : ": ", what),
      "remove the file, or run the step that writes it again");
}

const Json& Fields::at(const char* key) const {
  static const Json kNull;
  const auto found = json_.find(key);
  return found == json_.end() ? kNull : *found;
}

std::string Fields::text(const char* key) const {
  const Json& value = at(key);
  if (value.is_null()) return {};
  if (!value.is_string()) fail(key, "text is wanted");
  return value.get<std::string>();
}

std::optional<double> Fields::number(const char* key) const {
  const Json& value = at(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number()) fail(key, "a number is wanted");
  const double number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

double Fields::needed(const char* key) const {
  const auto value = number(key);
  if (!value) fail(key, "a number is wanted");
  return *value;
}

std::uint64_t Fields::count(const char* key) const {
  const Json& value = at(key);
  if (value.is_null()) return 0;
  return as_count(value, key);
}

std::optional<std::uint64_t> Fields::maybe_count(const char* key) const {
  if (at(key).is_null()) return std::nullopt;
  return count(key);
}

std::vector<std::pair<std::string, std::uint64_t>> Fields::counts(const char* key) const {
  std::vector<std::pair<std::string, std::uint64_t>> result;
  const Json& value = at(key);
  if (value.is_null()) return result;
  if (!value.is_object()) fail(key, "an object of counts is wanted");
  for (const auto& [name, rows] : value.items()) result.emplace_back(name, as_count(rows, key));
  return result;
}

std::uint64_t Fields::as_count(const Json& value, const char* key) const {
  if (!value.is_number_unsigned()) fail(key, "a count is wanted");
  const auto count = value.get<std::uint64_t>();
  // Sums of these stay far inside 64 bits.
  if (count > std::uint64_t{1} << 53) fail(key, "a count this large cannot be");
  return count;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string read_run_file(const fs::path& path) { return io::read_file(path, kMaxFileBytes); }

std::optional<Json> read_json(const fs::path& path) {
  if (!is_there(path)) return std::nullopt;
  return parse_json(read_run_file(path), printable(path.native()));
}

}  // namespace nativo::report

// Reads the JSON of a run folder's files: an error names the file and the field.
// Not here: what the fields mean (run_files.h). Rule: what is absent is empty, what is there must
// be of the right kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/strings.h"

namespace nativo::report {

/// A JSON object of a file, which outlives this. Its functions throw Error(kData).
class Fields {
 public:
  /// `where` begins the errors. Throws when `json` is no object.
  Fields(const Json& json, std::string where);

  [[noreturn]] void fail(std::string_view key, std::string_view what) const;

  /// Null when absent.
  [[nodiscard]] const Json& at(const char* key) const;
  /// "" when absent.
  [[nodiscard]] std::string text(const char* key) const;
  /// Nothing when absent or not finite.
  [[nodiscard]] std::optional<double> number(const char* key) const;
  /// Throws when there is no number.
  [[nodiscard]] double needed(const char* key) const;
  /// 0 when absent.
  [[nodiscard]] std::uint64_t count(const char* key) const;
  [[nodiscard]] std::optional<std::uint64_t> maybe_count(const char* key) const;
  /// Of an object of counts, in the file's order.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> counts(const char* key) const;
  /// The object that is `key`'s value.
  [[nodiscard]] Fields inner(const char* key) const { return {at(key), where_ + ": " + key}; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  [[nodiscard]] std::uint64_t as_count(const Json& value, const char* key) const;

  const Json& json_;
  std::string where_;
};

[[nodiscard]] bool is_there(const std::filesystem::path& path);

/// Throws Error(kData) when it is too large for one of ours.
[[nodiscard]] std::string read_run_file(const std::filesystem::path& path);

/// Nothing when the file is not there.
[[nodiscard]] std::optional<Json> read_json(const std::filesystem::path& path);

/// Calls `use` with the Fields of each whole line of a JSONL file; a torn last one is left out: it
/// is being written.
template <class Use>
void each_line(const std::filesystem::path& path, const Use& use) {
  if (!is_there(path)) return;
  const std::string bytes = read_run_file(path);
  std::size_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    if (end == std::string::npos) break;
    const std::string where = path.native() + ":" + std::to_string(++number);
    const Json json = parse_json(std::string_view(bytes).substr(at, end - at), printable(where));
    use(Fields(json, where));
    at = end + 1;
  }
}

}  // namespace nativo::report

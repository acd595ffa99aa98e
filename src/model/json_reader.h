// Typed, range-checked access to the keys of one JSON object.
// Not for other folders. Rule: whatever a key holds, the caller gets a value in range or an
// Error(kData) that names file and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace nativo::model {

class JsonReader {
 public:
  /// `json` must be an object that outlives the reader; `where` names it in messages.
  JsonReader(const Json& json, std::string_view where) : json_(json), where_(where) {}

  [[noreturn]] void fail(std::string_view key, std::string_view problem,
                         const std::string& hint = {}) const;

  /// The value of `key`, or null when it is absent or null.
  [[nodiscard]] const Json* find(const char* key) const;
  /// Whether `key` is there, be it null.
  [[nodiscard]] bool has(const char* key) const { return json_.contains(key); }

  [[nodiscard]] std::int64_t integer(const char* key, const Json& value, std::int64_t least,
                                     std::int64_t most) const;
  /// In [1, most]; the key must be there.
  [[nodiscard]] std::int64_t size(const char* key, std::int64_t most) const;
  [[nodiscard]] std::optional<std::int64_t> optional_size(const char* key, std::int64_t most) const;
  /// A positive finite number.
  [[nodiscard]] double positive(const char* key, double otherwise) const;
  [[nodiscard]] bool boolean(const char* key, bool otherwise) const;

 private:
  const Json& json_;
  std::string_view where_;
};

/// A value as messages show it: printable, at most 80 bytes.
[[nodiscard]] std::string shown_json(const Json& value);

}  // namespace nativo::model

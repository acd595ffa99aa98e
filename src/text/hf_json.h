// Reads a tokenizer.json key by key: what is not known is refused with its name, because a key that
// is ignored would change ids silently.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nativo::text {

/// Throws Error(kData) "`path`: `what`".
[[noreturn]] void refuse_json(std::string_view path, std::string_view what);

/// One object. Values are looked up by key; done() refuses keys that nobody has asked for.
class JsonObject {
 public:
  JsonObject(simdjson::dom::element value, std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;

  /// Absent and null are the same.
  [[nodiscard]] std::optional<simdjson::dom::element> find(std::string_view key);
  [[nodiscard]] simdjson::dom::element require(std::string_view key);
  [[nodiscard]] std::string_view text(std::string_view key);
  [[nodiscard]] std::string_view text_or(std::string_view key, std::string_view absent);
  [[nodiscard]] bool flag_or(std::string_view key, bool absent);
  [[nodiscard]] std::uint64_t count(std::string_view key);
  [[nodiscard]] simdjson::dom::array array(std::string_view key);
  /// Accepts keys that change no ids.
  void ignore(std::string_view key) { static_cast<void>(find(key)); }
  void done() const;

 private:
  struct Member {
    std::string_view key;
    simdjson::dom::element value;
    bool used = false;
  };
  std::string path_;
  std::vector<Member> members_;
};

/// `value` as text; refuses anything else.
[[nodiscard]] std::string_view json_text(simdjson::dom::element value, std::string_view path);

}  // namespace nativo::text

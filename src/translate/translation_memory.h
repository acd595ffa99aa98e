// What was translated once is not translated again: across rows, blocks, runs, and tasks that run
// at the same time. On disk it is a keyed log (io/keyed_log.h), so nobody waits for anybody, and
// what is torn or damaged is not there. Format: docs/formats/keyed-log.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/file.h"
#include "io/keyed_log.h"
#include "translate/engine.h"

namespace nativo::translate {

/// Not thread-safe. Holds what this process asked for or found, and of the rest where it lies.
class TranslationMemory {
 public:
  /// For this process alone.
  TranslationMemory() = default;
  /// Also in the files of `folder`, which is made when it is absent; "" = for this process alone.
  explicit TranslationMemory(const std::filesystem::path& folder,
                             io::Disk& disk = io::posix_disk());

  /// Key of one answer: engine, its version, the languages, and the sentence (see memory_key() in
  /// translate/pieces.h). 32 hexadecimal digits.
  [[nodiscard]] static std::string key(const TranslationEngine& engine, std::string_view from,
                                       std::string_view to, std::string_view sentence_key);

  /// Null when it is not known. Valid until the next call of add().
  [[nodiscard]] const Translation* find(const std::string& key);

  /// Remembers an answer in the place of what was known, and appends it to the folder. `source` is
  /// written beside it, for people. One that is not ok is remembered in this process only: the next
  /// run may have more luck. Throws Error(kIo).
  void add(const std::string& key, std::string_view source, Translation translation);

  /// Takes in what others have appended; where two have an answer, the known one stays. Throws
  /// Error(kIo) when a file cannot be read.
  void refresh();

  /// Lines of the folder passed over because they were damaged.
  [[nodiscard]] std::uint64_t damaged() const { return log_ ? log_->damaged() : 0; }

 private:
  std::optional<io::KeyedLog> log_;
  std::unordered_map<std::string, Translation> known_;
};

/// What the log has under the answer's key: {"source", "text", "words", "unknown"}, and "cuts"
/// where there were some.
[[nodiscard]] std::string memory_value(std::string_view source, const Translation& translation);

/// Reads what memory_value() wrote; nothing when it is of another format.
[[nodiscard]] std::optional<Translation> parse_memory_value(std::string_view value);

}  // namespace nativo::translate

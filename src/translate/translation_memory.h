// What was translated once is not translated again: across rows, blocks, runs, and tasks that run
// at the same time. Format: docs/formats/translation-memory.md. Rule: each writer appends to a file
// of its own, so nobody waits for anybody; what is torn or damaged is not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/file.h"
#include "translate/engine.h"

namespace nativo::translate {

/// Not thread-safe. Everything is held in memory.
class TranslationMemory {
 public:
  /// For this process alone.
  TranslationMemory() = default;
  /// Also in the files of `folder`, which need not exist: it is made when something is saved.
  explicit TranslationMemory(std::filesystem::path folder, io::Disk& disk = io::posix_disk());

  /// Key of one answer: engine, its version, the languages, and the sentence (see memory_key() in
  /// translate/pieces.h). 32 hexadecimal digits.
  [[nodiscard]] static std::string key(const TranslationEngine& engine, std::string_view from,
                                       std::string_view to, std::string_view sentence_key);

  /// Null when it is not known.
  [[nodiscard]] const Translation* find(const std::string& key) const;

  /// Remembers an answer in the place of what was known. `source` is written beside it, for people.
  /// One that is not ok is remembered in this process only: the next run may have more luck.
  void add(const std::string& key, std::string_view source, Translation translation);

  /// Appends to this writer's file what add() brought since the last call. Throws Error(kIo).
  void save();

  /// Takes in what others have appended; where two have an answer, the known one stays. Throws
  /// Error(kIo) when a file cannot be read.
  void refresh();

  [[nodiscard]] std::size_t size() const { return known_.size(); }
  /// Lines passed over because they were damaged.
  [[nodiscard]] std::uint64_t damaged() const { return damaged_; }

 private:
  void read_from(const std::filesystem::path& path, std::uint64_t& offset);

  std::filesystem::path folder_;
  io::Disk* disk_ = nullptr;
  std::unordered_map<std::string, Translation> known_;
  std::map<std::string, std::uint64_t> offsets_;  ///< by file: what was read of it
  std::string own_name_;                          ///< of this writer's file, once it has one
  std::string pending_;                           ///< lines to append
  std::uint64_t damaged_ = 0;
};

/// One line of the file, without its '\n'.
[[nodiscard]] std::string memory_line(const std::string& key, std::string_view source,
                                      const Translation& translation);

/// Reads what memory_line() wrote; false when the line is damaged or of another format.
[[nodiscard]] bool parse_memory_line(std::string_view line, std::string& key,
                                     Translation& translation);

}  // namespace nativo::translate

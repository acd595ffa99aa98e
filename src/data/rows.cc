#include "data/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "data/shapes.h"
#include "io/lines.h"

namespace nativo::data {
namespace {

constexpr std::size_t kMaxRow = std::size_t{64} << 20;
constexpr std::uint64_t kMaxText = std::uint64_t{1} << 30;
constexpr std::size_t kPassageCharacters = 2000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

using Take = std::function<bool(const RawRow&)>;

enum class Format { kLines, kJson, kText, kMarkdown };

std::optional<Format> format_of(fs::path path) {
  if (path.extension() == ".gz" || path.extension() == ".zst") path.replace_extension();
  const std::string extension = path.extension().native();
  if (extension == ".jsonl" || extension == ".ndjson") return Format::kLines;
  if (extension == ".json") return Format::kJson;
  if (extension == ".txt") return Format::kText;
  if (extension == ".md" || extension == ".markdown") return Format::kMarkdown;
  return std::nullopt;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// The first byte that is neither white space nor part of a byte order mark; 0 when there is none.
char first_byte(const fs::path& file) {
  io::ByteReader bytes(file);
  bool at_start = true;
  for (std::string_view piece = bytes.next(); !piece.empty(); piece = bytes.next()) {
    if (at_start && piece.starts_with(kByteOrderMark)) piece.remove_prefix(3);
    at_start = false;
    const auto found = std::ranges::find_if_not(piece, is_space);
    if (found != piece.end()) return *found;
  }
  return '\0';
}

void read_lines(const fs::path& file, const Take& take) {
  io::LineReader lines(file, kMaxRow);
  for (std::string line; lines.next(line);) {
    std::string_view bytes = line;
    if (lines.line_number() == 1 && bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(3);
    if (trim(bytes).empty()) continue;
    const std::uint64_t number = lines.line_number();
    const RawRow row{
        .bytes = bytes, .number = number, .origin = fmt::format("{}:{}", file.native(), number)};
    if (!take(row)) return;
  }
}

/// Cuts a JSON array into its elements without parsing them: brackets are counted, strings skipped.
/// A broken element is thus one broken row and the rest is still read.
class ArraySplitter {
 public:
  ArraySplitter(const fs::path& file, const Take& take) : file_(file), take_(take) {}

  void run() {
    io::ByteReader bytes(file_);
    bool first = true;
    for (std::string_view piece = bytes.next(); !piece.empty(); piece = bytes.next()) {
      if (first && piece.starts_with(kByteOrderMark)) piece.remove_prefix(3);
      first = false;
      for (const char c : piece) {
        if (!step(c)) return;
      }
    }
    if (depth_ > 0) {
      throw broken(fmt::format("ends inside element {}", index_), "the file is not complete");
    }
  }

 private:
  [[nodiscard]] Error broken(const std::string& problem, std::string hint) const {
    return {ExitCode::kData, fmt::format("{}: the JSON array {}", file_.native(), problem),
            std::move(hint)};
  }

  /// Looks at one byte; false when no more rows are wanted.
  bool step(char c) {
    if (depth_ == 0) {
      if (c == '[' && !ended_) {
        depth_ = 1;
      } else if (!is_space(c)) {
        throw broken(fmt::format("is followed by more text after element {}", index_),
                     "brackets do not match, or two documents are in one file");
      }
      return true;
    }
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '[' || c == '{') {
      ++depth_;
    } else if (c == ']' || c == '}') {
      if (--depth_ == 0) {
        ended_ = true;
        const bool is_empty_array = index_ == 0 && trim(element_).empty();
        return is_empty_array || emit();
      }
    } else if (c == ',' && depth_ == 1) {
      return emit();
    }
    element_ += c;
    if (element_.size() > kMaxRow) {
      throw broken(fmt::format("has an element {} of more than {}", index_,
                               human_bytes(static_cast<double>(kMaxRow))),
                   "a string that is not closed looks like this, too");
    }
    return true;
  }

  bool emit() {
    const RawRow row{.bytes = trim(element_),
                     .number = index_,
                     .origin = fmt::format("{}[{}]", file_.native(), index_)};
    const bool more = take_(row);
    element_.clear();
    ++index_;
    return more;
  }

  const fs::path& file_;
  const Take& take_;
  std::string element_;
  std::uint64_t index_ = 0;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool ended_ = false;
};

/// A .json file that does not begin with '[': JSON lines under another name, or one object.
void read_json_objects(const fs::path& file, const Take& take) {
  std::string line;
  io::LineReader lines(file, kMaxRow);
  while (lines.next(line) && trim(line).empty()) {
  }
  std::string_view first = line;
  if (first.starts_with(kByteOrderMark)) first.remove_prefix(3);
  if (Json::accept(first)) {
    read_lines(file, take);
    return;
  }
  const std::string bytes = io::read_decompressed(file, kMaxRow);
  std::string_view object = bytes;
  if (object.starts_with(kByteOrderMark)) object.remove_prefix(3);
  take({.bytes = trim(object), .number = 1, .origin = fmt::format("{}:1", file.native())});
}

std::string read_text(const fs::path& file) {
  std::string text = io::read_decompressed(file, kMaxText);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (text.find('\r') != std::string::npos) text = replace_all(text, "\r\n", "\n");
  return text;
}

void read_markdown(const fs::path& file, const Take& take) {
  std::string text = read_text(file);
  RawRow row{
      .bytes = {}, .is_text = true, .number = 1, .origin = fmt::format("{}:1", file.native())};
  if (strip_front_matter(text)) row.notes["front_matter_cut"] = true;
  row.bytes = trim(text);
  take(row);
}

void read_passages(const fs::path& file, const Take& take) {
  std::string text = read_text(file);
  RawRow row{
      .bytes = {}, .is_text = true, .number = 1, .origin = fmt::format("{}:1", file.native())};
  if (!is_valid_utf8(text)) {  // the caller rejects it
    row.bytes = text;
    take(row);
    return;
  }
  const std::optional<std::size_t> cut_lines = cut_gutenberg(text);
  const bool gutenberg = cut_lines.has_value();
  if (gutenberg) row.notes["gutenberg_cut"] = true;
  if (!gutenberg && count_code_points(trim(text)) <= kPassageCharacters) {
    row.bytes = trim(text);
    take(row);
    return;
  }
  for (const Passage& passage : split_passages(text, kPassageCharacters, gutenberg)) {
    const std::size_t line = cut_lines.value_or(0) + passage.line;
    row.bytes = passage.text;
    row.notes["line"] = line;
    row.origin = fmt::format("{}:{}", file.native(), line);
    if (!take(row)) return;
    ++row.number;
  }
}

Format guess_format(const fs::path& file) {
  const char first = first_byte(file);
  if (first == '[') return Format::kJson;
  return first == '{' ? Format::kLines : Format::kText;
}

}  // namespace

std::vector<SourceFile> list_files(const fs::path& root, std::string_view key,
                                   std::uint64_t& skipped) {
  skipped = 0;
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  if (!fs::exists(status)) {
    throw Error(ExitCode::kMissingInput,
                fmt::format("{}: {}: no such file or folder", key, root.native()),
                "correct the path; relative ones start at the pipeline file's folder");
  }
  if (!fs::is_directory(status)) return {{root, root.filename().native()}};
  std::vector<SourceFile> files;
  try {
    for (auto walk = fs::recursive_directory_iterator(root);
         walk != fs::recursive_directory_iterator(); ++walk) {
      if (walk->path().filename().native().starts_with('.')) {
        if (walk->is_directory()) walk.disable_recursion_pending();
        continue;
      }
      if (!walk->is_regular_file()) continue;
      if (format_of(walk->path())) {
        files.push_back({walk->path(), walk->path().lexically_relative(root).generic_string()});
      } else {
        ++skipped;
      }
    }
  } catch (const fs::filesystem_error& failure) {
    throw errno_error(failure.code().value(), "read folder", failure.path1().native());
  }
  std::ranges::sort(files, {}, &SourceFile::name);
  return files;
}

void read_rows(const fs::path& file, const Take& take) {
  const std::optional<Format> named = format_of(file);
  switch (named ? *named : guess_format(file)) {
    case Format::kLines:
      return read_lines(file, take);
    case Format::kJson:
      if (first_byte(file) == '[') return ArraySplitter(file, take).run();
      return read_json_objects(file, take);
    case Format::kMarkdown:
      return read_markdown(file, take);
    case Format::kText:
      return read_passages(file, take);
  }
}

}  // namespace nativo::data

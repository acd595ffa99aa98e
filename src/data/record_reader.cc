// Reading stages: every file's digest is checked before its first row is handed out.
#include <fmt/format.h>

#include <optional>

#include "data/stage.h"
#include "data/stage_json.h"
#include "io/lines.h"

namespace nativo::data {

struct RecordReader::State {
  struct Input {
    fs::path path;
    std::string sha256;  ///< "" = not known
  };
  std::vector<Input> files;
  std::size_t following = 0;  ///< the file to open next
  std::optional<io::LineReader> lines;
  std::string line;
  std::uint64_t total = 0;

  bool open_next() {
    if (following == files.size()) return false;
    const Input& file = files[following++];
    if (!file.sha256.empty()) check_digest(file.path, file.sha256);
    lines.emplace(file.path);
    return true;
  }
};

RecordReader::RecordReader(const fs::path& stage_folder, std::string_view output)
    : state_(std::make_unique<State>()) {
  const Manifest manifest = read_manifest(stage_folder);
  const std::string prefix = std::string(output) + "-";
  for (const StageFile& file : manifest.files) {
    if (!file.name.starts_with(prefix)) continue;
    state_->files.push_back({stage_folder / file.name, file.sha256});
    state_->total += file.rows;
  }
}

RecordReader::RecordReader(std::vector<fs::path> files) : state_(std::make_unique<State>()) {
  for (fs::path& path : files) state_->files.push_back({std::move(path), {}});
}

RecordReader::~RecordReader() = default;
RecordReader::RecordReader(RecordReader&&) noexcept = default;
RecordReader& RecordReader::operator=(RecordReader&&) noexcept = default;

bool RecordReader::next(Record& record) {
  State& s = *state_;
  for (;;) {
    if (!s.lines && !s.open_next()) return false;
    if (!s.lines->next(s.line)) {
      s.lines.reset();
      continue;
    }
    Result<Record> read = from_line(s.line);
    if (!read) {
      throw Error(ExitCode::kData,
                  fmt::format("{}:{}: not a record: {}", s.lines->path().native(),
                              s.lines->line_number(), read.rejection().value),
                  "remove the stage's folder and run again");
    }
    record = std::move(read.value());
    return true;
  }
}

std::uint64_t RecordReader::total() const { return state_->total; }

std::vector<Record> read_all(const fs::path& stage_folder, std::string_view output) {
  RecordReader reader(stage_folder, output);
  std::vector<Record> records;
  for (Record record; reader.next(record);) records.push_back(std::move(record));
  return records;
}

}  // namespace nativo::data

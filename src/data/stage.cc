// Writing and running stages. The part folder's rule: a file counts only when a block-NNNNN.json
// that lists it is there; everything else is swept when the next writer starts.
#include "data/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/strings.h"
#include "data/stage_json.h"
#include "io/lines.h"
#include "io/zstd_writer.h"

namespace nativo::data {
namespace {

constexpr std::string_view kRejects = "rejects";

std::int64_t length_bucket(std::size_t characters) {
  return static_cast<std::int64_t>(std::bit_floor(characters));
}

std::string block_name(std::uint64_t index) { return fmt::format("block-{:05}.json", index); }

/// The number in a name that block_name() gives; nothing for any other name.
std::optional<std::uint64_t> block_index(std::string_view name) {
  constexpr std::string_view kPrefix = "block-";
  constexpr std::string_view kSuffix = ".json";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size() - kSuffix.size();
  std::uint64_t index = 0;
  const auto [at, error] = std::from_chars(begin, end, index);
  if (error != std::errc() || at != end || block_name(index) != name) return std::nullopt;
  return index;
}

std::string file_name(std::string_view output, std::uint64_t index) {
  return fmt::format("{}-{:05}.jsonl.zst", output, index);
}

bool is_output_name(std::string_view name) {
  return !name.empty() && name != kRejects && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// The block at `path`, if it is there and all its files have their digests.
bool load_block(const fs::path& folder, std::uint64_t index, Block& block) {
  const fs::path path = folder / block_name(index);
  std::error_code error;
  if (!fs::exists(path, error)) return false;
  try {
    block = read_block(path);
    for (const StageFile& file : block.files) check_digest(folder / file.name, file.sha256);
  } catch (const Error&) {
    return false;  // a damaged block is made again, and all that follow it
  }
  return true;
}

void add_rows(std::map<std::string, std::uint64_t>& to,
              const std::map<std::string, std::uint64_t>& from) {
  for (const auto& [name, rows] : from) to[name] += rows;
}

}  // namespace

struct StageWriter::State {
  /// An output file of the open block.
  struct Open {
    io::ZstdWriter writer;
    std::uint64_t rows = 0;
  };

  fs::path folder;
  fs::path part;
  StageSpec spec;
  io::Disk& disk;
  std::uint64_t block_rows = 0;
  double start = monotonic_seconds();
  std::map<std::uint64_t, Block> blocks;  ///< the finished ones
  std::set<std::uint64_t> earlier;        ///< of them, those that an earlier attempt finished
  std::uint64_t next = 0;                 ///< no block before this one is open
  Block block;                            ///< the open one
  std::map<std::string, Open> open;       ///< by output name
  Json detail = Json::object();
  bool finished = false;

  void remove_other_parts();
  void load_blocks();
  void sweep();
  [[nodiscard]] std::uint64_t open_block() const;
  void append(const std::string& output, std::string line);
  void close_files();
};

void StageWriter::State::remove_other_parts() {
  const std::string prefix = folder.filename().native() + ".part-";
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder.parent_path(), error)) {
    if (entry.path().filename().native().starts_with(prefix) && entry.path() != part) {
      leftovers.push_back(entry.path());
    }
  }
  for (const fs::path& path : leftovers) disk.remove_all(path);
}

void StageWriter::State::load_blocks() {
  for (const auto& entry : fs::directory_iterator(part)) {
    const auto index = block_index(entry.path().filename().native());
    if (!index || !spec.part.makes(*index)) continue;
    if (Block found; load_block(part, *index, found)) blocks.emplace(*index, std::move(found));
  }
  // Behind a gap, only a block of the size that the gap will be filled with is where it should be.
  std::uint64_t prefix = 0;
  while (blocks.contains(prefix)) ++prefix;
  std::erase_if(blocks, [&](const auto& each) {
    const auto& [index, found] = each;
    return index > prefix && (block_rows == 0 || found.block_rows != block_rows);
  });
  for (const auto& [index, found] : blocks) earlier.insert(index);
}

/// The number of the block that rows go to: the first that this part makes and that is not done.
std::uint64_t StageWriter::State::open_block() const {
  std::uint64_t index = next;
  while (!spec.part.makes(index) || blocks.contains(index)) ++index;
  return index;
}

/// Removes what no finished block lists: temporary files, files of a torn block, a torn manifest.
void StageWriter::State::sweep() {
  std::set<std::string> wanted;
  for (const auto& [index, done] : blocks) {
    wanted.insert(block_name(index));
    for (const StageFile& file : done.files) wanted.insert(file.name);
  }
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(part)) {
    if (!wanted.contains(entry.path().filename().native())) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) disk.remove_all(path);
}

void StageWriter::State::append(const std::string& output, std::string line) {
  NATIVO_CHECK(!finished, "a finished stage is written to");
  auto found = open.find(output);
  if (found == open.end()) {
    io::ZstdWriter writer(part / file_name(output, open_block()), disk);
    found = open.emplace(output, Open{std::move(writer)}).first;
  }
  line += '\n';
  found->second.writer.write(line);
  ++found->second.rows;
}

void StageWriter::State::close_files() {
  for (auto& [output, file] : open) {
    io::WrittenFile written = file.writer.commit();
    block.files.push_back(
        {std::move(written.name), file.rows, written.bytes, std::move(written.sha256)});
  }
  open.clear();
  const std::uint64_t index = open_block();
  blocks.emplace(index, std::exchange(block, {}));
  next = index + 1;
}

StageWriter::StageWriter(fs::path folder, StageSpec spec, io::Disk& disk,
                         std::uint64_t block_rows) {
  fs::path part = folder;
  part += ".part-" + spec.key.substr(0, 12);
  state_ = std::unique_ptr<State>(new State{.folder = std::move(folder),
                                            .part = std::move(part),
                                            .spec = std::move(spec),
                                            .disk = disk,
                                            .block_rows = block_rows,
                                            .blocks = {},
                                            .earlier = {},
                                            .block = {},
                                            .open = {}});
  State& s = *state_;
  const bool whole = s.spec.part.is_whole();
  if (whole) s.remove_other_parts();
  disk.make_folders(s.part);
  s.load_blocks();
  if (whole) s.sweep();
}

StageWriter::~StageWriter() = default;

void StageWriter::count_in(std::uint64_t rows) { state_->block.rows_in += rows; }
void StageWriter::count_added(std::uint64_t rows) { state_->block.rows_added += rows; }

void StageWriter::keep(const Record& record, std::string_view output) {
  NATIVO_CHECK(is_output_name(output), "an output's name is [a-z0-9_]+ and not rejects");
  const std::string name(output);
  state_->append(name, to_line(record));
  ++state_->block.outputs[name];
  ++state_->block.lengths[length_bucket(count_code_points(full_text(record)))];
}

void StageWriter::reject(const Reject& reject) {
  state_->append(std::string(kRejects), to_line(reject, state_->spec.name));
  ++state_->block.rejects[reject.reason.rule];
}

void StageWriter::add_counts(const Json& counts) { data::add_counts(state_->block.counts, counts); }

void StageWriter::end_block(std::uint64_t index) {
  State& s = *state_;
  NATIVO_CHECK(index == s.open_block(), "blocks end in order, each once");
  s.block.block_rows = s.block_rows;
  s.close_files();
  io::write_file_atomically(s.part / block_name(index),
                            dump_json(to_json(s.blocks.at(index))) + "\n", s.disk);
}

bool StageWriter::block_done(std::uint64_t index) const { return state_->earlier.contains(index); }

std::uint64_t StageWriter::block_rows_in(std::uint64_t index) const {
  NATIVO_CHECK(block_done(index), "only done blocks have rows to skip");
  return state_->blocks.at(index).rows_in;
}

Json& StageWriter::detail() { return state_->detail; }

Manifest StageWriter::so_far() const {
  const State& s = *state_;
  Manifest manifest;
  manifest.stage = s.spec.name;
  manifest.key = s.spec.key;
  manifest.version = s.spec.version;
  manifest.options = s.spec.options;
  manifest.inputs = s.spec.inputs;
  manifest.detail = s.detail;
  for (const auto& [index, block] : s.blocks) {
    manifest.rows_in += block.rows_in;
    manifest.rows_added += block.rows_added;
    add_rows(manifest.outputs, block.outputs);
    add_rows(manifest.rejects, block.rejects);
    data::add_counts(manifest.detail, block.counts);
    for (const auto& [edge, rows] : block.lengths) manifest.length_histogram[edge] += rows;
  }
  for (const auto& [name, rows] : manifest.outputs) manifest.rows_out += rows;
  manifest.seconds = monotonic_seconds() - s.start;
  return manifest;
}

Manifest StageWriter::finish() {
  State& s = *state_;
  NATIVO_CHECK(!s.finished, "finish() is called twice");
  NATIVO_CHECK(s.spec.part.is_whole(), "a part does not finish the stage");
  if (!s.open.empty() || s.block.rows_in + s.block.rows_added > 0) s.close_files();
  Manifest manifest = so_far();
  for (const auto& [index, block] : s.blocks) {
    manifest.files.insert(manifest.files.end(), block.files.begin(), block.files.end());
  }
  if (manifest.rows_in + manifest.rows_added != manifest.rows_out + manifest.rejected()) {
    throw Error(ExitCode::kInternal,
                fmt::format("stage {}: {} rows in + {} added are not {} rows out + {} rejected",
                            manifest.stage, manifest.rows_in, manifest.rows_added,
                            manifest.rows_out, manifest.rejected()),
                "rows were lost, so nothing was committed; please report this");
  }
  io::write_file_atomically(s.part / "manifest.json", dump_json_pretty(to_json(manifest)), s.disk);
  io::commit_folder(s.part, s.folder, s.disk);
  s.finished = true;
  return manifest;
}

Manifest run_blocks(const fs::path& folder, const StageSpec& spec, RecordReader& input,
                    std::size_t block_rows,
                    const std::function<BlockResult(std::vector<Record>)>& transform, Json detail,
                    io::Disk& disk) {
  NATIVO_CHECK(block_rows > 0, "a block holds rows");
  StageWriter writer(folder, spec, disk, block_rows);
  writer.detail() = std::move(detail);
  Progress progress(spec.name, input.total(), "rows");
  bool more = true;
  for (std::uint64_t index = 0; more; ++index) {
    const bool done = writer.block_done(index) || !spec.part.makes(index);
    const std::uint64_t wanted =
        writer.block_done(index) ? writer.block_rows_in(index) : block_rows;
    std::vector<Record> rows;
    std::uint64_t taken = 0;
    for (Record record; taken < wanted && (more = input.next(record)); ++taken) {
      if (!done) rows.push_back(std::move(record));
    }
    if (done) {
      if (taken < wanted && writer.block_done(index)) {
        throw Error(
            ExitCode::kInternal,
            fmt::format("stage {}: the input is shorter than in the attempt before it", spec.name));
      }
      progress.already(taken);
      continue;
    }
    if (taken == 0) break;
    const BlockResult result = transform(std::move(rows));
    if (result.kept.size() + result.rejected.size() != taken) {
      throw Error(ExitCode::kInternal,
                  fmt::format("stage {}: {} rows in are not {} rows out + {} rejected", spec.name,
                              taken, result.kept.size(), result.rejected.size()),
                  "rows were lost, so nothing was committed; please report this");
    }
    writer.count_in(taken);
    for (const Record& record : result.kept) writer.keep(record);
    for (const Reject& reject : result.rejected) writer.reject(reject);
    writer.add_counts(result.counts);
    writer.end_block(index);
    progress.advance(taken);
    if (more) stop_if_interrupted();
  }
  return spec.part.is_whole() ? writer.finish() : writer.so_far();
}

}  // namespace nativo::data

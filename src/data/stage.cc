// Writing and running stages. The part folder's rule: a file counts only when a block-NNNNN.json
// that lists it is there; everything else is swept when the next writer starts.
#include "data/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
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
  double start = monotonic_seconds();
  std::vector<Block> blocks;         ///< the finished ones, from the first
  std::size_t earlier = 0;           ///< of them, how many an earlier attempt finished
  Block block;                       ///< the open one
  std::map<std::string, Open> open;  ///< by output name
  Json detail = Json::object();
  bool finished = false;

  void remove_other_parts();
  void load_blocks();
  void sweep();
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
  for (Block found; load_block(part, blocks.size(), found); found = {}) blocks.push_back(found);
  earlier = blocks.size();
}

/// Removes what no finished block lists: temporary files, files of a torn block, a torn manifest.
void StageWriter::State::sweep() {
  std::set<std::string> wanted;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    wanted.insert(block_name(i));
    for (const StageFile& file : blocks[i].files) wanted.insert(file.name);
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
    io::ZstdWriter writer(part / file_name(output, blocks.size()), disk);
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
  blocks.push_back(std::exchange(block, {}));
}

StageWriter::StageWriter(fs::path folder, StageSpec spec, io::Disk& disk) {
  fs::path part = folder;
  part += ".part-" + spec.key.substr(0, 12);
  state_ = std::unique_ptr<State>(new State{.folder = std::move(folder),
                                            .part = std::move(part),
                                            .spec = std::move(spec),
                                            .disk = disk,
                                            .blocks = {},
                                            .block = {},
                                            .open = {}});
  State& s = *state_;
  s.remove_other_parts();
  disk.make_folders(s.part);
  s.load_blocks();
  s.sweep();
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
  NATIVO_CHECK(index == s.blocks.size(), "blocks end in order, each once");
  s.close_files();
  io::write_file_atomically(s.part / block_name(index), dump_json(to_json(s.blocks.back())) + "\n",
                            s.disk);
}

bool StageWriter::block_done(std::uint64_t index) const { return index < state_->earlier; }

std::uint64_t StageWriter::block_rows_in(std::uint64_t index) const {
  NATIVO_CHECK(block_done(index), "only done blocks have rows to skip");
  return state_->blocks[index].rows_in;
}

Json& StageWriter::detail() { return state_->detail; }

Manifest StageWriter::finish() {
  State& s = *state_;
  NATIVO_CHECK(!s.finished, "finish() is called twice");
  if (!s.open.empty() || s.block.rows_in + s.block.rows_added > 0) s.close_files();
  Manifest manifest;
  manifest.stage = s.spec.name;
  manifest.key = s.spec.key;
  manifest.version = s.spec.version;
  manifest.options = s.spec.options;
  manifest.inputs = s.spec.inputs;
  manifest.detail = s.detail;
  for (const Block& block : s.blocks) {
    manifest.rows_in += block.rows_in;
    manifest.rows_added += block.rows_added;
    add_rows(manifest.outputs, block.outputs);
    add_rows(manifest.rejects, block.rejects);
    data::add_counts(manifest.detail, block.counts);
    for (const auto& [edge, rows] : block.lengths) manifest.length_histogram[edge] += rows;
    manifest.files.insert(manifest.files.end(), block.files.begin(), block.files.end());
  }
  for (const auto& [name, rows] : manifest.outputs) manifest.rows_out += rows;
  if (manifest.rows_in + manifest.rows_added != manifest.rows_out + manifest.rejected()) {
    throw Error(ExitCode::kInternal,
                fmt::format("stage {}: {} rows in + {} added are not {} rows out + {} rejected",
                            manifest.stage, manifest.rows_in, manifest.rows_added,
                            manifest.rows_out, manifest.rejected()),
                "rows were lost, so nothing was committed; please report this");
  }
  manifest.seconds = monotonic_seconds() - s.start;
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
  StageWriter writer(folder, spec, disk);
  writer.detail() = std::move(detail);
  Progress progress(spec.name, input.total(), "rows");
  bool more = true;
  for (std::uint64_t index = 0; more; ++index) {
    const bool done = writer.block_done(index);
    const std::uint64_t wanted = done ? writer.block_rows_in(index) : block_rows;
    std::vector<Record> rows;
    std::uint64_t taken = 0;
    for (Record record; taken < wanted && (more = input.next(record)); ++taken) {
      if (!done) rows.push_back(std::move(record));
    }
    if (done) {
      if (taken < wanted) {
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
  return writer.finish();
}

}  // namespace nativo::data

// Taking copies. See the header; finding them is in memory_search.cc.
#include "train/neighbour_memory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "train/background.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

fs::path partial(const fs::path& path) {
  fs::path name = path;
  name += ".partial";
  return name;
}

void discard(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

/// Memory of `old` serves again: its pages are there already.
io::MappedFile make_file(const fs::path& path, const fs::path* old, std::size_t bytes) {
  std::error_code ignored;
  if (old != nullptr) fs::rename(*old, path, ignored);
  return io::MappedFile::create(path, bytes);
}

std::vector<DeferredCopy::Piece> pieces_of(std::span<const CheckpointRange> ranges,
                                           std::span<std::byte> to) {
  std::vector<DeferredCopy::Piece> pieces;
  for (const CheckpointRange& range : ranges) {
    pieces.push_back({.from = range.bytes, .to = to.data()});
    to = to.subspan(range.bytes.size());
  }
  return pieces;
}

}  // namespace

NeighbourMemory::NeighbourMemory(DataParallel& parallel, const fs::path& train_dir,
                                 const std::string& key, const fs::path& dir)
    : parallel_(parallel),
      world_(parallel.grid().world()),
      fence_(train_dir),
      key_(dist::broadcast_text(world_, world_.is_root() ? key : "", 0)),
      run_(draw_run()),
      links_(world_.split(0, world_.rank())) {
  const std::string run =
      world_.is_root() ? fs::absolute(train_dir).lexically_normal().native() : "";
  dir_ = dir / ("nativo-" + xxh128_hex(dist::broadcast_text(world_, run, 0)));
  find_neighbours();
  open_folder();
}

NeighbourMemory::~NeighbourMemory() {
  links_->abandon();
  if (sending_.valid()) sending_.wait();
}

std::string NeighbourMemory::draw_run() {
  std::random_device device;
  const std::string name = fmt::format("{:08x}{:08x}", device(), device());
  return dist::broadcast_text(world_, world_.is_root() ? name : "", 0);
}

/// The n-th rank of a node has its neighbour on the next node, at n modulo that one's size.
void NeighbourMemory::find_neighbours() {
  const double node = world_.place().node;
  std::vector<std::vector<int>> members(static_cast<std::size_t>(world_.place().nodes));
  const std::vector<double> nodes = dist::all_gather_numbers(world_, std::span(&node, 1));
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    members[static_cast<std::size_t>(nodes[r])].push_back(static_cast<int>(r));
  }
  if (members.size() == 1) return;
  for (std::size_t n = 0; n < members.size(); ++n) {
    const std::vector<int>& next = members[(n + 1) % members.size()];
    for (std::size_t i = 0; i < members[n].size(); ++i) {
      const int keeper = next[i % next.size()];
      const std::size_t turn = i / next.size();
      turns_ = std::max(turns_, turn + 1);
      if (keeper == world_.rank()) from_.push_back(members[n][i]);
      if (members[n][i] == world_.rank()) {
        to_ = keeper;
        turn_ = turn;
      }
    }
  }
}

void NeighbourMemory::open_folder() {
  std::string reason;
  struct stat status {};
  if (::mkdir(dir_.c_str(), 0700) != 0 && errno != EEXIST) {
    reason = fmt::format("{}: {}", printable(dir_.native()), std::strerror(errno));
  } else if (::lstat(dir_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
             status.st_uid != ::geteuid() || (status.st_mode & 0077) != 0) {
    reason = fmt::format("{}: is not a folder of this user alone", printable(dir_.native()));
  }
  owns_folder_ = reason.empty();
  give_up(reason);
}

bool NeighbourMemory::give_up(const std::string& reason) {
  if (!reason.empty()) log::warn("dist.neighbour_every: {}; no state is kept in memory", reason);
  if (dist::any_rank(world_, !reason.empty())) is_off_ = true;
  return is_off_;
}

NeighbourMemory::Copy NeighbourMemory::name(std::int64_t step) const {
  const auto path = [&](int rank, const char* whose) {
    return dir_ /
           fmt::format("step-{:08}.start-{}.rank-{}.{}", step, fence_.restart(), rank, whose);
  };
  Copy copy{path(world_.rank(), "own"), {}};
  for (const int rank : from_) copy.neighbours.push_back(path(rank, "neighbour"));
  return copy;
}

/// Memory for what is taken and for what others send.
void NeighbourMemory::map(const MemoryPart& part) {
  const auto bytes = static_cast<double>(memory_part_bytes(part));
  const std::vector<double> sizes = dist::all_gather_numbers(world_, std::span(&bytes, 1));
  std::string reason;
  try {
    memory_ = make_file(partial(taking_->own), old_ ? &old_->own : nullptr,
                        static_cast<std::size_t>(bytes));
    for (std::size_t i = 0; i < from_.size(); ++i) {
      incoming_.push_back(
          make_file(partial(taking_->neighbours[i]), old_ ? &old_->neighbours[i] : nullptr,
                    static_cast<std::size_t>(sizes[static_cast<std::size_t>(from_[i])])));
    }
  } catch (const Error& error) {
    reason = error.what();
  }
  give_up(reason);
}

void NeighbourMemory::take(std::int64_t step, const std::string& state,
                           const model::Decoder& decoder, const Optimizer& optimizer) {
  if (is_off_) return;
  fence_.check();
  wait();
  if (is_off_) return clear();
  parts_ = {};  // gives memory back before it takes more
  parts_ = checkpoint_parts(parallel_, decoder, optimizer);
  MemoryPart part{.key = key_,
                  .run = run_,
                  .start = fence_.restart(),
                  .step = step,
                  .rank = world_.rank(),
                  .ranks = world_.size(),
                  .state = state,
                  .files = parts_.files,
                  .ranges = {}};
  for (const CheckpointRange& range : parts_.ranges) {
    part.ranges.push_back({range.file, range.begin, range.bytes.size()});
  }
  taking_ = name(step);
  map(part);
  if (is_off_) return clear();
  old_.reset();
  copy_.begin(pieces_of(parts_.ranges, memory_.bytes().subspan(memory_part_head(part))));
  sending_ = std::async(std::launch::async, [this, part = std::move(part)]() mutable {
    lower_priority();
    send(std::move(part));
  });
}

/// A file gets its name when all of it is there.
void NeighbourMemory::send(MemoryPart part) {
  try {
    copy_.finish();
    seal_memory_part(part, memory_.bytes());
    io::posix_disk().rename(partial(taking_->own), taking_->own);
    for (std::size_t turn = 0; turn < turns_; ++turn) {
      const bool receives = turn < from_.size();
      links_->send_receive(memory_.bytes(), turn == turn_ ? to_ : -1,
                           receives ? incoming_[turn].bytes() : std::span<std::byte>(),
                           receives ? from_[turn] : -1);
      if (!receives) continue;
      const fs::path& name = taking_->neighbours[turn];
      io::posix_disk().rename(partial(name), name);
    }
    memory_ = {};
    incoming_.clear();
  } catch (...) {  // a message may still be on its way
    memory_.leave();
    for (io::MappedFile& file : incoming_) file.leave();
    throw;
  }
}

void NeighbourMemory::wait() {
  if (!taking_ || is_off_) return;
  std::string reason;
  try {
    if (sending_.valid()) sending_.get();
  } catch (const std::exception& error) {
    reason = error.what();
  }
  if (give_up(reason)) return;
  old_ = std::exchange(whole_, std::exchange(taking_, {}));
}

/// All files of this rank, and what else a copy takes. Nothing is under way.
void NeighbourMemory::release() {
  copy_.begin({});
  parts_ = {};
  memory_ = {};
  incoming_.clear();
  for (std::optional<Copy>* copy : {&old_, &whole_, &taking_}) {
    if (!*copy) continue;
    std::vector<fs::path> files = (*copy)->neighbours;
    files.push_back((*copy)->own);
    for (const fs::path& file : files) {
      discard(file);
      discard(partial(file));
    }
    copy->reset();
  }
}

void NeighbourMemory::forget() {
  if (is_off_) return;
  wait();
  release();
  run_ = draw_run();  // should a part have been left somewhere, it never goes with those to come
  world_.barrier();
}

void NeighbourMemory::clear() {
  wait();
  release();
  world_.barrier();
  if (owns_folder_) discard(dir_);  // when nothing else is in it
}

}  // namespace nativo::train

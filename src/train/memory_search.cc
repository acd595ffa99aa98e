// Finding a state that ranks, perhaps other ones, have left in memory. See neighbour_memory.h.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/file.h"
#include "train/neighbour_memory.h"
#include "train/train_state.h"

namespace nativo::train {
namespace fs = std::filesystem;
namespace {

/// A part in some node's memory.
struct Holding {
  std::int64_t rank = 0;
  std::string name;  ///< of the file
  int node = 0;      ///< whose ranks can read it
  bool is_bad = false;
};

struct Candidate {
  std::int64_t ranks = 0;
  std::string state;
  Json files;
  std::map<std::int64_t, std::vector<Holding>> holdings;  ///< by rank, its own node's first
};

/// Start, step, run: the newest is the last.
using Candidates = std::map<std::tuple<std::int64_t, std::int64_t, std::string>, Candidate>;

/// What this rank has been given of a candidate.
struct Share {
  std::vector<CheckpointRange> ranges;
  std::vector<io::MappedFile> memory;
};

bool is_part(const fs::path& path) {
  const std::string name = path.filename().native();
  return name.ends_with(".own") || name.ends_with(".neighbour");
}

std::string shown(const fs::path& path) { return printable(path.native()); }

/// The heads of the parts in a node's memory that belong to this run.
Json list_parts(const fs::path& dir, const std::string& key, std::int64_t start, int node) {
  Json list = Json::array();
  std::error_code ignored;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(dir, ignored)) {
    if (is_part(entry.path())) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  for (const fs::path& path : paths) {
    try {
      const io::MappedFile file = io::MappedFile::open(path);
      const MemoryPart part = read_memory_part(file.bytes(), shown(path));
      if (part.key != key || part.start > start) {
        log::info("{}: is of {}: not used", shown(path),
                  part.key != key ? "other data, another model or other options"
                                  : "a newer start of the run");
        continue;
      }
      list.push_back({{"start", part.start},
                      {"step", part.step},
                      {"run", part.run},
                      {"rank", part.rank},
                      {"ranks", part.ranks},
                      {"files", part.files},
                      {"name", path.filename().native()},
                      {"node", node},
                      {"state", part.rank == 0 ? part.state : ""}});
    } catch (const Error& error) {
      log::warn("{}; not used", error.what());
    }
  }
  return list;
}

Candidates candidates_in(const std::vector<std::string>& lists) {
  Candidates candidates;
  for (const std::string& text : lists) {
    for (const Json& entry : parse_json(text, "a node's list")) {
      const auto rank = entry["rank"].get<std::int64_t>();
      Candidate& candidate =
          candidates[{entry["start"].get<std::int64_t>(), entry["step"].get<std::int64_t>(),
                      entry["run"].get<std::string>()}];
      if (candidate.holdings.empty()) {
        candidate.ranks = entry["ranks"].get<std::int64_t>();
        candidate.files = entry["files"];
      }
      if (entry["ranks"] != candidate.ranks || entry["files"] != candidate.files) continue;
      if (rank == 0) candidate.state = entry["state"].get<std::string>();
      candidate.holdings[rank].push_back(
          {rank, entry["name"].get<std::string>(), entry["node"].get<int>()});
    }
  }
  for (auto& [id, candidate] : candidates) {
    for (auto& [rank, holdings] : candidate.holdings) {
      std::ranges::stable_sort(holdings, {},
                               [](const Holding& of) { return !of.name.ends_with(".own"); });
    }
  }
  return candidates;
}

/// Why a candidate is not to be used before anything of it has been read; "" = it may be.
std::string reason_against(const Candidate& candidate, std::int64_t step) {
  if (static_cast<std::int64_t>(candidate.holdings.size()) != candidate.ranks) {
    return fmt::format("parts of {} of {} ranks are missing",
                       candidate.ranks - static_cast<std::int64_t>(candidate.holdings.size()),
                       candidate.ranks);
  }
  try {
    const Json state = parse_json(candidate.state, "its state");
    if (train_state_from_json(state, "its state").step != step)
      return "its state is of another step";
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Each part is read by one rank of a node that has it. True when all of them are whole; else the
/// damaged ones are marked, on all ranks alike.
bool read_parts(Candidate& candidate, dist::Communicator& world, const fs::path& dir,
                Share& share) {
  share = {};
  Json bad = Json::array();
  int turn = 0;
  for (auto& [rank, holdings] : candidate.holdings) {
    const auto chosen = std::ranges::find(holdings, false, &Holding::is_bad);
    if (chosen == holdings.end()) return false;
    if (chosen->node != world.place().node) continue;
    if (turn++ % world.place().node_size != world.place().node_rank) continue;
    const fs::path path = dir / chosen->name;
    try {
      io::MappedFile file = io::MappedFile::open(path);
      const MemoryPart part = read_memory_part(file.bytes(), shown(path));
      const auto ranges = verified_ranges(part, file.bytes(), shown(path));
      share.ranges.insert(share.ranges.end(), ranges.begin(), ranges.end());
      share.memory.push_back(std::move(file));
    } catch (const Error& error) {
      log::warn("{}; not used", error.what());
      bad.push_back(chosen->name);
    }
  }
  std::set<std::string> all_bad;
  for (const std::string& text : dist::all_gather_text(world, dump_json(bad))) {
    for (const Json& name : parse_json(text, "a rank's list")) all_bad.insert(name);
  }
  for (auto& [rank, holdings] : candidate.holdings) {
    for (Holding& holding : holdings) {
      if (all_bad.contains(holding.name)) holding.is_bad = true;
    }
  }
  return all_bad.empty();
}

/// The shares of all ranks are every byte of the files, once.
bool is_everything(const Candidate& candidate, dist::Communicator& world, const Share& share) {
  Json mine = Json::array();
  for (const CheckpointRange& range : share.ranges) {
    mine.push_back({range.file, range.begin, range.bytes.size()});
  }
  std::map<std::string, std::map<std::uint64_t, std::uint64_t>> ranges;  // begin, bytes
  for (const std::string& text : dist::all_gather_text(world, dump_json(mine))) {
    for (const Json& range : parse_json(text, "a rank's ranges")) {
      const auto bytes = range[2].get<std::uint64_t>();
      if (bytes == 0) continue;
      if (!ranges[range[0]].emplace(range[1].get<std::uint64_t>(), bytes).second) return false;
    }
  }
  return std::ranges::all_of(candidate.files.items(), [&](const auto& file) {
    std::uint64_t end = 0;
    for (const auto& [begin, bytes] : ranges[file.key()]) {
      if (begin != end) return false;
      end += bytes;
    }
    return end == file.value().template get<std::uint64_t>();
  });
}

}  // namespace

std::optional<FoundState> NeighbourMemory::find(std::int64_t step) {
  if (is_off_) return std::nullopt;
  const Json mine = world_.place().node_rank == 0
                        ? list_parts(dir_, key_, fence_.restart(), world_.place().node)
                        : Json::array();
  Candidates candidates = candidates_in(dist::all_gather_text(world_, dump_json(mine)));
  const auto say = [&](std::int64_t of, const std::string& reason) {
    if (world_.is_root()) log::info("the state of step {} in memory is not used: {}", of, reason);
  };
  // A start sweeps what those before it have left: what is there of an older one was left after it.
  const std::int64_t newest = candidates.empty() ? 0 : std::get<0>(candidates.rbegin()->first);
  for (const auto& [id, candidate] : candidates) {
    const auto& [start, its_step, run] = id;
    if (start == newest) break;
    say(its_step, fmt::format("start {} of the run left it, which start {} has taken over from",
                              start, newest));
  }
  for (auto at = candidates.rbegin(); at != candidates.rend(); ++at) {
    const auto& [its_start, its_step, its_run] = at->first;
    Candidate& candidate = at->second;
    if (its_start != newest) break;
    std::string reason;
    if (its_step <= step) {
      reason = fmt::format("a checkpoint of step {} is there", step);
    } else {
      reason = reason_against(candidate, its_step);
    }
    if (!reason.empty()) {
      say(its_step, reason);
      continue;
    }
    Share share;
    bool is_whole = read_parts(candidate, world_, dir_, share);
    const auto can_try = [&] {
      return std::ranges::all_of(candidate.holdings, [](const auto& of) {
        return std::ranges::any_of(of.second, [](const Holding& held) { return !held.is_bad; });
      });
    };
    while (!is_whole && can_try()) is_whole = read_parts(candidate, world_, dir_, share);
    if (!is_whole || !is_everything(candidate, world_, share)) {
      say(its_step, is_whole ? "its parts do not go together" : "a part is damaged in every copy");
      continue;
    }
    FoundState found{.step = its_step, .state = candidate.state, .parts = {}, .memory = {}};
    for (const auto& [name, bytes] : candidate.files.items()) {
      found.parts.files[name] = bytes.get<std::uint64_t>();
    }
    std::ranges::sort(share.ranges, {}, [](const CheckpointRange& range) {
      return std::pair(std::string_view(range.file), range.begin);
    });
    found.parts.ranges = std::move(share.ranges);
    found.memory = std::move(share.memory);
    return found;
  }
  return std::nullopt;
}

void NeighbourMemory::sweep() {
  world_.barrier();  // nobody reads any more
  if (world_.place().node_rank == 0 && owns_folder_) {
    std::error_code ignored;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir_, ignored)) {
      if (is_part(entry.path()) || is_part(entry.path().stem())) files.push_back(entry.path());
    }
    for (const fs::path& file : files) fs::remove(file, ignored);
  }
  world_.barrier();
}

}  // namespace nativo::train

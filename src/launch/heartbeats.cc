#include "launch/heartbeats.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "io/file.h"

namespace nativo::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSmallFile = 1 << 16;
constexpr std::size_t kLongestName = 256;

/// A member of type T; an Error when it is not there or something else.
template <class T>
T member(const Json& json, const char* key) {
  return json.at(key).get<T>();
}

/// Calls `add(text, rank)` with every file of `folder` that is named rank-NNNNN`suffix`.
template <class Add>
void each_file(const fs::path& folder, std::string_view suffix, const Add& add) {
  constexpr std::string_view kPrefix = "rank-";
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    if (!name.starts_with(kPrefix) || !name.ends_with(suffix)) continue;
    std::int64_t rank = -1;
    const char* end = name.data() + name.size() - suffix.size();
    const auto [at, bad] = std::from_chars(name.data() + kPrefix.size(), end, rank);
    if (bad != std::errc() || at != end || rank < 0) continue;
    try {
      add(io::read_file(entry->path(), kSmallFile), rank);
    } catch (const Error&) {
      continue;  // gone, or unreadable for now: silence is what tells
    }
  }
}

}  // namespace

std::optional<Heartbeat> parse_heartbeat(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Heartbeat beat{.rank = member<std::int64_t>(json, "rank"),
                   .restart = member<std::int64_t>(json, "restart"),
                   .node = member<std::string>(json, "node"),
                   .pid = member<std::int64_t>(json, "pid"),
                   .beat = member<std::uint64_t>(json, "beat"),
                   .time = member<double>(json, "time"),
                   .phase = member<std::string>(json, "phase"),
                   .step = member<std::int64_t>(json, "step"),
                   .steps = member<std::int64_t>(json, "steps"),
                   .first = member<std::int64_t>(json, "first"),
                   .pieces = member<std::uint64_t>(json, "pieces")};
    if (beat.rank < 0 || beat.node.size() > kLongestName) return std::nullopt;
    return beat;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::vector<Heartbeat> read_heartbeats(const fs::path& folder) {
  std::vector<Heartbeat> beats;
  each_file(folder, ".json", [&](const std::string& text, std::int64_t rank) {
    auto beat = parse_heartbeat(text);
    if (beat && beat->rank == rank) beats.push_back(std::move(*beat));
  });
  std::ranges::sort(beats, {}, &Heartbeat::rank);
  return beats;
}

std::vector<RankExit> read_exits(const fs::path& folder) {
  std::vector<RankExit> exits;
  each_file(folder, ".exit", [&](const std::string& text, std::int64_t rank) {
    try {
      const Json json = Json::parse(text);
      exits.push_back({.rank = rank,
                       .code = member<int>(json, "exit"),
                       .message = member<std::string>(json, "message")});
    } catch (const Json::exception&) {
      return;  // it died while it wrote
    }
  });
  std::ranges::sort(exits, {}, &RankExit::rank);
  return exits;
}

}  // namespace nativo::launch

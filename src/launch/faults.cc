#include "launch/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::launch {
namespace {

bool is_hopeless(int code) {
  switch (static_cast<ExitCode>(code)) {
    case ExitCode::kUsage:
    case ExitCode::kData:
    case ExitCode::kMissingInput:
    case ExitCode::kConfig:
      return true;
    default:
      return false;
  }
}

/// The whole number at the start of `text`; -1 when there is none.
std::int64_t leading_number(std::string_view text) {
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// What stands between `from` and `to` in `text`; "" when they are not there.
std::string_view between(std::string_view text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + from.size());
  const std::size_t end = text.find(to);
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

}  // namespace

std::string status_words(int status) {
  if (status <= 128) return fmt::format("exit code {}", status);
  return fmt::format("killed by signal {}", status - 128);
}

std::optional<Blame> blame_in_log(std::string_view log) {
  for (const std::string_view line : split(log, '\n')) {
    constexpr std::string_view kSrun = "srun: error: ";
    if (line.starts_with(kSrun)) {
      const std::string_view rest = line.substr(kSrun.size());
      if (constexpr std::string_view kNode = "Node failure on "; rest.starts_with(kNode)) {
        const std::string node(trim(rest.substr(kNode.size())));
        return Blame{.node = node, .words = "node " + printable(node) + " failed"};
      }
      const std::string_view node = rest.substr(0, rest.find(':'));
      const std::size_t task = rest.find(": task");
      if (task == std::string_view::npos || node.size() != task) continue;
      std::string_view what = rest.substr(task + 2);
      const std::size_t space = what.find(' ');
      const std::size_t colon = what.find(": ");
      if (space == std::string_view::npos || colon == std::string_view::npos) continue;
      const std::int64_t rank = leading_number(what.substr(space + 1));
      if (rank < 0) continue;
      what.remove_prefix(colon + 2);
      return Blame{
          .rank = rank,
          .node = std::string(node),
          .words = fmt::format("rank {} on {}: {}", rank, printable(node), printable(trim(what)))};
    }
    if (line.starts_with("mpirun noticed that process rank ")) {
      const std::int64_t rank = leading_number(between(line, "process rank ", " with"));
      const std::string_view node = between(line, "on node ", " exited");
      const std::string_view what = between(line, " exited on ", ".");
      if (rank < 0 || node.empty()) continue;
      return Blame{.rank = rank,
                   .node = std::string(node),
                   .words = fmt::format("rank {} on {}: ended by {}", rank, printable(node),
                                        printable(what))};
    }
  }
  return std::nullopt;
}

Outcome judge(const Ending& ending) {
  if (ending.finding) return Outcome::kFault;
  if (ending.status == 0) return ending.cut_short ? Outcome::kFault : Outcome::kDone;
  const int try_again = static_cast<int>(ExitCode::kTryAgain);
  const bool says_stopped = std::ranges::any_of(
      ending.exits, [&](const RankExit& rank) { return rank.code == try_again; });
  if (ending.asked_to_stop && (ending.status == try_again || says_stopped)) {
    return Outcome::kStopped;
  }
  const bool hopeless = std::ranges::any_of(
      ending.exits, [](const RankExit& rank) { return is_hopeless(rank.code); });
  return hopeless || is_hopeless(ending.status) ? Outcome::kHopeless : Outcome::kFault;
}

Blame find_blame(const Ending& ending) {
  if (ending.finding) {
    return {.rank = ending.finding->rank,
            .node = ending.finding->node,
            .words = ending.finding->words(),
            .code = ending.status};
  }
  // A rank that can still say why it ends was not killed; "try again" may only be the echo of the
  // others being told to stop.
  const auto cause = std::ranges::find_if(ending.exits, [](const RankExit& rank) {
    return rank.code != static_cast<int>(ExitCode::kTryAgain);
  });
  const std::optional<Blame> named = blame_in_log(ending.log_tail);
  if (cause == ending.exits.end() && named) {
    Blame blame = *named;
    blame.code = ending.status;
    return blame;
  }
  const auto speaker = cause != ending.exits.end() ? cause : ending.exits.begin();
  if (speaker != ending.exits.end()) {
    return {.rank = speaker->rank,
            .node = {},
            .words = fmt::format("rank {}: {} (exit code {})", speaker->rank,
                                 printable(speaker->message), speaker->code),
            .code = speaker->code};
  }
  return {.words = "the ranks ended with " + status_words(ending.status), .code = ending.status};
}

bool Budget::spend(std::optional<std::int64_t> newest_checkpoint) {
  const bool progress = newest_checkpoint.value_or(-1) > checkpoint_.value_or(-1);
  if (progress) {
    in_a_row_ = 0;
    checkpoint_ = newest_checkpoint;
  }
  ++in_a_row_;
  return in_a_row_ <= retries_;
}

double Budget::pause() const {
  if (in_a_row_ <= 1) return 0.0;
  return std::min(60.0, std::pow(2.0, static_cast<double>(in_a_row_ - 1)));
}

}  // namespace nativo::launch

#include "train/spikes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::train {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kIdsInMessage = 8;
constexpr std::size_t kIdsInFile = 32;

/// Infinity when nothing can be said yet.
double highest_usual_loss(std::span<const double> recent, double sigma) {
  if (sigma <= 0.0 || recent.size() < kFewestLosses) return kInfinity;
  const auto count = static_cast<double>(recent.size());
  double mean = 0.0;
  for (const double loss : recent) mean += loss / count;
  double variance = 0.0;
  for (const double loss : recent) variance += (loss - mean) * (loss - mean) / count;
  // Losses that hardly differ would make a spike of every breath.
  return mean + sigma * std::max(std::sqrt(variance), 0.01 * mean);
}

void name_batch(Spike& spike, std::span<const Row* const> rows, std::span<const Example> examples) {
  std::set<std::size_t> seen;
  std::set<std::string> sources;
  for (const Row* row : rows) {
    for (const Piece& piece : row->pieces) {
      if (!seen.insert(piece.example).second) continue;
      const Example& example = examples[piece.example];
      spike.examples.push_back(example.id);
      if (!example.source.empty()) sources.insert(example.source);
    }
  }
  spike.sources.assign(sources.begin(), sources.end());
}

std::string list(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names) {
    if (shown.size() == kIdsInMessage) break;
    shown.push_back(printable(name));
  }
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > shown.size()) text += fmt::format(" and {} more", names.size() - shown.size());
  return text;
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

SpikePolicy spike_policy(const std::string& option) {
  if (option == "stop") return SpikePolicy::kStop;
  if (option == "skip") return SpikePolicy::kSkip;
  if (option == "rollback") return SpikePolicy::kRollback;
  throw Error(
      ExitCode::kConfig,
      fmt::format("train.on_spike: \"{}\" is none of stop, skip, rollback", printable(option)));
}

std::optional<Spike> find_spike(const StepOutcome& outcome, std::int64_t step,
                                std::span<const Row* const> rows, std::span<const Example> examples,
                                std::span<const double> recent, double spike_sigma) {
  Spike spike{.step = step, .what = "loss", .value = outcome.loss, .limit = kInfinity};
  if (std::isfinite(outcome.loss)) {
    if (!std::isfinite(outcome.gradient_norm)) {
      spike.what = "gradient norm";
      spike.value = outcome.gradient_norm;
    } else {
      spike.limit = highest_usual_loss(recent, spike_sigma);
      if (outcome.loss <= spike.limit) return std::nullopt;
    }
  }
  name_batch(spike, outcome.suspects.empty() ? rows : outcome.suspects, examples);
  return spike;
}

void remember_loss(std::vector<double>& recent, double loss) {
  recent.push_back(loss);
  if (recent.size() > kLossWindow) recent.erase(recent.begin());
}

std::string describe(const Spike& spike) {
  std::string text = fmt::format("step {}: the {} is ", spike.step, spike.what);
  text += std::isfinite(spike.limit)
              ? fmt::format("{:.4f}, beyond the usual {:.4f}", spike.value, spike.limit)
              : fmt::format("{}", spike.value);
  text += "; examples: " + list(spike.examples);
  if (!spike.sources.empty()) text += fmt::format(" (sources: {})", list(spike.sources));
  return text;
}

Json to_json(const Spike& spike) {
  Json json = {{"step", spike.step}, {"what", spike.what}, {"value", finite_or_null(spike.value)}};
  if (std::isfinite(spike.limit)) json["limit"] = spike.limit;
  const auto shown = std::min(kIdsInFile, spike.examples.size());
  json["examples"] = std::vector<std::string>(
      spike.examples.begin(), spike.examples.begin() + static_cast<std::ptrdiff_t>(shown));
  json["more_examples"] = spike.examples.size() - shown;
  json["sources"] = spike.sources;
  return json;
}

}  // namespace nativo::train

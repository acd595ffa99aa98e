#include "generate/beam_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace nativo::generate {
namespace {

constexpr float kPrefixMiss = -1e10F;  // the score of what is not the prefix

/// log of the coverage of each source token, summed (Wu et al., arXiv:1609.08144, section 7, with
/// CTranslate2's reading: tokens without any attention do not count).
float coverage(std::span<const float> attention, std::size_t source_length, float beta) {
  float penalty = 0.0F;
  for (std::size_t column = 0; column < source_length; ++column) {
    float sum = 0.0F;
    for (std::size_t row = 0; row < attention.size() / source_length; ++row) {
      sum += attention[row * source_length + column];
    }
    if (sum > 0.0F) penalty += std::log(std::min(sum, 1.0F));
  }
  return beta * penalty;
}

/// The tokens that would complete an n-gram that `tokens` already holds.
std::vector<std::int32_t> repeats(const std::vector<std::int32_t>& tokens, std::size_t n) {
  std::vector<std::int32_t> banned;
  if (tokens.size() < n) return banned;
  const auto last = tokens.end() - static_cast<std::ptrdiff_t>(n - 1);
  for (std::size_t i = 0; i + n <= tokens.size(); ++i) {
    const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::equal(last, tokens.end(), at)) banned.push_back(tokens[i + n - 1]);
  }
  return banned;
}

void sort_unique(std::vector<std::int32_t>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace

void BeamSearchOptions::visit(config::Visitor& v) {
  v.value({.name = "beam_size", .help = "hypotheses kept; 1 = greedy", .min = 1, .max = 64},
          beam_size);
  v.value({.name = "num_hypotheses", .help = "translations of each sentence", .min = 1, .max = 64},
          num_hypotheses);
  v.value({.name = "patience",
           .help = "finished hypotheses that end the search, in beams",
           .min = 0.01,
           .max = 64},
          patience);
  v.value({.name = "length_penalty",
           .help = "scores are divided by length to this power; 0 = not",
           .min = -10,
           .max = 10},
          length_penalty);
  v.value({.name = "coverage_penalty",
           .help = "weight of source tokens left without attention; 0 = none",
           .min = -100,
           .max = 100},
          coverage_penalty);
  v.value({.name = "repetition_penalty",
           .help = "divides the odds of tokens already chosen; 1 = none",
           .min = 0.01,
           .max = 100},
          repetition_penalty);
  v.value({.name = "no_repeat_ngram",
           .help = "no run of so many tokens twice; 0 = off",
           .min = 0,
           .max = 1000},
          no_repeat_ngram);
  v.value({.name = "min_length", .help = "no end before so many tokens", .min = 0, .max = 1e6},
          min_length);
  v.value({.name = "max_length",
           .help = "longest translation in tokens, its prefix included",
           .min = 1,
           .max = 1e6},
          max_length);
  v.value({.name = "max_source",
           .help = "longer sources lose their end, in tokens; 0 = never",
           .min = 0,
           .max = 1e6},
          max_source);
  v.value({.name = "replace_unknown",
           .help = "put the source token with the most attention for an unknown one"},
          replace_unknown);
  v.value({.name = "disable_unknown", .help = "never choose the unknown token"}, disable_unknown);
  v.value({.name = "scores", .help = "compute scores (a beam always does)"}, scores);
}

void BeamSearchOptions::check() const {
  if (num_hypotheses > std::lround(static_cast<double>(beam_size) * patience)) {
    throw Error(ExitCode::kConfig,
                fmt::format("num_hypotheses = {} of a beam_size of {} with patience {}",
                            num_hypotheses, beam_size, patience),
                "a search cannot return more hypotheses than it finishes");
  }
  if (min_length > max_length) {
    throw Error(ExitCode::kConfig,
                fmt::format("min_length = {} exceeds max_length = {}", min_length, max_length));
  }
}

void LogitEdits::apply(std::int32_t first, std::span<float> logits) const {
  const auto each = [&](const std::vector<std::int32_t>& ids, const auto& change) {
    for (auto id = std::lower_bound(ids.begin(), ids.end(), first); id != ids.end(); ++id) {
      const auto at = static_cast<std::size_t>(*id - first);
      if (at >= logits.size()) break;
      change(logits[at]);
    }
  };
  each(penalized, [&](float& logit) { logit = logit < 0.0F ? logit * penalty : logit / penalty; });
  each(banned, [](float& logit) { logit = -std::numeric_limits<float>::infinity(); });
}

BeamSearch::BeamSearch(const BeamSearchOptions& options, const SearchTokens& tokens,
                       std::vector<std::int32_t> prefix, std::int64_t source_length)
    : options_(options),
      tokens_(tokens),
      prefix_(std::move(prefix)),
      source_length_(static_cast<std::size_t>(source_length)),
      wanted_(static_cast<std::size_t>(std::round(static_cast<float>(options.beam_size) *
                                                  static_cast<float>(options.patience)))) {
  alive_.emplace_back();
  assign_slots();
}

std::int32_t BeamSearch::token(std::size_t row) const {
  return step_ == 0 ? tokens_.start : alive_[row].tokens.back();
}

std::span<const std::int32_t> BeamSearch::past(std::size_t row) const { return alive_[row].slots; }

std::int32_t BeamSearch::slot(std::size_t row) const { return next_slots_[row]; }

void BeamSearch::assign_slots() {
  used_slots_.assign(used_slots_.size(), false);
  for (const Beam& beam : alive_) {
    for (const std::int32_t slot : beam.slots) used_slots_[static_cast<std::size_t>(slot)] = true;
  }
  next_slots_.clear();
  for (std::size_t slot = 0; next_slots_.size() < alive_.size(); ++slot) {
    if (slot == used_slots_.size()) used_slots_.push_back(false);
    if (!used_slots_[slot]) next_slots_.push_back(static_cast<std::int32_t>(slot));
  }
}

LogitEdits BeamSearch::edits(std::size_t row) const {
  LogitEdits edits;
  const Beam& beam = alive_[row];
  if (options_.repetition_penalty != 1.0) {
    edits.penalized = beam.tokens;
    edits.penalty = static_cast<float>(options_.repetition_penalty);
    sort_unique(edits.penalized);
  }
  if (options_.no_repeat_ngram > 0) {
    edits.banned = repeats(beam.tokens, static_cast<std::size_t>(options_.no_repeat_ngram));
  }
  if (step_ < options_.min_length) edits.banned.push_back(tokens_.end);
  if (options_.disable_unknown) edits.banned.push_back(tokens_.unknown);
  sort_unique(edits.banned);
  return edits;
}

std::size_t BeamSearch::candidates() const {
  // One more beam of candidates: ends among the first are replaced from the second.
  if (options_.beam_size == 1 && wanted_ == 1) return 1;
  return static_cast<std::size_t>(2 * options_.beam_size);
}

std::vector<BeamSearch::Choice> BeamSearch::choose(
    std::span<const model::BestLogits> logits) const {
  std::vector<Choice> choices;
  for (std::size_t row = 0; row < logits.size(); ++row) {
    // log softmax as x + (-max - log(sum)), the additions in this order.
    const float shift =
        options_.needs_scores() ? -logits[row].most - std::log(logits[row].sum) : 0.0F;
    for (const model::Candidate& candidate : logits[row].best) {
      const float score =
          options_.needs_scores() ? candidate.logit + shift + alive_[row].score : candidate.logit;
      choices.push_back({row, candidate.id, score});
    }
  }
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.origin != b.origin ? a.origin < b.origin : a.token < b.token;
  });
  if (choices.size() > candidates()) choices.resize(candidates());
  return choices;
}

void BeamSearch::follow_prefix(std::vector<Choice>& choices) const {
  const auto step = static_cast<std::size_t>(step_);
  for (std::size_t k = 0; k < choices.size(); ++k) {
    if (step < prefix_.size()) {
      choices[k] = {0, prefix_[step], k == 0 ? 0.0F : kPrefixMiss};
    } else if (step == prefix_.size() && k > 0 && choices[k].token == tokens_.end) {
      // The first free step has one live beam: a short end must not crowd out the rest.
      choices[k] = {0, 0, kPrefixMiss};
    }
  }
}

BeamSearch::Beam BeamSearch::extend(const Choice& choice, std::span<const float> attention) const {
  const Beam& origin = alive_[choice.origin];
  Beam beam = origin;
  beam.tokens.push_back(choice.token);
  beam.slots.push_back(slot(choice.origin));
  beam.score = choice.score;
  if (!attention.empty()) {
    const auto row = attention.subspan(choice.origin * source_length_, source_length_);
    beam.attention.insert(beam.attention.end(), row.begin(), row.end());
  }
  return beam;
}

void BeamSearch::advance(std::span<const model::BestLogits> logits,
                         std::span<const float> attention) {
  NATIVO_CHECK(!done_ && logits.size() == rows(), "a scan of every live row");
  std::vector<Choice> choices = choose(logits);
  if (choices.empty() || std::isnan(choices.front().score)) {
    throw Error(ExitCode::kData, "the translation model gives no token a probability",
                "its weights overflow, or the options forbid every token");
  }
  if (!prefix_.empty()) follow_prefix(choices);

  const bool last = step_ + 1 >= options_.max_length;
  const auto beams = static_cast<std::size_t>(options_.beam_size);
  std::size_t next_best = beams;
  std::vector<Beam> alive;
  for (std::size_t k = 0; k < std::min(beams, choices.size()); ++k) {
    std::size_t kept = k;
    const bool ended =
        choices[k].token == tokens_.end && step_ >= static_cast<std::int64_t>(prefix_.size());
    if (ended || last) {
      if (k == 0) top_finished_ = true;
      Beam beam = extend(choices[k], attention);
      finished_.push_back({std::move(beam.tokens), beam.score, std::move(beam.attention)});
      for (std::size_t j = next_best; j < choices.size(); ++j) {
        if (choices[j].token == tokens_.end) continue;
        kept = j;
        next_best = j + 1;
        break;
      }
    }
    if (!last) alive.push_back(extend(choices[kept], attention));
  }
  const bool stop_early = options_.length_penalty == 0.0 && options_.coverage_penalty == 0.0;
  done_ = last || (stop_early ? top_finished_ && finished_.size() >= static_cast<std::size_t>(
                                                                         options_.num_hypotheses)
                              : finished_.size() >= wanted_);
  alive_ = std::move(alive);
  assign_slots();
  ++step_;
  if (done_) finish();
}

void BeamSearch::finish() {
  for (Hypothesis& hypothesis : finished_) {
    if (options_.needs_scores()) {
      // The length counts the end token.
      hypothesis.score /= std::pow(static_cast<float>(hypothesis.tokens.size()),
                                   static_cast<float>(options_.length_penalty));
      if (options_.coverage_penalty != 0.0) {
        hypothesis.score += coverage(hypothesis.attention, source_length_,
                                     static_cast<float>(options_.coverage_penalty));
      }
    } else {
      hypothesis.score = 0.0F;
    }
    while (!hypothesis.tokens.empty() && hypothesis.tokens.back() == tokens_.end) {
      hypothesis.tokens.pop_back();
    }
    hypothesis.attention.resize(
        std::min(hypothesis.attention.size(), hypothesis.tokens.size() * source_length_));
  }
  std::stable_sort(finished_.begin(), finished_.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  if (finished_.size() > static_cast<std::size_t>(options_.num_hypotheses)) {
    finished_.resize(static_cast<std::size_t>(options_.num_hypotheses));
  }
  alive_.clear();
}

std::vector<Hypothesis> BeamSearch::take() {
  NATIVO_CHECK(done_, "the search has ended");
  return std::move(finished_);
}

}  // namespace nativo::generate

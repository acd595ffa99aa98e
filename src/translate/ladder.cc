#include "translate/ladder.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "text/chrf.h"
#include "translate/translate_stage.h"

namespace nativo::translate {

/// A record on a step.
struct Ladder::Open {
  std::size_t index = 0;  ///< among the records of climb()
  std::vector<Job> jobs;
  std::vector<Job> back;  ///< the translations, on their way back
};

namespace {

void add_jobs(const data::Record& record, std::size_t index, std::vector<Job>& jobs) {
  for (std::size_t turn = 0; turn < record.messages.size(); ++turn) {
    const data::Message& message = record.messages[turn];
    jobs.push_back({index, turn, message.role, &message.content, {}, {}});
  }
  if (record.messages.empty()) jobs.push_back({index, 0, {}, &record.text, {}, {}});
}

const Rejection* first_rejection(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    if (job.outcome.rejection) return &*job.outcome.rejection;
  }
  return nullptr;
}

double round_trip_score(const std::vector<Job>& there, const std::vector<Job>& back) {
  text::ChrfCounts sum{};
  for (std::size_t i = 0; i < there.size(); ++i) {
    const text::ChrfCounts counts = text::chrf_counts(back[i].outcome.text, {there[i].content, 1});
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += counts[k];
  }
  return text::chrf_score(sum);
}

}  // namespace

Ladder::Ladder(std::span<const LadderStep> steps, const TranslateOptions& options, std::string to,
               const PrepareRules& rules, TranslationMemory& memory, TranslationEngine* back)
    : checks_(options.check, options.from, to),
      max_unknown_(options.max_unknown),
      min_round_trip_(options.round_trip) {
  NATIVO_CHECK(!steps.empty(), "a ladder has a step");
  for (const LadderStep& step : steps) {
    names_.push_back(step.name);
    translators_.emplace_back(*step.engine, memory, rules, options.from, to, options.formality);
  }
  if (back != nullptr) back_.emplace(*back, memory, PrepareRules{}, to, options.from, "any");
}

/// Why the translation of `open` is not good enough, or nothing; fills what `climb` says of it.
std::optional<Rejection> Ladder::judge(const Open& open, Climb& climb) const {
  if (const Rejection* rejection = first_rejection(open.jobs)) return *rejection;
  std::size_t words = 0;
  std::size_t unknown = 0;
  std::size_t before = 0;
  std::size_t after = 0;
  climb.sentences = climb.numbers_localized = climb.terms = climb.wraps = climb.cuts = 0;
  for (const Job& job : open.jobs) {
    words += job.outcome.words;
    unknown += job.outcome.unknown;
    climb.sentences += job.outcome.sentences;
    climb.numbers_localized += job.prepared.localized;
    climb.terms += job.prepared.forced;
    climb.cuts += job.outcome.cuts;
    for (const auto& line : job.prepared.wraps.lines) climb.wraps += line.breaks.size();
    before += count_letters(job.prepared.text);
    after += count_letters(job.outcome.text);
  }
  climb.unknown_words =
      words == 0 ? 0.0 : static_cast<double>(unknown) / static_cast<double>(words);
  climb.length_ratio = before == 0 ? 0.0 : static_cast<double>(after) / static_cast<double>(before);
  if (climb.unknown_words > max_unknown_) {
    return Rejection{"too_many_unknown_words", fmt::format("{:.3f}", climb.unknown_words)};
  }
  for (const Job& job : open.jobs) {
    for (const Measurement& m : checks_.measure(job.prepared.text, job.outcome.text)) {
      if (!m.failed()) continue;
      return Rejection{std::string(check_name(m.check)),
                       fmt::format("{:.4g} > {:g}", m.value, m.limit)};
    }
  }
  return std::nullopt;
}

void Ladder::translate_back(std::vector<Open*>& open) {
  std::vector<Job*> jobs;
  for (Open* record : open) {
    for (const Job& job : record->jobs) {
      record->back.push_back({job.record, job.turn, job.role, &job.outcome.text, {}, {}});
    }
    for (Job& job : record->back) jobs.push_back(&job);
  }
  back_->translate(jobs);
}

std::vector<Climb> Ladder::climb(std::span<const data::Record* const> records,
                                 std::span<const std::size_t> starts) {
  std::vector<Climb> climbs(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) climbs[i].step = starts[i];
  for (std::size_t step = 0; step < translators_.size(); ++step) {
    std::vector<Open> open;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (climbs[i].step != step || !climbs[i].contents.empty()) continue;
      open.push_back({i, {}, {}});
      add_jobs(*records[i], i, open.back().jobs);
    }
    std::vector<Job*> jobs;
    for (Open& record : open) {
      for (Job& job : record.jobs) jobs.push_back(&job);
    }
    if (!jobs.empty()) translators_[step].translate(jobs);

    std::vector<std::optional<Rejection>> verdicts;
    std::vector<Open*> good;
    for (Open& record : open) {
      verdicts.push_back(judge(record, climbs[record.index]));
      if (!verdicts.back()) good.push_back(&record);
    }
    if (back_ && !good.empty()) translate_back(good);
    for (std::size_t k = 0; k < open.size(); ++k) {
      Climb& climb = climbs[open[k].index];
      if (!verdicts[k] && back_) {
        climb.round_trip = round_trip_score(open[k].jobs, open[k].back);
        if (*climb.round_trip < min_round_trip_) {
          verdicts[k] = Rejection{
              "round_trip", fmt::format("chrF2 {:.1f} < {:g}", *climb.round_trip, min_round_trip_)};
        }
      }
      if (!verdicts[k]) {
        for (Job& job : open[k].jobs) climb.contents.push_back(std::move(job.outcome.text));
        continue;
      }
      climb.failures.push_back({names_[step], std::move(*verdicts[k])});
      if (step + 1 < translators_.size()) {
        climb.step = step + 1;
      } else {
        climb.rejected = true;
      }
    }
  }
  return climbs;
}

AskedCounts Ladder::counts() const {
  AskedCounts sum;
  const auto add = [&sum](const AskedCounts& counts) {
    sum.asked += counts.asked;
    sum.remembered += counts.remembered;
  };
  for (const MessageTranslator& translator : translators_) add(translator.counts());
  if (back_) add(back_->counts());
  return sum;
}

Json to_json(const std::vector<StepFailure>& failures) {
  Json all = Json::array();
  for (const StepFailure& failure : failures) {
    all.push_back(
        {{"step", failure.step}, {"rule", failure.reason.rule}, {"value", failure.reason.value}});
  }
  return all;
}

}  // namespace nativo::translate

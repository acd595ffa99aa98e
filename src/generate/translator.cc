// Continuous batching: sentences are taken longest first; whenever a quarter of the rows is free,
// new ones join those that are being decoded.
#include "generate/translator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/parallel_work.h"
#include "base/strings.h"

namespace nativo::generate {
namespace {

/// Source tokens that are encoded together at most, when more than one sentence is.
constexpr std::size_t kEncodeTokens = 2048;
/// With fewer requests a thread than this, one worker with all threads is faster.
constexpr std::size_t kRequestsPerWorker = 2;

}  // namespace

/// One request as ids.
struct Translator::Job {
  std::size_t number = 0;            ///< of the request, from 0
  std::vector<std::int32_t> source;  ///< with the tokens that the model adds
  std::vector<std::int32_t> prefix;
  std::int32_t start = 0;
  std::vector<std::int32_t> shortlist;  ///< ascending; empty = all
  bool empty = false;                   ///< nothing to translate
};

namespace {

/// A sentence that is being decoded.
struct Live {
  std::size_t job;
  model::SourceMemory source;
  model::TargetCache cache;
  BeamSearch search;
  std::optional<model::InferenceLinear> projection;  ///< of the shortlist
  std::size_t first_row = 0;                         ///< in this step
};

}  // namespace

/// Decodes jobs from a shared list until it is empty.
class Translator::Worker {
 public:
  Worker(const Translator& translator, const BeamSearchOptions& options, std::span<const Job> jobs,
         std::size_t rows, std::atomic<std::size_t>& next,
         std::vector<std::vector<Hypothesis>>& results)
      : translator_(translator),
        options_(options),
        jobs_(jobs),
        rows_(rows),
        next_(next),
        results_(results) {}

  void run() {
    while (admit() || !live_.empty()) {
      stop_if_interrupted();
      step();
      retire();
    }
  }

 private:
  [[nodiscard]] std::size_t beams() const { return static_cast<std::size_t>(options_.beam_size); }

  /// Takes and encodes sentences when enough rows are free; true when there were any.
  bool admit() {
    const std::size_t used = live_.size() * beams();
    if (used > 0 && (used >= rows_ || (rows_ - used) * 4 < rows_)) return false;
    const std::size_t room = used >= rows_ ? 1 : std::max<std::size_t>((rows_ - used) / beams(), 1);
    std::vector<std::size_t> taken;
    std::vector<std::span<const std::int32_t>> sources;
    std::size_t tokens = 0;
    while (taken.size() < room && (taken.empty() || tokens < kEncodeTokens)) {
      const std::size_t job = next_.fetch_add(1);
      if (job >= jobs_.size()) break;
      taken.push_back(job);
      sources.push_back(jobs_[job].source);
      tokens += jobs_[job].source.size();
    }
    if (taken.empty()) return false;
    std::vector<model::SourceMemory> memories = translator_.network_.encode(sources, scratch_);
    for (std::size_t i = 0; i < taken.size(); ++i) live_.push_back(start(taken[i], memories[i]));
    return true;
  }

  Live start(std::size_t number, model::SourceMemory& memory) {
    const Job& job = jobs_[number];
    const model::InferenceLinear& projection = translator_.network_.projection();
    const SearchTokens tokens{job.start, translator_.end_, translator_.directory_.target->unknown(),
                              job.shortlist.empty()
                                  ? projection.outputs()
                                  : static_cast<std::int64_t>(job.shortlist.size())};
    const std::int64_t length = memory.length;
    Live live{number,
              std::move(memory),
              {model::KeyValueRows(scratch_.pool)},
              BeamSearch(options_, tokens, job.prefix, length),
              {}};
    if (!job.shortlist.empty()) live.projection = projection.select(job.shortlist);
    return live;
  }

  void step() {
    std::vector<model::DecoderRow> rows;
    std::vector<LogitEdits> edits;
    std::size_t alignment = 0;
    for (Live& live : live_) {
      live.first_row = rows.size();
      for (std::size_t row = 0; row < live.search.rows(); ++row) {
        model::DecoderRow& next = rows.emplace_back();
        next.token = live.search.token(row);
        next.position = live.search.step();
        next.source = &live.source;
        next.cache = &live.cache;
        next.past = live.search.past(row);
        next.slot = live.search.slot(row);
        edits.push_back(live.search.edits(row));
        alignment += static_cast<std::size_t>(live.source.length);
      }
    }
    if (options_.needs_attention()) give_alignment(rows, alignment);
    const auto count = static_cast<std::int64_t>(rows.size());
    const std::int64_t width = translator_.network_.width();
    hidden_.resize(static_cast<std::size_t>(count * width));
    translator_.network_.decode(rows, scratch_, {hidden_.data(), {count, width}});
    scan_all(edits);
    std::size_t at = 0;
    for (Live& live : live_) {
      const std::size_t beams = live.search.rows();
      const std::size_t size =
          options_.needs_attention() ? beams * static_cast<std::size_t>(live.source.length) : 0;
      live.search.advance(std::span(best_).subspan(live.first_row, beams),
                          std::span(alignment_).subspan(at, size));
      at += size;
    }
  }

  void give_alignment(std::vector<model::DecoderRow>& rows, std::size_t size) {
    alignment_.assign(size, 0.0F);
    float* at = alignment_.data();
    for (model::DecoderRow& row : rows) {
      row.alignment = at;
      at += row.source->length;
    }
  }

  /// Projects the hidden rows and leaves each row's best logits in best_.
  void scan_all(const std::vector<LogitEdits>& edits) {
    best_.assign(edits.size(), {});
    const bool all = std::none_of(live_.begin(), live_.end(),
                                  [](const Live& live) { return live.projection.has_value(); });
    if (all) {
      scan(translator_.network_.projection(), 0, edits, {});
      return;
    }
    for (const Live& live : live_) {
      const std::span<const LogitEdits> own(edits.data() + live.first_row, live.search.rows());
      if (live.projection) {
        scan(*live.projection, live.first_row, own, jobs_[live.job].shortlist);
      } else {
        scan(translator_.network_.projection(), live.first_row, own, {});
      }
    }
  }

  /// The rows from `first` on, as many as `edits`. `ids` are those of the projection's outputs when
  /// they are not 0, 1, 2 ...
  void scan(const model::InferenceLinear& projection, std::size_t first,
            std::span<const LogitEdits> edits, std::span<const std::int32_t> ids) {
    const auto rows = static_cast<std::int64_t>(edits.size());
    const std::int64_t width = translator_.network_.width();
    const std::span<model::BestLogits> best = std::span(best_).subspan(first, edits.size());
    model::best_outputs(
        projection, {hidden_.data() + static_cast<std::int64_t>(first) * width, {rows, width}},
        live_.front().search.candidates(), options_.needs_scores(),
        [&](std::size_t row, std::int32_t output, std::span<float> logits) {
          edit(edits[row], ids, output, logits);
        },
        vocabulary_, best);
    if (ids.empty()) return;
    for (model::BestLogits& row : best) {
      for (model::Candidate& candidate : row.best) {
        candidate.id = ids[static_cast<std::size_t>(candidate.id)];
      }
    }
  }

  /// Applies `edits`, which speak of vocabulary ids, to the outputs from `output` on.
  static void edit(const LogitEdits& edits, std::span<const std::int32_t> ids, std::int32_t output,
                   std::span<float> logits) {
    if (ids.empty()) {
      edits.apply(output, logits);
      return;
    }
    for (std::size_t i = 0; i < logits.size(); ++i) {
      edits.apply(ids[static_cast<std::size_t>(output) + i], logits.subspan(i, 1));
    }
  }

  void retire() {
    for (Live& live : live_) {
      if (live.search.done()) results_[jobs_[live.job].number] = live.search.take();
    }
    std::erase_if(live_, [](const Live& live) { return live.search.done(); });
  }

  const Translator& translator_;
  const BeamSearchOptions& options_;
  std::span<const Job> jobs_;
  std::size_t rows_;
  std::atomic<std::size_t>& next_;
  std::vector<std::vector<Hypothesis>>& results_;
  model::EncoderDecoderScratch scratch_;
  std::vector<Live> live_;
  std::vector<float> hidden_;
  std::vector<float> alignment_;
  model::VocabularyScratch vocabulary_;
  std::vector<model::BestLogits> best_;
};

Translator::Translator(const std::filesystem::path& folder, model::ComputeType compute)
    : directory_(model::read_ctranslate2_directory(folder)),
      network_(model::load_encoder_decoder(directory_, compute)) {
  const auto end = directory_.target->find(directory_.special.end);
  if (!end) {
    throw Error(ExitCode::kData, fmt::format("{}: the target vocabulary has no end token {}",
                                             folder.native(), printable(directory_.special.end)));
  }
  end_ = *end;
  directory_.file.reset();  // its values are packed by now
}

Translator::~Translator() = default;

bool Translator::source_has(std::string_view token) const {
  return directory_.source->find(token).has_value();
}
bool Translator::target_has(std::string_view token) const {
  return directory_.target->find(token).has_value();
}

Translator::Job Translator::make_job(const TranslationRequest& request, std::size_t number,
                                     const BeamSearchOptions& options, bool shortlist) const {
  const model::SpecialTokens& special = directory_.special;
  const model::TranslationVocabulary& from = *directory_.source;
  const model::TranslationVocabulary& to = *directory_.target;
  Job job;
  job.number = number;
  std::size_t content = request.source.size();
  for (const std::string& token : request.source) {
    job.source.push_back(from.id(token));
    if (token == special.begin || token == special.end) --content;
  }
  job.empty = content == 0;
  if (special.add_source_begin) job.source.insert(job.source.begin(), from.id(special.begin));
  if (special.add_source_end) job.source.push_back(from.id(special.end));
  const auto most = static_cast<std::size_t>(options.max_source);
  if (most > 0 && job.source.size() > most) {
    const std::int32_t last = job.source.back();
    job.source.resize(most);
    if (last == from.id(special.end)) job.source.back() = last;
  }
  const std::int64_t positions = network_.source_positions();
  if (static_cast<std::int64_t>(job.source.size()) > positions) {
    throw Error(ExitCode::kData,
                fmt::format("sentence {}: {} tokens, but the model has {} positions", number + 1,
                            job.source.size(), positions),
                "split it, or set max_source");
  }
  for (const std::string& token : request.prefix) job.prefix.push_back(to.id(token));
  if (special.decoder_start) {
    job.start = to.id(*special.decoder_start);
  } else if (!job.prefix.empty()) {
    job.start = job.prefix.front();
    job.prefix.erase(job.prefix.begin());
  } else if (!job.empty) {
    throw Error(ExitCode::kData,
                fmt::format("sentence {}: the model wants a target prefix that begins with its "
                            "start token",
                            number + 1));
  }
  if (shortlist && directory_.map != nullptr) {
    job.shortlist = directory_.map->candidates(request.source);
    job.shortlist.insert(job.shortlist.end(), job.prefix.begin(), job.prefix.end());
    for (const std::int32_t id : {to.unknown(), to.id(special.begin), end_}) {
      job.shortlist.push_back(id);
    }
    std::sort(job.shortlist.begin(), job.shortlist.end());
    job.shortlist.erase(std::unique(job.shortlist.begin(), job.shortlist.end()),
                        job.shortlist.end());
  }
  return job;
}

std::vector<std::vector<TranslatedTokens>> Translator::translate(
    std::span<const TranslationRequest> requests, const BeamSearchOptions& options, bool shortlist,
    std::int64_t rows) const {
  options.check();
  BeamSearchOptions search = options;
  search.max_length = std::min(options.max_length, network_.target_positions());
  search.min_length = std::min(options.min_length, search.max_length);
  std::vector<Job> jobs;
  std::vector<std::vector<Hypothesis>> results(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Job job = make_job(requests[i], i, options, shortlist);
    if (!job.empty) {
      jobs.push_back(std::move(job));
      continue;
    }
    Hypothesis hypothesis{job.prefix, 0.0F, {}};
    if (hypothesis.tokens.size() > static_cast<std::size_t>(search.max_length)) {
      hypothesis.tokens.resize(static_cast<std::size_t>(search.max_length));
    }
    results[i].assign(static_cast<std::size_t>(options.num_hypotheses), hypothesis);
  }
  // Longest first: sentences that are decoded side by side are of like length.
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job& a, const Job& b) { return a.source.size() > b.source.size(); });
  std::atomic<std::size_t> next = 0;
  const auto threads = static_cast<std::size_t>(thread_count());
  const std::size_t workers = std::clamp<std::size_t>(jobs.size() / kRequestsPerWorker, 1, threads);
  const auto together = static_cast<std::size_t>(std::max<std::int64_t>(rows, 1));
  const auto work = [&](std::size_t /*worker*/) {
    Worker(*this, search, jobs, together, next, results).run();
  };
  // About as many tokens come out as go in; each is multiplied by all weights.
  double sources = 0.0;
  for (const Job& job : jobs) sources += static_cast<double>(job.source.size());
  const double beams = static_cast<double>(options.beam_size);
  const double nanoseconds = sources * beams * static_cast<double>(network_.bytes()) / 200.0;
  workers == 1 ? work(0) : parallel_work(workers, nanoseconds, work);

  std::vector<std::vector<TranslatedTokens>> translations(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::vector<std::string>& source = requests[i].source;
    for (const Hypothesis& hypothesis : results[i]) {
      TranslatedTokens& translated = translations[i].emplace_back();
      translated.score = hypothesis.score;
      const std::size_t tokens = hypothesis.tokens.size();
      const std::size_t stride = tokens == 0 ? 0 : hypothesis.attention.size() / tokens;
      for (std::size_t t = 0; t < tokens; ++t) {
        const std::int32_t id = hypothesis.tokens[t];
        if (options.replace_unknown && id == directory_.target->unknown() && stride > 0) {
          // Attention to tokens that the model added does not count.
          const std::size_t skip = directory_.special.add_source_begin ? 1 : 0;
          const auto begin =
              hypothesis.attention.begin() + static_cast<std::ptrdiff_t>(t * stride + skip);
          const std::size_t own = std::min(source.size(), stride - skip);
          const auto best = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(own));
          translated.tokens.push_back(source[static_cast<std::size_t>(best - begin)]);
        } else {
          translated.tokens.push_back(directory_.target->token(id));
        }
      }
    }
  }
  return translations;
}

}  // namespace nativo::generate

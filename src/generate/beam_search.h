// Beam search over one sentence's translation: which hypotheses live on, which are finished, how
// they are scored. Greedy search is a beam of 1. Not here: the network (model/encoder_decoder.h)
// and many sentences at once (generate/translator.h). Rule: what is chosen depends on the logits
// given and the options alone. The rules are CTranslate2's, so that equal logits give its
// hypotheses; docs/translation-engine.md lists them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/visitor.h"
#include "model/vocabulary_projection.h"

namespace nativo::generate {

/// How translations are searched. Defaults are CTranslate2's, but for a beam of 2.
struct BeamSearchOptions {
  std::int64_t beam_size = 4;        ///< 1 = greedy
  std::int64_t num_hypotheses = 1;   ///< returned, best first; at most round(beam_size patience)
  double patience = 1.0;             ///< stop at round(beam_size patience) finished hypotheses
  double length_penalty = 1.0;       ///< scores are divided by length ^ this
  double coverage_penalty = 0.0;     ///< this x sum over source tokens of log min(attention, 1)
  double repetition_penalty = 1.0;   ///< CTRL, arXiv:1909.05858 section 4.1
  std::int64_t no_repeat_ngram = 0;  ///< no run of so many tokens twice; 0 = off
  std::int64_t min_length = 1;       ///< no end before so many tokens
  std::int64_t max_length = 256;     ///< tokens, a prefix included
  std::int64_t max_source = 1024;    ///< longer sources lose their end; 0 = never
  bool replace_unknown = false;      ///< by the source token with the most attention
  bool disable_unknown = false;      ///< never choose the unknown token
  bool scores = false;               ///< wanted; greedy search is faster without
  void visit(config::Visitor& v);

  /// Throws Error(kConfig) naming the option when they contradict each other.
  void check() const;
  [[nodiscard]] bool needs_attention() const { return replace_unknown || coverage_penalty != 0.0; }
  [[nodiscard]] bool needs_scores() const { return scores || beam_size > 1; }
};

/// The ids that a search must know.
struct SearchTokens {
  std::int32_t start = 0;
  std::int32_t end = 0;
  std::int32_t unknown = 0;
  std::int64_t vocabulary = 0;  ///< how many may be chosen
};

struct Hypothesis {
  std::vector<std::int32_t> tokens;  ///< the prefix included, the end token not
  float score = 0.0F;                ///< 0 when scores were not computed
  std::vector<float> attention;      ///< [tokens, S], when asked for
};

/// What happens to the logits of a row before they are compared.
struct LogitEdits {
  std::vector<std::int32_t> penalized;  ///< ascending; > 0 divided by, < 0 times the penalty
  std::vector<std::int32_t> banned;     ///< ascending; never chosen
  float penalty = 1.0F;

  /// Changes `logits`, which belong to the ids from `first` on.
  void apply(std::int32_t first, std::span<float> logits) const;
};

class BeamSearch {
 public:
  /// `prefix` begins every hypothesis. `source_length` (S) is that of the attention rows.
  BeamSearch(const BeamSearchOptions& options, const SearchTokens& tokens,
             std::vector<std::int32_t> prefix, std::int64_t source_length);

  [[nodiscard]] bool done() const { return done_; }

  /// The rows to compute next: hypotheses that live on (1 at the first step).
  [[nodiscard]] std::size_t rows() const { return alive_.size(); }
  [[nodiscard]] std::int64_t step() const { return step_; }  ///< the place of their next token
  [[nodiscard]] std::int32_t token(std::size_t row) const;   ///< the last one
  /// Cache slots of the places before, and the one for this step: another one for each row, in no
  /// row's past. A slot that no row needs any more is used again.
  [[nodiscard]] std::span<const std::int32_t> past(std::size_t row) const;
  [[nodiscard]] std::int32_t slot(std::size_t row) const;
  [[nodiscard]] LogitEdits edits(std::size_t row) const;
  /// Candidates that advance() wants of each row.
  [[nodiscard]] std::size_t candidates() const;

  /// Takes the edited logits' best and sum of each row (the sum only matters with scores), and the
  /// attention [rows, S] (empty unless asked for). Throws Error(kData) when no token can be chosen.
  void advance(std::span<const model::BestLogits> logits, std::span<const float> attention);

  /// When done: at most num_hypotheses, best first.
  [[nodiscard]] std::vector<Hypothesis> take();

 private:
  struct Beam {
    std::vector<std::int32_t> tokens;  ///< generated, the prefix included, the start token not
    std::vector<std::int32_t> slots;   ///< one a token before the last
    std::vector<float> attention;      ///< [tokens, S]
    float score = 0.0F;
  };
  struct Choice {
    std::size_t origin;
    std::int32_t token;
    float score;
  };

  [[nodiscard]] std::vector<Choice> choose(std::span<const model::BestLogits> logits) const;
  void follow_prefix(std::vector<Choice>& choices) const;
  [[nodiscard]] Beam extend(const Choice& choice, std::span<const float> attention) const;
  void assign_slots();
  void finish();

  BeamSearchOptions options_;
  SearchTokens tokens_;
  std::vector<std::int32_t> prefix_;
  std::size_t source_length_;
  std::size_t wanted_;  ///< finished hypotheses that end the search
  std::int64_t step_ = 0;
  std::vector<Beam> alive_;
  std::vector<std::int32_t> next_slots_;  ///< one a live row, of this step
  std::vector<bool> used_slots_;
  bool top_finished_ = false;
  bool done_ = false;
  std::vector<Hypothesis> finished_;
};

}  // namespace nativo::generate

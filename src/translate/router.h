// Which engine a record begins with: how hard it looks, measured on its text, against the rule of
// the pipeline file. Rule: a decision is a sum that anybody can add up again from the record's
// lineage.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "config/visitor.h"
#include "data/record.h"

namespace nativo::translate {

/// What is measured of a record: all of its messages together.
enum class Feature {
  kLength,  ///< words
  kRarity,  ///< share of its words that are rare
  kCode,    ///< share of its bytes in code: blocks, code lines, inline
  kMarkup,  ///< tags, placeholders and literals a hundred words
  kMaths,   ///< share of its bytes in formulas
  kNames,   ///< share of its words that are capitalised inside a sentence
};
inline constexpr std::size_t kFeatureCount = 6;

/// "length", "rarity", "code", "markup", "maths", "names".
[[nodiscard]] std::string_view feature_name(Feature feature);

/// [translate.route.FEATURE]
struct FeatureOptions {
  double full = 1.0;    ///< the value from which on the whole weight counts
  double weight = 0.0;  ///< what it adds to the score then; proportionally less below
  void visit(config::Visitor& v);
};

/// [translate.route]. Weights by tools/reference/calibrate_router.py, but for maths, which its
/// texts hardly have.
struct RouteOptions {
  std::string complex;      ///< step of the ladder where complex records begin; "" = no routing
  double threshold = 1.0;   ///< a record whose score reaches it is complex
  std::string frequencies;  ///< file of "word count" lines; "" = counted on the records
  std::int64_t rare_count = 5;
  FeatureOptions length{600, 0.0};
  FeatureOptions rarity{0.375, 1.9};
  FeatureOptions code{0.8, 0.3};
  FeatureOptions markup{20, 0.0};
  FeatureOptions maths{0.1, 0.8};
  FeatureOptions names{0.3, 0.0};
  void visit(config::Visitor& v);
};

/// How often each word was seen, in lower case (text::fold_case).
class WordFrequencies {
 public:
  /// Counts the words of a text outside its protected spans.
  void add(std::string_view text);
  /// Lines of a word, white space, a count. Throws Error(kMissingInput, kData) naming the line.
  static WordFrequencies load(const std::string& path);

  [[nodiscard]] std::uint64_t count(std::string_view folded_word) const;
  [[nodiscard]] bool empty() const { return counts_.empty(); }

 private:
  std::unordered_map<std::string, std::uint64_t> counts_;
};

/// Values in the units that Feature gives.
[[nodiscard]] std::array<double, kFeatureCount> measure_features(const data::Record& record,
                                                                 const WordFrequencies& frequencies,
                                                                 std::int64_t rare_count);

/// Where a record begins, and why.
struct Route {
  std::size_t step = 0;
  double score = 0.0;
  std::vector<std::pair<Feature, double>>
      parts;               ///< what each feature added, not 0, greatest first
  bool by_source = false;  ///< its source says so; nothing was measured
};

/// {"to", "score"?, "why": {FEATURE: ADDED} or "source"}
[[nodiscard]] Json to_json(const Route& route, std::span<const std::string> steps);

/// Decides for records of one run. Thread-safe after construction.
class Router {
 public:
  /// `steps`: the ladder. `by_source`: steps that sources ask for, by the source's name ("" =
  /// none). `frequencies` must outlive this. Throws Error(kConfig) for a step that is not on the
  /// ladder.
  Router(const RouteOptions& options, std::vector<std::string> steps,
         const std::map<std::string, std::string>& by_source, const WordFrequencies& frequencies);

  [[nodiscard]] Route route(const data::Record& record) const;
  /// False when every record begins at the first step, so that there is nothing to tell.
  [[nodiscard]] bool decides() const { return complex_ > 0 || !by_source_.empty(); }
  [[nodiscard]] std::span<const std::string> steps() const { return steps_; }

 private:
  RouteOptions options_;
  std::vector<std::string> steps_;
  std::map<std::string, std::size_t> by_source_;
  std::size_t complex_ = 0;  ///< 0 = no routing
  const WordFrequencies& frequencies_;
};

}  // namespace nativo::translate

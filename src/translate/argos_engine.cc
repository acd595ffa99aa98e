#include "translate/argos_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/strings.h"
#include "generate/translator.h"
#include "translate/argos_package.h"
#include "translate/argos_words.h"
#include "translate/long_sentence.h"
#include "translate/placeholders.h"

namespace nativo::translate {
namespace {

constexpr double kLengthPenalty = 0.2;
/// Bytes of a sentence or of a piece of one: far more than any model has places for.
constexpr std::size_t kMaxBytes = std::size_t{1} << 15;
/// Pieces that a sentence is cut into at most: beyond that it is no sentence.
constexpr std::size_t kMaxPieces = 32;
/// A translation's tokens at most: CTranslate2's limit, and one for sources of more than half of
/// it.
constexpr std::int64_t kMaxTokens = 256;
constexpr std::int64_t kMaxTokensOfLong = 1024;

/// In the order in which they are tried on sentences whose parts did not come back.
constexpr std::array kDisguises = {Disguise::kNone, Disguise::kNumbers, Disguise::kLetters,
                                   Disguise::kUnknown};

using Tokens = std::vector<std::string>;

bool has_letter(std::string_view token) {
  return std::any_of(token.begin(), token.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 0xC3;
  });
}

/// What became of a sentence.
struct Answer {
  std::optional<Sentence> sentence;  ///< in the target language, with its parts
  std::string reason;                ///< why there is none

  [[nodiscard]] bool good() const { return sentence && !sentence->text.empty(); }
  /// Of several reasons the first counts: those of later tries follow from it.
  void fail(std::string why) {
    if (reason.empty()) reason = std::move(why);
  }
};

/// One package at work.
class Hop {
 public:
  Hop(ArgosPackage package, const ArgosOptions& options)
      : package_(std::move(package)),
        words_(make_argos_words(package_)),
        translator_(package_.model(), compute_type(options)) {
    search_.beam_size = options.beam_size;
    search_.length_penalty = kLengthPenalty;
    search_.replace_unknown = true;
    search_.max_source = 0;  // too long is told, not cut
    const std::string& prefix = package_.metadata.target_prefix;
    if (!prefix.empty() && !translator_.target_has(prefix)) {
      throw Error(ExitCode::kData,
                  fmt::format("{}: \"target_prefix\" is \"{}\", which is no token of the model",
                              package_.folder.native(), printable(prefix)),
                  "the package cannot be used; fetch another one");
    }
  }

  [[nodiscard]] const ArgosPackage& package() const { return package_; }
  [[nodiscard]] bool is_int8() const { return translator_.network().is_int8(); }

  /// An answer a sentence. Sentences that are too long are cut, and their pieces' translations
  /// joined; `cuts` counts where.
  [[nodiscard]] std::vector<Answer> translate(std::span<const Sentence> sentences,
                                              std::vector<std::size_t>& cuts) const {
    cuts.assign(sentences.size(), 0);
    std::vector<Sentence> pieces;
    std::vector<std::vector<std::string>> behind(sentences.size());  // each piece of a sentence
    for (std::size_t i = 0; i < sentences.size(); ++i) {
      auto cut = cut_sentence(sentences[i], kMaxPieces,
                              [&](const Sentence& piece) { return fits(piece); });
      if (!cut) continue;
      cuts[i] = cut->size() - 1;
      for (SentencePiece& piece : *cut) {
        pieces.push_back(std::move(piece.sentence));
        behind[i].push_back(std::move(piece.behind));
      }
    }
    const std::vector<Answer> answers = translate_pieces(pieces);
    std::vector<Answer> results(sentences.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
      const std::span own = std::span(answers).subspan(next, behind[i].size());
      next += own.size();
      const auto bad = std::ranges::find_if_not(own, &Answer::good);
      if (own.empty()) {
        results[i].fail(
            fmt::format("too long for a model of {} tokens, and cannot be cut", places()));
      } else if (bad != own.end()) {
        results[i].fail(bad->reason.empty() ? "the translation is empty" : bad->reason);
      } else {
        results[i].sentence = joined(own, behind[i]);
      }
    }
    return results;
  }

  /// Counts the words outside the parts, and those of them that are not in the vocabulary.
  void count_words(const Sentence& sentence, Translation& result) const {
    if (sentence.text.size() > kMaxBytes) return;
    std::string rest;
    std::size_t at = 0;
    for (const Part& part : sentence.parts) {
      rest += sentence.text.substr(at, part.begin - at) + ' ';
      at = part.end;
    }
    rest += sentence.text.substr(at);
    const Tokens tokens = words_->encode(rest);
    for (std::size_t i = 0; i < tokens.size();) {
      bool letters = false;
      bool unknown = false;
      const std::size_t first = i;
      while (i < tokens.size() && (i == first || !words_->begins_word(tokens[i - 1], tokens[i]))) {
        letters = letters || has_letter(tokens[i]);
        unknown = unknown || !translator_.source_has(tokens[i]);
        ++i;
      }
      result.words += letters ? 1 : 0;
      result.unknown += letters && unknown ? 1 : 0;
    }
  }

 private:
  struct Attempt {
    std::size_t sentence;
    Disguised disguised;
    Tokens source;
    std::string translation;
    bool complete = false;
    std::string failure = {};  ///< why it is not complete
  };

  /// True when the model has places for the sentence.
  [[nodiscard]] bool fits(const Sentence& sentence) const {
    return sentence.text.size() <= kMaxBytes && words_->encode(sentence.text).size() <= places();
  }

  static Sentence joined(std::span<const Answer> pieces, const std::vector<std::string>& behind) {
    Sentence whole;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Sentence& piece = *pieces[i].sentence;
      for (const Part& part : piece.parts) {
        whole.parts.push_back(
            {part.begin + whole.text.size(), part.end + whole.text.size(), part.kind});
      }
      whole.text += piece.text + behind[i];
    }
    return whole;
  }

  [[nodiscard]] std::vector<Answer> translate_pieces(std::span<const Sentence> sentences) const {
    std::vector<Answer> results(sentences.size());
    for (const Disguise how : kDisguises) {
      std::vector<Attempt> attempts;
      for (std::size_t i = 0; i < sentences.size(); ++i) {
        if (results[i].sentence || sentences[i].text.size() > kMaxBytes) continue;
        if (how != Disguise::kNone && sentences[i].parts.empty()) continue;
        if (auto disguised = disguise(sentences[i], how)) {
          attempts.push_back({i, std::move(*disguised), {}, {}});
        }
      }
      if (attempts.empty()) continue;
      run(attempts);
      for (const Attempt& attempt : attempts) {
        Answer& answer = results[attempt.sentence];
        if (!attempt.complete) {
          answer.fail(attempt.failure);
          continue;
        }
        const Sentence& source = sentences[attempt.sentence];
        answer.sentence = undisguise(source, attempt.disguised, attempt.translation);
        if (!answer.sentence) answer.fail("a protected part was lost, doubled or changed");
      }
    }
    return results;
  }

  static model::ComputeType compute_type(const ArgosOptions& options) {
    if (options.compute == "f32") return model::ComputeType::kF32;
    return options.compute == "int8" ? model::ComputeType::kInt8 : model::ComputeType::kStored;
  }

  /// Tokens of a sentence at most; two begin and end tokens may be added.
  [[nodiscard]] std::size_t places() const {
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(translator_.network().source_positions(), 2,
                                 kMaxTokensOfLong + 2) -
        2);
  }

  void run(std::vector<Attempt>& attempts) const {
    parallel_for(attempts.size(), [&](std::size_t i) {
      attempts[i].source = words_->encode(attempts[i].disguised.text);
    });
    std::vector<Attempt*> plain;
    std::vector<Attempt*> long_ones;
    for (Attempt& attempt : attempts) {
      if (attempt.source.empty() || attempt.source.size() > places()) {
        attempt.failure =
            attempt.source.empty() ? "no tokens" : fmt::format("more than {} tokens", places());
        continue;
      }
      const bool is_long = attempt.source.size() > static_cast<std::size_t>(kMaxTokens) / 2;
      (is_long ? long_ones : plain).push_back(&attempt);
    }
    run(plain, kMaxTokens);
    run(long_ones, kMaxTokensOfLong);
  }

  void run(std::span<Attempt* const> attempts, std::int64_t max_tokens) const {
    if (attempts.empty()) return;
    const std::string& prefix = package_.metadata.target_prefix;
    std::vector<generate::TranslationRequest> requests;
    for (const Attempt* attempt : attempts) {
      requests.push_back({attempt->source, prefix.empty() ? Tokens{} : Tokens{prefix}});
    }
    generate::BeamSearchOptions search = search_;
    search.max_length = std::min(max_tokens, translator_.network().target_positions());
    const auto translations = translator_.translate(requests, search);
    parallel_for(attempts.size(), [&](std::size_t i) {
      Attempt& attempt = *attempts[i];
      if (translations[i].empty()) {
        attempt.failure = "the search found no translation";
        return;
      }
      std::span<const std::string> tokens = translations[i].front().tokens;
      attempt.complete = tokens.size() < static_cast<std::size_t>(search.max_length);
      if (!attempt.complete) {
        attempt.failure = fmt::format("its translation has no end after {} tokens", tokens.size());
      }
      if (!prefix.empty() && !tokens.empty() && tokens.front() == prefix)
        tokens = tokens.subspan(1);
      attempt.translation = words_->decode(tokens);
    });
  }

  ArgosPackage package_;
  std::unique_ptr<ArgosWords> words_;
  generate::Translator translator_;
  generate::BeamSearchOptions search_;
};

class ArgosEngine final : public TranslationEngine {
 public:
  ArgosEngine(std::vector<std::unique_ptr<Hop>> hops, const ArgosOptions& options)
      : hops_(std::move(hops)) {
    std::vector<std::string> names;
    std::vector<std::string> digests;
    for (const auto& hop : hops_) {
      names.push_back(hop->package().metadata.name());
      digests.push_back(hop->package().digest.substr(0, 12));
    }
    version_ = fmt::format("{}, beam {}, {}, {}", fmt::join(names, " + "), options.beam_size,
                           hops_.front()->is_int8() ? "int8" : "f32", fmt::join(digests, "+"));
  }

  std::vector<Translation> translate(std::span<const Sentence> sentences) override {
    std::vector<Translation> results(sentences.size());
    std::vector<std::size_t> open(sentences.size());
    std::vector<Sentence> texts;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
      open[i] = i;
      texts.push_back({sentences[i].text, sentences[i].parts});
      hops_.front()->count_words(sentences[i], results[i]);
    }
    for (const auto& hop : hops_) {
      std::vector<std::size_t> cuts;
      std::vector<Answer> answers = hop->translate(texts, cuts);
      std::vector<std::size_t> done;
      const std::vector<Sentence> asked = std::exchange(texts, {});
      for (std::size_t i = 0; i < answers.size(); ++i) {
        if (!answers[i].good()) {
          results[open[i]].reason = fmt::format("{}: {}", answers[i].reason, asked[i].text);
          continue;
        }
        results[open[i]].cuts += cuts[i];
        done.push_back(open[i]);
        texts.push_back(std::move(*answers[i].sentence));
      }
      open = std::move(done);
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      results[open[i]].text = std::move(texts[i].text);
      results[open[i]].ok = true;
    }
    return results;
  }

  std::string name() const override { return "argos"; }
  std::string version() const override { return version_; }

 private:
  std::vector<std::unique_ptr<Hop>> hops_;
  std::string version_;
};

}  // namespace

void ArgosOptions::visit(config::Visitor& v) {
  v.path({.name = "package",
          .help = "a .argosmodel file, its unpacked folder, or a folder of such (for a way through "
                  "a third language)"},
         package);
  v.value({.name = "beam_size", .help = "hypotheses; 1 = greedy", .min = 1, .max = 64}, beam_size);
  v.value({.name = "compute",
           .help = "arithmetic of the model: as its weights are stored, or so",
           .choices = {"stored", "f32", "int8"}},
          compute);
}

std::vector<fs::path> argos_route(const ArgosOptions& options, const std::string& from,
                                  const std::string& to) {
  const std::string fetch = fmt::format("get one with nativo fetch argos:{}-{}", from, to);
  if (options.package.empty()) {
    throw Error(ExitCode::kConfig, "[translate.argos] package: the engine argos needs one", fetch);
  }
  struct Found {
    fs::path path;
    ArgosMetadata metadata;
  };
  std::vector<Found> found;
  for (const fs::path& path : find_argos_packages(options.package)) {
    found.push_back({path, read_argos_metadata(path)});
  }
  // Of a pair's packages the newest, hence the first.
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return compare_versions(a.metadata.version, b.metadata.version) > 0;
  });
  std::vector<LanguagePair> pairs;
  std::string all;
  for (const Found& each : found) {
    pairs.push_back({each.metadata.from, each.metadata.to});
    all += fmt::format("{}{} to {}", all.empty() ? "" : ", ", each.metadata.from, each.metadata.to);
  }
  std::vector<fs::path> route;
  for (const std::size_t i : shortest_route(pairs, from, to)) route.push_back(found[i].path);
  if (route.empty()) {
    throw Error(
        ExitCode::kConfig,
        fmt::format("[translate.argos] package: {}: no way from \"{}\" to \"{}\"; there is {}",
                    options.package, from, to, all),
        fetch);
  }
  return route;
}

std::unique_ptr<TranslationEngine> make_argos_engine(const ArgosOptions& options,
                                                     const std::string& from,
                                                     const std::string& to) {
  std::vector<std::unique_ptr<Hop>> hops;
  for (const fs::path& path : argos_route(options, from, to)) {
    hops.push_back(std::make_unique<Hop>(open_argos_package(path), options));
  }
  return std::make_unique<ArgosEngine>(std::move(hops), options);
}

}  // namespace nativo::translate

#include "translate/argos_words.h"

#include "base/strings.h"
#include "io/file.h"
#include "text/bpe_codes.h"
#include "text/moses_tokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_pieces.h"

namespace nativo::translate {
namespace {

constexpr std::string_view kSpace = "\u2581";

class SentencePieceWords final : public ArgosWords {
 public:
  explicit SentencePieceWords(const fs::path& file)
      : pieces_(io::read_file(file, text::kMaxModelBytes), file.native()) {}

  std::vector<std::string> encode(std::string_view sentence) const override {
    return pieces_.encode(sentence);
  }
  std::string decode(std::span<const std::string> tokens) const override {
    // What is no piece of the model may still hold the letter that stands for a space.
    return std::string(trim(replace_all(pieces_.decode(tokens), kSpace, " ")));
  }
  bool begins_word(std::string_view before, std::string_view token) const override {
    return before.empty() || token.starts_with(kSpace);
  }

 private:
  text::SentencePieces pieces_;
};

class BpeWords final : public ArgosWords {
 public:
  BpeWords(const fs::path& file, const ArgosMetadata& metadata)
      : from_(metadata.from),
        to_(metadata.to),
        tokenizer_(metadata.from),
        codes_(io::read_file(file, text::kMaxModelBytes), file.native()) {}

  std::vector<std::string> encode(std::string_view sentence) const override {
    std::vector<std::string> pieces;
    for (const std::string& word : tokenizer_.tokenize(text::moses_normalize(sentence, from_))) {
      codes_.encode(word, pieces);
    }
    return pieces;
  }
  std::string decode(std::span<const std::string> tokens) const override {
    std::vector<std::string> words;
    bool open = false;
    for (const std::string& token : tokens) {
      if (!open) words.emplace_back();
      open = is_joint(token);
      words.back() += open ? token.substr(0, token.size() - text::BpeCodes::kJoint.size()) : token;
    }
    // A translation that ends inside a word keeps the mark, as it has no piece to join.
    if (open) words.back() += text::BpeCodes::kJoint;
    return text::moses_detokenize(words, to_);
  }
  bool begins_word(std::string_view before, std::string_view /*token*/) const override {
    return !is_joint(before);
  }

 private:
  static bool is_joint(std::string_view token) { return token.ends_with(text::BpeCodes::kJoint); }

  std::string from_;
  std::string to_;
  text::MosesTokenizer tokenizer_;
  text::BpeCodes codes_;
};

}  // namespace

std::unique_ptr<ArgosWords> make_argos_words(const ArgosPackage& package) {
  if (package.subwords == ArgosSubwords::kSentencePiece) {
    return std::make_unique<SentencePieceWords>(package.tokenizer());
  }
  return std::make_unique<BpeWords>(package.tokenizer(), package.metadata);
}

}  // namespace nativo::translate

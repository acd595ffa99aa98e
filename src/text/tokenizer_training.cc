// train_tokenizer(): the settings of Mistral's models, on sentencepiece's own trainer.
#include <fmt/format.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace nativo::text {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;

// The library's trainer takes a tab for its own mark and drops the line, reads newlines as letters
// and drops long lines; so it is given short lines without either.
std::vector<std::string> training_lines(const std::vector<std::string>& texts) {
  std::vector<std::string> lines;
  for (const std::string& text : texts) {
    for (std::string_view rest : split(text, '\n')) {
      while (!rest.empty()) {
        std::string_view head = utf8_prefix(rest, kMaxLineBytes);
        if (head.empty()) head = rest.substr(0, kMaxLineBytes);
        if (head.size() < rest.size()) {
          const std::size_t space = head.rfind(' ');
          if (space != std::string_view::npos && space > 0) head = head.substr(0, space);
        }
        std::string line(head);
        std::replace_if(
            line.begin(), line.end(), [](char c) { return c == '\t' || c == '\r' || c == '\0'; },
            ' ');
        if (!trim(line).empty() && is_valid_utf8(line)) lines.push_back(std::move(line));
        rest.remove_prefix(head.size());
      }
    }
  }
  return lines;
}

class LineIterator : public sentencepiece::SentenceIterator {
 public:
  explicit LineIterator(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return index_ == lines_.size(); }
  void Next() override { ++index_; }
  const std::string& value() const override { return lines_[index_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  std::size_t index_ = 0;
};

std::string joined_control_pieces(const std::vector<std::string>& pieces) {
  std::string joined;
  std::set<std::string> taken = {"<unk>", "<s>", "</s>"};
  for (const std::string& piece : pieces) {
    if (piece.size() > kMaxPieceBytes || !is_valid_utf8(piece) || count_code_points(piece) < 2 ||
        !taken.insert(piece).second ||
        piece.find_first_of(std::string_view(",\"\n\r\t \0", 7)) != std::string::npos) {
      throw Error(ExitCode::kData,
                  fmt::format("\"{}\" cannot be a control piece", printable(piece)),
                  "use distinct names of letters and brackets, without commas, quotes or spaces");
    }
    if (!joined.empty()) joined += ',';
    joined += piece;
  }
  return joined;
}

}  // namespace

std::string train_tokenizer(const std::vector<std::string>& texts, std::int64_t vocab_size,
                            const std::vector<std::string>& control_pieces) {
  if (vocab_size < 1 || vocab_size > static_cast<std::int64_t>(kMaxPieces)) {
    throw Error(ExitCode::kData, fmt::format("a vocabulary of {} pieces cannot be", vocab_size));
  }
  const std::vector<std::string> lines = training_lines(texts);
  if (lines.empty()) {
    throw Error(ExitCode::kData, "there is no text to train the tokenizer on");
  }
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocab_size)},
      {"hard_vocab_limit", "false"},
      {"byte_fallback", "true"},
      {"character_coverage", "0.9995"},
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "true"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_digits", "true"},
      {"control_symbols", joined_control_pieces(control_pieces)},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "-1"},
      {"max_sentence_length", std::to_string(kMaxLineBytes + 1)},
      {"num_threads", "1"},  // stands in the model's bytes; more threads would only read faster
      {"minloglevel", "3"},
  };
  LineIterator iterator(lines);
  std::string bytes;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &bytes);
  if (!status.ok()) {
    throw Error(ExitCode::kData,
                fmt::format("cannot train a tokenizer with a vocabulary of {}: {}", vocab_size,
                            printable(status.ToString())),
                "a vocabulary holds 256 bytes, the control pieces and every frequent letter");
  }
  const auto pieces =
      static_cast<std::int64_t>(check_sentencepiece_model(bytes, "trained tokenizer").size());
  if (pieces < vocab_size) {
    throw Error(ExitCode::kData,
                fmt::format("the texts are too few for a vocabulary of {} pieces: they give {}",
                            vocab_size, pieces),
                fmt::format("set the vocabulary to {} or less, or give more text", pieces));
  }
  return bytes;
}

}  // namespace nativo::text

#include "text/hf_model.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "text/bpe_model.h"
#include "text/hf_json.h"
#include "text/unigram_model.h"
#include "text/word_piece_model.h"

namespace nativo::text {
namespace {

constexpr std::uint64_t kMostPieces = std::uint64_t{1} << 22;
constexpr std::size_t kLongestPiece = 4096;
constexpr std::size_t kMostMerges = std::size_t{1} << 24;

void add_piece(PieceTable& pieces, std::string_view piece, std::uint64_t id, JsonObject& object) {
  const auto refuse = [&](std::string_view what) {
    refuse_json(object.path_of("vocab"), fmt::format("piece \"{}\" (id {}) {}",
                                                     printable(utf8_prefix(piece, 80)), id, what));
  };
  if (id >= kMostPieces) refuse("is beyond 4 M pieces");
  if (piece.size() > kLongestPiece) refuse("is longer than 4 KiB");
  if (!pieces.add(piece, static_cast<TokenId>(id))) refuse("stands twice, or its id does");
}

PieceTable read_vocab(JsonObject& object) {
  simdjson::dom::object vocab;
  if (object.require("vocab").get_object().get(vocab) != simdjson::SUCCESS) {
    refuse_json(object.path_of("vocab"), "is not an object");
  }
  PieceTable pieces;
  for (const auto& [piece, value] : vocab) {
    std::uint64_t id = 0;
    if (value.get_uint64().get(id) != simdjson::SUCCESS) {
      refuse_json(object.path_of("vocab"),
                  fmt::format("the id of \"{}\" is not a whole number from 0 on",
                              printable(utf8_prefix(piece, 80))));
    }
    add_piece(pieces, piece, id, object);
  }
  return pieces;
}

std::vector<std::pair<std::string, std::string>> read_merges(JsonObject& object) {
  std::vector<std::pair<std::string, std::string>> merges;
  const auto refuse = [&] {
    refuse_json(fmt::format("{}[{}]", object.path_of("merges"), merges.size()),
                "is not two pieces");
  };
  for (const simdjson::dom::element value : object.array("merges")) {
    if (merges.size() == kMostMerges) refuse_json(object.path_of("merges"), "is too long");
    std::string_view line;
    simdjson::dom::array pair;
    if (value.get_string().get(line) == simdjson::SUCCESS) {
      const std::size_t space = line.find(' ');
      if (space == std::string_view::npos) refuse();
      merges.emplace_back(line.substr(0, space), line.substr(space + 1));
      if (merges.back().second.find(' ') != std::string::npos) refuse();
    } else if (value.get_array().get(pair) == simdjson::SUCCESS && pair.size() == 2) {
      const std::string path = object.path_of("merges");
      merges.emplace_back(json_text(pair.at(0).value(), path), json_text(pair.at(1).value(), path));
    } else {
      refuse();
    }
  }
  return merges;
}

std::unique_ptr<SubwordModel> read_bpe(JsonObject& object, HfModelContext context) {
  BpeSpec spec;
  if (const auto dropout = object.find("dropout")) {
    double value = 0.0;
    if (dropout->get_double().get(value) != simdjson::SUCCESS || value != 0.0) {
      refuse_json(object.path_of("dropout"), "makes ids a matter of chance");
    }
  }
  spec.unknown = object.text_or("unk_token", "");
  spec.subword_prefix = object.text_or("continuing_subword_prefix", "");
  spec.word_suffix = object.text_or("end_of_word_suffix", "");
  spec.fuse_unknown = object.flag_or("fuse_unk", false);
  spec.byte_fallback = object.flag_or("byte_fallback", false);
  spec.ignore_merges = object.flag_or("ignore_merges", false);
  spec.pieces = read_vocab(object);
  spec.merges = read_merges(object);
  object.done();
  if (context.byte_level && !(spec.subword_prefix.empty() && spec.word_suffix.empty())) {
    refuse_json(object.path(), "has a prefix or suffix beside ByteLevel, which is not supported");
  }
  spec.byte_level = context.byte_level;
  spec.special = std::move(context.special);
  return std::make_unique<BpeModel>(std::move(spec));
}

std::unique_ptr<SubwordModel> read_unigram(JsonObject& object, HfModelContext context) {
  UnigramSpec spec;
  for (const simdjson::dom::element value : object.array("vocab")) {
    simdjson::dom::array pair;
    double score = 0.0;
    const std::string path = fmt::format("{}[{}]", object.path_of("vocab"), spec.scores.size());
    if (value.get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
        pair.at(1).get_double().get(score) != simdjson::SUCCESS) {
      refuse_json(path, "is not a piece and its score");
    }
    add_piece(spec.pieces, json_text(pair.at(0).value(), path), spec.scores.size(), object);
    spec.scores.push_back(score);
  }
  if (object.find("unk_id"))
    spec.unknown =
        static_cast<TokenId>(std::min<std::uint64_t>(object.count("unk_id"), kMostPieces));
  spec.byte_fallback = object.flag_or("byte_fallback", false);
  object.done();
  spec.special = std::move(context.special);
  return std::make_unique<UnigramModel>(std::move(spec));
}

std::unique_ptr<SubwordModel> read_word_piece(JsonObject& object, HfModelContext context) {
  WordPieceSpec spec;
  spec.unknown = object.text_or("unk_token", "[UNK]");
  spec.subword_prefix = object.text_or("continuing_subword_prefix", "##");
  if (object.find("max_input_chars_per_word")) {
    spec.max_letters = object.count("max_input_chars_per_word");
  }
  spec.pieces = read_vocab(object);
  object.done();
  spec.special = std::move(context.special);
  return std::make_unique<WordPieceModel>(std::move(spec));
}

/// Files of before 2020 leave "type" out.
std::string_view type_of(JsonObject& object) {
  if (object.find("type")) return object.text("type");
  if (object.find("merges")) return "BPE";
  return object.find("unk_id") ? "Unigram" : "WordPiece";
}

}  // namespace

std::unique_ptr<SubwordModel> read_hf_model(simdjson::dom::element json, std::string_view path,
                                            HfModelContext context) {
  JsonObject object(json, std::string(path));
  const std::string_view type = type_of(object);
  if (type == "BPE") return read_bpe(object, std::move(context));
  if (type != "Unigram" && type != "WordPiece") {
    refuse_json(object.path_of("type"), fmt::format("\"{}\" is not supported", printable(type)));
  }
  if (context.byte_level) {
    refuse_json(object.path_of("type"),
                fmt::format("\"{}\" behind ByteLevel is not supported", type));
  }
  return type == "Unigram" ? read_unigram(object, std::move(context))
                           : read_word_piece(object, std::move(context));
}

}  // namespace nativo::text

#include "text/hf_tokenizer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "text/aligned_text.h"
#include "text/hf_decoder.h"
#include "text/hf_json.h"
#include "text/hf_model.h"
#include "text/hf_normalizer.h"
#include "text/hf_post_processor.h"
#include "text/hf_pre_tokenizer.h"

namespace nativo::text {
namespace {

constexpr std::size_t kMostAddedTokens = 100000;
constexpr std::uint64_t kMostIds = std::uint64_t{1} << 22;

std::vector<AddedToken> read_added_tokens(JsonObject& file) {
  std::vector<AddedToken> tokens;
  if (!file.find("added_tokens")) return tokens;
  for (const simdjson::dom::element entry : file.array("added_tokens")) {
    const std::string path = fmt::format("added_tokens[{}]", tokens.size());
    if (tokens.size() == kMostAddedTokens) refuse_json(path, "is one too many");
    JsonObject object(entry, path);
    AddedToken token;
    const std::uint64_t id = object.count("id");
    if (id >= kMostIds) refuse_json(path, "has an id beyond 4 M");
    token.id = static_cast<TokenId>(id);
    token.content = object.text("content");
    token.special = object.flag_or("special", false);
    token.single_word = object.flag_or("single_word", false);
    token.lstrip = object.flag_or("lstrip", false);
    token.rstrip = object.flag_or("rstrip", false);
    token.normalized = object.flag_or("normalized", !token.special);
    object.done();
    tokens.push_back(std::move(token));
  }
  return tokens;
}

class HfTokenizer final : public TokenizerModel {
 public:
  explicit HfTokenizer(simdjson::dom::element json) {
    JsonObject file(json, "");
    file.ignore("version");
    file.ignore("truncation");
    file.ignore("padding");
    std::vector<AddedToken> added = read_added_tokens(file);
    if (const auto part = file.find("normalizer")) normalizer_ = HfNormalizer(*part, "normalizer");
    if (const auto part = file.find("pre_tokenizer")) {
      pre_tokenizer_ = HfPreTokenizer(*part, "pre_tokenizer");
    }
    if (const auto part = file.find("decoder")) decoder_ = HfDecoder(*part, "decoder");
    if (const auto part = file.find("post_processor")) {
      around_ = read_hf_post_processor(*part, "post_processor");
    }
    HfModelContext context{.byte_level = pre_tokenizer_.byte_level(), .special = {}};
    for (const AddedToken& token : added) {
      const auto index = static_cast<std::size_t>(token.id);
      if (index >= control_.size()) control_.resize(index + 1);
      if (token.special) control_[index] = true;
    }
    context.special = control_;
    model_ = read_hf_model(file.require("model"), "model", std::move(context));
    file.done();
    add_tokens(std::move(added));
    for (const auto* ids : {&around_.before, &around_.after}) {
      for (const TokenId id : *ids) {
        if (id >= vocab_size()) {
          refuse_json("post_processor", fmt::format("names id {}, which no token has", id));
        }
      }
    }
  }

  void encode(std::string_view text, const EncodeOptions& options, Encoding& out,
              bool offsets) const override {
    Work work{.out = out, .special = options.special, .offsets = offsets};
    if (options.add_special) add_around(around_.before, 0, work);
    if (!raw_) {
      encode_fragment(text, 0, work);
    } else {
      const AlignedText whole(std::string(text), false);
      for (const AddedTokenFinder::Part& part : raw_->split(whole, 0, options.special)) {
        if (part.id >= 0) {
          work.add(part.id, {part.begin, part.end});
        } else {
          encode_fragment(text.substr(part.begin, part.end - part.begin), part.begin, work);
        }
      }
    }
    if (options.add_special) add_around(around_.after, text.size(), work);
  }

  [[nodiscard]] std::string decode(std::span<const TokenId> ids,
                                   SpecialText special) const override {
    std::vector<std::string> tokens;
    for (const TokenId id : ids) {
      if (special == SpecialText::kSkip && is_control(id)) continue;
      const auto spelled = spellings_.find(id);
      tokens.push_back(spelled == spellings_.end() ? piece(id) : spelled->second);
    }
    return decoder_(std::move(tokens));
  }

  [[nodiscard]] TokenId piece_id(std::string_view piece) const override {
    const TokenId added = added_.find(piece);
    return added >= 0 ? added : model_->pieces().find(piece);
  }
  [[nodiscard]] std::string piece(TokenId id) const override {
    return std::string(added_.contains(id) ? added_.at(id) : model_->pieces().at(id));
  }
  [[nodiscard]] bool is_control(TokenId id) const override {
    return static_cast<std::size_t>(id) < control_.size() && control_[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::int64_t vocab_size() const override {
    return std::max(model_->pieces().end_id(), added_.end_id());
  }

 private:
  struct Work {
    Encoding& out;
    const SpecialTokens& special;
    bool offsets = false;
    SubwordScratch scratch = {};
    Subwords subwords = {};
    PreTokenized pieces = {};

    void add(TokenId id, ByteRange origin) {
      out.ids.push_back(id);
      if (offsets) out.offsets.push_back(origin);
    }
  };

  void add_around(const std::vector<TokenId>& ids, std::size_t place, Work& work) const {
    for (const TokenId id : ids) work.add(id, {place, place});
  }

  /// Control tokens come first where two are spelled the same, as in the library.
  void add_tokens(std::vector<AddedToken> tokens) {
    std::stable_partition(tokens.begin(), tokens.end(),
                          [](const AddedToken& token) { return token.special; });
    std::vector<std::pair<std::string, AddedToken>> raw;
    std::vector<std::pair<std::string, AddedToken>> normalized;
    std::set<std::string> spelled;
    for (AddedToken& token : tokens) {
      const TokenId known = model_->pieces().find(token.content);
      const bool id_is_taken = known < 0 && model_->pieces().contains(token.id);
      if ((known >= 0 && known != token.id) || id_is_taken ||
          !added_.add(token.content, token.id)) {
        refuse_json("added_tokens",
                    fmt::format("token \"{}\" with id {} contradicts another one",
                                printable(utf8_prefix(token.content, 80)), token.id));
      }
      const bool changes = token.normalized && !normalizer_.empty();
      std::string spelling = changes ? normalizer_.normalized(token.content) : token.content;
      if (changes) spellings_[token.id] = spelling;
      if (spelling.empty() || !spelled.insert((token.normalized ? "n" : "r") + spelling).second) {
        continue;
      }
      auto& list = token.normalized ? normalized : raw;
      list.emplace_back(std::move(spelling), std::move(token));
    }
    if (!raw.empty()) raw_.emplace(std::move(raw));
    if (!normalized.empty()) normalized_.emplace(std::move(normalized));
  }

  void encode_fragment(std::string_view text, std::size_t base, Work& work) const {
    const bool tracked = work.offsets || (normalized_.has_value() && !work.special.literal.empty());
    AlignedText fragment(std::string(text), tracked);
    normalizer_(fragment);
    if (!normalized_) {
      encode_part(std::move(fragment), base, base == 0, work);
      return;
    }
    for (const AddedTokenFinder::Part& part : normalized_->split(fragment, base, work.special)) {
      if (part.id < 0) {
        encode_part(fragment.part({part.begin, part.end}), base, base == 0 && part.begin == 0,
                    work);
        continue;
      }
      ByteRange origin;
      if (work.offsets) origin = fragment.origin({part.begin, part.end});
      work.add(part.id, {base + origin.first, base + origin.second});
    }
  }

  void encode_part(AlignedText text, std::size_t base, bool starts_text, Work& work) const {
    if (text.text().empty()) return;
    PreTokenized& pieces = work.pieces;
    pieces.pieces.assign(1, {0, text.text().size()});
    pieces.text = std::move(text);
    pieces.starts_text = starts_text;
    pre_tokenizer_(pieces);
    const std::string_view normal = pieces.text.text();
    for (const ByteRange& piece : pieces.pieces) {
      work.subwords.resize(0);
      model_->encode(normal.substr(piece.first, piece.second - piece.first), work.scratch,
                     work.subwords);
      const auto& [ids, ends] = work.subwords;
      work.out.ids.insert(work.out.ids.end(), ids.begin(), ids.end());
      if (!work.offsets) continue;
      std::size_t begin = piece.first;
      for (const std::uint32_t end : ends) {
        const ByteRange origin = pieces.text.origin({begin, std::max(begin, piece.first + end)});
        work.out.offsets.emplace_back(base + origin.first, base + origin.second);
        begin = piece.first + end;
      }
    }
  }

  HfNormalizer normalizer_;
  HfPreTokenizer pre_tokenizer_;
  HfDecoder decoder_;
  HfPostProcessor around_;
  std::unique_ptr<SubwordModel> model_;
  PieceTable added_;
  std::map<TokenId, std::string> spellings_;    ///< of added tokens that the normaliser changes
  std::vector<bool> control_;                   ///< by id
  std::optional<AddedTokenFinder> raw_;         ///< searched in the text
  std::optional<AddedTokenFinder> normalized_;  ///< searched in what the normaliser makes of it
};

}  // namespace

std::unique_ptr<TokenizerModel> make_hf_tokenizer(const TokenizerFiles& files,
                                                  std::string_view name) {
  const std::string& bytes = files.at(kHfTokenizerFile);
  try {
    if (bytes.size() > kMaxTokenizerJsonBytes) {
      throw Error(ExitCode::kData, "is larger than 128 MiB", "no published tokenizer is");
    }
    simdjson::dom::parser parser;
    const simdjson::padded_string padded(bytes);
    simdjson::dom::element json;
    if (const auto error = parser.parse(padded).get(json); error != simdjson::SUCCESS) {
      throw Error(ExitCode::kData,
                  fmt::format("is not valid JSON: {}", simdjson::error_message(error)),
                  "the file is damaged");
    }
    return std::make_unique<HfTokenizer>(json);
  } catch (const Error& e) {
    throw Error(e.code(), fmt::format("{}: {}", printable(name), e.what()), e.hint());
  }
}

}  // namespace nativo::text

#include "text/hf_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/strings.h"
#include "text/byte_alphabet.h"
#include "text/code_point_classes.h"
#include "text/hf_json.h"
#include "text/hf_normalizer.h"

namespace nativo::text {
namespace {

using Tokens = std::vector<std::string>;

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxSteps = 64;
constexpr std::size_t kMaxContent = 1024;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string joined(const Tokens& tokens, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += between;
    text += tokens[i];
  }
  return text;
}

void decode_byte_level(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += bytes_of_letters(token).value_or(token);
  tokens = {aligned_utf8(bytes, false).take()};
}

/// The byte of "<0xXX>", if that is what `token` is.
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<char>(value);
}

// A run of bytes that is not UTF-8 as a whole gives a U+FFFD a byte.
void decode_byte_fallback(Tokens& tokens) {
  Tokens decoded;
  std::string bytes;
  const auto settle = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      decoded.push_back(bytes);
    } else {
      decoded.insert(decoded.end(), bytes.size(), std::string(kReplacement));
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      bytes += *byte;
    } else {
      settle();
      decoded.push_back(std::move(token));
    }
  }
  settle();
  tokens = std::move(decoded);
}

std::string_view without(std::string_view token, std::string_view mark, std::uint64_t start,
                         std::uint64_t stop) {
  for (; start > 0 && token.starts_with(mark); --start) token.remove_prefix(mark.size());
  for (; stop > 0 && token.ends_with(mark); --stop) token.remove_suffix(mark.size());
  return token;
}

/// English contractions and punctuation as BERT's own detokeniser joins them.
std::string clean_up(std::string text) {
  constexpr std::array<std::array<std::string_view, 2>, 11> kRules = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
      {" do not", " don't"},
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [from, to] : kRules) {
    if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
  }
  return text;
}

}  // namespace

HfDecoder::HfDecoder(simdjson::dom::element json, std::string_view path) : present_(true) {
  add(json, std::string(path), 0);
}

std::string HfDecoder::operator()(std::vector<std::string> tokens) const {
  if (!present_) return joined(tokens, " ");
  for (const auto& step : steps_) step(tokens);
  return joined(tokens, "");
}

void HfDecoder::add_strip(JsonObject& object) {
  const std::string mark(object.text("content"));
  if (count_code_points(mark) != 1) refuse_json(object.path_of("content"), "is not one character");
  const std::uint64_t start = object.count("start");
  const std::uint64_t stop = object.count("stop");
  steps_.emplace_back([mark, start, stop](Tokens& tokens) {
    for (std::string& token : tokens) token = std::string(without(token, mark, start, stop));
  });
}

void HfDecoder::add_metaspace(JsonObject& object) {
  const std::string mark(object.text("replacement"));
  if (count_code_points(mark) != 1) {
    refuse_json(object.path_of("replacement"), "is not one character");
  }
  object.ignore("str_rep");
  object.ignore("split");
  const bool add_prefix = object.flag_or("add_prefix_space", true);
  const bool prefixed =
      object.text_or("prepend_scheme", add_prefix ? "always" : "never") != "never";
  steps_.emplace_back([mark, prefixed](Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replace_all(tokens[i], mark, i == 0 && prefixed ? "" : " ");
    }
  });
}

void HfDecoder::add_word_piece(JsonObject& object) {
  const std::string prefix(object.text_or("prefix", "##"));
  const bool clean = object.flag_or("cleanup", true);
  steps_.emplace_back([prefix, clean](Tokens& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix)) {
          tokens[i].erase(0, prefix.size());
        } else {
          tokens[i].insert(tokens[i].begin(), ' ');
        }
      }
      if (clean) tokens[i] = clean_up(std::move(tokens[i]));
    }
  });
}

void HfDecoder::add(simdjson::dom::element json, const std::string& path, int depth) {
  if (depth > kMaxDepth || steps_.size() > kMaxSteps) refuse_json(path, "nests too deep");
  JsonObject object(json, path);
  const std::string_view type = object.text("type");
  if (type == "Sequence") {
    std::size_t index = 0;
    for (const simdjson::dom::element child : object.array("decoders")) {
      add(child, fmt::format("{}.decoders[{}]", path, index++), depth + 1);
    }
  } else if (type == "ByteLevel") {
    object.ignore("add_prefix_space");
    object.ignore("trim_offsets");
    object.ignore("use_regex");
    steps_.emplace_back(decode_byte_level);
  } else if (type == "ByteFallback") {
    steps_.emplace_back(decode_byte_fallback);
  } else if (type == "Fuse") {
    steps_.emplace_back([](Tokens& tokens) { tokens = {joined(tokens, "")}; });
  } else if (type == "Strip") {
    add_strip(object);
  } else if (type == "Replace") {
    const HfPattern pattern(object.require("pattern"), object.path_of("pattern"));
    const std::string content(object.text("content"));
    if (content.size() > kMaxContent) refuse_json(object.path_of("content"), "is too long");
    steps_.emplace_back([pattern, content](Tokens& tokens) {
      for (std::string& token : tokens) {
        AlignedText text(std::move(token), false);
        replace_matches(text, pattern, content);
        token = text.take();
      }
    });
  } else if (type == "Metaspace") {
    add_metaspace(object);
  } else if (type == "WordPiece") {
    add_word_piece(object);
  } else if (type == "BPEDecoder") {
    const std::string suffix(object.text_or("suffix", "</w>"));
    if (suffix.empty()) refuse_json(object.path_of("suffix"), "is empty");
    steps_.emplace_back([suffix](Tokens& tokens) {
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = replace_all(tokens[i], suffix, i + 1 == tokens.size() ? "" : " ");
      }
    });
  } else {
    refuse_json(object.path_of("type"), fmt::format("\"{}\" is not supported", printable(type)));
  }
  object.done();
}

}  // namespace nativo::text

// nativo tokenize: texts to token ids, with their pieces and where they come from, and back.
#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "text/tokenizer.h"

namespace nativo::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string model;
  bool json = false;
  bool decode = false;
  bool special = false;
  bool around = false;
  bool whole = false;
};

/// A tokenizer's file, a folder that holds one, or a run folder.
text::Tokenizer load(const fs::path& path) {
  const bool here = !fs::is_directory(path) || fs::exists(path / text::kHfTokenizerFile) ||
                    fs::exists(path / text::kSentencePieceFile);
  return text::Tokenizer(here ? path : find_model(path));
}

void show_tokens(const text::Tokenizer& tokenizer, const Arguments& arguments,
                 std::string_view text) {
  const text::Encoding encoding = tokenizer.encode_with_offsets(
      text, {.special = {.parse = arguments.special}, .add_special = arguments.around});
  if (arguments.json) {
    Json pieces = Json::array();
    for (const text::TokenId id : encoding.ids) pieces.push_back(tokenizer.piece(id));
    fmt::print("{}\n", dump_json({{"tokens", encoding.ids},
                                  {"pieces", std::move(pieces)},
                                  {"offsets", encoding.offsets}}));
    return;
  }
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    fmt::print("{:>8}  {:>12}  {}\n", encoding.ids[i], fmt::format("{}-{}", begin, end),
               printable(tokenizer.piece(encoding.ids[i])));
  }
  fmt::print("{} tokens\n", encoding.ids.size());
}

/// Ids between anything that is no digit: "1 2 3" and "[1,2,3]" alike.
std::vector<text::TokenId> read_ids(std::string_view line, std::size_t number) {
  std::vector<text::TokenId> ids;
  const auto refuse = [&](std::string_view what) {
    throw Error(ExitCode::kData, fmt::format("line {}: \"{}\" is no token id", number, what),
                "a line holds ids, as 1 2 3 or as [1, 2, 3]");
  };
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t end = std::min(line.find_first_of(" ,\t[]\r", i), line.size());
    if (end > i) {
      text::TokenId id = 0;
      const auto [last, error] = std::from_chars(line.data() + i, line.data() + end, id);
      if (error != std::errc() || last != line.data() + end) {
        refuse(printable(utf8_prefix(line.substr(i, end - i), 40)));
      }
      ids.push_back(id);
    }
    i = end + 1;
  }
  return ids;
}

void show_text(const text::Tokenizer& tokenizer, const Arguments& arguments, std::string_view line,
               std::size_t number) {
  const std::string text =
      tokenizer.decode(read_ids(line, number),
                       arguments.special ? text::SpecialText::kKeep : text::SpecialText::kSkip);
  if (arguments.json) {
    fmt::print("{}\n", dump_json({{"text", text}}));
  } else {
    fmt::print("{}\n", printable(text));
  }
}

void tokenize(const Arguments& arguments) {
  const text::Tokenizer tokenizer = load(arguments.model);
  if (arguments.whole && !arguments.decode) {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    show_tokens(tokenizer, arguments, text);
    return;
  }
  std::string line;
  for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
    stop_if_interrupted();
    if (arguments.decode) {
      show_text(tokenizer, arguments, line, number);
    } else {
      show_tokens(tokenizer, arguments, line);
    }
    std::fflush(stdout);
  }
}

}  // namespace

void add_tokenize(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "tokenize", "show how a model cuts texts into tokens: a line in, its tokens out");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("-m,--model", arguments->model,
                   "model directory, run folder, tokenizer.json or tokenizer.model")
      ->required()
      ->type_name("PATH");
  verb->add_flag(
      "--json", arguments->json,
      "a line of {\"tokens\", \"pieces\", \"offsets\"} for each text; offsets are bytes");
  verb->add_flag("--decode", arguments->decode, "lines of ids in, texts out");
  verb->add_flag("--special", arguments->special,
                 "control tokens that a text spells are recognised, and shown by --decode");
  verb->add_flag("--add-special", arguments->around,
                 "put around each text what the tokenizer's file says (BOS, [CLS] ...)");
  verb->add_flag("--whole", arguments->whole, "the whole input is one text");
  verb->callback([arguments] { tokenize(*arguments); });
}

}  // namespace nativo::cli

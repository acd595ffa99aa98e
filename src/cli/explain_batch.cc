// nativo explain-batch: which tokens a step trains on, shown in their text.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/verb.h"
#include "pipeline/batch_view.h"

namespace nativo::cli {
namespace {

struct Arguments {
  ConfigArguments config;
  std::string model;
  std::vector<std::string> tokens;
  std::string training = "train";
  std::string out;
  std::int64_t step = 1;
  std::int64_t row = 0;
  bool ids = false;
  bool json = false;
};

/// How trained tokens and the rest are told apart: by colour on a terminal, by brackets elsewhere.
struct Marks {
  std::string trained = "⟦";
  std::string trained_end = "⟧";
  std::string context;
  std::string context_end;
  std::string title;
  std::string title_end;
};

Marks marks() {
  if (::isatty(STDOUT_FILENO) != 1) return {};
  return {.trained = "\x1b[1;32m",
          .trained_end = "\x1b[0m",
          .context = "\x1b[2m",
          .context_end = "\x1b[0m",
          .title = "\x1b[1m",
          .title_end = "\x1b[0m"};
}

/// The token's bytes as they stand in a text; control tokens by name.
std::string token_bytes(const text::Tokenizer& tokenizer, std::int32_t id) {
  std::string piece = tokenizer.piece(id);
  if (tokenizer.is_control(id)) return piece;
  // Byte tokens are pieces of the form <0x41>.
  if (piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>')) {
    return {static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16))};
  }
  constexpr std::string_view kSpace = "\u2581";
  for (std::size_t at = piece.find(kSpace); at != std::string::npos;
       at = piece.find(kSpace, at + 1)) {
    piece.replace(at, kSpace.size(), " ");
  }
  return piece;
}

/// The text that `ids` stand for, control tokens by name.
std::string bytes_of(const text::Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  if (tokenizer.is_hugging_face()) return tokenizer.decode(ids, text::SpecialText::kKeep);
  std::string bytes;  // decode() would drop the space that a run begins with
  for (const std::int32_t id : ids) bytes += token_bytes(tokenizer, id);
  return bytes;
}

std::string shown_text(const std::string& bytes, std::string_view newline) {
  std::string text;
  for (const char c : printable(bytes)) {
    if (c == '\n') {
      text += newline;
    } else {
      text += c;
    }
  }
  return text;
}

/// Runs of trained and other tokens, each in its text or, without a tokenizer, in its ids.
std::string running_text(const train::ExplainedDocument& document,
                         const std::optional<text::Tokenizer>& tokenizer, const Marks& mark) {
  std::string out;
  for (std::size_t at = 0; at < document.tokens.size();) {
    const bool trained = document.tokens[at].trained;
    std::vector<std::int32_t> ids;
    for (; at < document.tokens.size() && document.tokens[at].trained == trained; ++at) {
      ids.push_back(document.tokens[at].id);
    }
    const std::string bytes =
        tokenizer ? bytes_of(*tokenizer, ids) : fmt::format("{}", fmt::join(ids, " "));
    // Colours end with the line, so that a pager does not lose them.
    const std::string& open = trained ? mark.trained : mark.context;
    const std::string& close = trained ? mark.trained_end : mark.context_end;
    out += open + shown_text(bytes, "↵\n    ") + close;
    if (!tokenizer) out += ' ';
  }
  return out;
}

void print_ids(const train::ExplainedDocument& document,
               const std::optional<text::Tokenizer>& tokenizer, const Marks& mark) {
  for (const train::ExplainedToken& token : document.tokens) {
    const std::string text =
        tokenizer ? shown_text(bytes_of(*tokenizer, {token.id}), "↵") : std::string();
    fmt::print("    {:>6} {:>7}  {}{}{}\n",
               token.position >= 0 ? fmt::format("{}", token.position) : "–", token.id,
               token.trained ? mark.trained : mark.context,
               text.empty() && token.trained ? "trained" : text,
               token.trained ? mark.trained_end : mark.context_end);
  }
}

void print_row(const pipeline::BatchView& view, std::size_t index, bool ids, const Marks& mark) {
  const train::ExplainedRow& row = view.rows[index];
  fmt::print("\n{}row {}{}  {} of {} positions used, {} documents, {} tokens trained\n", mark.title,
             index + 1, mark.title_end, row.used, row.length, row.documents.size(), row.trained);
  for (const train::ExplainedDocument& document : row.documents) {
    std::string origin = printable(document.id);
    if (!document.source.empty()) origin += "  source " + printable(document.source);
    if (!document.lang.empty()) origin += "  " + printable(document.lang);
    std::string part;
    const auto count = static_cast<std::int64_t>(document.tokens.size());
    if (count != document.length) {
      part = fmt::format(" (tokens {} to {} of {})", document.begin + 1, document.begin + count,
                         document.length);
    }
    fmt::print("  {}── {}{}  {} of {} tokens trained{}\n", mark.title, origin, mark.title_end,
               document.trained, count, part);
    if (ids) {
      print_ids(document, view.tokenizer, mark);
    } else {
      fmt::print("    {}\n", running_text(document, view.tokenizer, mark));
    }
  }
}

Json json_of(const pipeline::BatchView& view) {
  Json rows = Json::array();
  for (const train::ExplainedRow& row : view.rows) {
    Json json = to_json(row);
    for (std::size_t d = 0; view.tokenizer && d < row.documents.size(); ++d) {
      Json pieces = Json::array();
      for (const train::ExplainedToken& token : row.documents[d].tokens) {
        pieces.push_back(view.tokenizer->piece(token.id));
      }
      json["documents"][d]["pieces"] = std::move(pieces);
    }
    rows.push_back(std::move(json));
  }
  return {{"step", view.step},
          {"steps", view.steps},
          {"epoch", view.epoch},
          {"batch", view.batch},
          {"taken", view.taken.empty() ? Json() : Json(view.taken)},
          {"row_offset", view.row_offset},
          {"rows", rows}};
}

/// Whether the training took this batch.
std::string whose(const pipeline::BatchView& view) {
  const std::string behind =
      view.row_offset == 0
          ? std::string()
          : fmt::format(", {} rows further on than planned: rollbacks", view.row_offset);
  if (view.taken.empty()) return "as it is planned; no training has taken it yet" + behind;
  if (view.taken == view.batch) return "as the training took it" + behind;
  return fmt::format(
      "as it is planned; the training took another batch, {}: its data or options "
      "were not these",
      printable(view.taken));
}

void explain(const Arguments& arguments) {
  if (arguments.tokens.empty() && arguments.config.file.empty()) {
    throw Error(ExitCode::kUsage, "explain-batch: give -c FILE, or --model and --tokens");
  }
  if (!arguments.tokens.empty() && arguments.model.empty()) {
    throw Error(ExitCode::kUsage, "explain-batch: --tokens needs --model too");
  }
  pipeline::BatchRequest request{.training = arguments.training,
                                 .model = {},
                                 .tokens = {arguments.tokens.begin(), arguments.tokens.end()},
                                 .step = arguments.step,
                                 .output = arguments.out};
  if (!arguments.model.empty()) request.model = find_model(arguments.model);
  const pipeline::PipelineOptions options = arguments.config.read();
  if (!arguments.tokens.empty() && !options.train.tokens.empty()) {
    throw Error(ExitCode::kUsage,
                "explain-batch: train.tokens is for a pipeline; --tokens takes several files");
  }
  const pipeline::BatchView view = pipeline::view_batch(options, request);
  const auto rows = static_cast<std::int64_t>(view.rows.size());
  if (arguments.row > rows) {
    throw Error(ExitCode::kUsage,
                fmt::format("row {} is beyond the last of this step, {}", arguments.row, rows));
  }
  if (arguments.json) {
    Json json = json_of(view);
    if (arguments.row > 0) {
      json["rows"] = Json::array({json["rows"][static_cast<std::size_t>(arguments.row - 1)]});
    }
    fmt::print("{}\n", dump_json(json));
    return;
  }
  const Marks mark = marks();
  std::int64_t used = 0;
  std::int64_t trained = 0;
  for (const train::ExplainedRow& row : view.rows) {
    used += row.used;
    trained += row.trained;
  }
  fmt::print(
      "{}step {} of {}{}, epoch {}, batch {}: {} rows, {} positions, {} tokens {}trained{}\n",
      mark.title, view.step, view.steps, mark.title_end, view.epoch, view.batch, rows, used,
      trained, mark.trained, mark.trained_end);
  fmt::print("{}\n", whose(view));
  for (std::size_t i = 0; i < view.rows.size(); ++i) {
    if (arguments.row > 0 && i + 1 != static_cast<std::size_t>(arguments.row)) continue;
    print_row(view, i, arguments.ids, mark);
  }
}

}  // namespace

void add_explain_batch(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "explain-batch", "show which tokens a training step is trained on, and which it only reads");
  const auto arguments = std::make_shared<Arguments>();
  arguments->config.add_to(*verb, /*required=*/false);
  verb->add_option("-m,--model", arguments->model, "model that is trained (with --tokens)")
      ->type_name("DIR");
  verb->add_option("--tokens", arguments->tokens, "lines as `nativo train --tokens` takes them")
      ->type_name("FILE");
  verb->add_option("--out", arguments->out,
                   "the training's folder (with --tokens): what it took, if it has come as far")
      ->type_name("DIR");
  verb->add_option("--training", arguments->training, "of a run: train, or its own base's")
      ->check(CLI::IsMember({"train", "base"}))
      ->capture_default_str();
  verb->add_option("--step", arguments->step, "whose batch to show, from 1")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  verb->add_option("--row", arguments->row, "only this row of it, from 1; 0 = all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  verb->add_flag("--ids", arguments->ids, "a line a token: position, id, text");
  verb->add_flag("--json", arguments->json, "all of it as one JSON object");
  verb->callback([arguments] { explain(*arguments); });
}

}  // namespace nativo::cli

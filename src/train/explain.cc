#include "train/explain.h"

#include "base/error.h"

namespace nativo::train {
namespace {

ExplainedDocument explain_piece(const Example& example, const Piece& piece,
                                const model::Batch& batch, std::size_t cell) {
  ExplainedDocument document{.id = example.id,
                             .source = example.source,
                             .lang = example.lang,
                             .begin = piece.begin,
                             .length = static_cast<std::int64_t>(example.tokens.size()),
                             .trained = 0,
                             .tokens = {}};
  bool trained = false;  // the first token has none before it
  for (std::int64_t i = 0; i < piece.length; ++i, ++cell) {
    document.tokens.push_back({batch.tokens[cell], batch.positions[cell], trained});
    trained = batch.targets[cell] >= 0;
    document.trained += trained ? 1 : 0;
  }
  const auto last = static_cast<std::size_t>(piece.begin + piece.length);
  NATIVO_CHECK(!trained || batch.targets[cell - 1] == example.tokens[last],
               "a target is the token after its position");
  document.tokens.push_back({.id = example.tokens[last], .position = -1, .trained = trained});
  return document;
}

}  // namespace

std::vector<ExplainedRow> explain_rows(std::span<const Example> examples,
                                       std::span<const Row* const> rows, std::int64_t seq_len) {
  const model::Batch batch = make_batch(examples, rows, seq_len);
  std::vector<ExplainedRow> explained;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    ExplainedRow row{.length = batch.length, .used = rows[r]->used, .trained = 0, .documents = {}};
    std::size_t cell = r * static_cast<std::size_t>(batch.length);
    for (const Piece& piece : rows[r]->pieces) {
      row.documents.push_back(explain_piece(examples[piece.example], piece, batch, cell));
      row.trained += row.documents.back().trained;
      cell += static_cast<std::size_t>(piece.length);
    }
    explained.push_back(std::move(row));
  }
  return explained;
}

Json to_json(const ExplainedRow& row) {
  Json documents = Json::array();
  for (const ExplainedDocument& document : row.documents) {
    Json tokens = Json::array();
    Json positions = Json::array();
    Json mask = Json::array();
    for (const ExplainedToken& token : document.tokens) {
      tokens.push_back(token.id);
      positions.push_back(token.position >= 0 ? Json(token.position) : Json());
      mask.push_back(token.trained ? 1 : 0);
    }
    documents.push_back({{"id", document.id},
                         {"source", document.source},
                         {"lang", document.lang},
                         {"begin", document.begin},
                         {"length", document.length},
                         {"trained", document.trained},
                         {"tokens", std::move(tokens)},
                         {"positions", std::move(positions)},
                         {"mask", std::move(mask)}});
  }
  return {{"length", row.length},
          {"used", row.used},
          {"trained", row.trained},
          {"documents", std::move(documents)}};
}

}  // namespace nativo::train

#include "generate/packing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace nativo::generate {
namespace {

/// A request cut to the window: its last input_length() + 1 tokens.
struct Sequence {
  std::size_t request;
  std::vector<TokenId> tokens;
  std::size_t targets;  ///< how many of the last tokens are scored
  [[nodiscard]] std::int64_t input_length() const {
    return static_cast<std::int64_t>(tokens.size()) - 1;
  }
};

std::vector<Sequence> cut_to_window(std::span<const ScoreRequest> requests, std::int64_t window) {
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ScoreRequest& request = requests[i];
    NATIVO_CHECK(!request.context.empty(), "a scoring request needs a context");
    if (request.continuation.empty()) continue;
    const std::size_t targets = request.continuation.size();
    if (targets > static_cast<std::size_t>(window)) {
      throw Error(ExitCode::kData,
                  fmt::format("a text of {} tokens is longer than the model's context of {}",
                              targets, window),
                  "shorten the evaluation's texts");
    }
    const std::size_t room = static_cast<std::size_t>(window) + 1 - targets;
    const std::size_t kept = std::min(request.context.size(), room);
    Sequence sequence{.request = i, .tokens = {}, .targets = targets};
    sequence.tokens.assign(request.context.end() - static_cast<std::ptrdiff_t>(kept),
                           request.context.end());
    sequence.tokens.insert(sequence.tokens.end(), request.continuation.begin(),
                           request.continuation.end());
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

struct Row {
  std::int64_t used = 0;
  std::int32_t documents = 0;
};

model::Batch empty_batch(std::int64_t rows, std::int64_t length) {
  model::Batch batch;
  batch.rows = rows;
  batch.length = length;
  const auto size = static_cast<std::size_t>(rows * length);
  batch.tokens.assign(size, 0);
  batch.targets.assign(size, -1);
  batch.positions.assign(size, 0);
  batch.documents.assign(size, -1);
  return batch;
}

/// Writes `sequence` behind what `row` holds and says where its targets are.
Placement place(const Sequence& sequence, std::int64_t row_index, Row& row, model::Batch& batch) {
  const auto start = static_cast<std::size_t>(row_index * batch.length + row.used);
  const auto length = static_cast<std::size_t>(sequence.input_length());
  const std::size_t first_target = length - sequence.targets;
  for (std::size_t i = 0; i < length; ++i) {
    batch.tokens[start + i] = sequence.tokens[i];
    batch.targets[start + i] = i >= first_target ? sequence.tokens[i + 1] : -1;
    batch.positions[start + i] = static_cast<std::int32_t>(i);
    batch.documents[start + i] = row.documents;
  }
  row.used += sequence.input_length();
  ++row.documents;
  return {.request = sequence.request, .first = start + first_target, .count = sequence.targets};
}

}  // namespace

std::vector<ScoreBatch> pack_requests(std::span<const ScoreRequest> requests,
                                      std::int64_t context_length, std::int64_t batch_tokens) {
  std::vector<Sequence> waiting = cut_to_window(requests, context_length);
  std::ranges::stable_sort(waiting, [](const Sequence& a, const Sequence& b) {
    return a.tokens.size() > b.tokens.size();
  });

  std::vector<ScoreBatch> batches;
  while (!waiting.empty()) {
    // The longest decides the width; what does not fit beside it waits for the next batch.
    const std::int64_t length = waiting.front().input_length();
    const std::int64_t most_rows = std::max<std::int64_t>(1, batch_tokens / length);
    std::vector<Row> rows;
    std::vector<std::pair<std::size_t, std::size_t>> plan;  // (sequence, row)
    std::vector<Sequence> left;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      const std::int64_t need = waiting[i].input_length();
      auto row = std::ranges::find_if(rows, [&](const Row& r) { return r.used + need <= length; });
      if (row == rows.end() && std::ssize(rows) < most_rows) row = rows.insert(rows.end(), Row{});
      if (row == rows.end()) continue;
      row->used += need;
      plan.emplace_back(i, static_cast<std::size_t>(row - rows.begin()));
    }
    ScoreBatch packed;
    packed.batch = empty_batch(std::ssize(rows), length);
    std::fill(rows.begin(), rows.end(), Row{});
    std::size_t next = 0;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (next < plan.size() && plan[next].first == i) {
        const std::size_t row = plan[next++].second;
        packed.placements.push_back(
            place(waiting[i], static_cast<std::int64_t>(row), rows[row], packed.batch));
      } else {
        left.push_back(std::move(waiting[i]));
      }
    }
    batches.push_back(std::move(packed));
    waiting = std::move(left);
  }
  return batches;
}

}  // namespace nativo::generate

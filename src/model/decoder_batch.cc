// Validates a batch and derives the attention mask from its documents.
#include "model/decoder_batch.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace nativo::model {
namespace {

[[noreturn]] void fail(std::int64_t index, std::int64_t length, std::string_view what,
                       std::int64_t value, std::int64_t limit) {
  throw Error(ExitCode::kData,
              fmt::format("batch row {}, token {}: {} {} is not in [0, {})", index / length,
                          index % length, what, value, limit),
              "the packed data was made for another tokenizer or sequence length: pack it again");
}

}  // namespace

PreparedBatch prepare_batch(const DecoderConfig& config, const Batch& batch) {
  const std::int64_t tokens = batch.rows * batch.length;
  const auto size = static_cast<std::size_t>(tokens);
  if (batch.rows < 0 || batch.length < 0 || tokens > INT32_MAX || batch.tokens.size() != size ||
      batch.targets.size() != size || batch.positions.size() != size ||
      batch.documents.size() != size) {
    throw Error(ExitCode::kData,
                fmt::format("a batch of {} x {} does not have as many tokens, targets, positions "
                            "and documents",
                            batch.rows, batch.length));
  }
  PreparedBatch prepared;
  prepared.rows = batch.rows;
  prepared.length = batch.length;
  prepared.first_key.resize(size);
  if (config.sliding_window) prepared.window_key.resize(size);
  std::int64_t start = 0;  // of the document, inside the row
  for (std::int64_t i = 0; i < tokens; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const std::int64_t t = i % batch.length;
    const std::int32_t document = batch.documents[index];
    if (t == 0 || document != batch.documents[index - 1]) start = t;
    if (batch.tokens[index] < 0 || batch.tokens[index] >= config.vocab_size) {
      fail(i, batch.length, "token", batch.tokens[index], config.vocab_size);
    }
    if (batch.positions[index] < 0 || batch.positions[index] >= config.max_positions) {
      fail(i, batch.length, "position", batch.positions[index], config.max_positions);
    }
    prepared.positions = std::max<std::int64_t>(prepared.positions, batch.positions[index] + 1);
    if (document < 0) {
      prepared.first_key[index] = static_cast<std::int32_t>(t + 1);
      if (config.sliding_window) prepared.window_key[index] = prepared.first_key[index];
      continue;
    }
    prepared.first_key[index] = static_cast<std::int32_t>(start);
    if (config.sliding_window) {
      prepared.window_key[index] =
          static_cast<std::int32_t>(std::max(start, t - *config.sliding_window + 1));
    }
    const std::int32_t target = batch.targets[index];
    if (target == -1) continue;
    if (target < 0 || target >= config.vocab_size) {
      fail(i, batch.length, "target", target, config.vocab_size);
    }
    prepared.target_row.push_back(static_cast<std::int32_t>(i));
    prepared.target.push_back(target);
  }
  return prepared;
}

void BatchTables::place(const Batch& batch, const PreparedBatch& prepared,
                        const tensor::Device& device) {
  const std::array<std::span<const std::int32_t>, 6> sources = {
      batch.tokens,        batch.positions,     prepared.first_key,
      prepared.window_key, prepared.target_row, prepared.target};
  const std::array<std::span<const std::int32_t>*, 6> tables = {
      &tokens, &positions, &first_key, &window_key, &target_row, &target};
  const auto size_of = [](std::size_t count) {
    return tensor::Shape{static_cast<std::int64_t>(count)};
  };
  tensor::ArenaPlan plan;
  std::array<tensor::ArenaPlan::Slot, 6> slots;
  for (std::size_t i = 0; device.is_cuda() && i < sources.size(); ++i) {
    slots[i] = plan.add<std::int32_t>("tables", size_of(sources[i].size()));
  }
  results_at_ = plan.bytes();
  const tensor::Shape targets = size_of(prepared.target.size());
  const auto log_prob_slot = plan.add<double>("results", targets);
  const auto loss_slot = plan.add<double>("results", targets);
  const auto argmax_slot = plan.add<std::int32_t>("results", targets);
  results_bytes_ = plan.bytes() - results_at_;
  if (memory_.device() != device) memory_ = tensor::Arena(device);
  device_ = device;
  memory_.reserve(plan, "a batch's tables");
  log_prob = memory_.view<double>(log_prob_slot).span();
  loss = memory_.view<double>(loss_slot).span();
  argmax = memory_.view<std::int32_t>(argmax_slot).span();
  if (!device.is_cuda()) {
    for (std::size_t i = 0; i < sources.size(); ++i) *tables[i] = sources[i];
    return;
  }
  if (moved_) moved_->wait();  // the batch before has left the pinned memory
  if (staged_.bytes() < plan.bytes()) {
    staged_ = tensor::PinnedMemory(memory_.capacity(), "a batch's tables");
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const tensor::View<std::int32_t> there = memory_.view<std::int32_t>(slots[i]);
    if (!sources[i].empty()) {
      std::memcpy(staged_.data() + slots[i].offset, sources[i].data(), sources[i].size_bytes());
    }
    *tables[i] = there.span();
  }
  tensor::copy_bytes_async(memory_.data(), staged_.data(), results_at_,
                           tensor::compute_stream(device));
  if (!moved_) moved_ = std::make_unique<tensor::Event>(device);
  moved_->record(tensor::compute_stream(device));
}

TargetResults BatchTables::results() {
  if (!device_.is_cuda()) return {log_prob, loss, argmax};
  tensor::copy_bytes_async(staged_.data() + results_at_, memory_.data() + results_at_,
                           results_bytes_, tensor::compute_stream(device_));
  moved_->record(tensor::compute_stream(device_));
  moved_->wait();  // for the ops alone: sums over ranks and what is offloaded go on
  const auto on_host = [&](auto span) {
    using T = typename decltype(span)::element_type;
    const auto offset = reinterpret_cast<std::byte*>(span.data()) - memory_.data();
    return std::span<const T>(reinterpret_cast<const T*>(staged_.data() + offset), span.size());
  };
  return {on_host(log_prob), on_host(loss), on_host(argmax)};
}

}  // namespace nativo::model

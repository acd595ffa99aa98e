#include "model/layer_shards.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "model/memory_plan.h"

namespace nativo::model {
// A place is written again three gathers later. Who begins a gather has the one before, so that all
// ranks of the node have begun that one; each had then done with the layer two before it, which is
// the one in this place.

LayerShards::LayerShards(const DecoderConfig& config, dist::Communicator& ranks)
    : config_(config),
      ranks_(ranks),
      own_(static_cast<std::size_t>(config.parameter_count()) * sizeof(float), "the parameters") {
  const LayerNumbers numbers = layer_numbers(config);
  outer_.adopt(ranks.allocate_shared(layer_place_bytes(numbers.others), "embedding and head"));
  const std::size_t bytes = layer_place_bytes(numbers.layer);
  place_size_ = bytes / sizeof(float);
  const auto places = ranks.allocate_shared(kPlaces * bytes, "three layers' parameters");
  for (std::size_t i = 0; i < kPlaces; ++i) {
    places_[i] = reinterpret_cast<float*>(places.data() + i * bytes);
  }
}

float* LayerShards::addresses() const { return reinterpret_cast<float*>(own_.bytes().data()); }

bool LayerShards::is_cut(const Parameter& parameter) const {
  return parameter.layer >= 0 && parameter.layer < config_.layers;
}

void LayerShards::bind(std::vector<Parameter>& list, ModelWeights<float>& weights) {
  list_ = &list;
  weights_ = &weights;
  shards_.emplace(list, ranks_.size());
  tensor::ArenaPlan plan;
  const auto slot = plan.add<float>("parameters", {layer_numbers(config_).others});
  outer_.reserve(plan, "embedding and head");
  float* next = outer_.view<float>(slot).data();
  const auto move = [&](tensor::View<float>& view) {
    view = {next, view.shape()};
    next += view.shape().elements();
  };
  float* values = next;
  for (Parameter& parameter : list) {
    if (is_cut(parameter)) continue;
    const std::size_t size = parameter.elements();
    parameter.set_stored(tensor::View<float>(values, {static_cast<std::int64_t>(size)}));
    values += size;
  }
  move(weights.embedding);
  move(weights.final_norm);
  config_.tie_embeddings ? static_cast<void>(weights.head = weights.embedding) : move(weights.head);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    at_.push_back(addresses() + bucket_of(layer).begin);
    NATIVO_CHECK(bucket_of(layer).count <= place_size_, "a layer fits into its place");
  }
}

const Bucket& LayerShards::bucket_of(std::int64_t layer) const {
  // The buckets are -1, 0, ..., L: the embedding is one of its own.
  const Bucket& bucket = shards_->buckets()[static_cast<std::size_t>(layer + 1)];
  NATIVO_CHECK(bucket.layer == layer, "every layer has parameters");
  return bucket;
}

bool LayerShards::is_mine(std::size_t index) const {
  return static_cast<int>(index % static_cast<std::size_t>(ranks_.place().node_size)) ==
         ranks_.place().node_rank;
}

void LayerShards::keep(const Bucket& bucket, const float* whole) {
  const dist::Part& part = bucket.parts[static_cast<std::size_t>(ranks_.rank())];
  std::memcpy(addresses() + part.begin, whole + (part.begin - bucket.begin),
              part.count * sizeof(float));
}

void LayerShards::fill(const RunAll& run_all,
                       const std::function<void(std::size_t, std::span<float>)>& make) {
  begin_pass();
  ranks_.barrier();  // nobody reads what is in the places
  const std::span<const Bucket> buckets = shards_->buckets();
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const Bucket& bucket = buckets[b];
    const std::size_t end = b + 1 < buckets.size() ? buckets[b + 1].parameter : list_->size();
    std::vector<std::pair<std::size_t, std::span<float>>> mine;
    float* whole = places_[b % kPlaces];
    float* next = whole;
    for (std::size_t index = bucket.parameter; index < end; ++index) {
      const std::span<float> value = (*list_)[index].value;
      if (is_mine(index)) {
        mine.emplace_back(index, is_cut((*list_)[index]) ? std::span(next, value.size()) : value);
      }
      next += value.size();
    }
    run_all(mine.size(), [&](std::size_t i) { make(mine[i].first, mine[i].second); });
    ranks_.barrier();
    if (bucket.layer >= 0 && bucket.layer < config_.layers) keep(bucket, whole);
  }
  ranks_.barrier();
}

void LayerShards::read(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = (*list_)[index];
  if (!is_cut(parameter)) {
    std::ranges::copy(parameter.value, values.begin());
    return;
  }
  std::vector<dist::Part> parts;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const auto slices = shards_->slices(rank);
    const auto found = std::ranges::find(slices, index, &Slice::parameter);
    parts.push_back(found == slices.end() ? dist::Part{} : dist::Part{found->begin, found->count});
  }
  const dist::Part& own = parts[static_cast<std::size_t>(ranks_.rank())];
  std::ranges::copy(parameter.value.subspan(own.begin, own.count),
                    values.begin() + static_cast<std::ptrdiff_t>(own.begin));
  ranks_.all_gather(values.first(parameter.value.size()), parts);
}

void LayerShards::send_for(std::int64_t layer) {
  NATIVO_CHECK(!coming_, "one layer at a time is on its way");
  const Bucket& bucket = bucket_of(layer);
  float* place = places_[turn_++ % kPlaces];
  const dist::Part& part = bucket.parts[static_cast<std::size_t>(ranks_.rank())];
  std::memcpy(place + (part.begin - bucket.begin), addresses() + part.begin,
              part.count * sizeof(float));
  coming_ = layer;
  gather_ = ranks_.start_all_gather(std::span(place, bucket.count), bucket.parts_inside());
}

void LayerShards::gather(std::int64_t layer, std::optional<std::int64_t> next) {
  if (held_ != layer) {
    if (!coming_) send_for(layer);
    NATIVO_CHECK(coming_ == layer, "the layer that was sent for");
    gather_.wait();
    held_ = std::exchange(coming_, std::nullopt);
    point_to(layer, places_[(turn_ - 1) % kPlaces]);
  }
  if (next) send_for(*next);
}

void LayerShards::point_to(std::int64_t layer, float* memory) {
  const auto index = static_cast<std::size_t>(layer);
  const auto move = [&](tensor::View<float>& view) {
    if (view.data() != nullptr) view = {memory + (view.data() - at_[index]), view.shape()};
  };
  LayerWeights<float>& of = weights_->layers[index];
  for (auto* view : {&of.input_norm, &of.q_norm, &of.k_norm, &of.post_norm}) move(*view);
  for (Linear<float>* linear : {&of.qkv, &of.output, &of.gate_up, &of.down}) {
    move(linear->weight);
    move(linear->bias);
  }
  at_[index] = memory;
}

std::size_t LayerShards::bytes() const {
  std::size_t own = 0;
  for (const Bucket& bucket : shards_->buckets()) {
    if (bucket.layer < 0 || bucket.layer >= config_.layers) continue;
    own += bucket.parts[static_cast<std::size_t>(ranks_.rank())].count;
  }
  return own * sizeof(float) + outer_.capacity() + kPlaces * place_size_ * sizeof(float);
}

}  // namespace nativo::model

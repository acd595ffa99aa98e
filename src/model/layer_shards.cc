#include "model/layer_shards.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "model/memory_plan.h"

namespace nativo::model {
namespace {

/// Calls body(part, at, length) for pieces of the elements first .. first + count - 1 that are
/// parts of the whole tensor: all of them, or of columns the whole rows and what is left of two.
template <class Body>
void for_pieces(const Parameter& parameter, std::size_t first, std::size_t count,
                const Body& body) {
  const TensorPart& part = parameter.part;
  const std::vector<std::int64_t>& whole = parameter.whole_shape();
  if (!part.is_cut() || part.is_rows()) {
    return body(TensorPart{.whole = whole, .run = count, .begin = part.begin + first}, first,
                count);
  }
  const std::size_t end = first + count;
  for (std::size_t at = first; at < end;) {
    const std::size_t column = at % part.run;
    const std::size_t there = at / part.run * part.stride + part.begin + column;
    const std::size_t rows = column == 0 ? (end - at) / part.run : 0;
    const std::size_t length = rows > 0 ? rows * part.run : std::min(part.run - column, end - at);
    body(TensorPart{.whole = whole,
                    .run = rows > 0 ? part.run : length,
                    .stride = rows > 0 ? part.stride : 0,
                    .begin = there},
         at, length);
    at += length;
  }
}

}  // namespace

void LayerShards::share_out(std::vector<Parameter>& list) {
  list_ = &list;
  shards_.emplace(list, ranks_.size());
}

bool LayerShards::is_cut(const Parameter& parameter) const {
  return parameter.layer >= 0 && parameter.layer < config_.layers;
}

const Bucket& LayerShards::bucket_of(std::int64_t layer) const {
  // The buckets are -1, 0, ..., L: the embedding is one of its own.
  const Bucket& bucket = shards_->buckets()[static_cast<std::size_t>(layer + 1)];
  NATIVO_CHECK(bucket.layer == layer, "every layer has parameters");
  return bucket;
}

std::size_t LayerShards::own_numbers() const {
  std::size_t own = 0;
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    own += own_part(bucket_of(layer)).count;
  }
  return own;
}

dist::Part LayerShards::kept(std::size_t index, int rank) const {
  const auto slices = shards_->slices(rank);
  const auto found = std::ranges::find(slices, index, &Slice::parameter);
  return found == slices.end() ? dist::Part{} : dist::Part{found->begin, found->count};
}

void LayerShards::read(std::size_t index, std::span<float> values) const {
  const Parameter& parameter = (*list_)[index];
  if (!is_cut(parameter)) return tensor::read(parameter.stored, values);
  std::vector<dist::Part> parts;
  for (int rank = 0; rank < ranks_.size(); ++rank) parts.push_back(kept(index, rank));
  const dist::Part& own = parts[static_cast<std::size_t>(ranks_.rank())];
  tensor::read(tensor::part(parameter.stored, own.begin, own.count),
               values.subspan(own.begin, own.count));
  ranks_.all_gather(values.first(parameter.elements()), parts);
}

void LayerShards::read_piece(const Parameter& parameter, const dist::Part& piece,
                             std::span<float> values, const Read& read) {
  for_pieces(parameter, piece.begin, piece.count,
             [&](TensorPart part, std::size_t at, std::size_t length) {
               Parameter of = parameter;
               of.part = std::move(part);
               read(of, values.subspan(at - piece.begin, length));
             });
}

void LayerShards::send_for(std::int64_t layer) {
  NATIVO_CHECK(!coming_, "one layer at a time is on its way");
  coming_ = layer;
  gather_ = send(bucket_of(layer), turn_++ % places_);
}

void LayerShards::gather(std::int64_t layer, std::optional<std::int64_t> next) {
  if (held_ != layer) {
    if (!coming_) send_for(layer);
    NATIVO_CHECK(coming_ == layer, "the layer that was sent for");
    gather_.wait();
    held_ = std::exchange(coming_, std::nullopt);
    point_to(layer, (turn_ - 1) % places_);
  }
  if (next) send_for(*next);
}

// --- on the host ---------------------------------------------------------------------------------
// A place is written again three gathers later. Who begins a gather has the one before, so that all
// ranks of the node have begun that one; each had then done with the layer two before it, which is
// the one in this place.

NodeLayerShards::NodeLayerShards(const DecoderConfig& config, dist::Communicator& ranks)
    : LayerShards(config, ranks, kPlaces),
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

float* NodeLayerShards::addresses() const { return reinterpret_cast<float*>(own_.bytes().data()); }

void NodeLayerShards::bind(std::vector<Parameter>& list, ModelWeights<float>& weights) {
  weights_ = &weights;
  share_out(list);
  tensor::ArenaPlan plan;
  const auto slot = plan.add<float>("parameters", {layer_numbers(config()).others});
  outer_.reserve(plan, "embedding and head");
  float* next = outer_.view<float>(slot).data();
  move_outer(config(), weights, next);
  for (Parameter& parameter : list) {
    if (is_cut(parameter)) continue;
    const std::size_t size = parameter.elements();
    parameter.set_stored(tensor::View<float>(next, {static_cast<std::int64_t>(size)}));
    next += size;
  }
  for (std::int64_t layer = 0; layer < config().layers; ++layer) {
    at_.push_back(addresses() + bucket_of(layer).begin);
    NATIVO_CHECK(bucket_of(layer).count <= place_size_, "a layer fits into its place");
  }
}

bool NodeLayerShards::is_mine(std::size_t index) const {
  return static_cast<int>(index % static_cast<std::size_t>(ranks().place().node_size)) ==
         ranks().place().node_rank;
}

void NodeLayerShards::keep(const Bucket& bucket, const float* whole) {
  const dist::Part& part = own_part(bucket);
  std::memcpy(addresses() + part.begin, whole + (part.begin - bucket.begin),
              part.count * sizeof(float));
}

void NodeLayerShards::fill(const RunAll& run_all,
                           const std::function<void(std::size_t, std::span<float>)>& make) {
  begin_pass();
  ranks().barrier();  // nobody reads what is in the places
  const std::span<const Bucket> buckets = shards().buckets();
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const Bucket& bucket = buckets[b];
    const std::size_t end = b + 1 < buckets.size() ? buckets[b + 1].parameter : list().size();
    std::vector<std::pair<std::size_t, std::span<float>>> mine;
    float* whole = places_[b % kPlaces];
    float* next = whole;
    for (std::size_t index = bucket.parameter; index < end; ++index) {
      const std::span<float> value = list()[index].value;
      if (is_mine(index)) {
        mine.emplace_back(index, is_cut(list()[index]) ? std::span(next, value.size()) : value);
      }
      next += value.size();
    }
    run_all(mine.size(), [&](std::size_t i) { make(mine[i].first, mine[i].second); });
    ranks().barrier();
    if (bucket.layer >= 0 && bucket.layer < config().layers) keep(bucket, whole);
  }
  ranks().barrier();
}

void NodeLayerShards::load(const Read& read) {
  begin_pass();
  const dist::Place& place = ranks().place();
  for (std::size_t index = 0; index < list().size(); ++index) {
    const Parameter& parameter = list()[index];
    const dist::Part part =
        is_cut(parameter)
            ? kept(index, ranks().rank())
            : dist::even_parts(parameter.value.size(),
                               place.node_size)[static_cast<std::size_t>(place.node_rank)];
    if (part.count > 0) {
      read_piece(parameter, part, parameter.value.subspan(part.begin, part.count), read);
    }
  }
  ranks().barrier();
}

dist::Pending NodeLayerShards::send(const Bucket& bucket, std::size_t place) {
  float* to = places_[place];
  const dist::Part& part = own_part(bucket);
  std::memcpy(to + (part.begin - bucket.begin), addresses() + part.begin,
              part.count * sizeof(float));
  return ranks().start_all_gather(std::span(to, bucket.count), bucket.parts_inside());
}

void NodeLayerShards::point_to(std::int64_t layer, std::size_t place) {
  const auto index = static_cast<std::size_t>(layer);
  move_layer(weights_->layers[index], at_[index], places_[place]);
  at_[index] = places_[place];
}

std::size_t NodeLayerShards::bytes() const {
  return own_numbers() * sizeof(float) + outer_.capacity() + kPlaces * place_size_ * sizeof(float);
}

}  // namespace nativo::model

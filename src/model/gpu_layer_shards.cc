#include "model/gpu_layer_shards.h"

#include <algorithm>

#include "base/error.h"
#include "model/memory_plan.h"
#include "tensor/device_memory.h"

namespace nativo::model {
namespace {

template <class T>
tensor::ArenaPlan plan_places(const DecoderConfig& config, std::size_t places,
                              std::vector<tensor::ArenaPlan::Slot>& slots) {
  tensor::ArenaPlan plan;
  for (std::size_t i = 0; i < places; ++i) {
    slots.push_back(plan.add<T>("parameters", {layer_numbers(config).layer}));
  }
  return plan;
}

template <class T>
tensor::ArenaPlan plan_own(const DecoderConfig& config, std::int64_t own,
                           std::vector<tensor::ArenaPlan::Slot>& slots) {
  tensor::ArenaPlan plan;
  slots.push_back(plan.add<T>("parameters", {layer_numbers(config).others}));
  slots.push_back(plan.add<T>("parameters", {own}));
  return plan;
}

template <class T>
std::size_t shard_bytes(const DecoderConfig& config, std::int64_t own) {
  std::vector<tensor::ArenaPlan::Slot> slots;
  return tensor::Arena::capacity_for(plan_places<T>(config, 2, slots).bytes()) +
         tensor::Arena::capacity_for(plan_own<T>(config, own, slots).bytes());
}

}  // namespace

template <class T>
GpuLayerShards<T>::GpuLayerShards(const DecoderConfig& config, dist::Communicator& ranks,
                                  const tensor::Device& device)
    : LayerShards(config, ranks, kPlaces),
      device_(device),
      place_memory_(device),
      own_memory_(device) {
  std::vector<tensor::ArenaPlan::Slot> slots;
  place_memory_.reserve(plan_places<T>(config, kPlaces, slots), "two layers' parameters");
  for (std::size_t i = 0; i < kPlaces; ++i) places_[i] = place_memory_.view<T>(slots[i]).data();
}

template <class T>
void GpuLayerShards<T>::bind(std::vector<Parameter>& list, ModelWeights<T>& weights) {
  weights_ = &weights;
  share_out(list);
  std::vector<tensor::ArenaPlan::Slot> slots;
  own_memory_.reserve(plan_own<T>(config(), static_cast<std::int64_t>(own_numbers()), slots),
                      "the parameters");
  own_memory_.zero();
  T* outer = own_memory_.view<T>(slots[0]).data();
  T* next = own_memory_.view<T>(slots[1]).data();
  for (std::int64_t layer = 0; layer < config().layers; ++layer) {
    own_.push_back(next);
    next += own_part(bucket_of(layer)).count;
    at_.push_back(addresses() + bucket_of(layer).begin);
  }
  move_outer(config(), weights, outer);
  std::vector<std::size_t> taken(static_cast<std::size_t>(config().layers));
  for (Parameter& parameter : list) {
    const std::size_t size = parameter.elements();
    T*& at = outer;
    T* here = at;
    if (is_cut(parameter)) {
      std::size_t& before = taken[static_cast<std::size_t>(parameter.layer)];
      here = begin_of(bucket_of(parameter.layer)) + before;
      before += size;
    } else {
      at += size;
    }
    parameter.set_stored(tensor::View<T>(here, {static_cast<std::int64_t>(size)}, device_));
  }
}

template <class T>
T* GpuLayerShards<T>::begin_of(const Bucket& bucket) const {
  return own_[static_cast<std::size_t>(bucket.layer)] - (own_part(bucket).begin - bucket.begin);
}

template <class T>
void GpuLayerShards<T>::fill(const RunAll& run_all,
                             const std::function<void(std::size_t, std::span<float>)>& make) {
  begin_pass();
  run_all(list().size(), [&](std::size_t index) {
    const Parameter& parameter = list()[index];
    std::vector<float> values(parameter.elements());
    make(index, values);
    const dist::Part own =
        is_cut(parameter) ? kept(index, ranks().rank()) : dist::Part{0, parameter.elements()};
    if (own.count == 0) return;
    tensor::write(std::span(values).subspan(own.begin, own.count),
                  tensor::part(parameter.stored, own.begin, own.count));
  });
}

template <class T>
void GpuLayerShards<T>::load(const Read& read) {
  begin_pass();
  std::vector<float> values;
  for (std::size_t index = 0; index < list().size(); ++index) {
    const Parameter& parameter = list()[index];
    const dist::Part part =
        is_cut(parameter) ? kept(index, ranks().rank()) : dist::Part{0, parameter.elements()};
    if (part.count == 0) continue;
    values.resize(part.count);
    read_piece(parameter, part, values, read);
    tensor::write(values, tensor::part(parameter.stored, part.begin, part.count));
  }
  ranks().barrier();
}

template <class T>
dist::Pending GpuLayerShards<T>::send(const Bucket& bucket, std::size_t place) {
  T* to = places_[place];
  const dist::Part& part = own_part(bucket);
  // In order with the ops: the layer that was in this place has been computed.
  tensor::copy_bytes_async(to + (part.begin - bucket.begin),
                           own_[static_cast<std::size_t>(bucket.layer)], part.count * sizeof(T),
                           tensor::compute_stream(device_));
  const tensor::View<T> whole(to, {static_cast<std::int64_t>(bucket.count)}, device_);
  return ranks().start_all_gather(whole, bucket.parts_inside());
}

template <class T>
void GpuLayerShards<T>::point_to(std::int64_t layer, std::size_t place) {
  const auto index = static_cast<std::size_t>(layer);
  move_layer<T>(weights_->layers[index], at_[index], places_[place]);
  at_[index] = places_[place];
}

template <class T>
std::size_t GpuLayerShards<T>::bytes() const {
  return place_memory_.capacity() + own_memory_.capacity();
}

std::size_t gpu_shard_bytes(const DecoderConfig& config, std::int64_t own, const Numbers& numbers) {
  return numbers.type == tensor::DType::kBf16 ? shard_bytes<tensor::bf16>(config, own)
                                              : shard_bytes<float>(config, own);
}

template class GpuLayerShards<float>;
template class GpuLayerShards<tensor::bf16>;

}  // namespace nativo::model

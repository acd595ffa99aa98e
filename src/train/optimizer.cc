#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "ops/adamw.h"
#include "train/deferred_copy.h"

namespace nativo::train {

namespace {

using model::StorageType;

/// Numbers whose moments pass through a GPU at a time: enough that copies run at full speed.
constexpr std::size_t kOffloadPiece = std::size_t{1} << 22;
static_assert(kOffloadPiece % ops::kMomentBlock == 0);

// Which of the parameters decay.
std::vector<bool> decaying(std::span<const model::Parameter> parameters,
                           const std::vector<std::string>& no_decay) {
  std::vector<bool> decays;
  for (const model::Parameter& parameter : parameters) decays.push_back(parameter.decays);
  for (const std::string& text : no_decay) {
    bool found = false;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].name.find(text) == std::string::npos) continue;
      decays[i] = false;
      found = true;
    }
    if (!found) {
      throw Error(ExitCode::kConfig,
                  fmt::format("train.no_decay: \"{}\" is in the name of no trained parameter",
                              printable(text)),
                  parameters.empty() ? "" : fmt::format("names are like {}", parameters[0].name));
    }
  }
  return decays;
}

}  // namespace

StateType state_type_from_option(const std::string& option) {
  if (option == "f32") return StateType::kF32;
  if (option == "bf16") return StateType::kBf16;
  if (option == "int8") return StateType::kInt8;
  throw Error(
      ExitCode::kConfig,
      fmt::format("train.optimizer_state: \"{}\" is none of f32, bf16, int8", printable(option)));
}

AdamWSettings adamw_settings(const TrainOptions& options) {
  return {.beta1 = options.beta1,
          .beta2 = options.beta2,
          .eps = options.eps,
          .weight_decay = options.weight_decay,
          .no_decay = options.no_decay,
          .clip_norm = options.clip_norm,
          .state = state_type_from_option(options.optimizer_state),
          .seed = static_cast<std::uint64_t>(options.seed),
          .offload = offload_of(options).optimizer};
}

std::size_t state_bytes(StateType type, std::int64_t elements) {
  const auto count = static_cast<std::size_t>(elements);
  switch (type) {
    case StateType::kF32:
      return 8 * count;
    case StateType::kBf16:
      return 4 * count;
    case StateType::kInt8:
      break;
  }
  return 2 * count + 8 * static_cast<std::size_t>(ops::moment_blocks(elements));
}

std::size_t offload_bytes(StateType type) {
  return tensor::HostWindow::bytes_for(state_bytes(type, static_cast<std::int64_t>(kOffloadPiece)));
}

namespace {

/// A parameter's part counted in blocks of ops::kMomentBlock.
model::TensorPart part_in_blocks(const model::Parameter& parameter) {
  const model::TensorPart& part = parameter.part;
  if (!part.is_cut()) return part;
  constexpr auto kBlock = static_cast<std::size_t>(ops::kMomentBlock);
  if (part.run % kBlock != 0 || part.begin % kBlock != 0 || part.stride % kBlock != 0) {
    throw Error(ExitCode::kConfig,
                fmt::format("train.optimizer_state: \"int8\" and dist.tensor cut {} inside a block "
                            "of {} moments",
                            printable(parameter.name), kBlock),
                "use train.optimizer_state = \"bf16\", or fewer tensor-parallel ranks");
  }
  std::int64_t elements = 1;
  for (const std::int64_t size : part.whole) elements *= size;
  return {.whole = {ops::moment_blocks(elements)},
          .run = part.run / kBlock,
          .stride = part.stride / kBlock,
          .begin = part.begin / kBlock};
}

/// The tensors of one parameter's state.
std::vector<StateTensor> tensors_of(const model::Parameter& parameter, StateType type) {
  const auto moments = [&](const char* which, StorageType stored) {
    return StateTensor{.name = which + parameter.name,
                       .shape = parameter.shape,
                       .type = stored,
                       .bytes = {},
                       .part = parameter.part};
  };
  switch (type) {
    case StateType::kF32:
      return {moments("first.", StorageType::kF32), moments("second.", StorageType::kF32)};
    case StateType::kBf16:
      return {moments("first.", StorageType::kBf16), moments("second.", StorageType::kBf16)};
    case StateType::kInt8:
      break;
  }
  const std::int64_t blocks = ops::moment_blocks(static_cast<std::int64_t>(parameter.elements()));
  const auto scales = [&](const char* which) {
    return StateTensor{.name = which + parameter.name,
                       .shape = {blocks},
                       .type = StorageType::kF32,
                       .bytes = {},
                       .block = static_cast<std::size_t>(ops::kMomentBlock),
                       .part = part_in_blocks(parameter)};
  };
  return {moments("first.", StorageType::kI8), scales("first_scale."),
          moments("second.", StorageType::kU8), scales("second_scale.")};
}

}  // namespace

std::vector<StateTensor> state_tensors(std::span<const model::Parameter> parameters,
                                       StateType type) {
  std::vector<StateTensor> all;
  for (const model::Parameter& parameter : parameters) {
    for (StateTensor& tensor : tensors_of(parameter, type)) all.push_back(std::move(tensor));
  }
  return all;
}

Optimizer::Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings)
    : Optimizer(parameters, settings, model::whole_slices(parameters)) {}

Optimizer::Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings,
                     std::span<const model::Slice> slices)
    : settings_(settings),
      parameters_(parameters.size()),
      slices_(slices.begin(), slices.end()),
      decays_(decaying(parameters, settings.no_decay)) {
  for (const model::Parameter& parameter : parameters) {
    const bool is_rows = parameter.part.is_rows() || parameter.part.run == 0;
    const std::size_t part = is_rows ? 0 : parameter.part.begin / parameter.part.run;
    first_numbers_.push_back(is_rows ? parameter.part.begin : part * parameter.elements());
  }
  try {
    reserve(parameters);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kTryAgain || settings.state == StateType::kInt8) throw;
    throw Error(error.code(), error.what(),
                "set train.optimizer_state = \"int8\", or use a machine with more memory");
  }
}

void Optimizer::reserve(std::span<const model::Parameter> parameters) {
  tensor::ArenaPlan plan;
  std::vector<std::function<void()>> lay_out;  // when there is memory
  // A view to be, and its tensor in the state, whose first element is number `begin`.
  const auto add = [&]<class T>(tensor::View<T>& view, StateTensor& tensor, std::size_t begin,
                                std::size_t count) {
    tensor.begin = begin * sizeof(T);
    const auto slot =
        plan.add<T>("optimizer state", tensor::Shape{static_cast<std::int64_t>(count)});
    lay_out.push_back([this, &view, slot, index = state_.size()] {
      view = memory_.view<T>(slot);
      state_[index].bytes = {reinterpret_cast<std::byte*>(view.data()), view.span().size_bytes()};
    });
    state_.push_back(std::move(tensor));
  };
  moments_.reserve(slices_.size());  // they stay where they are
  for (const model::Slice& slice : slices_) {
    const model::Parameter& parameter = parameters[slice.parameter];
    std::vector<StateTensor> tensors = tensors_of(parameter, settings_.state);
    for (StateTensor& tensor : tensors) tensor.parameter = slice.parameter;
    if (settings_.state == StateType::kInt8) {
      auto& of = std::get<ops::Int8MomentViews>(moments_.emplace_back(ops::Int8MomentViews{}));
      const std::size_t block = slice.begin / static_cast<std::size_t>(ops::kMomentBlock);
      const auto scales =
          static_cast<std::size_t>(ops::moment_blocks(static_cast<std::int64_t>(slice.count)));
      add(of.m, tensors[0], slice.begin, slice.count);
      add(of.m_scale, tensors[1], block, scales);
      add(of.v, tensors[2], slice.begin, slice.count);
      add(of.v_scale, tensors[3], block, scales);
      continue;
    }
    const auto add_pair = [&](auto& of) {
      add(of.first, tensors[0], slice.begin, slice.count);
      add(of.second, tensors[1], slice.begin, slice.count);
    };
    if (settings_.state == StateType::kBf16) {
      add_pair(std::get<MomentsOf<tensor::bf16>>(moments_.emplace_back(MomentsOf<tensor::bf16>{})));
    } else {
      add_pair(std::get<MomentsOf<float>>(moments_.emplace_back(MomentsOf<float>{})));
    }
  }
  const tensor::Device device = slices_.empty()
                                    ? tensor::Device()
                                    : tensor::device(parameters[slices_.front().parameter].stored);
  if (settings_.offload && device.is_cuda()) {
    pinned_ = tensor::PinnedMemory(plan.bytes(), "the optimizer's state");
    memory_.adopt({pinned_.data(), pinned_.bytes()});
    window_.emplace(device, state_bytes(settings_.state, kOffloadPiece),
                    "the optimizer's state on its way");
  } else {
    memory_ = tensor::Arena(device);
    memory_.reserve(plan, "the optimizer's state");
  }
  memory_.zero();
  for (StateTensor& tensor : state_) tensor.device = memory_.device();
  for (const auto& view : lay_out) view();
}

void Optimizer::update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
                       double gradient_norm) {
  std::vector<tensor::AnyView> gradients;
  for (const model::Slice& slice : slices_) {
    gradients.push_back(
        tensor::part(parameters[slice.parameter].stored_gradient, slice.begin, slice.count));
  }
  update(parameters, gradients, step, lr, gradient_norm);
}

void Optimizer::update(std::span<model::Parameter> parameters,
                       std::span<const tensor::AnyView> gradients, std::int64_t step, double lr,
                       double gradient_norm) {
  NATIVO_CHECK(parameters.size() == parameters_, "the constructor's parameters");
  NATIVO_CHECK(gradients.size() == slices_.size(), "a gradient for each slice");
  const bool clips = settings_.clip_norm > 0.0 && gradient_norm > settings_.clip_norm;
  ops::AdamW options = options_of(step, lr);
  options.gradient_scale = clips ? static_cast<float>(settings_.clip_norm / gradient_norm) : 1.0F;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    update_slice(options, i, parameters[slices_[i].parameter], gradients[i]);
  }
  end_layers();
}

void Optimizer::update_layer(std::span<model::Parameter> parameters, std::int64_t layer,
                             std::int64_t step, double lr) {
  NATIVO_CHECK(parameters.size() == parameters_, "the constructor's parameters");
  const ops::AdamW options = options_of(step, lr);
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const model::Slice& slice = slices_[i];
    const model::Parameter& parameter = parameters[slice.parameter];
    if (parameter.layer != layer) continue;
    update_slice(options, i, parameter,
                 tensor::part(parameter.stored_gradient, slice.begin, slice.count));
  }
}

void Optimizer::end_layers() {
  if (window_) window_->finish();
}

ops::AdamW Optimizer::options_of(std::int64_t step, double lr) const {
  ops::AdamW options;
  options.step = step;
  options.lr = static_cast<float>(lr);
  options.beta1 = static_cast<float>(settings_.beta1);
  options.beta2 = static_cast<float>(settings_.beta2);
  options.eps = static_cast<float>(settings_.eps);
  return options;
}

Optimizer::Moments Optimizer::part(const Moments& moments, std::size_t first, std::size_t count) {
  const auto rows = [&](const auto& view) {
    return view.rows(static_cast<std::int64_t>(first), static_cast<std::int64_t>(count));
  };
  const auto scales = [&](const tensor::View<float>& view) {
    return view.rows(static_cast<std::int64_t>(first) / ops::kMomentBlock,
                     ops::moment_blocks(static_cast<std::int64_t>(count)));
  };
  return std::visit(
      [&]<class Views>(const Views& of) -> Moments {
        if constexpr (std::is_same_v<Views, ops::Int8MomentViews>) {
          return Views{rows(of.m), scales(of.m_scale), rows(of.v), scales(of.v_scale)};
        } else {
          return Views{rows(of.first), rows(of.second)};
        }
      },
      moments);
}

Optimizer::Moments Optimizer::opened(const Moments& moments) {
  std::array<std::span<std::byte>, 4> ranges;
  std::array<std::byte*, 4> places{};
  const auto move = [&](auto&... views) {
    std::size_t count = 0;
    ((ranges[count++] = std::as_writable_bytes(views.span())), ...);
    window_->open(std::span(ranges).first(count), std::span(places).first(count));
    count = 0;
    const auto place = [&]<class T>(tensor::View<T>& view) {
      view = {reinterpret_cast<T*>(places[count++]), view.shape(), window_->device()};
    };
    (place(views), ...);
  };
  Moments there = moments;
  std::visit(
      [&]<class Views>(Views& of) {
        if constexpr (std::is_same_v<Views, ops::Int8MomentViews>) {
          move(of.m, of.m_scale, of.v, of.v_scale);
        } else {
          move(of.first, of.second);
        }
      },
      there);
  return there;
}

void Optimizer::update_slice(ops::AdamW options, std::size_t index,
                             const model::Parameter& parameter, const tensor::AnyView& gradient) {
  const model::Slice& slice = slices_[index];
  NATIVO_CHECK(tensor::elements(gradient) == slice.count, "a slice's gradient has its size");
  options.weight_decay =
      decays_[slice.parameter] ? static_cast<float>(settings_.weight_decay) : 0.0F;
  if (before_change_) tell_of_change(index, parameter);
  const std::size_t piece = window_ ? kOffloadPiece : slice.count;
  for (std::size_t at = 0; at < slice.count; at += piece) {
    const std::size_t count = std::min(piece, slice.count - at);
    // Of rows these are the whole tensor's numbers; other parts draw others.
    const ops::RoundingNoise noise{
        settings_.seed, static_cast<std::uint32_t>(slice.parameter),
        static_cast<std::int64_t>(first_numbers_[slice.parameter] + slice.begin + at)};
    Moments moments = part(moments_[index], at, count);
    if (window_) moments = opened(moments);
    const tensor::AnyView slope = tensor::part(gradient, at, count);
    std::visit([&](const auto& value) { update_numbers(options, noise, value, slope, moments); },
               tensor::part(parameter.stored, slice.begin + at, count));
    if (window_) window_->close();
  }
}

void Optimizer::tell_of_change(std::size_t index, const model::Parameter& parameter) const {
  const tensor::AnyView value =
      tensor::part(parameter.stored, slices_[index].begin, slices_[index].count);
  before_change_(bytes_of(value));
  const std::size_t tensors = state_.size() / slices_.size();
  for (std::size_t i = index * tensors; i < (index + 1) * tensors; ++i) {
    before_change_(state_[i].bytes);
  }
}

template <class T>
void Optimizer::update_numbers(const ops::AdamW& options, const ops::RoundingNoise& noise,
                               const tensor::View<T>& value, const tensor::AnyView& gradient,
                               const Moments& moments) {
  const tensor::View<const T> slope = std::get<tensor::View<T>>(gradient);
  if (const auto* f32 = std::get_if<MomentsOf<float>>(&moments)) {
    if constexpr (std::is_same_v<T, float>) {
      ops::adamw(options, value, slope, f32->first, f32->second);
    } else {
      ops::adamw(options, noise, value, slope, f32->first, f32->second);
    }
  } else if (const auto* bf16 = std::get_if<MomentsOf<tensor::bf16>>(&moments)) {
    ops::adamw(options, noise, value, slope, bf16->first, bf16->second);
  } else {
    ops::adamw(options, noise, value, slope, std::get<ops::Int8MomentViews>(moments));
  }
}

}  // namespace nativo::train

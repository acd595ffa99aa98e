#include "train/optimizer.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "ops/adamw.h"

namespace nativo::train {

namespace {

using model::StorageType;

double bytes_per_element(StateType type) {
  switch (type) {
    case StateType::kF32:
      return 8.0;
    case StateType::kBf16:
      return 4.0;
    case StateType::kInt8:
      break;
  }
  return 2.0 + 8.0 / static_cast<double>(ops::kMomentBlock);
}

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
  const std::int64_t blocks = ops::moment_blocks(static_cast<std::int64_t>(parameter.value.size()));
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
    first_numbers_.push_back(is_rows ? parameter.part.begin : part * parameter.value.size());
  }
  try {
    for (const model::Slice& slice : slices_) add(parameters[slice.parameter], slice);
  } catch (const std::bad_alloc&) {
    double bytes = 0.0;
    for (const model::Slice& slice : slices_) {
      bytes += bytes_per_element(settings.state) * static_cast<double>(slice.count);
    }
    throw Error(ExitCode::kTryAgain,
                fmt::format("not enough memory for the optimizer's {}", human_bytes(bytes)),
                settings.state == StateType::kInt8
                    ? "use a machine with more memory or a smaller model"
                    : "set train.optimizer_state = \"int8\", or use a machine with more memory");
  }
}

void Optimizer::add(const model::Parameter& parameter, const model::Slice& slice) {
  const std::size_t count = slice.count;
  std::vector<StateTensor> tensors = tensors_of(parameter, settings_.state);
  for (StateTensor& tensor : tensors) tensor.parameter = slice.parameter;
  switch (settings_.state) {
    case StateType::kF32: {
      F32Moments made{std::vector<float>(count), std::vector<float>(count)};
      expose(std::move(tensors[0]), slice.begin, made.first);
      expose(std::move(tensors[1]), slice.begin, made.second);
      moments_.emplace_back(std::move(made));
      break;
    }
    case StateType::kBf16: {
      Bf16Moments made{std::vector<std::uint16_t>(count), std::vector<std::uint16_t>(count)};
      expose(std::move(tensors[0]), slice.begin, made.first);
      expose(std::move(tensors[1]), slice.begin, made.second);
      moments_.emplace_back(std::move(made));
      break;
    }
    case StateType::kInt8: {
      const std::size_t block = slice.begin / static_cast<std::size_t>(ops::kMomentBlock);
      const auto scales =
          static_cast<std::size_t>(ops::moment_blocks(static_cast<std::int64_t>(count)));
      Int8Moments made{std::vector<std::int8_t>(count), std::vector<float>(scales),
                       std::vector<std::uint8_t>(count), std::vector<float>(scales)};
      expose(std::move(tensors[0]), slice.begin, made.first);
      expose(std::move(tensors[1]), block, made.first_scale);
      expose(std::move(tensors[2]), slice.begin, made.second);
      expose(std::move(tensors[3]), block, made.second_scale);
      moments_.emplace_back(std::move(made));
      break;
    }
  }
}

// The bytes stay where they are when the vector that holds them moves.
template <class T>
void Optimizer::expose(StateTensor tensor, std::size_t begin, std::vector<T>& values) {
  tensor.bytes = std::as_writable_bytes(std::span(values));
  tensor.begin = begin * sizeof(T);
  state_.push_back(std::move(tensor));
}

void Optimizer::update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
                       double gradient_norm) {
  std::vector<std::span<const float>> gradients;
  for (const model::Slice& slice : slices_) {
    gradients.emplace_back(parameters[slice.parameter].gradient.subspan(slice.begin, slice.count));
  }
  update(parameters, gradients, step, lr, gradient_norm);
}

void Optimizer::update(std::span<model::Parameter> parameters,
                       std::span<const std::span<const float>> gradients, std::int64_t step,
                       double lr, double gradient_norm) {
  NATIVO_CHECK(parameters.size() == parameters_, "the constructor's parameters");
  NATIVO_CHECK(gradients.size() == slices_.size(), "a gradient for each slice");
  const bool clips = settings_.clip_norm > 0.0 && gradient_norm > settings_.clip_norm;
  ops::AdamW options;
  options.step = step;
  options.lr = static_cast<float>(lr);
  options.beta1 = static_cast<float>(settings_.beta1);
  options.beta2 = static_cast<float>(settings_.beta2);
  options.eps = static_cast<float>(settings_.eps);
  options.gradient_scale = clips ? static_cast<float>(settings_.clip_norm / gradient_norm) : 1.0F;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const model::Slice& slice = slices_[i];
    const model::Parameter& parameter = parameters[slice.parameter];
    options.weight_decay =
        decays_[slice.parameter] ? static_cast<float>(settings_.weight_decay) : 0.0F;
    // Of rows these are the whole tensor's numbers; other parts draw others.
    const ops::RoundingNoise noise{
        settings_.seed, static_cast<std::uint32_t>(slice.parameter),
        static_cast<std::int64_t>(first_numbers_[slice.parameter] + slice.begin)};
    const auto value = parameter.value.subspan(slice.begin, slice.count);
    const std::span<const float> gradient = gradients[i];
    NATIVO_CHECK(gradient.size() == slice.count, "a slice's gradient has its size");
    if (auto* f32 = std::get_if<F32Moments>(&moments_[i])) {
      ops::adamw(options, value, gradient, f32->first, f32->second);
    } else if (auto* bf16 = std::get_if<Bf16Moments>(&moments_[i])) {
      ops::adamw(options, noise, value, gradient, bf16->first, bf16->second);
    } else {
      auto& int8 = std::get<Int8Moments>(moments_[i]);
      ops::adamw(options, noise, value, gradient,
                 {int8.first, int8.first_scale, int8.second, int8.second_scale});
    }
  }
}

}  // namespace nativo::train

#include "train/optimizer.h"

#include <fmt/format.h>

#include <cmath>
#include <new>

#include "base/error.h"
#include "base/strings.h"
#include "ops/adamw.h"
#include "ops/global_norm.h"

namespace nativo::train {

Optimizer::Optimizer(std::span<const model::Parameter> parameters, const AdamWSettings& settings)
    : settings_(settings) {
  try {
    for (const model::Parameter& parameter : parameters) {
      moments_.push_back({parameter.name, parameter.shape,
                          std::vector<float>(parameter.value.size(), 0.0F),
                          std::vector<float>(parameter.value.size(), 0.0F)});
    }
  } catch (const std::bad_alloc&) {
    double bytes = 0.0;
    for (const model::Parameter& parameter : parameters) {
      bytes += 8.0 * static_cast<double>(parameter.value.size());
    }
    throw Error(ExitCode::kTryAgain,
                fmt::format("not enough memory for the optimizer's {}", human_bytes(bytes)),
                "use a machine with more memory or a smaller model");
  }
}

double Optimizer::gradient_norm(std::span<const model::Parameter> parameters) const {
  double sum = 0.0;
  for (const model::Parameter& parameter : parameters) {
    sum += ops::sum_of_squares(parameter.gradient);
  }
  return std::sqrt(sum);
}

void Optimizer::update(std::span<model::Parameter> parameters, std::int64_t step, double lr,
                       double gradient_norm) {
  NATIVO_CHECK(parameters.size() == moments_.size(), "the constructor's parameters");
  const bool clips = settings_.clip_norm > 0.0 && gradient_norm > settings_.clip_norm;
  ops::AdamW options;
  options.step = step;
  options.lr = static_cast<float>(lr);
  options.beta1 = static_cast<float>(settings_.beta1);
  options.beta2 = static_cast<float>(settings_.beta2);
  options.eps = static_cast<float>(settings_.eps);
  options.gradient_scale = clips ? static_cast<float>(settings_.clip_norm / gradient_norm) : 1.0F;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    model::Parameter& parameter = parameters[i];
    options.weight_decay = parameter.decays ? static_cast<float>(settings_.weight_decay) : 0.0F;
    ops::adamw(options, parameter.value, parameter.gradient, moments_[i].first, moments_[i].second);
  }
}

}  // namespace nativo::train

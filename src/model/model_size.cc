#include "model/model_size.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {
namespace {

constexpr double kLeast = 1e6;
constexpr double kMost = 1e13;

std::optional<double> parameters_of(std::string_view text) {
  if (text.size() < 2 || text.size() > 16) return std::nullopt;
  double unit = 0.0;
  switch (text.back()) {
    case 'k':
    case 'K':
      unit = 1e3;
      break;
    case 'm':
    case 'M':
      unit = 1e6;
      break;
    case 'b':
    case 'B':
      unit = 1e9;
      break;
    case 't':
    case 'T':
      unit = 1e12;
      break;
    default:
      return std::nullopt;
  }
  const std::string number(text.substr(0, text.size() - 1));
  if (number.find_first_not_of("0123456789.") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (*end != '\0' || !(value > 0.0)) return std::nullopt;
  return value * unit;
}

DecoderConfig mistral_7b() {
  DecoderConfig config;
  config.vocab_size = 32000;
  config.hidden_size = 4096;
  config.intermediate_size = 14336;
  config.layers = 32;
  config.heads = 32;
  config.kv_heads = 8;
  config.head_dim = 128;
  config.max_positions = 32768;
  config.sliding_window = 4096;
  return config;
}

}  // namespace

bool is_model_size(std::string_view text) { return parameters_of(text).has_value(); }

ModelSize model_size(std::string_view text) {
  const std::optional<double> wanted = parameters_of(text);
  if (!wanted || *wanted < kLeast || *wanted > kMost) {
    throw Error(ExitCode::kUsage,
                fmt::format("\"{}\" is no model size", printable(std::string(text))),
                "say 500m, 1.5b or 7b: 1 M to 10 T parameters");
  }
  const DecoderConfig mistral = mistral_7b();
  ModelSize size{static_cast<std::int64_t>(std::llround(*wanted)), mistral};
  if (size.parameters == 7'000'000'000) return size;
  DecoderConfig& config = size.config;
  const double width = 4096.0 * std::cbrt(*wanted / static_cast<double>(mistral.parameter_count()));
  config.head_dim = width < 2048.0 ? 64 : 128;
  config.kv_heads =
      std::max<std::int64_t>(1, std::llround(width / static_cast<double>(4 * config.head_dim)));
  const auto count = [&config](std::int64_t layers) {
    config.heads = 4 * config.kv_heads;
    config.hidden_size = config.heads * config.head_dim;
    config.intermediate_size = config.hidden_size * 7 / 2;
    config.layers = layers;
    return static_cast<double>(config.parameter_count());
  };
  // The vocabulary must not take all: a small model is narrower.
  while (config.kv_heads > 1 && count(4) > *wanted) --config.kv_heads;
  const double one = count(1);
  const double layer = count(2) - one;
  config.layers = std::max<std::int64_t>(1, std::llround((*wanted - one) / layer) + 1);
  return size;
}

}  // namespace nativo::model

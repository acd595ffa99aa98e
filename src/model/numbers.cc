#include "model/numbers.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/strings.h"

namespace nativo::model {

Numbers numbers_from_names(std::string_view table, const std::string& name,
                           const std::string& precision) {
  const auto device = tensor::device_from_name(name);
  if (!device) {
    throw Error(ExitCode::kConfig,
                fmt::format("{}device: \"{}\" is no device", table, printable(name)),
                "use cpu, cuda or cuda:1");
  }
  const bool is_auto = precision == "auto";
  if (!is_auto && precision != "f32" && precision != "bf16" && precision != "fp8") {
    throw Error(ExitCode::kConfig,
                fmt::format("{}precision: \"{}\" is none of auto, f32, bf16, fp8", table,
                            printable(precision)));
  }
  const bool is_bf16 = is_auto ? device->is_cuda() : precision != "f32";
  if (is_bf16 && !device->is_cuda()) {
    throw Error(ExitCode::kConfig, fmt::format("{}precision: {} needs a GPU", table, precision),
                fmt::format("set {0}device = \"cuda\", or {0}precision = \"f32\"", table));
  }
  return {is_bf16 ? tensor::DType::kBf16 : tensor::DType::kF32, *device, precision == "fp8"};
}

std::string_view numbers_label(const Numbers& numbers) {
  if (!numbers.device.is_cuda()) return "";
  if (numbers.fp8) return "fp8 on a GPU";
  return numbers.type == tensor::DType::kBf16 ? "bf16 on a GPU" : "f32 on a GPU";
}

}  // namespace nativo::model

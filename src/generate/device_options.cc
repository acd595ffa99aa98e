#include "generate/device_options.h"

namespace nativo::generate {

void DeviceOptions::visit(config::Visitor& v) {
  v.value({.name = "device",
           .help = "where the model computes: cpu, or a GPU: cuda (the first), cuda:1, ..."},
          device);
  v.value({.name = "precision",
           .help = "type of its numbers; auto = f32 on the CPU, bf16 on a GPU",
           .choices = {"auto", "f32", "bf16"}},
          precision);
}

}  // namespace nativo::generate

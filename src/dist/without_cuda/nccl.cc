// No NCCL in a build without CUDA.
#include "dist/nccl.h"

#include "tensor/device_memory.h"

namespace nativo::dist {

std::unique_ptr<Communicator> connect_nccl(Communicator& /*host*/, const tensor::Device& device) {
  tensor::require_device(device);
  throw Error(ExitCode::kConfig, tensor::device_name(device) + ": NCCL connects GPUs");
}

}  // namespace nativo::dist

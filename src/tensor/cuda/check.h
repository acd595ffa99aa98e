// A CUDA runtime call's failure as an Error. For the files that call the runtime, in any folder.
#pragma once

#include <cuda_runtime_api.h>

namespace nativo::tensor {

/// Throws Error(kInternal), or kTryAgain for want of memory, naming `action` and the runtime's own
/// words, unless `status` is success.
void cuda_check(cudaError_t status, const char* action);

}  // namespace nativo::tensor

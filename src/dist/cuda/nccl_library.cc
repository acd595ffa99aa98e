#include "dist/cuda/nccl_library.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nativo::dist {

NcclLibrary::NcclLibrary()
    : library({fmt::format("libnccl.so.{}", NCCL_MAJOR)},
              "several GPUs need NCCL: install libnccl2, on every node (docs/cuda.md)") {
  library.find("ncclGetErrorString", error_string);
  library.find("ncclGetUniqueId", unique_id);
  library.find("ncclCommInitRank", init_rank);
  library.find("ncclCommDestroy", destroy);
  library.find("ncclCommAbort", abort);
  library.find("ncclCommGetAsyncError", async_error);
  library.find("ncclGroupStart", group_start);
  library.find("ncclGroupEnd", group_end);
  library.find("ncclAllReduce", all_reduce);
  library.find("ncclReduce", reduce);
  library.find("ncclReduceScatter", reduce_scatter);
  library.find("ncclAllGather", all_gather);
  library.find("ncclBroadcast", broadcast);
}

void NcclLibrary::check(ncclResult_t status, const char* action) const {
  if (status == ncclSuccess || status == ncclInProgress) return;
  throw Error(ExitCode::kTryAgain, fmt::format("{}: {}", action, error_string(status)),
              "NCCL_DEBUG=WARN says more");
}

}  // namespace nativo::dist

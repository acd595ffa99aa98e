// NCCL's functions, opened when ranks on GPUs connect. Not for other folders.
#pragma once

#include <nccl.h>

#include "tensor/cuda/library.h"

namespace nativo::dist {

struct NcclLibrary {
  NcclLibrary();

  /// Throws Error(kTryAgain), naming `action`, for what is neither success nor under way.
  void check(ncclResult_t status, const char* action) const;

  tensor::Library library;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetUniqueId) unique_id;
  decltype(&ncclCommInitRank) init_rank;
  decltype(&ncclCommDestroy) destroy;
  decltype(&ncclCommAbort) abort;
  decltype(&ncclCommGetAsyncError) async_error;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclReduce) reduce;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclBroadcast) broadcast;
};

}  // namespace nativo::dist

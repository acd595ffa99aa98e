#include "dist/own_gpu.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/error.h"
#include "tensor/device_memory.h"

namespace nativo::dist {

std::string gpus_refused(const std::vector<std::string>& gpus, const std::vector<int>& nodes) {
  std::map<std::pair<int, std::string>, std::size_t> owners;
  for (std::size_t rank = 0; rank < gpus.size(); ++rank) {
    if (gpus[rank].empty()) {
      return fmt::format("rank {}, on node {}, sees no GPU", rank, nodes[rank]);
    }
    const auto [owner, is_first] = owners.try_emplace({nodes[rank], gpus[rank]}, rank);
    if (!is_first) {
      return fmt::format("ranks {} and {}, on node {}, would both compute on {}", owner->second,
                         rank, nodes[rank], gpus[rank]);
    }
  }
  return {};
}

tensor::Device own_gpu(Communicator& ranks) {
  const int seen = tensor::gpu_count();
  const tensor::Device device =
      tensor::Device::cuda(seen == 0 ? 0 : ranks.place().node_rank % seen);
  const std::string mine = seen == 0 ? std::string() : tensor::gpu_facts(device).uuid;
  const double node = ranks.place().node;
  std::vector<int> nodes;
  for (const double of : all_gather_numbers(ranks, std::span(&node, 1))) {
    nodes.push_back(static_cast<int>(of));
  }
  const std::string reason = gpus_refused(all_gather_text(ranks, mine), nodes);
  if (reason.empty()) return device;
  throw Error(ExitCode::kConfig,
              fmt::format("train.device = \"cuda\": {}{}", reason,
                          seen == 0 ? "; here, " + tensor::why_no_gpu() : std::string()),
              "start as many ranks on a node as it has GPUs (slurm.ranks_per_node and "
              "slurm.gpus_per_node; CUDA_VISIBLE_DEVICES)");
}

}  // namespace nativo::dist

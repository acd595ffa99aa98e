// What [slurm] of the pipeline file may say: how a run is given nodes, and what becomes of faults.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/visitor.h"

namespace nativo::launch {

struct SlurmOptions {
  std::string job_name;  ///< "" = nativo- and the run folder's name
  std::string partition;
  std::string account;
  std::string qos;
  std::string constraint;
  std::string time;  ///< as sbatch takes it; "" = the partition's default
  std::string memory;
  std::int64_t nodes = 1;
  std::int64_t spare_nodes = 0;
  std::int64_t ranks_per_node = 1;
  std::int64_t gpus_per_node = 0;
  std::int64_t cpus_per_rank = 0;
  std::string mpi = "pmix";
  std::vector<std::string> sbatch;
  std::vector<std::string> setup;
  std::vector<std::string> prefix;
  std::int64_t save_seconds = 120;
  bool requeue = true;

  std::int64_t retries = 10;
  std::string on_node_loss = "wait";
  std::int64_t min_nodes = 1;
  std::string grow = "checkpoint";
  double grow_seconds = 60.0;
  double silence_seconds = 5.0;
  double hang_seconds = 60.0;
  double hang_factor = 10.0;
  double connect_seconds = 120.0;
  double start_seconds = 1800.0;
  bool health_checks = true;
  double min_disk_gib = 1.0;
  double min_memory_gib = 1.0;
  double max_clock_skew = 5.0;

  void visit(config::Visitor& v);

  /// Throws Error(kConfig) naming the key for what no single field can know: min_nodes beyond
  /// nodes, a value that a batch script cannot hold.
  void check() const;
};

}  // namespace nativo::launch

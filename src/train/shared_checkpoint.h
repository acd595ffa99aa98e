// A checkpoint's folder that several ranks write together: global tensors at places known before,
// each rank's own ranges of them from where they are, one manifest at the end by the first.
// Not here: which checkpoints there are, and when a folder gets its name (checkpoint.h); which
// ranges are whose (checkpoint_parts.h).
// Rule: its tensors' bytes are those that one rank alone would write; how many ranks there were
// shows in the ranges of the digests alone.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "model/decoder.h"
#include "train/checkpoint_parts.h"
#include "train/data_parallel.h"
#include "train/optimizer.h"
#include "train/snapshot.h"

namespace nativo::train {

class SharedCheckpoint {
 public:
  /// Both outlive this.
  SharedCheckpoint(DataParallel& parallel, io::Disk& disk) : parallel_(parallel), disk_(disk) {}

  /// Collective. The first rank makes `folder`, anew; after that write() may be called. `copies` =
  /// the weights and moments may change before write() has returned, once before_change() has for
  /// them. `state` is state.json.
  void begin(const std::filesystem::path& folder, std::string state, const model::Decoder& decoder,
             const Optimizer& optimizer, const std::map<std::string, std::string>& extra_files,
             bool copies);

  /// The same of what the ranks have elsewhere: `parts`, whose bytes stay until finish(), of the
  /// model that `decoder` is.
  void begin(const std::filesystem::path& folder, std::string state, const model::Decoder& decoder,
             const std::map<std::string, std::string>& extra_files, CheckpointParts parts);

  /// Writes this rank's ranges, to stable storage. On any thread, no other function meanwhile.
  /// Throws Error(kIo | kTryAgain).
  void write();

  /// See DeferredCopy. Any thread.
  void before_change(std::span<const std::byte> bytes) { snapshot_.before_change(bytes); }

  /// Collective, after write() on all ranks: tells the first one what was written.
  void gather();

  /// For the first rank, after gather(): writes what is missing but the manifest, and returns the
  /// manifest's files. On any thread, no other function meanwhile.
  [[nodiscard]] Json finish();

 private:
  void begin(const std::filesystem::path& folder, std::string state, CheckpointParts parts);
  void describe(const model::Decoder& decoder,
                const std::map<std::string, std::string>& extra_files);

  DataParallel& parallel_;
  io::Disk& disk_;
  std::filesystem::path folder_;
  std::string state_;
  std::map<std::string, std::string> extra_files_;
  model::DecoderConfig config_;
  std::optional<model::LoraConfig> lora_;
  CheckpointParts parts_;
  std::vector<std::string> digests_;  ///< SHA-256 of the ranges that have been written
  std::vector<std::string> written_;  ///< on the first rank: what each has written, as JSON
  Snapshot snapshot_;
};

}  // namespace nativo::train

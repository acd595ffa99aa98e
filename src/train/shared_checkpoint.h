// A checkpoint's folder that several ranks write together: global tensors at places known before,
// each rank's own ranges of them from where they are, one manifest at the end by the first.
// Not here: which checkpoints there are, and when a folder gets its name (checkpoint.h).
// Tensor-parallel ranks have columns of some tensors: they hand each other what makes rows of them,
// so that a rank's ranges are few and long.
// Rule: its tensors' bytes are those that one rank alone would write; how many ranks there were
// shows in the ranges of the digests alone.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "model/decoder.h"
#include "model/safetensors.h"
#include "train/data_parallel.h"
#include "train/optimizer.h"
#include "train/snapshot.h"

namespace nativo::train {

class SharedCheckpoint {
 public:
  /// Both outlive this.
  SharedCheckpoint(DataParallel& parallel, io::Disk& disk) : parallel_(parallel), disk_(disk) {}

  /// Collective. The first rank makes `folder`, anew; after that write() may be called. `copies` =
  /// the weights and moments may change before write() has returned. `state` is state.json.
  void begin(const std::filesystem::path& folder, std::string state, const model::Decoder& decoder,
             const Optimizer& optimizer, const std::map<std::string, std::string>& extra_files,
             bool copies);

  /// Writes this rank's ranges, to stable storage. On any thread, no other function meanwhile.
  /// Throws Error(kIo | kTryAgain).
  void write();

  /// Collective, after write() on all ranks: writes what is missing but the manifest, and returns
  /// the manifest's files; nothing (null) on all ranks but the first.
  [[nodiscard]] Json finish();

 private:
  struct File {
    std::string head;
    std::map<std::string, std::uint64_t> offsets;  ///< of each tensor
    std::uint64_t bytes = 0;
  };
  struct Range {
    std::string file;
    std::uint64_t begin = 0;  ///< in the file
    std::span<const std::byte> bytes;
    bool is_copy = false;
    std::string sha256 = {};  ///< once written
  };
  /// Numbers of one tensor that this rank has, of `size` bytes each: from number `first` of its
  /// part on.
  struct Numbers {
    std::string file;
    std::string tensor;
    const model::TensorPart* part = nullptr;
    std::size_t size = 0;
    std::size_t first = 0;
    std::span<const std::byte> bytes;
  };

  void plan_files(const model::Decoder& decoder, const Optimizer& optimizer);
  void plan_ranges(const model::Decoder& decoder, const Optimizer& optimizer);
  void add(const Numbers& numbers);
  void add_columns(const Numbers& numbers);
  void assemble(const Numbers& rows, std::uint64_t offset);

  DataParallel& parallel_;
  io::Disk& disk_;
  std::filesystem::path folder_;
  std::string state_;
  std::map<std::string, std::string> extra_files_;
  model::DecoderConfig config_;
  std::optional<model::LoraConfig> lora_;
  std::map<std::string, File> files_;
  std::vector<Range> ranges_;
  Snapshot snapshot_;
  std::deque<std::vector<std::byte>> assembled_;  ///< rows, of columns that other ranks have, too
};

}  // namespace nativo::train

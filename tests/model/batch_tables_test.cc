// A batch's tables on a GPU or an emulated one (tests/cuda/emulation): the next batch may be placed
// while ops on the one before are still to run.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "model/decoder_batch.h"
#include "tensor/device_memory.h"

namespace nativo::model {
namespace {

using tensor::Device;

std::vector<Device> gpus() {
  return tensor::gpu_count() == 0 ? std::vector<Device>() : std::vector<Device>{Device::cuda(0)};
}

class BatchTablesTest : public testing::TestWithParam<Device> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BatchTablesTest);
INSTANTIATE_TEST_SUITE_P(Devices, BatchTablesTest, testing::ValuesIn(gpus()),
                         [](const auto&) { return "gpu_0"; });

TEST_P(BatchTablesTest, OpsFindTheTablesOfTheirBatch) {
  constexpr std::int32_t kBatches = 4;
  constexpr std::size_t kTokens = 8;
  const tensor::StreamHandle compute = tensor::compute_stream(GetParam());
  DecoderConfig config;
  config.vocab_size = 100;
  config.max_positions = 64;
  tensor::PinnedMemory seen(kBatches * kTokens * sizeof(std::int32_t), "what ops find");
  const auto seen_at = [&](std::int32_t number) {
    return seen.data() + static_cast<std::size_t>(number) * kTokens * sizeof(std::int32_t);
  };
  BatchTables tables;
  for (std::int32_t number = 0; number < kBatches; ++number) {
    Batch batch;
    batch.rows = 1;
    batch.length = kTokens;
    for (std::int32_t t = 0; t < batch.length; ++t) {
      batch.tokens.push_back(10 * number + t);
      batch.targets.push_back(t);
      batch.positions.push_back(t);
      batch.documents.push_back(0);
    }
    tables.place(batch, prepare_batch(config, batch), GetParam());
    tensor::copy_bytes_async(seen_at(number), tables.tokens.data(), tables.tokens.size_bytes(),
                             compute);
  }
  tensor::synchronize(GetParam());
  for (std::int32_t number = 0; number < kBatches; ++number) {
    std::int32_t first = -1;
    std::memcpy(&first, seen_at(number), sizeof first);
    EXPECT_EQ(first, 10 * number);
  }
}

}  // namespace
}  // namespace nativo::model

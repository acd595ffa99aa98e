// What must hold of every family whatever its numbers are, on the weights of
// tests/golden/transformers: packing, accumulation and threads change nothing.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/decoder_fixture.h"
#include "model/golden.h"
#include "model/hf_directory.h"

namespace nativo::model {
namespace {

/// The same terms in another order; cancellation makes of 6e-8 some 1e-6.
constexpr double kOtherOrder = 5e-6;

class Invariants : public testing::TestWithParam<const char*> {
 protected:
  Invariants()
      : folder_(golden_folder() / "transformers" / GetParam()), decoder_(load_decoder(folder_)) {
    decoder_.enable_gradients();
  }

  LossSum step(const Batch& batch, double scale) {
    return decoder_.forward_backward(batch, {.scale = static_cast<float>(scale)});
  }

  std::filesystem::path folder_;
  Decoder decoder_;
};
INSTANTIATE_TEST_SUITE_P(Golden, Invariants, testing::ValuesIn(kTransformersCases),
                         [](const auto& test) { return std::string(test.param); });

/// Cells [begin, end) of a batch as a row of their own.
Batch cut(const Batch& batch, std::size_t begin, std::size_t end) {
  const auto part = [&](const std::vector<std::int32_t>& all) {
    return std::vector<std::int32_t>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                     all.begin() + static_cast<std::ptrdiff_t>(end));
  };
  Batch one;
  one.rows = 1;
  one.length = static_cast<std::int64_t>(end - begin);
  one.tokens = part(batch.tokens);
  one.targets = part(batch.targets);
  one.positions = part(batch.positions);
  one.documents = part(batch.documents);
  return one;
}

std::int64_t count_targets(const Batch& batch) {
  return std::count_if(batch.targets.begin(), batch.targets.end(),
                       [](std::int32_t target) { return target >= 0; });
}

/// Four rows of 24: two documents with padding behind, one, three, one with padding.
Batch rows_of_documents(const DecoderConfig& config) {
  Batch batch = plain_batch(config, 4, 24, 3);
  const std::vector<std::vector<std::int32_t>> lengths = {{9, 11}, {24}, {5, 12, 7}, {17}};
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    std::size_t at = row * 24;
    std::int32_t document = 0;
    for (const std::int32_t length : lengths[row]) {
      for (std::int32_t i = 0; i < length; ++i, ++at) {
        batch.documents[at] = document;
        batch.positions[at] = i;
        if (i % 4 == 1) batch.targets[at] = -1;
      }
      ++document;
    }
    for (; at < (row + 1) * 24; ++at) {
      batch.documents[at] = batch.targets[at] = -1;
      batch.positions[at] = 0;
    }
  }
  return batch;
}

TEST_P(Invariants, PackedEqualsUnpacked) {
  const Batch packed = rows_of_documents(decoder_.config());
  const LossSum together = step(packed, 1.0);
  const std::vector<float> gradients = flat_gradients(decoder_);
  decoder_.zero_gradients();
  LossSum apart;
  std::size_t documents = 0;
  for (std::size_t begin = 0; begin < packed.tokens.size();) {
    std::size_t end = begin + 1;
    while (end % 24 != 0 && packed.documents[end] == packed.documents[begin]) ++end;
    if (packed.documents[begin] >= 0) {
      const LossSum loss = step(cut(packed, begin, end), 1.0);
      apart.loss += loss.loss;
      apart.targets += loss.targets;
      ++documents;
    }
    begin = end;
  }
  EXPECT_EQ(documents, 7U);
  EXPECT_EQ(apart.targets, together.targets);
  EXPECT_NEAR(apart.loss / together.loss, 1.0, 1e-6);
  EXPECT_LT(reference::relative_error(flat_gradients(decoder_), gradients), kOtherOrder);
}

/// Rows have different numbers of targets: only a loss normalised over the whole step agrees.
TEST_P(Invariants, OneBatchOfEightEqualsEightOfOne) {
  Batch batch = plain_batch(decoder_.config(), 8, 20, 4);
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    if (i % 20 < 2 * (i / 20)) batch.targets[i] = -1;
  }
  const double scale = 1.0 / static_cast<double>(count_targets(batch));
  const LossSum together = step(batch, scale);
  const std::vector<float> at_once = flat_gradients(decoder_);
  decoder_.zero_gradients();
  LossSum apart;
  for (std::size_t row = 0; row < 8; ++row) {
    const LossSum loss = step(cut(batch, 20 * row, 20 * row + 20), scale);
    apart.loss += loss.loss;
    apart.targets += loss.targets;
  }
  EXPECT_EQ(apart.targets, together.targets);
  EXPECT_NEAR(apart.loss / together.loss, 1.0, 1e-6);
  EXPECT_LT(reference::relative_error(flat_gradients(decoder_), at_once), kOtherOrder);
}

TEST_P(Invariants, AnyNumberOfThreadsGivesTheSameBits) {
  // Enough tokens for several tiles of everything that is cut by tokens.
  const Batch batch = plain_batch(decoder_.config(), 6, 110, 5);
  std::vector<float> expected;
  double loss = 0.0;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    decoder_.zero_gradients();
    const LossSum sum = step(batch, 1.0);
    if (count == 1) {
      loss = sum.loss;
      expected = flat_gradients(decoder_);
      continue;
    }
    EXPECT_EQ(sum.loss, loss);
    EXPECT_TRUE(flat_gradients(decoder_) == expected) << count << " threads";
  }
}

}  // namespace
}  // namespace nativo::model

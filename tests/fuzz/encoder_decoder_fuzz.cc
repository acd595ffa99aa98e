// layers: model
// Any bytes as the model.bin of a translation model: refused with an Error, or a network that
// encodes a source and decodes two steps. A good corpus: tests/golden/ctranslate2/*/model.bin.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "model/encoder_decoder.h"

namespace {

namespace model = nativo::model;

/// As many tokens as that table has rows, so that the loader goes on.
std::shared_ptr<const model::TranslationVocabulary> tokens_for(const model::CTranslate2File& file,
                                                               const char* table) {
  const model::CTranslate2Variable* variable = file.find(table);
  std::int64_t rows = 1;
  if (variable != nullptr && !variable->shape.empty()) rows = variable->shape[0];
  std::vector<std::string> tokens = {"<unk>"};
  for (std::int64_t i = 1; i < std::min<std::int64_t>(rows, 1 << 16); ++i) {
    tokens.push_back(std::to_string(i));
  }
  return std::make_shared<model::TranslationVocabulary>(std::move(tokens), "<unk>");
}

void run(const model::EncoderDecoder& network) {
  model::EncoderDecoderScratch scratch;
  const auto token = static_cast<std::int32_t>(
      std::min(network.source_vocabulary(), network.target_vocabulary()) - 1);
  const std::vector<std::int32_t> ids(
      static_cast<std::size_t>(std::min<std::int64_t>(3, network.source_positions())), token);
  const std::span<const std::int32_t> source(ids);
  const auto memories = network.encode({&source, 1}, scratch);
  model::TargetCache cache{model::KeyValueRows(scratch.pool)};
  std::vector<float> hidden(static_cast<std::size_t>(network.width()));
  std::vector<float> attention(ids.size());
  std::vector<float> logits(static_cast<std::size_t>(network.target_vocabulary()));
  const std::vector<std::int32_t> past = {0};
  for (std::int32_t step = 0; step < std::min<std::int64_t>(2, network.target_positions());
       ++step) {
    model::DecoderRow row;
    row.token = token;
    row.position = step;
    row.source = &memories[0];
    row.cache = &cache;
    row.past = std::span(past).first(static_cast<std::size_t>(step));
    row.slot = step;
    row.alignment = attention.data();
    network.decode({&row, 1}, scratch, {hidden.data(), {1, network.width()}});
    network.projection().forward({hidden.data(), {1, network.width()}},
                                 nativo::ops::Epilogue::kNone, scratch.linear,
                                 {logits.data(), {1, network.target_vocabulary()}});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  nativo::set_thread_count(1);
  model::CTranslate2Directory directory;
  const auto compute = static_cast<model::ComputeType>(data[size - 1] % 3);
  try {
    directory.file = std::make_unique<model::CTranslate2File>(
        std::string(reinterpret_cast<const char*>(data), size - 1), "fuzz");
    directory.source = tokens_for(*directory.file, "encoder/embeddings_0/weight");
    directory.target = tokens_for(*directory.file, "decoder/projection/weight");
    run(load_encoder_decoder(directory, compute));
  } catch (const nativo::Error&) {
    return 0;
  }
  return 0;
}

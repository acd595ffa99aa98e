#include "generate/local_chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/hash.h"
#include "base/interrupt.h"
#include "generate/local_model.h"
#include "generate/text.h"
#include "io/file.h"
#include "model/hf_directory.h"

namespace nativo::generate {
namespace {

class LocalChat final : public ChatModel {
 public:
  LocalChat(std::unique_ptr<LanguageModel> model, const ChatModelOptions& options,
            std::string version)
      : model_(std::move(model)),
        format_(model_->tokenizer()),
        temperature_(options.temperature),
        seed_(options.seed),
        version_(fmt::format("{}, temperature {}, seed {}", version, temperature_, seed_)) {}

  std::vector<ChatAnswer> ask(std::span<const ChatQuestion> questions) override {
    std::vector<ChatAnswer> answers;
    for (const ChatQuestion& question : questions) {
      stop_if_interrupted();
      answers.push_back(answer(question));
    }
    return answers;
  }

  std::string version() const override { return version_; }
  ChatUsage usage() const override { return usage_; }

 private:
  ChatAnswer answer(const ChatQuestion& question) {
    std::vector<TokenId> prompt;
    try {
      prompt = format_.prompt(question.messages);
    } catch (const Error& e) {  // a template may refuse roles or their order
      return failed(e.what());
    }
    if (std::ssize(prompt) >= model_->context_length()) {
      return failed(fmt::format("a question of {} tokens does not fit the context of {}",
                                prompt.size(), model_->context_length()));
    }
    TextOptions options;
    options.sampler.temperature = temperature_;
    options.sampler.top_p = 1;
    options.sampler.max_tokens = question.max_tokens;
    options.sampler.seed = seed_;
    options.stop_tokens = format_.stop_tokens();
    TextResult result = generate_text(*model_, prompt, options);
    ++usage_.asked;
    usage_.prompt_tokens += std::ssize(prompt);
    usage_.completion_tokens += result.tokens;
    const bool whole =
        result.reason == StopReason::kEndOfSequence || result.reason == StopReason::kStopString;
    return {whole ? ChatEnd::kStop : ChatEnd::kLength, std::move(result.text), {}};
  }

  ChatAnswer failed(std::string reason) {
    ++usage_.failed;
    return {ChatEnd::kFailed, {}, std::move(reason)};
  }

  std::unique_ptr<LanguageModel> model_;
  text::ChatFormat format_;
  double temperature_;
  std::int64_t seed_;
  std::string version_;
  ChatUsage usage_;
};

/// Changes with the weights: from the list of digests when there is one, else from the files.
std::string digest_of(const std::filesystem::path& folder) {
  const std::filesystem::path digests = folder / model::kDigestsFile;
  if (std::filesystem::exists(digests)) return io::file_sha256(digests);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::string all;
  for (const std::filesystem::path& file : files) {
    all += fmt::format("{} {}\n", file.filename().string(), io::file_sha256(file));
  }
  return sha256_hex(all);
}

}  // namespace

std::unique_ptr<ChatModel> make_local_chat(std::unique_ptr<LanguageModel> model,
                                           const ChatModelOptions& options, std::string version) {
  return std::make_unique<LocalChat>(std::move(model), options, std::move(version));
}

std::unique_ptr<ChatModel> make_local_chat(const ChatModelOptions& options) {
  const std::filesystem::path folder = options.model_dir;
  const model::Numbers numbers = options.device.numbers();
  std::unique_ptr<LocalModel> model = load_local_model(folder, numbers);
  const std::filesystem::path name =
      folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  return make_local_chat(
      std::move(model), options,
      fmt::format("{} {}{}{}", name.string(), digest_of(folder).substr(0, 12),
                  numbers.device.is_cuda() ? " in " : "", model::numbers_label(numbers)));
}

}  // namespace nativo::generate

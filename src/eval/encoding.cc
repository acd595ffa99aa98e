#include "eval/encoding.h"

#include <algorithm>
#include <string>

#include "eval/answer_text.h"

namespace nativo::eval {

std::vector<text::TokenId> encode_prompt(const text::Tokenizer& tokenizer, std::string_view text) {
  // A tokenizer without BOS begins with what it has; some token must stand before the first one.
  const text::TokenId bos = tokenizer.bos_id() >= 0   ? tokenizer.bos_id()
                            : tokenizer.eos_id() >= 0 ? tokenizer.eos_id()
                                                      : 0;
  std::vector<text::TokenId> ids = {bos};
  const std::vector<text::TokenId> encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
  return ids;
}

generate::ScoreRequest encode_pair(const text::Tokenizer& tokenizer, std::string_view context,
                                   std::string_view continuation) {
  const std::size_t space = trailing_space(context);
  const std::string whole_text = std::string(context).append(continuation);
  const std::vector<text::TokenId> whole = encode_prompt(tokenizer, whole_text);
  std::vector<text::TokenId> before =
      encode_prompt(tokenizer, context.substr(0, context.size() - space));
  const std::size_t border = std::min(before.size(), std::max<std::size_t>(whole.size(), 2) - 1);
  before.resize(border);
  return {
      .context = std::move(before),
      .continuation = {whole.begin() + static_cast<std::ptrdiff_t>(std::min(border, whole.size())),
                       whole.end()}};
}

}  // namespace nativo::eval

// Mistral's instruct format, for sentencepiece models without a template of their own:
//   <s>[INST] user [/INST] assistant</s>[INST] user [/INST] assistant</s>
// A system message is put before the first user message, separated by a blank line. With models
// whose vocabulary has [INST] and [/INST] as control pieces (v2, v3, ours) these are single tokens,
// otherwise (v1) they are text. The ids are those of Mistral's own mistral-common
// (InstructTokenizerV1-V3), but that its V2 and V3 repeat the system message before the last user
// message; spaces at an answer's end are dropped as there. Text that spells [INST] is plain text
// with control pieces; v1 cannot tell it apart.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_format.h"

namespace nativo::text {

/// The same as a template, for tokenizer_config.json: apply_chat_template of transformers, with the
/// LlamaTokenizer that nativo names there, gives the tokens of encode_instruct().
inline constexpr std::string_view kInstructTemplate =
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{% set ns.system = m['content'] + '\n\n' %}"
    "{% elif m['role'] == 'user' %}{{ '[INST] ' + ns.system + m['content'] + ' [/INST]' }}"
    "{% set ns.system = '' %}{% else %}{{ ' ' + m['content'] + eos_token }}"
    "{% endif %}{% endfor %}";

/// A whole conversation. Messages must alternate user/assistant after an optional system message
/// and end with the assistant; throws Error(kData) otherwise, or when the vocabulary has no BOS or
/// EOS.
[[nodiscard]] ChatTokens encode_instruct(const Tokenizer& tokenizer,
                                         const std::vector<ChatMessage>& messages);

/// The prompt for the next assistant turn: messages end with the user's.
[[nodiscard]] std::vector<TokenId> encode_instruct_prompt(const Tokenizer& tokenizer,
                                                          const std::vector<ChatMessage>& messages);

}  // namespace nativo::text

// A folder of ours that holds a model or an adapter, replaced as a whole.
// Not here: what is in it (hf_directory.h, peft_adapter.h). Rule: under its name there is the old
// folder or the new one; after a kill in between, the next use puts the old one back.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "io/file.h"

namespace nativo::model {

/// Lets `write` fill an empty folder beside `folder`, fsyncs it and gives it that name. An older
/// folder there is replaced if it holds a nativo.digests.json or is empty; anything else is refused
/// with Error(kData), which calls it not `kind` ("a model") that nativo wrote. When `write` or the
/// disk fails, the older one stays.
void replace_folder(const std::filesystem::path& folder, const std::string& kind, io::Disk& disk,
                    const std::function<void(const std::filesystem::path&)>& write);

/// For readers of `folder`: puts right what a replace_folder() that was killed has left. When it
/// was killed in between the two names, the old folder gets its name back, else it is removed.
/// Touches nothing that nativo has not written, nor what a replace_folder() under way is filling;
/// what it cannot change stays.
void recover_folder(const std::filesystem::path& folder);

}  // namespace nativo::model

#include "cli/subject.h"

#include <filesystem>

#include "cli/verb.h"
#include "config/config_file.h"
#include "model/hf_directory.h"
#include "model/model_size.h"

namespace nativo::cli {

namespace fs = std::filesystem;

Subject read_subject(const std::string& what, const std::vector<std::string>& sets) {
  Subject subject;
  const fs::path path(what);
  if (path.extension() == ".toml") {
    config::ConfigFile file(what, sets);
    file.read(subject.options);
    const pipeline::ModelOptions& model = subject.options.model;
    subject.name = model.base;
    subject.config = model.preset().empty() ? model::read_config(model.base)
                                            : model::preset(model.preset(), model.vocab_size);
  } else {
    config::ConfigFile file(sets);
    file.read(subject.options);
    subject.name = what;
    if (!fs::exists(path) && model::is_model_size(what)) {
      const model::ModelSize size = model::model_size(what);
      subject.said = size.parameters;
      subject.config = size.config;
    } else {
      subject.config = model::read_config(find_model(path));
    }
  }
  if (subject.said == 0) subject.said = subject.config.parameter_count();
  return subject;
}

}  // namespace nativo::cli

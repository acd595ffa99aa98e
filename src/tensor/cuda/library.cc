// Opening libraries at run time. See the header.
#include "tensor/cuda/library.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstdlib>

#include "base/error.h"

namespace nativo::tensor {

Library::Library(std::vector<std::string> names, std::string hint) {
  std::vector<std::string> folders{""};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* folder = std::getenv(variable))
      folders.push_back(std::string(folder) + "/lib64/");
  }
  folders.emplace_back("/usr/local/cuda/lib64/");
  std::string why;
  std::string tried;
  for (const std::string& name : names) {
    tried += (tried.empty() ? "" : ", ") + name;
    for (const std::string& folder : folders) {
      // Never closed: its threads and handlers outlive whoever opened it.
      handle_ = ::dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_ != nullptr) {
        name_ = folder + name;
        return;
      }
      if (why.empty()) why = ::dlerror();
    }
  }
  throw Error(ExitCode::kMissingInput, fmt::format("{}: {}", tried, why), std::move(hint));
}

void* Library::address(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) {
    throw Error(ExitCode::kConfig, fmt::format("{}: has no {}", name_, name),
                "install the version that docs/cuda.md names");
  }
  return found;
}

}  // namespace nativo::tensor

// The emulation's form of src/tensor/cuda/library.h: NCCL's functions are in the program itself,
// but for NATIVO_EMULATED_NCCL=missing in the environment.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nativo::tensor {

class Library {
 public:
  Library(const std::vector<std::string>& names, const std::string& hint) {
    const char* state = std::getenv("NATIVO_EMULATED_NCCL");
    if (state == nullptr || std::string_view(state) != "missing") return;
    throw Error(ExitCode::kMissingInput, names.front() + ": there is none; " + hint);
  }

  template <class Function>
  void find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(address(name));
  }

 private:
  [[nodiscard]] static void* address(const char* name);
};

}  // namespace nativo::tensor

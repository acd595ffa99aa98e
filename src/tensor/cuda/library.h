// A shared library that is opened when it is first needed: cuBLASLt, NCCL. So that one program
// starts where they are not, and says so only to who needs them.
#pragma once

#include <string>
#include <vector>

namespace nativo::tensor {

class Library {
 public:
  /// Opens the first of `names` that the loader finds, on its own path and in the CUDA toolkit's
  /// folders. Throws Error(kMissingInput), naming them all and the loader's words, with `hint`.
  Library(std::vector<std::string> names, std::string hint);

  /// Throws Error(kConfig) when the library has no such function.
  template <class Function>
  void find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(address(name));
  }

 private:
  [[nodiscard]] void* address(const char* name) const;
  std::string name_;
  void* handle_ = nullptr;
};

}  // namespace nativo::tensor

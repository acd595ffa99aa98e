// The emulation's form of src/tensor/cuda/library.h: NCCL's functions are in the program itself.
#pragma once

#include <string>
#include <vector>

namespace nativo::tensor {

class Library {
 public:
  Library(std::vector<std::string> /*names*/, std::string /*hint*/) {}

  template <class Function>
  void find(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(address(name));
  }

 private:
  [[nodiscard]] static void* address(const char* name);
};

}  // namespace nativo::tensor

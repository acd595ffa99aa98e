#include "train/option_check.h"

#include "base/error.h"
#include "train/training_memory.h"

namespace nativo::train {

void check_together(const TrainOptions& options, std::int64_t ranks) {
  static_cast<void>(training_shape(options));  // and what that depends on
  static_cast<void>(numbers_of(options));
  if (options.optimizer_in_backward && ranks > 1) {
    throw Error(ExitCode::kConfig,
                "train.optimizer_in_backward: the gradients of several ranks are summed first",
                "remove it: dist.zero = 2 needs as little memory for gradients");
  }
}

}  // namespace nativo::train

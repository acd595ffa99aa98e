#include "train/option_check.h"

#include <fmt/format.h>

#include "base/error.h"
#include "train/training_memory.h"

namespace nativo::train {

void check_together(const TrainOptions& options, std::int64_t ranks) {
  static_cast<void>(training_shape(options));  // and what that depends on
  static_cast<void>(numbers_of(options));
  if (options.patience > 0 && (!options.keep_best || options.eval_every == 0)) {
    throw Error(
        ExitCode::kConfig,
        fmt::format("train.patience = {}: it waits for the best of several evaluations, and "
                    "{}",
                    options.patience,
                    options.keep_best ? "train.eval_every = 0 makes but one"
                                      : "train.keep_best = false looks for none"),
        "remove it, or set train.keep_best = true and train.eval_every");
  }
  if (options.optimizer_in_backward && ranks > 1) {
    throw Error(ExitCode::kConfig,
                "train.optimizer_in_backward: the gradients of several ranks are summed first",
                "remove it: dist.zero = 2 needs as little memory for gradients");
  }
}

}  // namespace nativo::train

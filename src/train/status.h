// The one line that says how a training is doing: redrawn on a terminal, now and then elsewhere.
// Not here: what is kept (metrics.h). Rule: it fits the width; what matters less goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "train/step.h"

namespace nativo::train {

/// After a step.
struct Status {
  std::string label;
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double loss = 0.0;
  std::map<std::string, SourceLoss> sources = {};  ///< of the step, those with a name
  double lr = 0.0;
  double gradient_norm = 0.0;
  double tokens_per_second = 0.0;
  std::optional<double> percent_of_gemm = {};  ///< see flops.h
  double memory = 0.0;                         ///< resident bytes; 0 = unknown
  std::optional<double> seconds_left = {};
};

/// The line in at most `width` columns, but never without step and loss.
[[nodiscard]] std::string status_line(const Status& status, std::size_t width);

/// Shows lines as they come: each at once on a terminal, else one in ten seconds and the last.
class StatusDisplay {
 public:
  StatusDisplay();
  ~StatusDisplay();  ///< clears the terminal's line
  StatusDisplay(const StatusDisplay&) = delete;
  StatusDisplay& operator=(const StatusDisplay&) = delete;

  void show(const Status& status);

 private:
  double last_shown_;
};

}  // namespace nativo::train

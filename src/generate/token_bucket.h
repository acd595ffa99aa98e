// A rate limit: what flows in per minute may flow out, after a pause a little more at once.
#pragma once

#include <algorithm>

namespace nativo::generate {

/// Times are monotonic_seconds(). A limit of 0 never makes anybody wait.
class TokenBucket {
 public:
  explicit TokenBucket(double per_minute) : rate_(per_minute / 60.0) { level_ = capacity(); }

  /// Seconds until `cost` may be taken. What is more than the bucket holds may go when it is full,
  /// and leaves a debt.
  [[nodiscard]] double wait(double cost, double now) {
    if (rate_ <= 0) return 0;
    refill(now);
    const double missing = std::min(cost, capacity()) - level_;
    return missing > kRounding ? missing / rate_ : 0.0;
  }
  void take(double cost, double now) {
    if (rate_ <= 0) return;
    refill(now);
    level_ -= cost;
  }
  /// Corrects an estimate: `cost` was not used after all (or, negative, more was).
  void give_back(double cost) { level_ = std::min(capacity(), level_ + cost); }

 private:
  static constexpr double kBurstSeconds = 5;
  static constexpr double kRounding = 1e-6;

  [[nodiscard]] double capacity() const { return std::max(1.0, rate_ * kBurstSeconds); }
  void refill(double now) {
    if (last_ > 0) level_ = std::min(capacity(), level_ + std::max(0.0, now - last_) * rate_);
    last_ = now;
  }

  double rate_;
  double level_ = 0;
  double last_ = 0;
};

}  // namespace nativo::generate

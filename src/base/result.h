// A value, or the reason why a record was dropped. For expected failures that a run survives;
// what ends a run is thrown as Error.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/error.h"

namespace nativo {

/// Why a record is not kept: a stable rule name (`snake_case`) and the value that broke it.
struct Rejection {
  std::string rule;
  std::string value;
};

/// Holds either a T or a Rejection.
template <class T>
class Result {
 public:
  Result(T value) : state_(std::move(value)) {}                  // NOLINT: implicit by design
  Result(Rejection rejection) : state_(std::move(rejection)) {}  // NOLINT: implicit by design

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// The value; calling it on a rejection is a bug.
  [[nodiscard]] T& value() {
    NATIVO_CHECK(ok(), "Result holds a rejection");
    return std::get<0>(state_);
  }
  [[nodiscard]] const T& value() const {
    NATIVO_CHECK(ok(), "Result holds a rejection");
    return std::get<0>(state_);
  }
  /// The rejection; calling it on a value is a bug.
  [[nodiscard]] const Rejection& rejection() const {
    NATIVO_CHECK(!ok(), "Result holds a value");
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Rejection> state_;
};

}  // namespace nativo

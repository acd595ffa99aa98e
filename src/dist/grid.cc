#include "dist/grid.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"

namespace nativo::dist {

void require_grid(std::int64_t ranks, std::int64_t tensor) {
  if (ranks % tensor == 0) return;
  throw Error(ExitCode::kConfig,
              fmt::format("dist.tensor = {}: {} rank{} cannot be split into groups of {}", tensor,
                          ranks, ranks == 1 ? "" : "s", tensor),
              "start a multiple of dist.tensor ranks");
}

Grid::Grid() : Grid(nullptr, 1) {}

Grid::Grid(Communicator* world, std::int64_t tensor)
    : self_(make_self()),
      world_(world == nullptr ? self_.get() : world),
      data_(world_),
      tensor_(self_.get()) {
  const auto parts = static_cast<int>(tensor);
  if (parts <= 1) return;
  require_grid(world_->size(), tensor);
  const int row = world_->rank() / parts;
  const int column = world_->rank() % parts;
  own_data_ = world_->split(column, row);
  own_tensor_ = world_->split(row, column);
  if (world_->is_root() && own_tensor_->place().nodes > 1) {
    log::warn(
        "dist.tensor = {}: ranks that share a model are on {} nodes, which is slow; put a "
        "multiple of {} ranks on each node",
        tensor, own_tensor_->place().nodes, tensor);
  }
  data_ = own_data_.get();
  tensor_ = own_tensor_.get();
}

void Grid::set_timeout(double seconds) {
  for (Communicator* of : {world_, data_, tensor_}) of->set_timeout(seconds);
}

void Grid::check() {
  for (Communicator* of : {world_, data_, tensor_}) of->check();
}

}  // namespace nativo::dist

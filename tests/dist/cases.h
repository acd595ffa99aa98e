// What every communicator must do, as one body that each rank runs; the plain reference is a loop
// over what all ranks are known to hold.
#pragma once

#include <cstdint>
#include <vector>

#include "dist/communicator.h"

namespace nativo::dist {

/// Throws std::logic_error when `communicator` does not do as the plain reference does. `nodes[r]`
/// is the node that rank r is expected on.
void check_collectives(Communicator& communicator, const std::vector<int>& nodes);

}  // namespace nativo::dist

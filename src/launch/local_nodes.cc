#include <unistd.h>

#include <array>
#include <cstdlib>
#include <thread>

#include "launch/nodes.h"

namespace nativo::launch {
namespace {

class LocalNodes final : public Nodes {
 public:
  [[nodiscard]] std::string job() const override { return "local"; }
  [[nodiscard]] std::int64_t restarts() const override { return 0; }
  [[nodiscard]] std::vector<std::string> names() override { return {host_name()}; }
  [[nodiscard]] std::string here() const override { return host_name(); }

  [[nodiscard]] Words start(const std::vector<std::string>& /*nodes*/, std::int64_t ranks_per_node,
                            const Words& program) const override {
    if (ranks_per_node == 1) return program;
    Words words = {"mpirun", "-n", std::to_string(ranks_per_node), "--oversubscribe"};
    if (ranks_per_node > static_cast<std::int64_t>(std::thread::hardware_concurrency())) {
      words.insert(words.end(), {"--mca", "mpi_yield_when_idle", "1"});
    }
    // Who runs this as root, in a container for instance, meant to.
    if (::geteuid() == 0) words.emplace_back("--allow-run-as-root");
    words.insert(words.end(), program.begin(), program.end());
    return words;
  }

  [[nodiscard]] Words run_on(const std::vector<std::string>& /*nodes*/,
                             const Words& command) const override {
    return command;
  }

  void kill_ranks() override {}  // they go with the command that started them
  bool requeue(std::int64_t, const std::vector<std::string>&) override { return false; }
  bool are_free(std::int64_t, const std::vector<std::string>&) override { return false; }
};

}  // namespace

std::string host_name() {
  if (const char* name = std::getenv("SLURMD_NODENAME")) return name;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::unique_ptr<Nodes> local_nodes() { return std::make_unique<LocalNodes>(); }

}  // namespace nativo::launch

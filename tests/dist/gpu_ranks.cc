// A rank of the tests under mpirun, each with a GPU of its own: collectives of their GPUs' values,
// beside those of the host's. `late` as argument: rank 1 does not come to the last one;
// `late_connection`: not to the first.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "dist/cases.h"
#include "dist/nccl.h"
#include "dist/own_gpu.h"
#include "dist/world.h"
#include "tensor/arena.h"

namespace {

using namespace nativo;
using tensor::bf16;
using tensor::View;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::logic_error(what);
}

double number(int rank, std::size_t i, int salt) {
  return std::sin(static_cast<double>(i) + 100.0 * rank + 7.0 * salt);
}

/// Numbers on the GPU.
template <class T>
class OnGpu {
 public:
  OnGpu(const tensor::Device& device, std::size_t count, int rank, int salt) : memory_(device) {
    tensor::ArenaPlan plan;
    const auto slot = plan.add<T>("numbers", {static_cast<std::int64_t>(count)});
    memory_.reserve(plan, "a test");
    view_ = memory_.view<T>(slot);
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(number(rank, i, salt));
    tensor::write(values, view_);
  }
  [[nodiscard]] const View<T>& view() const { return view_; }
  [[nodiscard]] std::vector<float> read() const {
    std::vector<float> values(static_cast<std::size_t>(view_.elements()));
    tensor::read(view_, values);
    return values;
  }

 private:
  tensor::Arena memory_;
  View<T> view_;
};

/// f32: another order; bf16: rounded at every rank, 2^-8 each.
template <class T>
double tolerance(int ranks) {
  return sizeof(T) == 4 ? 1e-5 : ranks * 0x1p-8 * 2.0;
}

template <class T>
void check_sums(dist::Communicator& ranks, const tensor::Device& device, std::size_t count,
                int salt) {
  const int n = ranks.size();
  const auto me = static_cast<std::size_t>(ranks.rank());
  const auto sum = [&](std::size_t i) {
    double total = 0.0;
    for (int r = 0; r < n; ++r) total += number(r, i, salt);
    return total;
  };
  const auto expect = [&](double value, double wanted, const char* what, std::size_t i) {
    require(std::abs(value - wanted) <= tolerance<T>(n),
            fmt::format("{} of {}: element {} is {}, not {}", what, count, i, value, wanted));
  };
  {
    const OnGpu<T> all(device, count, ranks.rank(), salt);
    ranks.all_reduce(all.view());
    const std::vector<float> values = all.read();
    for (std::size_t i = 0; i < count; ++i) expect(values[i], sum(i), "all_reduce", i);
  }
  // Even ones, and such that one rank has most and another none.
  std::vector<dist::Part> odd(static_cast<std::size_t>(n));
  odd[0] = {0, count / 2};
  odd.back() = {count / 2, count - count / 2};
  for (const std::vector<dist::Part>& parts : {dist::even_parts(count, n), odd}) {
    const OnGpu<T> scattered(device, count, ranks.rank(), salt);
    dist::Pending pending = ranks.start_reduce_scatter(scattered.view(), parts);
    pending.wait();
    std::vector<float> values = scattered.read();
    for (std::size_t i = parts[me].begin; i < parts[me].begin + parts[me].count; ++i) {
      expect(values[i], sum(i), "reduce_scatter", i);
    }
    ranks.all_gather(scattered.view(), parts);
    values = scattered.read();
    for (std::size_t i = 0; i < count; ++i) expect(values[i], sum(i), "all_gather", i);
  }
  const OnGpu<T> text(device, count, ranks.rank(), salt);
  ranks.broadcast(text.view(), n - 1);
  const std::vector<float> values = text.read();
  for (std::size_t i = 0; i < count; ++i) expect(values[i], number(n - 1, i, salt), "broadcast", i);
}

/// Several under way, the host's between them; each is waited for later.
void check_background(dist::Communicator& ranks, const tensor::Device& device) {
  constexpr std::size_t kCount = 40'000;  // several times what passes at once
  std::vector<OnGpu<float>> all;
  std::vector<dist::Pending> pending;
  std::int64_t hosts = 0;
  for (int salt = 0; salt < 6; ++salt) {
    all.emplace_back(device, kCount, ranks.rank(), salt);
    pending.push_back(ranks.start_all_reduce(all.back().view()));
    std::int64_t one = 1;
    ranks.all_reduce(std::span(&one, 1));
    hosts += one;
  }
  require(hosts == 6 * ranks.size(), "the host's sums");
  for (std::size_t k = all.size(); k-- > 0;) {
    pending[k].wait();
    const std::vector<float> values = all[k].read();
    for (std::size_t i = 0; i < kCount; ++i) {
      double total = 0.0;
      for (int r = 0; r < ranks.size(); ++r) total += number(r, i, static_cast<int>(k));
      require(std::abs(values[i] - total) < 1e-5, "sums in the background");
    }
  }
  ranks.check();
}

void come_late() { std::this_thread::sleep_for(std::chrono::seconds(30)); }

int check(const std::string& how) {
  set_thread_count(1);
  const auto host = dist::connect();
  require(host->size() > 1, "started without mpirun");
  const tensor::Device device = dist::own_gpu(*host);
  const auto world = dist::connect_nccl(*host, device);
  if (how.starts_with("late")) world->set_timeout(1.0);
  world->barrier();
  if (how == "late_connection" && world->rank() == 1) come_late();
  const OnGpu<float> numbers(device, 1000, world->rank(), 0);
  world->all_reduce(numbers.view());
  if (how == "late") {
    world->barrier();
    if (world->rank() == 1) come_late();
    world->all_reduce(numbers.view());  // returns at once
    static_cast<void>(numbers.read());  // as soon as it has been given up
    world->check();
    return 1;
  }
  dist::check_collectives(*world, [&] {
    const double node = world->place().node;
    std::vector<int> nodes;
    for (const double of : dist::all_gather_numbers(*world, std::span(&node, 1))) {
      nodes.push_back(static_cast<int>(of));
    }
    return nodes;
  }());
  for (const std::size_t count : {std::size_t{1}, std::size_t{64}, std::size_t{5003}}) {
    check_sums<float>(*world, device, count, 1);
    check_sums<bf16>(*world, device, count, 2);
  }
  check_background(*world, device);
  const auto half = world->split(world->rank() % 2, 0);
  check_sums<float>(*half, device, 333, 3);
  check_background(*half, device);
  world->barrier();
  require(world->waited(dist::OperationKind::kAllReduce) >= 0.0, "seconds");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return check(argc > 1 ? argv[1] : "");
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

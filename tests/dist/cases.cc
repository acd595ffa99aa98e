#include "dist/cases.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "base/rng.h"
#include "tensor/dtype.h"

namespace nativo::dist {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::logic_error(what);
}

constexpr std::size_t kMostRanks = 8;
constexpr std::size_t kMostElements = 5003;
constexpr std::size_t kSalts = 7;

/// Of magnitudes so different that another order gives other bits.
float drawn_number(std::uint64_t rank, std::uint64_t i, std::uint64_t salt) {
  Rng rng(salt, rank, i);
  const double value = rng.uniform() - 0.5;
  return static_cast<float>(value * (rank % 2 == 0 ? 1.0 : 1e-3) * (rank % 3 == 0 ? 50.0 : 1.0));
}

/// The same, drawn once: every rank asks for those of all ranks, over and over.
float number(int rank, std::size_t i, int salt) {
  static const std::vector<float> drawn = [] {
    std::vector<float> all;
    all.reserve(kSalts * kMostRanks * kMostElements);
    for (std::uint64_t s = 0; s < kSalts; ++s) {
      for (std::uint64_t r = 0; r < kMostRanks; ++r) {
        for (std::uint64_t e = 0; e < kMostElements; ++e) all.push_back(drawn_number(r, e, s));
      }
    }
    return all;
  }();
  const auto r = static_cast<std::size_t>(rank);
  const auto s = static_cast<std::size_t>(salt);
  require(r < kMostRanks && i < kMostElements && s < kSalts, "there are so many numbers");
  return drawn[(s * kMostRanks + r) * kMostElements + i];
}

template <class T>
T element(int rank, std::size_t i, int salt);
template <>
float element(int rank, std::size_t i, int salt) {
  return number(rank, i, salt);
}
template <>
double element(int rank, std::size_t i, int salt) {
  return static_cast<double>(number(rank, i, salt)) * 1.0000001;
}
template <>
std::int64_t element(int rank, std::size_t i, int salt) {
  return static_cast<std::int64_t>(i) * (rank + 1) + salt;
}
template <>
std::uint16_t element(int rank, std::size_t i, int salt) {
  return tensor::f32_to_bf16(number(rank, i, salt));
}

double widen(double value) { return value; }
float widen(float value) { return value; }
std::int64_t widen(std::int64_t value) { return value; }
float widen(std::uint16_t bits) { return tensor::bf16_to_f32(bits); }

template <class T>
T narrow(decltype(widen(T())) value) {
  if constexpr (std::is_same_v<T, std::uint16_t>) {
    return tensor::f32_to_bf16(value);
  } else {
    return value;
  }
}

/// Node by node, in each rank by rank.
template <class T>
T reference_sum(const std::vector<int>& nodes, std::size_t i, int salt) {
  using Sum = decltype(widen(T()));
  Sum total{};
  const int count = *std::max_element(nodes.begin(), nodes.end()) + 1;
  for (int node = 0; node < count; ++node) {
    Sum sum{};
    bool first = true;
    for (std::size_t r = 0; r < nodes.size(); ++r) {
      if (nodes[r] != node) continue;
      const Sum next = widen(element<T>(static_cast<int>(r), i, salt));
      sum = first ? next : sum + next;
      first = false;
    }
    total = node == 0 ? sum : total + sum;
  }
  return narrow<T>(total);
}

template <class T>
Values values_of(std::span<T> span) {
  if constexpr (std::is_same_v<T, std::uint16_t>) {
    return Values::bf16(span);
  } else {
    return span;
  }
}

/// Uneven ones, some of them empty, in another order than the ranks.
std::vector<Part> odd_parts(std::size_t count, int ranks) {
  std::vector<Part> parts(static_cast<std::size_t>(ranks));
  std::size_t begin = count / 7;
  for (std::size_t r = parts.size(); r-- > 0;) {
    const std::size_t size = r % 3 == 1 ? 0 : std::min(count - begin, count / (r + 2));
    parts[r] = {begin, size};
    begin += size;
  }
  return parts;
}

template <class T>
class Case {
 public:
  Case(Communicator& communicator, const std::vector<int>& nodes, std::size_t count, bool allocated)
      : communicator_(communicator), nodes_(nodes), count_(count) {
    if (allocated) {
      auto memory = communicator.allocate(count * sizeof(T) + 192, "a test");
      require(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0, "memory is aligned");
      values_ = {reinterpret_cast<T*>(memory.data() + 64), count};
    } else {
      own_.resize(count);
      values_ = own_;
    }
  }

  void check() {
    fill(1);
    communicator_.all_reduce(values());
    for (std::size_t i = 0; i < count_; ++i) expect(i, sum(i, 1), "all_reduce");

    for (const auto& parts :
         {even_parts(count_, communicator_.size()), odd_parts(count_, communicator_.size())}) {
      const Part mine = parts[static_cast<std::size_t>(communicator_.rank())];
      fill(2);
      communicator_.reduce_scatter(values(), parts);
      for (std::size_t i = mine.begin; i < mine.begin + mine.count; ++i) {
        expect(i, sum(i, 2), "reduce_scatter");
      }
      fill(3);
      communicator_.all_gather(values(), parts);
      std::vector<int> owner(count_, communicator_.rank());
      for (std::size_t r = 0; r < parts.size(); ++r) {
        std::fill_n(owner.begin() + static_cast<std::ptrdiff_t>(parts[r].begin), parts[r].count,
                    static_cast<int>(r));
      }
      for (std::size_t i = 0; i < count_; ++i) {
        expect(i, element<T>(owner[i], i, 3), "all_gather");
      }
    }
    for (const int root : {0, communicator_.size() - 1}) {
      fill(4);
      communicator_.broadcast(values(), root);
      for (std::size_t i = 0; i < count_; ++i) expect(i, element<T>(root, i, 4), "broadcast");
    }
  }

 private:
  Values values() { return values_of(values_); }
  void fill(int salt) {
    for (std::size_t i = 0; i < count_; ++i) values_[i] = element<T>(communicator_.rank(), i, salt);
  }
  T sum(std::size_t i, int salt) const { return reference_sum<T>(nodes_, i, salt); }
  void expect(std::size_t i, T wanted, const char* what) const {
    require(std::memcmp(&values_[i], &wanted, sizeof(T)) == 0,
            std::string(what) + ": rank " + std::to_string(communicator_.rank()) + ", element " +
                std::to_string(i) + " of " + std::to_string(count_) + ": " +
                std::to_string(widen(values_[i])) + ", not " + std::to_string(widen(wanted)));
  }

  Communicator& communicator_;
  const std::vector<int>& nodes_;
  std::size_t count_;
  std::vector<T> own_;
  std::span<T> values_;
};

template <class T>
void check_type(Communicator& communicator, const std::vector<int>& nodes) {
  for (const std::size_t count : {0UL, 1UL, 7UL, 520UL, 1203UL}) {
    Case<T>(communicator, nodes, count, false).check();
  }
  for (const std::size_t count : {5UL, 1203UL}) Case<T>(communicator, nodes, count, true).check();
}

/// Several under way at once, blocking ones behind them.
void check_background(Communicator& communicator, const std::vector<int>& nodes) {
  constexpr std::size_t kCount = 3001;
  std::vector<std::vector<float>> all(5, std::vector<float>(kCount));
  std::vector<Pending> pending;
  const auto parts = even_parts(kCount, communicator.size());
  for (int k = 0; k < 5; ++k) {
    std::vector<float>& values = all[static_cast<std::size_t>(k)];
    for (std::size_t i = 0; i < kCount; ++i) values[i] = number(communicator.rank(), i, k);
    pending.push_back(k % 2 == 0 ? communicator.start_all_reduce(std::span(values))
                                 : communicator.start_reduce_scatter(std::span(values), parts));
  }
  std::int64_t one = 1;
  communicator.all_reduce(std::span(&one, 1));
  require(one == communicator.size(), "a blocking collective comes behind those in the background");
  const Part mine = parts[static_cast<std::size_t>(communicator.rank())];
  for (int k = 4; k >= 0; --k) {
    pending[static_cast<std::size_t>(k)].wait();
    const Part part = k % 2 == 0 ? Part{0, kCount} : mine;
    for (std::size_t i = part.begin; i < part.begin + part.count; ++i) {
      require(all[static_cast<std::size_t>(k)][i] == reference_sum<float>(nodes, i, k),
              "the sum of a background collective");
    }
  }
}

/// Memory that a node has once: every rank writes its part, and all see all parts.
void check_in_common(Communicator& communicator) {
  constexpr std::size_t kCount = kMostElements;
  const auto memory = communicator.allocate_shared(kCount * sizeof(float), "a test");
  const std::span<float> values(reinterpret_cast<float*>(memory.data()), kCount);
  const auto parts = odd_parts(kCount, communicator.size());
  for (const int salt : {5, 6}) {
    const Part mine = parts[static_cast<std::size_t>(communicator.rank())];
    for (std::size_t i = mine.begin; i < mine.begin + mine.count; ++i) {
      values[i] = number(communicator.rank(), i, salt);
    }
    communicator.all_gather(values, parts);
    for (std::size_t r = 0; r < parts.size(); ++r) {
      for (std::size_t i = parts[r].begin; i < parts[r].begin + parts[r].count; ++i) {
        require(values[i] == number(static_cast<int>(r), i, salt), "memory in common");
      }
    }
    communicator.barrier();
  }
}

void check_texts(Communicator& communicator) {
  const std::string mine(static_cast<std::size_t>(3 * communicator.rank()), 'a');
  const auto texts = all_gather_text(communicator, mine);
  for (std::size_t r = 0; r < texts.size(); ++r) {
    require(texts[r] == std::string(3 * r, 'a'), "all_gather_text");
  }
  const int last = communicator.size() - 1;
  require(broadcast_text(communicator, std::to_string(communicator.rank()), last) ==
              std::to_string(last),
          "broadcast_text");
  const double numbers[] = {1.5, static_cast<double>(communicator.rank())};
  const auto all = all_gather_numbers(communicator, numbers);
  for (std::size_t r = 0; 2 * r < all.size(); ++r) {
    require(all[2 * r] == 1.5 && all[2 * r + 1] == static_cast<double>(r), "all_gather_numbers");
  }
  require(any_rank(communicator, communicator.rank() == last), "any_rank");
  require(!any_rank(communicator, false), "any_rank of none");
}

}  // namespace

void check_collectives(Communicator& communicator, const std::vector<int>& nodes) {
  require(static_cast<std::size_t>(communicator.size()) == nodes.size(), "size");
  require(communicator.place().node == nodes[static_cast<std::size_t>(communicator.rank())],
          "node");
  check_type<float>(communicator, nodes);
  check_type<std::uint16_t>(communicator, nodes);
  check_type<double>(communicator, nodes);
  check_type<std::int64_t>(communicator, nodes);
  check_background(communicator, nodes);
  check_in_common(communicator);
  check_texts(communicator);
  communicator.barrier();
}

}  // namespace nativo::dist

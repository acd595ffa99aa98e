// Matrix products through cuBLASLt, which is opened at the first one. The algorithm is the
// library's first choice for the shape, kept; split sums that would be added in whatever order they
// come are not among the choices. Rule: no allocation and no waiting after the first product of a
// shape.
#include <cublasLt.h>
#include <fmt/core.h>

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "base/error.h"
#include "ops/cuda/ops.h"
#include "tensor/cuda/library.h"
#include "tensor/device_memory.h"

namespace nativo::ops::cuda {
namespace {

/// What NVIDIA recommends for Hopper; enough for older ones.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;

struct CublasLt {
  CublasLt()
      : library({fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR)},
                "install the CUDA toolkit's cuBLAS of that version (docs/cuda.md)") {
    library.find("cublasLtCreate", create);
    library.find("cublasLtMatmul", matmul);
    library.find("cublasLtMatmulDescCreate", desc_create);
    library.find("cublasLtMatmulDescDestroy", desc_destroy);
    library.find("cublasLtMatmulDescSetAttribute", desc_set);
    library.find("cublasLtMatrixLayoutCreate", layout_create);
    library.find("cublasLtMatrixLayoutDestroy", layout_destroy);
    library.find("cublasLtMatmulPreferenceCreate", preference_create);
    library.find("cublasLtMatmulPreferenceDestroy", preference_destroy);
    library.find("cublasLtMatmulPreferenceSetAttribute", preference_set);
    library.find("cublasLtMatmulAlgoGetHeuristic", heuristic);
    library.find("cublasLtGetStatusString", status_string);
  }

  void check(cublasStatus_t status, const char* action) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw Error(ExitCode::kInternal, fmt::format("{}: {}", action, status_string(status)));
  }

  tensor::Library library;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtGetStatusString) status_string;
};

/// Bytes that a pointer's address is a multiple of, as far as kernels care.
std::uint32_t alignment_of(const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  std::uint32_t bytes = 256;
  while (address % bytes != 0) bytes /= 2;
  return bytes;
}

/// All that decides the algorithm.
using Key =
    std::tuple<char, char, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
               std::int64_t, bool, bool, std::uint32_t, std::uint32_t, std::uint32_t, std::size_t>;

template <class T>
Key key_of(const Gemm<T>& of) {
  return {of.transpose_a,
          of.transpose_b,
          of.m,
          of.n,
          of.k,
          of.lda,
          of.ldb,
          of.ldc,
          of.beta != 0.0F,
          of.bias != nullptr,
          alignment_of(of.a),
          alignment_of(of.b),
          alignment_of(of.c),
          sizeof(T)};
}

using Fp8Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, Fp8Format, Fp8Format, bool,
                          bool, std::uint32_t, std::uint32_t, std::uint32_t>;

/// A shape's descriptions and algorithm.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t left = nullptr;
  cublasLtMatrixLayout_t right = nullptr;
  cublasLtMatrixLayout_t result = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

/// cuBLASLt counts columns first: the row-major c[m,n] is its c'[n,m] = op(b)' op(a)', so that b is
/// the left factor there.
class Products {
 public:
  explicit Products(const tensor::Device& device)
      : device_(device), workspace_(device, kWorkspace, "matrix products") {
    lt_.check(lt_.create(&handle_), "cublasLtCreate");
  }

  template <class T>
  void run(const Gemm<T>& of) {
    const std::lock_guard lock(mutex_);
    Plan& plan = plan_of(plans_, key_of(of), of);
    if (of.bias != nullptr) {
      lt_.check(
          lt_.desc_set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &of.bias, sizeof of.bias),
          "a product's bias");
    }
    lt_.check(lt_.matmul(handle_, plan.product, &of.alpha, of.b, plan.left, of.a, plan.right,
                         &of.beta, of.c, plan.result, of.c, plan.result, &plan.algorithm,
                         workspace_.data(), kWorkspace, tensor::compute_stream(device_)),
              "cublasLtMatmul");
  }

  void run(const Fp8Gemm& of) {
    const std::lock_guard lock(mutex_);
    Plan& plan =
        plan_of(fp8_plans_,
                Fp8Key{of.m, of.n, of.k, of.a.format, of.b.format, of.accumulates, of.fast_sums,
                       alignment_of(of.a.codes), alignment_of(of.b.codes), alignment_of(of.c)},
                of);
    set_scales(of, plan);
    const float alpha = 1.0F;
    const float beta = of.accumulates ? 1.0F : 0.0F;
    lt_.check(lt_.matmul(handle_, plan.product, &alpha, of.b.codes, plan.left, of.a.codes,
                         plan.right, &beta, of.c, plan.result, of.c, plan.result, &plan.algorithm,
                         workspace_.data(), kWorkspace, tensor::compute_stream(device_)),
              "cublasLtMatmul in FP8");
  }

 private:
  /// Described at its first use.
  template <class Shape, class Product>
  Plan& plan_of(std::map<Shape, Plan>& plans, const Shape& key, const Product& of) {
    const auto [found, is_new] = plans.try_emplace(key);
    if (is_new) {
      try {
        describe(of, found->second);
      } catch (...) {
        plans.erase(found);
        throw;
      }
    }
    return found->second;
  }

  template <class Value>
  void set(Plan& plan, cublasLtMatmulDescAttributes_t which, const Value& value, const char* what) {
    lt_.check(lt_.desc_set(plan.product, which, &value, sizeof value), what);
  }

  void set_scales(const Fp8Gemm& of, Plan& plan) {
    set(plan, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, of.b.scale, "a factor's scale");
    set(plan, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, of.a.scale, "a factor's scale");
  }

  /// The only form that tensor cores have of it: the left factor transposed, both read along k.
  void describe(const Fp8Gemm& of, Plan& plan) {
    const auto type_of = [](Fp8Format format) {
      return format == Fp8Format::kE4M3 ? CUDA_R_8F_E4M3 : CUDA_R_8F_E5M2;
    };
    lt_.check(lt_.desc_create(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product");
    set_transpose(plan, CUBLASLT_MATMUL_DESC_TRANSA, 'T');
    set_transpose(plan, CUBLASLT_MATMUL_DESC_TRANSB, 'N');
    const std::int8_t fast = of.fast_sums ? 1 : 0;
    set(plan, CUBLASLT_MATMUL_DESC_FAST_ACCUM, fast, "a product's sums");
    set_scales(of, plan);
    layout(plan.left, type_of(of.b.format), of.k, of.n, of.k);
    layout(plan.right, type_of(of.a.format), of.k, of.m, of.k);
    layout(plan.result, CUDA_R_16BF, of.n, of.m, of.n);
    choose({alignment_of(of.b.codes), alignment_of(of.a.codes), alignment_of(of.c)}, plan,
           fmt::format("in FP8 [{},{}] x [{},{}]", of.m, of.k, of.k, of.n));
  }

  template <class T>
  void describe(const Gemm<T>& of, Plan& plan) {
    constexpr cudaDataType_t kType = sizeof(T) == 2 ? CUDA_R_16BF : CUDA_R_32F;
    // f32 stays f32: without this the tensor cores' TF32 would round its factors to 10 bits.
    lt_.check(lt_.desc_create(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a product");
    set_transpose(plan, CUBLASLT_MATMUL_DESC_TRANSA, of.transpose_b);
    set_transpose(plan, CUBLASLT_MATMUL_DESC_TRANSB, of.transpose_a);
    if (of.bias != nullptr) {
      const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
      lt_.check(
          lt_.desc_set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
          "a product's epilogue");
      lt_.check(
          lt_.desc_set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &kType, sizeof kType),
          "a product's bias");
      lt_.check(
          lt_.desc_set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &of.bias, sizeof of.bias),
          "a product's bias");
    }
    const bool b_transposed = of.transpose_b == 'T';
    const bool a_transposed = of.transpose_a == 'T';
    layout(plan.left, kType, b_transposed ? of.k : of.n, b_transposed ? of.n : of.k, of.ldb);
    layout(plan.right, kType, a_transposed ? of.m : of.k, a_transposed ? of.k : of.m, of.lda);
    layout(plan.result, kType, of.n, of.m, of.ldc);
    choose({alignment_of(of.b), alignment_of(of.a), alignment_of(of.c)}, plan,
           fmt::format("[{},{}] x [{},{}]", of.m, of.k, of.k, of.n));
  }

  void set_transpose(Plan& plan, cublasLtMatmulDescAttributes_t which, char transpose) {
    const cublasOperation_t operation = transpose == 'T' ? CUBLAS_OP_T : CUBLAS_OP_N;
    lt_.check(lt_.desc_set(plan.product, which, &operation, sizeof operation),
              "a product's transposition");
  }

  void layout(cublasLtMatrixLayout_t& of, cudaDataType_t type, std::int64_t rows,
              std::int64_t columns, std::int64_t stride) {
    lt_.check(lt_.layout_create(&of, type, static_cast<std::uint64_t>(rows),
                                static_cast<std::uint64_t>(columns), stride),
              "a product's layout");
  }

  /// Of the left factor, the right one and the result.
  struct Alignments {
    std::uint32_t left, right, result;
  };

  void choose(const Alignments& aligned, Plan& plan, const std::string& what) {
    cublasLtMatmulPreference_t preference = nullptr;
    lt_.check(lt_.preference_create(&preference), "a product's preferences");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      lt_.check(lt_.preference_set(preference, which, &value, sizeof value),
                "a product's preferences");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    // Partial sums meet in the workspace in f32, in their order, or there are none.
    const auto schemes = static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, aligned.left);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, aligned.right);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, aligned.result);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, aligned.result);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status =
        lt_.heuristic(handle_, plan.product, plan.left, plan.right, plan.result, plan.result,
                      preference, 1, &best, &count);
    lt_.preference_destroy(preference);
    if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
      throw Error(ExitCode::kInternal, fmt::format("cuBLASLt has no algorithm for a product {}: {}",
                                                   what, lt_.status_string(status)));
    }
    plan.algorithm = best.algo;
  }

  tensor::Device device_;
  CublasLt lt_;
  tensor::DeviceMemory workspace_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;  ///< as long as the process lives
  std::map<Fp8Key, Plan> fp8_plans_;
};

/// One a device, made at its first product and never unmade: at the process's end the driver may be
/// gone before it.
Products& products(const tensor::Device& device) {
  static std::mutex mutex;
  static auto* const all = new std::map<int, Products*>;
  const std::lock_guard lock(mutex);
  Products*& one = (*all)[device.index];
  if (one == nullptr) one = new Products(device);
  return *one;
}

}  // namespace

template <class T>
void gemm(const tensor::Device& device, const Gemm<T>& of) {
  if (of.m == 0 || of.n == 0) return;
  if (of.k == 0) {  // an empty sum, which cuBLASLt does not accept
    NATIVO_CHECK(of.bias == nullptr && (of.beta == 1.0F || of.ldc == of.n),
                 "an empty product of a part of a matrix");
    if (of.beta == 0.0F) {
      tensor::zero_bytes_async(of.c, static_cast<std::size_t>(of.m * of.n) * sizeof(T),
                               tensor::compute_stream(device));
    }
    return;
  }
  products(device).run(of);
}
void gemm(const tensor::Device& device, const Fp8Gemm& of) { products(device).run(of); }
template void gemm<float>(const tensor::Device&, const Gemm<float>&);
template void gemm<tensor::bf16>(const tensor::Device&, const Gemm<tensor::bf16>&);

}  // namespace nativo::ops::cuda

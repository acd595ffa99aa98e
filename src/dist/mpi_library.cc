#include "dist/mpi_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/error.h"

namespace nativo::dist {
namespace {

constexpr const char* kLibrary = "libmpi.so.40";

void open_library() {
  // Its plugins look its symbols up among those of the whole program.
  if (::dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: {}", kLibrary, ::dlerror()),
                "several ranks need OpenMPI 4: apt-get install openmpi-bin, on every node");
  }
}

/// Of the whole program: one that is linked with the library has its data in itself.
template <class Symbol>
void find(const char* name, Symbol& symbol) {
  void* address = ::dlsym(RTLD_DEFAULT, name);
  if (address == nullptr) {
    throw Error(ExitCode::kConfig, fmt::format("{}: has no {}", kLibrary, name),
                "nativo is built for OpenMPI 4");
  }
  symbol = reinterpret_cast<Symbol>(address);
}

}  // namespace

MpiLibrary::MpiLibrary() {
  open_library();
  find("MPI_Init_thread", init_thread);
  find("MPI_Finalize", finalize);
  find("MPI_Comm_rank", comm_rank);
  find("MPI_Comm_size", comm_size);
  find("MPI_Comm_dup", comm_dup);
  find("MPI_Comm_split", comm_split);
  find("MPI_Comm_split_type", comm_split_type);
  find("MPI_Comm_free", comm_free);
  find("MPI_Barrier", barrier);
  find("MPI_Bcast", bcast);
  find("MPI_Allgather", allgather);
  find("MPI_Isend", isend);
  find("MPI_Irecv", irecv);
  find("MPI_Test", test);
  find("MPI_Win_allocate_shared", win_allocate_shared);
  find("MPI_Win_shared_query", win_shared_query);
  find("MPI_Win_free", win_free);
  find("ompi_mpi_comm_world", world);
  find("ompi_mpi_byte", byte);
  find("ompi_mpi_info_null", no_info);
}

}  // namespace nativo::dist

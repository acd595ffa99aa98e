#include "dist/mpi_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/error.h"

namespace nativo::dist {
namespace {

constexpr const char* kLibrary = "libmpi.so.40";

void* open_library() {
  // Its plugins look its symbols up among those of the whole program.
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw Error(ExitCode::kMissingInput, fmt::format("{}: {}", kLibrary, ::dlerror()),
                "several ranks need OpenMPI 4: apt-get install openmpi-bin, on every node");
  }
  return library;
}

template <class Symbol>
void find(void* library, const char* name, Symbol& symbol) {
  void* address = ::dlsym(library, name);
  if (address == nullptr) {
    throw Error(ExitCode::kConfig, fmt::format("{}: has no {}", kLibrary, name),
                "nativo is built for OpenMPI 4");
  }
  symbol = reinterpret_cast<Symbol>(address);
}

}  // namespace

MpiLibrary::MpiLibrary() {
  void* library = open_library();
  find(library, "MPI_Init_thread", init_thread);
  find(library, "MPI_Finalize", finalize);
  find(library, "MPI_Comm_rank", comm_rank);
  find(library, "MPI_Comm_size", comm_size);
  find(library, "MPI_Comm_dup", comm_dup);
  find(library, "MPI_Comm_split", comm_split);
  find(library, "MPI_Comm_split_type", comm_split_type);
  find(library, "MPI_Comm_free", comm_free);
  find(library, "MPI_Barrier", barrier);
  find(library, "MPI_Bcast", bcast);
  find(library, "MPI_Allgather", allgather);
  find(library, "MPI_Isend", isend);
  find(library, "MPI_Irecv", irecv);
  find(library, "MPI_Test", test);
  find(library, "MPI_Win_allocate_shared", win_allocate_shared);
  find(library, "MPI_Win_shared_query", win_shared_query);
  find(library, "MPI_Win_free", win_free);
  find(library, "ompi_mpi_comm_world", world);
  find(library, "ompi_mpi_byte", byte);
  find(library, "ompi_mpi_info_null", no_info);
}

}  // namespace nativo::dist

// The functions of libmpi that the fabric uses, opened when a process turns out to be one of
// several: nobody else pays for loading it, or needs it. Not for other folders; the only header
// that includes mpi.h. Rule: OpenMPI's binary interface (libmpi.so.40), whose header this is.
#pragma once

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <mutex>

namespace nativo::dist {

struct MpiLibrary {
  /// Opens the library. Throws Error(kMissingInput) when it is not there, Error(kConfig) when it is
  /// another MPI.
  MpiLibrary();

  decltype(&MPI_Init_thread) init_thread;
  decltype(&MPI_Finalize) finalize;
  decltype(&MPI_Comm_rank) comm_rank;
  decltype(&MPI_Comm_size) comm_size;
  decltype(&MPI_Comm_dup) comm_dup;
  decltype(&MPI_Comm_split) comm_split;
  decltype(&MPI_Comm_split_type) comm_split_type;
  decltype(&MPI_Comm_free) comm_free;
  decltype(&MPI_Barrier) barrier;
  decltype(&MPI_Bcast) bcast;
  decltype(&MPI_Allgather) allgather;
  decltype(&MPI_Isend) isend;
  decltype(&MPI_Irecv) irecv;
  decltype(&MPI_Test) test;
  decltype(&MPI_Win_allocate_shared) win_allocate_shared;
  decltype(&MPI_Win_shared_query) win_shared_query;
  decltype(&MPI_Win_free) win_free;
  MPI_Comm world;
  MPI_Datatype byte;
  MPI_Info no_info;

  /// One call at a time: OpenMPI's threads need not be trusted then. No call made under it waits,
  /// but those that set up and end.
  std::mutex calls;
};

}  // namespace nativo::dist

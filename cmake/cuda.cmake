# The CUDA half: the compiler, and the runtime as a static library, so that the program starts where
# there is no GPU. cuBLASLt, cuDNN and NCCL are opened when they are first needed (docs/decisions/0006):
# only their headers are used here.
find_program(NATIVO_NVCC nvcc PATHS $ENV{CUDA_PATH}/bin $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT NATIVO_NVCC)
  message(FATAL_ERROR "the preset cuda needs nvcc: install the CUDA toolkit (13 is tested), or build the preset release")
endif()
set(CMAKE_CUDA_COMPILER ${NATIVO_NVCC})
set(CMAKE_CUDA_ARCHITECTURES ${NATIVO_CUDA_ARCHITECTURES})
enable_language(CUDA)
# CMake 3.25 does not know that nvcc speaks C++20.
foreach(kind STANDARD EXTENSION)
  if(NOT CMAKE_CUDA20_${kind}_COMPILE_OPTION)
    set(CMAKE_CUDA20_${kind}_COMPILE_OPTION -std=c++20)
  endif()
endforeach()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
find_package(CUDAToolkit REQUIRED)

# No fused multiply-add but where a kernel writes one: then a formula gives on every device what its
# test on the processor gives. The host half of a .cu file keeps the warnings that nvcc's own code passes.
target_compile_options(nativo_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;--expt-relaxed-constexpr;--expt-extended-lambda;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>")

find_path(NATIVO_NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
add_library(nativo_cuda INTERFACE)
target_include_directories(nativo_cuda SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${NATIVO_NCCL_INCLUDE_DIR})
target_link_libraries(nativo_cuda INTERFACE CUDA::cudart_static ${CMAKE_DL_LIBS} rt)

# Every library nativo links, as one imported target each. All are Debian 12 packages (packages.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(dnnl REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)

pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

# CLD2 ships neither a pkg-config nor a CMake file.
find_library(CLD2_LIBRARY cld2 REQUIRED)
find_path(CLD2_INCLUDE_DIR cld2/public/compact_lang_det.h REQUIRED)
add_library(nativo_cld2 INTERFACE)
target_include_directories(nativo_cld2 SYSTEM INTERFACE ${CLD2_INCLUDE_DIR})
target_link_libraries(nativo_cld2 INTERFACE ${CLD2_LIBRARY})

# FAISS: what the tests hold our range search against (docs/decisions/0004). A static library in Debian
# that needs BLAS and LAPACK beside it.
find_package(BLAS REQUIRED)
find_package(LAPACK REQUIRED)
find_library(FAISS_LIBRARY faiss REQUIRED)
find_path(FAISS_INCLUDE_DIR faiss/IndexFlat.h REQUIRED)
add_library(nativo_faiss INTERFACE)
target_include_directories(nativo_faiss SYSTEM INTERFACE ${FAISS_INCLUDE_DIR})
target_link_libraries(nativo_faiss INTERFACE ${FAISS_LIBRARY} LAPACK::LAPACK BLAS::BLAS
                      OpenMP::OpenMP_CXX)

# OpenMPI's header; the library is opened at run time by processes that are one of several (src/dist).
pkg_check_modules(ompi REQUIRED ompi-c)
add_library(nativo_mpi_header INTERFACE)
target_include_directories(nativo_mpi_header SYSTEM INTERFACE ${ompi_INCLUDE_DIRS})

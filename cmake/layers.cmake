# One static library a folder of src/, one test program a folder of tests/.

add_library(nativo_flags INTERFACE)
target_compile_options(nativo_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion;-Wnon-virtual-dtor;-Werror;-fno-math-errno>")
target_include_directories(nativo_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(nativo_flags INTERFACE Threads::Threads OpenMP::OpenMP_CXX)
if(NATIVO_SANITIZE)
  target_compile_options(nativo_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${NATIVO_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>")
  target_link_options(nativo_flags INTERFACE -fsanitize=${NATIVO_SANITIZE})
  # GCC 12 finds std::regex's own std::function uninitialized when it is sanitized (GCC bug 105562).
  target_compile_options(nativo_flags INTERFACE "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>")
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT NATIVO_SANITIZE)
  target_compile_definitions(nativo_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()

# nativo_layer(NAME [LAYERS lower...] [LINK private libraries...]). NAME/cuda is part of builds with
# CUDA, NAME/without_cuda of the others.
function(nativo_layer name)
  cmake_parse_arguments(ARG "" "" "LAYERS;LINK" ${ARGN})
  set(here ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  if(NATIVO_CUDA)
    file(GLOB sources CONFIGURE_DEPENDS ${here}/*.cc ${here}/cuda/*.cc ${here}/cuda/*.cu)
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${here}/*.cc ${here}/without_cuda/*.cc)
  endif()
  if(NOT sources)
    add_library(nativo_${name} INTERFACE)
    set(scope INTERFACE)
    set(private INTERFACE)
  else()
    add_library(nativo_${name} STATIC ${sources})
    set(scope PUBLIC)
    set(private PRIVATE)
  endif()
  list(TRANSFORM ARG_LAYERS PREPEND nativo_)
  target_link_libraries(nativo_${name} ${scope} nativo_flags ${ARG_LAYERS} ${private} ${ARG_LINK})
endfunction()

function(nativo_discover program name speed limit filter)
  gtest_discover_tests(${program} TEST_PREFIX ${name}/ DISCOVERY_TIMEOUT 60 TEST_FILTER "${filter}"
                       PROPERTIES LABELS ${speed} TIMEOUT ${limit}
                                  ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

# nativo_tests(NAME [LAYERS tested...] [LINK libraries...] [SLOW tests...]): tests/NAME/*_test.cc are fast,
# but for those named after SLOW ("Suite.Test", "Suite.*"), and tests/NAME/slow/*_test.cc are slow (labels of
# these names). The fast ones of all folders together should take less than a minute.
function(nativo_tests name)
  cmake_parse_arguments(ARG "" "" "LAYERS;LINK;SLOW" ${ARGN})
  list(TRANSFORM ARG_LAYERS PREPEND nativo_)
  list(JOIN ARG_SLOW ":" slow_ones)
  foreach(speed fast slow)
    if(speed STREQUAL "fast")
      set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${name})
      set(program ${name}_tests)
      set(limit 60)
    else()
      set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${name}/slow)
      set(program ${name}_slow_tests)
      set(limit 900)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*_test.cc)
    if(sources)
      add_executable(${program} ${sources})
      target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
      target_link_libraries(${program} PRIVATE ${ARG_LAYERS} ${ARG_LINK} nativo_flags GTest::gmock
                            GTest::gtest_main)
      target_compile_definitions(${program} PRIVATE
        NATIVO_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
        NATIVO_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
      set(filter "")
      if(slow_ones AND speed STREQUAL "fast")
        nativo_discover(${program} ${name} slow 900 ${slow_ones})
        set(filter "-${slow_ones}")
      endif()
      nativo_discover(${program} ${name} ${speed} ${limit} "${filter}")
    endif()
  endforeach()
endfunction()

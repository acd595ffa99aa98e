# nativo_embed(TARGET NAMESPACE name=path...): adds to TARGET, for each file, a function
#   std::string_view NAMESPACE::name()
# that returns the file's bytes as they were at build time. The functions are declared by hand in a
# header of the target. Run with -P, this file is the generator itself.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUTPUT}
"// Made from ${INPUT} by cmake/embed.cmake.
#include <string_view>

namespace ${NAMESPACE} {
namespace {
constexpr unsigned char kBytes[] = {
${bytes}0x00};
}  // namespace

std::string_view ${NAME}();
std::string_view ${NAME}() {
  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes - 1};
}
}  // namespace ${NAMESPACE}
")
  return()
endif()

set(NATIVO_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(nativo_embed target namespace)
  string(REPLACE "::" "_" folder ${namespace})
  foreach(pair ${ARGN})
    string(REGEX MATCH "^([^=]+)=(.+)$" matched ${pair})
    set(name ${CMAKE_MATCH_1})
    set(input ${CMAKE_MATCH_2})
    set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded/${folder}/${name}.cc)
    add_custom_command(
      OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DINPUT=${input} -DOUTPUT=${output} -DNAME=${name}
              -DNAMESPACE=${namespace} -P ${NATIVO_EMBED_SCRIPT}
      DEPENDS ${input} ${NATIVO_EMBED_SCRIPT}
      COMMENT "Embedding ${name}"
      VERBATIM)
    target_sources(${target} PRIVATE ${output})
  endforeach()
endfunction()

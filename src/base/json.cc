#include "base/json.h"

#include "base/error.h"

namespace nativo {

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json parse_json(std::string_view text, std::string_view where) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& e) {  // out_of_range too: a number beyond a double
    throw Error(ExitCode::kData, std::string(where) + ": not valid JSON: " + e.what());
  }
}

}  // namespace nativo

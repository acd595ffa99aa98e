// Options of the command line from a struct's visit(): the same names, help and ranges as in a
// pipeline file.
#include <algorithm>

#include "base/error.h"
#include "cli/verb.h"

namespace nativo::cli {
namespace {

std::string flag_of(const config::Field& field) {
  std::string flag = "--" + std::string(field.name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

template <class T>
CLI::Option* add(CLI::App& verb, const config::Field& field, T& value) {
  return verb.add_option(flag_of(field), value, std::string(field.help))->capture_default_str();
}

}  // namespace

void OptionAdder::value(const config::Field& field, bool& value) {
  verb_.add_flag(flag_of(field), value, std::string(field.help));
}

void OptionAdder::value(const config::Field& field, std::int64_t& value) {
  add(verb_, field, value)
      ->check(CLI::Range(static_cast<std::int64_t>(std::max(field.min, -9e18)),
                         static_cast<std::int64_t>(std::min(field.max, 9e18))))
      ->type_name("N");
}

void OptionAdder::value(const config::Field& field, double& value) {
  add(verb_, field, value)->check(CLI::Range(field.min, field.max))->type_name("X");
}

void OptionAdder::value(const config::Field& field, std::string& value) {
  CLI::Option* option = add(verb_, field, value);
  if (field.choices.empty()) return;
  option->check(
      CLI::IsMember(std::vector<std::string>(field.choices.begin(), field.choices.end())));
}

void OptionAdder::value(const config::Field& field, std::vector<std::string>& value) {
  verb_.add_option(flag_of(field), value, std::string(field.help));
}

void OptionAdder::path(const config::Field& field, std::string& value) {
  add(verb_, field, value)->type_name("PATH");
}

void OptionAdder::enter(const config::Field& /*table*/) {
  NATIVO_CHECK(false, "a verb's options have no tables");
}

}  // namespace nativo::cli

#include "train/events.h"

#include <string>

#include "base/clock.h"

namespace nativo::train {

EventLog::EventLog(const std::filesystem::path& path, io::Disk& disk) {
  if (std::filesystem::exists(path)) {
    const std::string old = io::read_file(path);
    const std::size_t whole = old.rfind('\n') == std::string::npos ? 0 : old.rfind('\n') + 1;
    if (whole < old.size()) {
      io::write_file_atomically(path, std::string_view(old).substr(0, whole), disk);
    }
  }
  file_ = disk.append(path);
}

void EventLog::append(std::string_view event, std::int64_t step, const Json& detail) {
  Json line = {{"time", unix_seconds()}, {"event", event}, {"step", step}};
  line.update(detail);
  file_->write(dump_json(line) + '\n');
}

}  // namespace nativo::train

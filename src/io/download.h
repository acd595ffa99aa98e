// A file from the network that arrives whole or not at all, and goes on where it was broken off:
// by the network, by the server, or by the end of this program. Not here: where to get what
// (translate/argos_fetch.h).
// Rule: the parts that are put together are of one version of the file; when that cannot be told it
// is fetched from its beginning.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "io/file.h"
#include "io/http.h"

namespace nativo::io {

struct DownloadOptions {
  int tries = 6;              ///< in a row that bring nothing new
  double wait_seconds = 1.0;  ///< before the second try; doubles, to 60 at most; a server may ask
                              ///< for more (Retry-After), to 300 at most
  std::uint64_t limit = std::uint64_t{16} << 30;  ///< bytes
  HttpTimeouts timeouts{};
};

/// Fetches `url` into `path`, which it replaces. What has come lies in `path`.part and is described
/// in `path`.part.json (url, validator, bytes) until it is whole: then it is synced and renamed.
/// Shows its progress under `label`. An empty file counts as none. Two processes must not fetch
/// into one `path`. Throws http_error() for answers that will not change and after the last try,
/// Error(kData) beyond the limit or when the server's lengths contradict each other to the end,
/// Error(kTryAgain) after a signal; call it again to go on.
void download(HttpClient& client, const std::string& url, const fs::path& path,
              const std::string& label, const DownloadOptions& options = {},
              Disk& disk = posix_disk());

}  // namespace nativo::io

// layers: base text
// The first half is a glossary: read or refused with an Error that names a line. The second half is
// a text: what matches lies inside it and can be spelled.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/glossary.h"
#include "text/protected_spans.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view text = all.substr(size / 2);
  nativo::text::Glossary glossary;
  try {
    glossary = nativo::text::Glossary::parse(all.substr(0, size / 2), "fuzz.tsv");
  } catch (const nativo::Error& error) {
    if (std::string_view(error.what()).find("fuzz.tsv:") != 0) std::abort();
    return 0;
  }
  for (const auto& entry : glossary.entries()) {
    if (entry.source.empty() || entry.target.empty()) std::abort();
    const auto match = glossary.match(entry.source, 0);
    if (match.end != entry.source.size()) std::abort();
  }
  const auto term_at = [&](std::string_view window, std::size_t i) {
    return glossary.match(window, i).end;
  };
  std::size_t end = 0;
  for (const auto& span : nativo::text::find_spans(text, term_at)) {
    if (span.begin < end || span.end <= span.begin || span.end > text.size()) std::abort();
    end = span.end;
    if (span.kind != nativo::text::SpanKind::kTerm) continue;
    const auto match = glossary.match(text, span.begin);
    if (match.entry == nullptr) std::abort();
    (void)nativo::text::in_case_of(*match.entry, text.substr(span.begin, span.end - span.begin));
  }
  return 0;
}

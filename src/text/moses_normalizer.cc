#include "text/moses_rules.h"
#include "text/moses_tokenizer.h"

namespace nativo::text {
namespace {

using moses::collapse_spaces;
using moses::group;
using moses::kDigit;
using moses::Place;
using moses::substitute;

void brackets_and_spaces(std::u32string& text) {
  substitute(text, U"\r", U"");
  substitute(text, U"(", U" (");
  substitute(text, U")", U") ");
  collapse_spaces(text);
  for (const char32_t mark : std::u32string_view(U".!:?;,")) {
    substitute(text, std::u32string{U')', U' ', mark}, std::u32string{U')', mark});
  }
  substitute(text, U"( ", U"(");
  substitute(text, U" )", U")");
  substitute(text, {kDigit, U' ', U'%'}, std::u32string{group(0), U'%'});
  substitute(text, U" :", U":");
  substitute(text, U" ;", U";");
}

void quotes_and_dashes(std::u32string& text) {
  substitute(text, U"`", U"'");
  substitute(text, U"''", U" \" ");
  for (const char32_t quote : std::u32string_view(U"„“”")) {
    substitute(text, std::u32string_view(&quote, 1), U"\"");
  }
  substitute(text, U"–", U"-");
  substitute(text, U"—", U" - ");
  collapse_spaces(text);
  for (const char32_t quote : std::u32string_view(U"´‘‚’")) {
    substitute(text, std::u32string_view(&quote, 1), U"'");
  }
  substitute(text, U"''", U"\"");
  substitute(text, U"…", U"...");
  for (const std::u32string_view quote :
       {U"\u00A0«\u00A0", U"«\u00A0", U"«", U"\u00A0»\u00A0", U"\u00A0»", U"»"}) {
    substitute(text, quote, U"\"");
  }
}

void unbreakable_spaces(std::u32string& text) {
  substitute(text, U"\u00A0%", U"%");
  substitute(text, U"nº\u00A0", U"nº ");
  substitute(text, U"\u00A0:", U":");
  substitute(text, U"\u00A0ºC", U" ºC");
  substitute(text, U"\u00A0cm", U" cm");
  substitute(text, U"\u00A0?", U"?");
  substitute(text, U"\u00A0!", U"!");
  substitute(text, U"\u00A0;", U";");
  substitute(text, U",\u00A0", U", ");
  collapse_spaces(text);
}

/// A quote before a row of commas and full stops goes behind them.
void quote_behind_marks(std::u32string& text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] != U'"') continue;
    std::size_t end = i + 1;
    while (end < text.size() && (text[end] == U',' || text[end] == U'.')) ++end;
    if (end == i + 1) continue;
    text.erase(i, 1);
    text.insert(end - 1, 1, U'"');
    i = end - 1;
  }
}

/// A quote behind full stops goes before them, unless the text or a tag follows: that is, unless it
/// ends. What is looked at after the quote (white space and one letter) is not looked at again.
void quote_before_full_stops(std::u32string& text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t dots = i;
    while (dots < text.size() && text[dots] == U'.') ++dots;
    if (dots == i) {
      out += text[i++];
      continue;
    }
    const bool quoted = dots + 1 < text.size() && text[dots] == U'"' && text[dots + 1] != U'<';
    if (!quoted) {
      out.append(text, i, dots - i);
      i = dots;
      continue;
    }
    std::size_t end = dots + 1;
    while (end < text.size() && (moses::classes_of(text[end]) & moses::kSpace) != 0) ++end;
    if (end < text.size() && text[end] != U'<') ++end;
    out += U'"';
    out.append(text, i, dots - i);
    out.append(text, dots + 1, end - dots - 1);
    i = end;
  }
  text = std::move(out);
}

}  // namespace

std::string moses_normalize(std::string_view utf8, std::string_view lang) {
  std::u32string text = moses::to_letters(utf8);
  brackets_and_spaces(text);
  quotes_and_dashes(text);
  unbreakable_spaces(text);
  if (lang == "en") {
    quote_behind_marks(text);
  } else if (lang == "de" || lang == "es" || lang == "fr") {
    substitute(text, U",\"", U"\",");
    quote_before_full_stops(text);
  }
  const bool comma = lang == "de" || lang == "es" || lang == "cs" || lang == "cz" || lang == "fr";
  substitute(text, {kDigit, U'\u00A0', kDigit},
             std::u32string{group(0), comma ? U',' : U'.', group(2)});
  return moses::to_utf8(moses::strip(text));
}

}  // namespace nativo::text

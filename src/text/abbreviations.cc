#include "text/abbreviations.h"

#include <algorithm>
#include <array>

#include "text/span_chars.h"

namespace nativo::text {
namespace {

/// In order of their bytes, for binary search; lower case unless the word exists without a dot.
template <std::size_t N>
bool is_in(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::binary_search(words.begin(), words.end(), word);
}

/// A name or the rest of the phrase follows.
constexpr auto kTitles = std::to_array<std::string_view>(
    {"Arch",  "Avv",    "C.so", "Capt",  "Cav",   "Cmdr",  "Col",  "Dept", "Dott", "Dr",
     "Drs",   "Egr",    "Ft",   "Gen",   "Gent",  "Geom",  "Gov",  "Hon",  "Ing",  "Lt",
     "M.me",  "Messrs", "Mlle", "Mme",   "Mons",  "Mr",    "Mrs",  "Ms",   "Mt",   "On",
     "P.za",  "P.zza",  "Pres", "Prof",  "Proff", "Rag",   "Rep",  "Rev",  "Sen",  "Sgt",
     "Sig",   "Sigg",   "Soc",  "Spett", "St",    "Ste",   "Supt", "Univ", "V.le", "abbr",
     "al",    "approx", "arch", "avv",   "c.ca",  "ca",    "cf",   "cfr",  "dott", "e.g",
     "egr",   "es",     "esp",  "excl",  "geom",  "i.e",   "incl", "ing",  "p.es", "prof",
     "proff", "rag",    "resp", "sig",   "sigg",  "spett", "vd",   "viz",  "vs"});
static_assert(std::ranges::is_sorted(kTitles));

/// A number follows, else the sentence may have ended.
constexpr auto kBeforeNumber = std::to_array<std::string_view>(
    {"Apr",  "Art",  "Artt", "Aug",  "Cap", "Capp", "Ch",   "Dec",  "Eq",   "Eqs",  "Ex",
     "Feb",  "Fig",  "Figg", "Figs", "Jan", "Jul",  "Jun",  "Mar",  "N",    "No",   "Nos",
     "Nov",  "Nr",   "Oct",  "Op",   "P",   "Pag",  "Pagg", "Par",  "Pp",   "Ref",  "Sec",
     "Sect", "Sep",  "Sept", "Sez",  "Tab", "Tel",  "Vol",  "Voll", "art",  "artt", "cap",
     "capp", "ch",   "col",  "eq",   "eqs", "ex",   "fig",  "figg", "figs", "lett", "n",
     "nn",   "no",   "nos",  "nr",   "op",  "p",    "pag",  "pagg", "par",  "pp",   "ref",
     "sec",  "sect", "sez",  "tab",  "tel", "vol",  "voll"});
static_assert(std::ranges::is_sorted(kBeforeNumber));

/// May end a sentence: a capital that begins no usual sentence belongs to a name.
constexpr auto kNames =
    std::to_array<std::string_view>({"Ave", "Blvd", "Bros", "Co", "Corp", "F.lli", "Inc", "Jr",
                                     "Ltd", "Ph.D", "S.p.A", "S.r.l", "SpA", "Sr", "Srl"});
static_assert(std::ranges::is_sorted(kNames));

/// Words that begin sentences and hardly ever names.
constexpr auto kStarters = std::to_array<std::string_view>(
    {"A",       "After",   "Al",     "Alla",     "Although", "An",   "Anche", "And",    "As",
     "At",      "Because", "But",    "By",       "Che",      "Chi",  "Ci",    "Come",   "Con",
     "Da",      "Dal",     "Dei",    "Del",      "Della",    "Di",   "Do",    "Dove",   "E",
     "Ed",      "For",     "From",   "Gli",      "He",       "Her",  "Here",  "His",    "How",
     "However", "I",       "If",     "Il",       "In",       "It",   "Its",   "La",     "Le",
     "Let",     "Lo",      "Ma",     "Many",     "My",       "Nel",  "Nella", "No",     "Non",
     "Not",     "Now",     "O",      "On",       "Our",      "Per",  "Poi",   "Quando", "Quella",
     "Quello",  "Questa",  "Questi", "Questo",   "Quindi",   "Se",   "She",   "Si",     "Since",
     "So",      "Some",    "That",   "The",      "Their",    "Then", "There", "These",  "They",
     "This",    "Those",   "To",     "Tuttavia", "Un",       "Una",  "Uno",   "We",     "What",
     "When",    "Where",   "While",  "Who",      "Why",      "With", "Yes",   "You",    "Your",
     "È"});
static_assert(std::ranges::is_sorted(kStarters));

bool is_letter_byte(char c) { return is_alpha(c) || static_cast<unsigned char>(c) >= 0xC3; }

std::string_view first_word(std::string_view next) {
  std::size_t begin = 0;
  while (begin < next.size() && is_one_of(next[begin], "\"'([*_")) ++begin;
  std::size_t end = begin;
  while (end < next.size() && is_word_byte(next[end])) ++end;
  return next.substr(begin, end - begin);
}

bool is_roman(std::string_view word) {
  return !word.empty() && word.find_first_not_of("IVXLC") == std::string_view::npos;
}

/// "U.S", "a.m", "d.C", "J": letters one by one.
bool is_initials(std::string_view word) {
  if (word.size() % 2 == 0) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (i % 2 == 0 ? !is_alpha(word[i]) : word[i] != '.') return false;
  }
  return word.size() > 1 || is_upper(word[0]);
}

}  // namespace

bool goes_on_after(std::string_view text, std::size_t dot, std::string_view next) {
  std::size_t begin = dot;
  while (begin > 0 && (is_letter_byte(text[begin - 1]) || text[begin - 1] == '.' ||
                       static_cast<unsigned char>(text[begin - 1]) >= 0x80)) {
    --begin;
  }
  const std::string_view word = text.substr(begin, dot - begin);
  if (word.empty()) return false;
  const std::string_view follower = first_word(next);
  if (is_in(kTitles, word)) return true;
  if (is_in(kBeforeNumber, word)) {
    return follower.empty() || is_digit(follower[0]) || is_roman(follower) ||
           (word.size() == 1 && is_upper(word[0]));
  }
  if (word == "I") return false;
  if (is_in(kNames, word) || is_initials(word)) {
    if (follower.empty()) return false;
    // "J. A. Smith": a letter with a dot is no word that begins a sentence.
    const auto at = static_cast<std::size_t>(follower.data() - next.data());
    const bool initial = follower.size() == 1 && char_at(next, at + 1) == '.';
    return initial || !is_in(kStarters, follower);
  }
  return false;
}

}  // namespace nativo::text

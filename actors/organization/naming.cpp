#include "actors/organization/naming.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe::actors {
namespace {

// Code points of the text; what is not UTF-8 is left out.
std::vector<char32_t> decode(std::string_view text) {
  std::vector<char32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : (lead & 0xF0) == 0xE0       ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size()) {
      ++i;
      continue;
    }
    char32_t c = length == 1 ? lead : static_cast<char32_t>(lead & (0xFF >> (length + 1)));
    bool whole = true;
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      whole = whole && (next & 0xC0) == 0x80;
      c = (c << 6) | (next & 0x3F);
    }
    const bool shortest = length < 3 || (length == 3 ? c >= 0x800 : c >= 0x10000);
    if (!whole || !shortest || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) {
      ++i;
      continue;
    }
    out.push_back(c);
    i += length;
  }
  return out;
}

void encode(char32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool blank(char32_t c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == 0x85 || c == 0xA0 ||
         c == 0x3000;
}
bool invisible(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}
bool ends_sentence(char32_t c) {
  return c == '.' || c == '!' || c == '?' || c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
}
bool letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// "e.g. x" and "main.cpp fails" do not end a sentence: an abbreviation has one letter before its dot, a name
// has no blank after it.
bool sentence_end(const std::vector<char32_t>& text, std::size_t i) {
  if (!ends_sentence(text[i])) return false;
  if (text[i] > 0x7F) return true;
  if (i + 1 < text.size() && !blank(text[i + 1]) && text[i + 1] != '\n') return false;
  if (text[i] != '.') return true;
  const bool abbreviation = i >= 1 && letter(text[i - 1]) && (i == 1 || !letter(text[i - 2])) &&
                            i + 1 < text.size() && text[i + 1] != '\n';
  return !abbreviation;
}

// The first line with anything on it, up to the end of its first sentence; blanks collapsed, list and heading
// marks gone.
std::vector<char32_t> first_sentence(const std::vector<char32_t>& text) {
  std::vector<char32_t> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = text[i];
    if (c == '\n') {
      if (!out.empty()) break;
      continue;
    }
    if (blank(c)) {
      if (!out.empty() && out.back() != ' ') out.push_back(' ');
      continue;
    }
    if (invisible(c)) continue;
    if (out.empty() && (c == '#' || c == '*' || c == '-' || c == '>')) continue;
    if (!out.empty() && sentence_end(text, i)) {
      if (c == '?' || c == '!') out.push_back(c);
      break;
    }
    out.push_back(c);
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == ':' || out.back() == ',' || out.back() == ';'))
    out.pop_back();
  return out;
}

// Latin letters with marks, as one writes them without.
std::string_view plain(char32_t c) {
  static constexpr std::array<std::pair<std::string_view, std::u32string_view>, 30> letters{{
      {"a", U"àáâãåāăąÀÁÂÃÅĀĂĄ"},
      {"ae", U"äæÄÆ"},
      {"c", U"çćĉċčÇĆĈĊČ"},
      {"d", U"ďđðĎĐÐ"},
      {"e", U"èéêëēĕėęěÈÉÊËĒĔĖĘĚ"},
      {"g", U"ĝğġģĜĞĠĢ"},
      {"h", U"ĥħĤĦ"},
      {"i", U"ìíîïĩīĭįıÌÍÎÏĨĪĬĮİ"},
      {"j", U"ĵĴ"},
      {"k", U"ķĶ"},
      {"l", U"ĺļľŀłĹĻĽĿŁ"},
      {"n", U"ñńņňÑŃŅŇ"},
      {"o", U"òóôõøōŏőÒÓÔÕØŌŎŐ"},
      {"oe", U"öœÖŒ"},
      {"r", U"ŕŗřŔŖŘ"},
      {"s", U"śŝşšŚŜŞŠ"},
      {"ss", U"ßẞ"},
      {"t", U"ţťŧŢŤŦ"},
      {"th", U"þÞ"},
      {"u", U"ùúûũūŭůűųÙÚÛŨŪŬŮŰŲ"},
      {"ue", U"üÜ"},
      {"w", U"ŵŴ"},
      {"y", U"ýÿŷÝŸŶ"},
      {"z", U"źżžŹŻŽ"},
      {"", U"'’‘"},
      {"and", U"&"},
      {"plus", U"＋"},
      {"at", U"＠"},
      {"o", U"º"},
      {"a", U"ª"},
  }};
  for (const auto& [to, from] : letters) {
    if (from.find(c) != from.npos) return to;
  }
  return "-";
}

}  // namespace

std::string title_from(std::string_view description) {
  auto text = first_sentence(decode(description));
  if (text.size() > max_title) {
    std::size_t end = max_title - 1;  // room for the ellipsis
    const auto cut = end;
    while (end > 0 && text[end] != ' ') --end;
    // One word that long is cut where it is.
    if (end < max_title / 3) end = cut;
    text.resize(end);
    while (!text.empty() &&
           (text.back() == ' ' || text.back() == ',' || text.back() == ';' || text.back() == ':'))
      text.pop_back();
    text.push_back(0x2026);
  }
  std::string out;
  for (const auto c : text) encode(c, out);
  return out.empty() ? "Untitled task" : out;
}

std::string branch_from(std::string_view title, std::string_view prefix) {
  std::string words;
  const auto dash = [&] {
    if (!words.empty() && words.back() != '-') words += '-';
  };
  for (const auto c : decode(title)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      words += static_cast<char>(c);
    } else if (c >= 'A' && c <= 'Z') {
      words += static_cast<char>(c - 'A' + 'a');
    } else if (c < 0x80 && c != '\'' && c != '&') {
      dash();
    } else if (const auto p = plain(c); p == "-") {
      dash();
    } else {
      words += p;
    }
  }
  if (words.size() > max_branch_words) {
    const auto end = words.rfind('-', max_branch_words);
    words.resize(end == words.npos || end < max_branch_words / 3 ? max_branch_words : end);
  }
  while (!words.empty() && words.back() == '-') words.pop_back();
  if (words.empty()) words = "task";
  return std::string(prefix) + words;
}

std::string unique_branch(const std::string& branch, const std::function<bool(const std::string&)>& taken,
                          std::string_view last_resort) {
  if (!taken(branch)) return branch;
  for (int number = 2; number <= max_branch_number; ++number) {
    auto next = branch + "-" + std::to_string(number);
    if (!taken(next)) return next;
  }
  return branch + "-" + std::string(last_resort);
}

std::optional<std::string> branch_fault(std::string_view branch) {
  if (branch.empty()) return "it is empty";
  if (branch.size() > 200) return "it is longer than 200 bytes";
  if (branch == "@" || branch == "HEAD") return "git gives it another meaning";
  if (branch.front() == '-') return "it begins with a dash";
  if (branch.front() == '/' || branch.back() == '/' || branch.find("//") != branch.npos)
    return "a part of it is empty";
  if (branch.back() == '.') return "it ends with a dot";
  if (branch.find("..") != branch.npos) return "it contains two dots in a row";
  if (branch.find("@{") != branch.npos) return "it contains @{";
  for (const char c : branch) {
    if (static_cast<unsigned char>(c) < 0x21 || c == 0x7F)
      return "it contains a blank or a control character";
    if (std::string_view("~^:?*[\\").find(c) != std::string_view::npos)
      return std::string("it contains ") + c;
  }
  for (std::size_t at = 0; at <= branch.size();) {
    const auto end = std::min(branch.find('/', at), branch.size());
    const auto part = branch.substr(at, end - at);
    if (part.starts_with('.')) return "a part of it begins with a dot";
    if (part.ends_with(".lock")) return "a part of it ends with .lock";
    at = end + 1;
  }
  return std::nullopt;
}

}  // namespace troupe::actors

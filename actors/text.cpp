#include "actors/text.h"

namespace troupe::actors {
namespace {

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

constexpr std::string_view ellipsis = "…";

}  // namespace

std::string clip(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  if (bytes < ellipsis.size()) return {};
  auto end = bytes - ellipsis.size();
  while (end > 0 && continues(text[end])) --end;
  return std::string(text.substr(0, end)) + std::string(ellipsis);
}

std::string tail(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  if (bytes < ellipsis.size()) return {};
  auto begin = text.size() - (bytes - ellipsis.size());
  while (begin < text.size() && continues(text[begin])) ++begin;
  return std::string(ellipsis) + std::string(text.substr(begin));
}

std::int64_t stable_hash(std::string_view text) {
  std::uint64_t h = 14695981039346656037u;  // FNV-1a
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return static_cast<std::int64_t>(h >> 1);
}

}  // namespace troupe::actors

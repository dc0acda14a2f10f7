#include "cli/terminal.h"

#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <numeric>

#include <fmt/format.h>

namespace troupe::cli {

namespace {

bool set(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

const char* code(style s) {
  switch (s) {
    case style::bold:
      return "1";
    case style::dim:
      return "2";
    case style::red:
      return "31";
    case style::green:
      return "32";
    case style::yellow:
      return "33";
    case style::blue:
      return "34";
    case style::magenta:
      return "35";
    case style::cyan:
      return "36";
    case style::inverse:
      return "7";
  }
  return "0";
}

/// Length of the UTF-8 sequence that begins at `at`, 0 when it is none.
std::size_t sequence(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  std::size_t length = byte < 0x80                   ? 1
                       : byte >= 0xc2 && byte < 0xe0 ? 2
                       : (byte & 0xf0) == 0xe0       ? 3
                       : byte >= 0xf0 && byte < 0xf5 ? 4
                                                     : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

/// Skips an escape sequence that begins at `at`; its length.
std::size_t escape(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  if (end >= text.size()) return 1;
  if (text[end] == '[') {
    for (++end; end < text.size(); ++end) {
      if (text[end] >= 0x40 && text[end] <= 0x7e) return end + 1 - at;
    }
    return text.size() - at;
  }
  if (text[end] == ']') {
    for (++end; end < text.size(); ++end) {
      if (text[end] == '\a') return end + 1 - at;
      if (text[end] == '\x1b') return end + (end + 1 < text.size() ? 2 : 1) - at;
    }
    return text.size() - at;
  }
  return 2;
}

/// What stands at `at`: a character or an escape sequence, never a part of one.
struct piece {
  std::size_t length;
  std::size_t columns;
};

/// The C library's table of widths, whatever the locale of the process is.
std::size_t columns_of(wchar_t character) {
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == locale_t{}) return 1;
  const auto before = ::uselocale(utf8);
  const int width = ::wcwidth(character);
  ::uselocale(before);
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

piece piece_at(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte == 0x1b) return {escape(text, at), 0};
  const auto length = sequence(text, at);
  if (length <= 1) return {1, 1};
  auto character = static_cast<wchar_t>(byte & (0xff >> (length + 1)));
  for (std::size_t i = 1; i < length; ++i)
    character = character << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3f);
  return {length, columns_of(character)};
}

constexpr std::size_t unbounded = 1'000'000;
constexpr std::size_t least_width = 20;

std::size_t columns_of_terminal(int fd) {
  if (const char* named = std::getenv("COLUMNS")) {
    std::size_t width = 0;
    const std::string_view text(named);
    const auto read = std::from_chars(text.data(), text.data() + text.size(), width);
    if (read.ec == std::errc() && width > 0) return std::clamp(width, least_width, unbounded);
  }
  winsize size{};
  if (!isatty(fd)) return unbounded;
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= least_width ? size.ws_col : 80;
}

}  // namespace

terminal terminal::of(std::FILE* stream) {
  const int fd = fileno(stream);
  const bool person = isatty(fd) && !(std::getenv("TERM") && std::string_view(std::getenv("TERM")) == "dumb");
  const bool colour = set("CLICOLOR_FORCE") || (person && !set("NO_COLOR"));
  return {stream, colour, columns_of_terminal(fd)};
}

bool terminal::interactive() const {
  return isatty(fileno(stream_));
}

std::string terminal::paint(style s, std::string_view text) const {
  if (!colour_ || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code(s), text);
}

void terminal::write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream_);
  std::fflush(stream_);
}

void terminal::line(std::string_view text) {
  write(fmt::format("{}\n", text));
}

std::string plain(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte == 0x1b) {
      at += escape(text, at);
    } else if (byte == '\n' || byte == '\t') {
      out += lines ? text[at] : ' ';
      ++at;
    } else if (byte < 0x20 || byte == 0x7f) {
      ++at;
    } else if (const auto length = sequence(text, at); length == 0) {
      out += "\xef\xbf\xbd";
      ++at;
    } else {
      // C1 controls, which some terminals obey, and the marks that turn the direction of what follows.
      const auto character = text.substr(at, length);
      const bool c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0;
      const bool direction = (character >= "\xe2\x80\xaa" && character <= "\xe2\x80\xae") ||
                             (character >= "\xe2\x81\xa6" && character <= "\xe2\x81\xa9");
      if (!c1 && !(length == 3 && direction)) out += character;
      at += length;
    }
  }
  return out;
}

std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto piece = piece_at(text, at);
    count += piece.columns;
    at += piece.length;
  }
  return count;
}

std::string cut(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string out;
  std::size_t count = 0;
  bool painted = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto piece = piece_at(text, at);
    if (count + piece.columns + 1 > width) break;
    painted = painted || text[at] == '\x1b';
    count += piece.columns;
    out += text.substr(at, piece.length);
    at += piece.length;
  }
  return out + (painted ? "…\x1b[0m" : "…");
}

std::string padded(std::string_view text, std::size_t width) {
  const auto have = columns(text);
  return std::string(text) + std::string(have < width ? width - have : 0, ' ');
}

std::string wrapped(std::string_view text, std::size_t width, std::string_view first, std::string_view rest) {
  std::string out;
  std::string_view margin = first;
  while (true) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    do {
      const auto room = std::max<std::size_t>(width, columns(margin) + 20) - columns(margin);
      std::size_t at = 0, count = 0, blank = 0;
      while (at < line.size()) {
        const auto piece = piece_at(line, at);
        if (count + piece.columns > room) break;
        if (line[at] == ' ' && at > 0) blank = at;
        at += piece.length;
        count += piece.columns;
      }
      if (at < line.size() && line[at] != ' ' && blank > 0) at = blank;
      out += margin;
      out += line.substr(0, at);
      out += '\n';
      line.remove_prefix(at);
      if (line.starts_with(' ')) line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      margin = rest;
    } while (!line.empty());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t least_cell = 8;
/// Below this a column of words is not worth reading while others could be left out for it.
constexpr std::size_t readable_cell = 16;

/// Takes what is too much from the last column first, as it holds the words, then from the widest.
void narrow(std::vector<std::size_t>& widths, std::size_t room) {
  auto wanted = std::accumulate(widths.begin(), widths.end(), gap * (widths.size() - 1));
  const auto words =
      std::min(wanted - std::min(wanted, room), widths.back() - std::min(widths.back(), readable_cell));
  widths.back() -= words;
  wanted -= words;
  for (auto widest = std::ranges::max_element(widths); wanted > room && *widest > least_cell;
       widest = std::ranges::max_element(widths)) {
    --*widest;
    --wanted;
  }
}

}  // namespace

std::string table::text(const terminal& to) const {
  std::vector<std::size_t> shown(heads_.size()), widths(heads_.size());
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  for (std::size_t c = 0; c < heads_.size(); ++c) {
    widths[c] = columns(heads_[c]);
    for (const auto& row : rows_) {
      if (c < row.size()) widths[c] = std::max(widths[c], columns(row[c]));
    }
  }
  const auto crowded = [&] {
    std::size_t least = 0;
    for (const auto c : shown) least += std::min(widths[c], readable_cell) + gap;
    return least > to.width() + gap;
  };
  for (const auto c : optional_) {
    if (crowded()) std::erase(shown, c);
  }
  std::vector<std::size_t> room;
  for (const auto c : shown) room.push_back(widths[c]);
  narrow(room, to.width());
  const auto line = [&](const std::vector<std::string>& cells, bool head) {
    std::string out;
    for (std::size_t i = 0; i < shown.size() && shown[i] < cells.size(); ++i) {
      auto cell = cut(cells[shown[i]], room[i]);
      if (i + 1 < shown.size()) cell = padded(cell, room[i] + gap);
      out += cell;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return (head ? to.paint(style::dim, out) : out) + "\n";
  };
  std::string out = line(heads_, true);
  for (const auto& row : rows_) out += line(row, false);
  return out;
}

std::string bytes(std::uint64_t n) {
  static constexpr const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(n);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) value /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} B", n) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string duration(std::chrono::milliseconds d) {
  const auto ms = d.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  if (ms < 3'600'000) return fmt::format("{} min {} s", ms / 60'000, ms / 1000 % 60);
  return fmt::format("{} h {} min", ms / 3'600'000, ms / 60'000 % 60);
}

std::string ago(std::int64_t ms, std::int64_t now) {
  const auto seconds = (now - ms) / 1000;
  if (seconds < 2) return "just now";
  if (seconds < 120) return fmt::format("{} s ago", seconds);
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86'400);
}

std::string local_time(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace troupe::cli

// How text looks on a terminal: colour only where a person reads it, columns that line up, and nothing that
// comes from an agent, a repository or a server can move the cursor.
//
// Values; a stream's terminal may be used from one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

enum class style { bold, dim, red, green, yellow, blue, magenta, cyan, inverse };

class terminal {
 public:
  /// Colour when `stream` is a terminal that has some; NO_COLOR and CLICOLOR_FORCE decide otherwise.
  static terminal of(std::FILE* stream);
  terminal(std::FILE* stream, bool colour, std::size_t width)
      : stream_(stream), colour_(colour), width_(width) {}

  bool colour() const { return colour_; }
  /// Columns: what COLUMNS says, else the terminal. Unbounded where there is neither, because whoever reads a
  /// pipe wants whole lines.
  std::size_t width() const { return width_; }
  bool interactive() const;

  /// `text` in that style, or as it is without colour.
  std::string paint(style, std::string_view text) const;

  /// Writes and flushes, so that what is shown is never behind what happened.
  void write(std::string_view text);
  void line(std::string_view text = {});

 private:
  std::FILE* stream_;
  bool colour_;
  std::size_t width_;
};

/// Without control characters (but line ends and tabs where `lines`) and escape sequences, so that text of
/// others is only ever text. Bytes that are not UTF-8 become U+FFFD.
std::string plain(std::string_view text, bool lines = false);

/// How many columns a UTF-8 text takes: wide characters two, marks that combine and escape sequences none.
std::size_t columns(std::string_view text);
/// At most `width` columns, with … where something was cut.
std::string cut(std::string_view text, std::size_t width);
std::string padded(std::string_view text, std::size_t width);
/// Each line begins with `first` or, from the second on, `rest`; long lines are broken at blanks.
std::string wrapped(std::string_view text, std::size_t width, std::string_view first, std::string_view rest);

/// Columns as wide as their widest cell. Where that is more than the terminal has, the last one is cut, then
/// the widest ones; ids are short and so stay whole.
class table {
 public:
  /// `optional`: columns that are left out of a narrow terminal, the first one first.
  explicit table(std::vector<std::string> heads, std::vector<std::size_t> optional = {})
      : heads_(std::move(heads)), optional_(std::move(optional)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  std::string text(const terminal&) const;

 private:
  std::vector<std::string> heads_;
  std::vector<std::size_t> optional_;
  std::vector<std::vector<std::string>> rows_;
};

std::string bytes(std::uint64_t n);                     // "12.4 MB"
std::string duration(std::chrono::milliseconds);        // "340 ms", "2.1 s", "4 min 10 s"
std::string ago(std::int64_t ms, std::int64_t now_ms);  // "just now", "12 s ago", "3 days ago"
std::string local_time(std::int64_t ms);                // "2024-05-01 14:03:07"
std::int64_t now_ms();

}  // namespace troupe::cli

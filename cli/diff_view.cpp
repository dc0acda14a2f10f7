#include "cli/diff_view.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace troupe::cli {

namespace {

constexpr std::size_t lines_around = 2;

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

class writer {
 public:
  writer(const terminal& to, std::string_view margin, std::size_t max)
      : to_(to), margin_(margin), max_(max) {}

  void line(std::string_view text, std::optional<style> s) {
    if (++seen_ > max_) return;
    const auto shown = plain(text, true);
    out_ += fmt::format("{}{}\n", margin_, s ? to_.paint(*s, shown) : shown);
  }
  std::string done() {
    if (seen_ > max_) {
      const auto left = fmt::format("… {} more lines", seen_ - max_);
      out_ += fmt::format("{}{}\n", margin_, to_.paint(style::dim, left));
    }
    return std::move(out_);
  }

 private:
  const terminal& to_;
  std::string_view margin_;
  std::size_t max_, seen_ = 0;
  std::string out_;
};

}  // namespace

std::string coloured_diff(const terminal& to, std::string_view unified, std::string_view margin,
                          std::size_t max_lines) {
  writer out(to, margin, max_lines);
  bool header = true;
  for (const auto text : split(unified)) {
    if (text.starts_with("diff --git")) header = true;
    if (text.starts_with("@@")) {
      header = false;
      out.line(text, style::cyan);
    } else if (header) {
      out.line(text, style::bold);
    } else if (text.starts_with('+')) {
      out.line(text, style::green);
    } else if (text.starts_with('-')) {
      out.line(text, style::red);
    } else {
      out.line(text, {});
    }
  }
  return out.done();
}

std::string edit_diff(const terminal& to, const std::optional<std::string>& before, std::string_view after,
                      std::string_view margin, std::size_t max_lines) {
  const auto old_lines = split(before ? std::string_view(*before) : std::string_view());
  const auto new_lines = split(after);
  std::size_t head = 0, tail = 0;
  const auto shorter = std::min(old_lines.size(), new_lines.size());
  while (head < shorter && old_lines[head] == new_lines[head]) ++head;
  while (tail < shorter - head &&
         old_lines[old_lines.size() - 1 - tail] == new_lines[new_lines.size() - 1 - tail]) {
    ++tail;
  }
  writer out(to, margin, max_lines);
  const auto one = [&](char mark, std::string_view text, std::optional<style> s) {
    out.line(fmt::format("{} {}", mark, text), s);
  };
  for (std::size_t i = head > lines_around ? head - lines_around : 0; i < head; ++i)
    one(' ', new_lines[i], style::dim);
  for (std::size_t i = head; i < old_lines.size() - tail; ++i) one('-', old_lines[i], style::red);
  for (std::size_t i = head; i < new_lines.size() - tail; ++i) one('+', new_lines[i], style::green);
  const auto end = new_lines.size() - tail;
  for (std::size_t i = end; i < std::min(end + lines_around, new_lines.size()); ++i)
    one(' ', new_lines[i], style::dim);
  return out.done();
}

}  // namespace troupe::cli

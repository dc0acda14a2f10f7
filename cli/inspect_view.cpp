#include "cli/inspect_view.h"

#include <algorithm>

#include <fmt/format.h>

namespace troupe::cli {

namespace {

constexpr std::size_t longest_cell = 48;

std::string key_text(const json& key) {
  std::string text;
  for (const auto& part : key.is_array() ? key : json::array({key}))
    text += (text.empty() ? "" : ",") + shown(part);
  return text;
}

/// Times are milliseconds since 1970; columns of that name hold them.
std::string cell_text(const std::string& column, const json& value) {
  if ((column == "time" || column == "due" || column == "deadline") && value.is_number() &&
      value.get<std::int64_t>() > 0) {
    return local_time(value.get<std::int64_t>());
  }
  return shown(value);
}

}  // namespace

std::string shown(const json& value) {
  if (value.is_null()) return "-";
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  return plain(value.is_string() ? value.get<std::string>()
                                 : value.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::uint64_t number_in(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_number() ? at->get<std::uint64_t>() : 0;
}

void write_tree(terminal& out, const json& value, int depth) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  for (const auto& [name, inner] : value.items()) {
    if (inner.is_object() && !inner.empty()) {
      out.line(fmt::format("{}{}", indent, out.paint(style::bold, plain(name))));
      write_tree(out, inner, depth + 1);
    } else if (inner.is_array() && !inner.empty() && inner.front().is_object()) {
      out.line(fmt::format("{}{}", indent, out.paint(style::bold, plain(name))));
      for (const auto& one : inner) out.line(cut(fmt::format("{}  {}", indent, shown(one)), out.width()));
    } else {
      out.line(fmt::format("{}{} {}", indent, out.paint(style::dim, padded(plain(name), 20)), shown(inner)));
    }
  }
}

void write_change(terminal& out, const json& change) {
  if (!change.is_array() || change.size() < 4) {
    return out.line(fmt::format("    {} more changes than a turn records",
                                change.is_array() && change.size() > 1 ? shown(change[1]) : "?"));
  }
  const auto op = change[0].get<std::string>();
  const auto colour = op == "+" ? style::green : op == "-" ? style::red : style::yellow;
  std::string text =
      fmt::format("    {} {}[{}]", out.paint(colour, op), shown(change[1]), key_text(change[2]));
  for (const auto& [column, value] : change[3].items()) {
    text += fmt::format("  {} ", out.paint(style::dim, plain(column)));
    text += op == "~" ? fmt::format("{} → {}", shown(value.at(0)), shown(value.at(1))) : shown(value);
  }
  out.line(cut(text, out.width()));
}

void write_command(terminal& out, const json& one, bool changes) {
  const bool good = one.value("ok", true);
  const auto by = one.value("principal", "");
  out.line(fmt::format(
      "{} {}  turn {}  {} {}  {}  {}", out.paint(style::dim, std::to_string(number_in(one, "seq"))),
      out.paint(style::dim, one["time"].is_number() ? local_time(one["time"]) : shown(one["time"])),
      number_in(one, "turn"), good ? out.paint(style::green, "✔") : out.paint(style::red, "✘"),
      out.paint(style::bold, shown(one.at("name"))),
      plain(by.empty() ? shown(one.value("from", json())) : by),
      out.paint(style::dim, fmt::format("{} µs", number_in(one, "duration_us")))));
  const auto room = out.width();
  if (const auto from = one.value("sender", ""); one.value("from", "") == "actor")
    out.line(cut("    from   " + plain(from), room));
  if (one.contains("body")) out.line(cut("    body   " + shown(one["body"]), room));
  if (one.contains("result")) out.line(cut("    result " + shown(one["result"]), room));
  if (one.contains("error"))
    out.line(cut("    " + out.paint(style::red, "error  " + shown(one["error"])), room));
  if (!changes) return;
  for (const auto& change : one.value("changes", json::array())) write_change(out, change);
}

void write_rows(terminal& out, const json& rows, const std::vector<std::string>& columns) {
  auto names = columns;
  if (names.empty() && !rows.empty()) {
    for (const auto& [name, value] : rows.front().items()) names.push_back(name);
  }
  std::vector<std::string> heads;
  for (auto head : names) {
    std::ranges::transform(head, head.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    heads.push_back(plain(head));
  }
  table t(heads);
  for (const auto& row : rows) {
    std::vector<std::string> cells;
    for (const auto& name : names)
      cells.push_back(cut(cell_text(name, row.value(name, json())), longest_cell));
    t.row(std::move(cells));
  }
  out.write(t.text(out));
}

}  // namespace troupe::cli

// Who talks to whom, as text for Graphviz and as a picture.
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "cli/inspect_view.h"

namespace troupe::cli {

namespace {

/// "task" of org/acme/task/t1, "audit-log" of org/acme/audit-log.
std::string kind_of_key(const std::string& key) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= key.size();) {
    const auto end = std::min(key.find('/', at), key.size());
    parts.push_back(std::string_view(key).substr(at, end - at));
    at = end + 1;
  }
  return std::string(parts[parts.size() % 2 ? parts.size() - 1 : parts.size() - 2]);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return out + '"';
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

struct place {
  double x, y;
};

/// Actors on a circle, in the order of their names, beginning at the top.
std::map<std::string, place> on_a_circle(const json& edges, double radius, place middle) {
  std::map<std::string, place> places;
  for (const auto& e : edges) places[e["from"]] = places[e["to"]] = {};
  std::size_t n = 0;
  for (auto& [name, at] : places) {
    const auto angle = 2 * std::numbers::pi * static_cast<double>(n++) / static_cast<double>(places.size());
    at = {middle.x + radius * std::sin(angle), middle.y - radius * std::cos(angle)};
  }
  return places;
}

}  // namespace

json graph_of(const json& found, bool each) {
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::uint64_t>> sums;
  for (const auto& e : found.at("edges")) {
    const auto from = e["from"].get<std::string>(), to = e["to"].get<std::string>();
    auto& sum = sums[each ? std::pair{from, to} : std::pair{kind_of_key(from), kind_of_key(to)}];
    sum.first += number_in(e, "messages");
    sum.second += number_in(e, "waiting");
  }
  json edges = json::array();
  for (const auto& [pair, sum] : sums)
    edges.push_back(
        {{"from", pair.first}, {"to", pair.second}, {"messages", sum.first}, {"waiting", sum.second}});
  return edges;
}

std::string graph_as_dot(const json& edges) {
  std::string out =
      "digraph troupe {\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", "
      "fontsize=10];\n";
  for (const auto& e : edges) {
    out += fmt::format("  {} -> {} [label=\"{}\"{}];\n", quoted(e["from"]), quoted(e["to"]),
                       number_in(e, "messages"), number_in(e, "waiting") > 0 ? ", color=red" : "");
  }
  return out + "}\n";
}

std::string graph_as_svg(const json& edges) {
  constexpr double half_a_node = 14;
  const auto around = static_cast<double>(on_a_circle(edges, 1, {}).size());
  const double radius = std::max(140.0, around * 22), side = 2 * radius + 320;
  const place middle{side / 2, side / 2};
  const auto places = on_a_circle(edges, radius, middle);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {0:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n"
      "<style>path{{fill:none;stroke:#7a869a}}.waiting{{stroke:#c9372c}}.count{{fill:#5e6c84;font-size:11px}}"
      "</style>\n"
      "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"9\" "
      "markerHeight=\"9\" "
      "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 10 5 0 10z\" "
      "style=\"fill:#7a869a\"/></marker></defs>\n",
      side);
  for (const auto& e : edges) {
    const auto a = places.at(e["from"]), b = places.at(e["to"]);
    const auto dx = b.x - a.x, dy = b.y - a.y, length = std::hypot(dx, dy);
    // Bent to its right, so that two that answer each other do not lie on one another; a loop goes outwards.
    place bend{(a.x + b.x) / 2 - dy * 0.18, (a.y + b.y) / 2 + dx * 0.18};
    std::string path;
    if (length < 1) {
      const auto ox = (a.x - middle.x) / radius, oy = (a.y - middle.y) / radius;
      bend = {a.x + 58 * ox, a.y + 58 * oy};
      path = fmt::format("M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", a.x - 8 * oy,
                         a.y + 8 * ox, bend.x - 34 * oy, bend.y + 34 * ox, bend.x + 34 * oy, bend.y - 34 * ox,
                         a.x + 12 * oy + 12 * ox, a.y - 12 * ox + 12 * oy);
    } else {
      const auto ex = b.x - bend.x, ey = b.y - bend.y, end = std::hypot(ex, ey);
      path = fmt::format("M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}", a.x, a.y, bend.x, bend.y,
                         b.x - ex / end * half_a_node, b.y - ey / end * half_a_node);
    }
    const auto messages = number_in(e, "messages");
    out += fmt::format(
        "<path{} d=\"{}\" stroke-width=\"{:.1f}\" marker-end=\"url(#arrow)\"/>\n"
        "<text class=\"count\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
        number_in(e, "waiting") > 0 ? " class=\"waiting\"" : "", path,
        1 + std::log10(1.0 + static_cast<double>(messages)) * 0.8, (bend.x * 2 + a.x + b.x) / 4,
        (bend.y * 2 + a.y + b.y) / 4, messages);
  }
  for (const auto& [name, at] : places) {
    const bool left = at.x < middle.x - 1, centred = std::abs(at.x - middle.x) <= 1;
    out += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"10\" fill=\"#2f6feb\"/>\n"
        "<text text-anchor=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
        at.x, at.y,
        centred ? "middle"
        : left  ? "end"
                : "start",
        at.x + (centred ? 0
                : left  ? -16
                        : 16),
        at.y + (centred ? (at.y < middle.y ? -18 : 30) : 4), escaped(name));
  }
  return out + "</svg>\n";
}

}  // namespace troupe::cli

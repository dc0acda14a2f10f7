// What the inspector shows: changes of rows, and who talks to whom.
#include "cli/inspect_view.h"

#include <doctest/doctest.h>

#include "tests/cli/capture.h"

using namespace troupe::cli;
using troupe::cli::testing::capture;

namespace {

const json talked = {
    {"edges",
     {{{"from", "org/acme"}, {"to", "org/acme/task/t1"}, {"messages", 3}, {"waiting", 0}},
      {{"from", "org/acme"}, {"to", "org/acme/task/t2"}, {"messages", 4}, {"waiting", 1}},
      {{"from", "org/acme/task/t1"}, {"to", "org/acme/audit-log"}, {"messages", 1}, {"waiting", 0}}}}};

bool says(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("a graph adds up what kinds of actors sent each other, or shows each") {
  CHECK(graph_of(talked, false) ==
        json({{{"from", "org"}, {"to", "task"}, {"messages", 7}, {"waiting", 1}},
              {{"from", "task"}, {"to", "audit-log"}, {"messages", 1}, {"waiting", 0}}}));
  CHECK(graph_of(talked, true).size() == 3);
}

TEST_CASE("a graph for Graphviz names its nodes whatever is in them") {
  const auto dot = graph_as_dot({{{"from", "a\"b"}, {"to", "c"}, {"messages", 2}, {"waiting", 1}}});
  CHECK(says(dot, "\"a\\\"b\" -> \"c\" [label=\"2\", color=red];"));
}

TEST_CASE("a graph as a picture has each node once and each edge once, and its names are text") {
  const auto svg = graph_as_svg({{{"from", "<a&b>"}, {"to", "c"}, {"messages", 2}, {"waiting", 0}},
                                 {{"from", "c"}, {"to", "c"}, {"messages", 9}, {"waiting", 1}}});
  const auto count = [&](std::string_view what) {
    std::size_t n = 0;
    for (auto at = svg.find(what); at != svg.npos; at = svg.find(what, at + 1)) ++n;
    return n;
  };
  CHECK(count("<circle") == 2);
  CHECK(count("class=\"count\"") == 2);
  CHECK(count("class=\"waiting\"") == 1);
  CHECK(says(svg, "&lt;a&amp;b&gt;"));
  CHECK_FALSE(says(svg, "nan"));
}

TEST_CASE("a change of a row is one line, with what was and what is") {
  capture c;
  write_change(c.to, {"~", "purse", 1, {{"coins", {10, 6}}}});
  write_change(c.to, {"+", "books", {"left", 2}, {{"title", "a\x1b[2Jb"}}});
  const auto text = c.text();
  CHECK(says(text, "~ purse[1]  coins 10 → 6\n"));
  CHECK(says(text, "+ books[left,2]"));
  CHECK_FALSE(says(text, "\x1b"));
}

#include "tests/kit/domain_page.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace troupe::testing {
namespace {

using cells = std::vector<std::string>;

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" `");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" `") - first + 1));
}

cells split(std::string_view line) {
  cells out;
  line.remove_prefix(1);
  for (;;) {
    const auto end = line.find('|');
    if (end == line.npos) return out;
    out.push_back(trimmed(line.substr(0, end)));
    line.remove_prefix(end + 1);
  }
}

// Tables of one section: (heading above, first header cell) → rows.
struct table {
  std::string heading;
  cells header;
  std::vector<cells> rows;
};

std::vector<table> tables_of(std::string_view kind) {
  std::ifstream file(TROUPE_SOURCE_DIR "/docs/domain.md");
  REQUIRE_MESSAGE(file.good(), "docs/domain.md does not open");
  std::vector<table> out;
  std::string line, heading;
  bool inside = false, in_table = false;
  while (std::getline(file, line)) {
    if (line.starts_with("## ")) inside = trimmed(std::string_view(line).substr(3)) == kind;
    if (!inside) continue;
    if (line.starts_with("### ")) heading = line.substr(4);
    if (!line.starts_with("|")) {
      in_table = false;
      continue;
    }
    if (line.find("| ---") == 0) continue;
    if (!in_table) {
      out.push_back({heading, split(line), {}});
      in_table = true;
    } else {
      out.back().rows.push_back(split(line));
    }
  }
  return out;
}

std::size_t column(const table& t, std::string_view name) {
  const auto it = std::ranges::find(t.header, name);
  REQUIRE_MESSAGE(it != t.header.end(), "the table under '", t.heading, "' has no column ", name);
  return static_cast<std::size_t>(it - t.header.begin());
}

const table* find(const std::vector<table>& all, std::string_view first_header) {
  for (const auto& t : all) {
    if (t.header.front() == first_header) return &t;
  }
  return nullptr;
}

const schema_file* file_of(const kind& k, const std::string& name) {
  const auto it = std::ranges::find(k.schema.files, name, &schema_file::name);
  return it == k.schema.files.end() ? nullptr : &*it;
}

// "`a`, `b?`" as the set {a, b?}; "{}" and "outcome" as the empty one.
std::set<std::string> members_in(const std::string& cell) {
  std::set<std::string> out;
  std::stringstream words(cell);
  std::string word;
  while (std::getline(words, word, ',')) {
    if (const auto name = trimmed(word); !name.empty() && name != "{}" && name != "outcome") out.insert(name);
  }
  return out;
}

std::set<std::string> members_of(const kind& k, std::string_view name) {
  std::set<std::string> out;
  const auto* file = file_of(k, std::string(name) + ".body.json");
  if (!file) return out;
  const auto schema = nlohmann::json::parse(file->text);
  std::set<std::string> required;
  for (const auto& r : schema.value("required", nlohmann::json::array()))
    required.insert(r.get<std::string>());
  const auto properties = schema.value("properties", nlohmann::json::object());
  for (const auto& [member, about] : properties.items()) {
    out.insert(required.contains(member) ? member : member + "?");
  }
  return out;
}

void check_rows(const table* t, std::string_view what, const std::set<std::string>& wanted) {
  if (!t) {
    CHECK_MESSAGE(wanted.empty(), what, ": the page has no table of them");
    return;
  }
  std::set<std::string> found;
  for (const auto& row : t->rows)
    CHECK_MESSAGE(found.insert(row.front()).second, row.front(), " stands twice");
  for (const auto& name : wanted) CHECK_MESSAGE(found.contains(name), what, ": the page lacks ", name);
  for (const auto& name : found) CHECK_MESSAGE(wanted.contains(name), what, ": the code lacks ", name);
}

}  // namespace

void check_domain_page(const kind& k, std::initializer_list<page_states> states) {
  const auto tables = tables_of(k.name);
  REQUIRE_MESSAGE(!tables.empty(), "docs/domain.md has no section ## `", k.name, "` with tables");

  const auto* commands = find(tables, "command");
  std::map<std::string, const command_row*> rows;
  std::set<std::string> names;
  for (const auto& row : k.commands) {
    rows[std::string(row.name)] = &row;
    names.insert(std::string(row.name));
  }
  check_rows(commands, "commands", names);
  for (const auto& cells : commands ? commands->rows : std::vector<std::vector<std::string>>{}) {
    const auto it = rows.find(cells.front());
    if (it == rows.end()) continue;
    CHECK_MESSAGE(cells[column(*commands, "from")] == it->second->sender.text(), cells.front());
    CHECK_MESSAGE(cells[column(*commands, "audit")] == it->second->audit, cells.front());
    CHECK_MESSAGE(members_in(cells[column(*commands, "body")]) == members_of(k, cells.front()),
                  cells.front());
  }

  const auto* queries = find(tables, "query");
  names.clear();
  for (const auto& row : k.queries) names.insert(std::string(row.name));
  check_rows(queries, "queries", names);
  for (const auto& row : k.queries) {
    for (const auto& cells : queries ? queries->rows : std::vector<std::vector<std::string>>{}) {
      if (cells.front() != row.name) continue;
      CHECK_MESSAGE(cells[column(*queries, "role")] == row.role, row.name);
      CHECK_MESSAGE(members_in(cells[column(*queries, "body")]) == members_of(k, row.name), row.name);
    }
  }

  const auto* streams = find(tables, "stream");
  names.clear();
  for (const auto& row : k.streams) names.insert(std::string(row.name));
  check_rows(streams, "streams", names);
  for (const auto& row : k.streams) {
    for (const auto& cells : streams ? streams->rows : std::vector<std::vector<std::string>>{}) {
      if (cells.front() != row.name) continue;
      CHECK_MESSAGE(cells[column(*streams, "role")] == row.role, row.name);
      CHECK_MESSAGE(cells[column(*streams, "kept")] == (row.keep ? std::to_string(row.keep) : "all"),
                    row.name);
    }
  }

  std::size_t state_tables = 0;
  for (const auto& t : tables) state_tables += t.header.front() == "state";
  CHECK_MESSAGE(state_tables == states.size(), "the page shows ", state_tables, " tables of states");
  for (const auto& s : states) {
    const auto heading = "States of " + std::string(s.thing);
    const auto it = std::ranges::find_if(
        tables, [&](const table& t) { return t.heading == heading && t.header.front() == "state"; });
    REQUIRE_MESSAGE(it != tables.end(), "the page has no table under '### ", heading, "'");
    std::set<cells> shown(it->rows.begin(), it->rows.end()), coded;
    for (const auto& row : s.table)
      coded.insert({std::string(row.from), std::string(row.on), std::string(row.to)});
    for (const auto& row : coded)
      CHECK_MESSAGE(shown.contains(row), heading, ": the page lacks ", row[0], " ", row[1], " ", row[2]);
    for (const auto& row : shown) CHECK_MESSAGE(coded.contains(row), heading, ": the code lacks ", row[0]);
  }
}

void check_schemas(const kind& k) {
  std::set<std::string> known{"snapshot.json"};
  for (const auto& row : k.commands) {
    known.insert(std::string(row.name) + ".body.json");
    known.insert(std::string(row.name) + ".result.json");
    if (row.sender.role().empty()) continue;
    CHECK_MESSAGE(file_of(k, std::string(row.name) + ".body.json"), row.name);
    CHECK_MESSAGE(file_of(k, std::string(row.name) + ".result.json"), row.name);
  }
  for (const auto& row : k.queries) {
    for (const auto* suffix : {".body.json", ".result.json"}) {
      known.insert(std::string(row.name) + suffix);
      CHECK_MESSAGE(file_of(k, std::string(row.name) + suffix), row.name);
    }
  }
  for (const auto& row : k.streams) {
    known.insert(std::string(row.name) + ".entry.json");
    CHECK_MESSAGE(file_of(k, std::string(row.name) + ".entry.json"), row.name);
  }
  CHECK_MESSAGE(file_of(k, "snapshot.json"), k.name);
  for (const auto& file : k.schema.files)
    CHECK_MESSAGE(known.contains(std::string(file.name)), file.name, " belongs to no row of ", k.name);
}

}  // namespace troupe::testing

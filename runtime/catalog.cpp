#include "runtime/catalog.h"

#include <algorithm>
#include <stdexcept>

namespace troupe {

known_kind::known_kind(const kind& k) : kind_(&k) {
  const auto fault = [&](std::string_view what, std::string_view why) {
    throw std::logic_error("kind " + std::string(k.name) + ", " + std::string(what) + ": " +
                           std::string(why));
  };
  for (const auto& row : k.commands) {
    if (!row.handle) fault(row.name, "has no handler");
    const auto& f = row.sender;
    const bool outcomes_only = (f.allows_effect() || f.allows_reply()) && f.role().empty() &&
                               !f.allows_host() && f.text().find("parent") == std::string::npos;
    auto body = compile(row.name, ".body.json", !outcomes_only);
    compile(row.name, ".result.json", !f.role().empty());
    if (!commands_.emplace(row.name, known_command{&row, std::move(body)}).second)
      fault(row.name, "stands twice");
  }
  for (const auto& row : k.queries) {
    if (!row.handle) fault(row.name, "has no handler");
    auto body = compile(row.name, ".body.json", true);
    compile(row.name, ".result.json", true);
    if (commands_.contains(row.name) ||
        !queries_.emplace(row.name, known_query{&row, std::move(body)}).second) {
      fault(row.name, "stands twice");
    }
  }
}

std::unique_ptr<schema> known_kind::compile(std::string_view name, std::string_view suffix,
                                            bool required) const {
  const auto file = std::string(name) + std::string(suffix);
  const auto found = std::ranges::find(kind_->schema.files, file, &schema_file::name);
  if (found == kind_->schema.files.end()) {
    if (required)
      throw std::logic_error("kind " + std::string(kind_->name) + ": schema " + file + " is missing");
    return nullptr;
  }
  return std::make_unique<schema>(file, found->text);
}

const known_command* known_kind::command(std::string_view name) const {
  const auto it = commands_.find(name);
  return it == commands_.end() ? nullptr : &it->second;
}

const known_query* known_kind::query(std::string_view name) const {
  const auto it = queries_.find(name);
  return it == queries_.end() ? nullptr : &it->second;
}

const stream_row* known_kind::stream(std::string_view name) const {
  const auto it = std::ranges::find(kind_->streams, name, &stream_row::name);
  return it == kind_->streams.end() ? nullptr : &*it;
}

bool known_kind::secret_column(std::string_view table, std::string_view column) const {
  return std::ranges::any_of(kind_->secret_columns, [&](std::string_view s) {
    return s.size() == table.size() + 1 + column.size() && s.starts_with(table) && s[table.size()] == '.' &&
           s.ends_with(column);
  });
}

catalog::catalog(const std::vector<const kind*>& kinds) : kinds_(kinds) {
  for (const auto* k : kinds) {
    if (!known_.emplace(std::piecewise_construct, std::forward_as_tuple(k->name), std::forward_as_tuple(*k))
             .second) {
      throw std::logic_error("kind " + std::string(k->name) + " is declared twice");
    }
  }
}

const known_kind* catalog::find(std::string_view name) const {
  const auto it = known_.find(name);
  return it == known_.end() ? nullptr : &it->second;
}

bool catalog::knows_all_of(const key& k) const {
  for (auto up = std::optional(k); up; up = up->parent()) {
    if (!find(up->kind())) return false;
  }
  return true;
}

}  // namespace troupe

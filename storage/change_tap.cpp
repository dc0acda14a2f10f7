#include "storage/change_tap.h"

#include <algorithm>
#include <cstring>

#include <sqlite3.h>

#include "storage/database.h"

namespace troupe::storage {
namespace {

value_view view_of(sqlite3_value* v) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return sqlite3_value_double(v);
    case SQLITE_TEXT: {
      auto text = reinterpret_cast<const char*>(sqlite3_value_text(v));
      return std::string_view(text ? text : "", static_cast<std::size_t>(sqlite3_value_bytes(v)));
    }
    case SQLITE_BLOB: {
      auto bytes = static_cast<const std::byte*>(sqlite3_value_blob(v));
      return blob_view(bytes, static_cast<std::size_t>(sqlite3_value_bytes(v)));
    }
    default:
      return nullptr;
  }
}

using getter = int (*)(sqlite3*, int, sqlite3_value**);

void fill(sqlite3* connection, getter get, int columns, std::vector<value_view>& out) {
  out.clear();
  for (int i = 0; i < columns; ++i) {
    sqlite3_value* v = nullptr;
    out.push_back(get(connection, i, &v) == SQLITE_OK && v ? view_of(v) : value_view(nullptr));
  }
}

}  // namespace

change_tap::change_tap(database& db, sqlite3* connection, change_sink& sink)
    : connection_(connection), sink_(sink) {
  db.each("SELECT name FROM sqlite_schema WHERE type='table' AND rootpage>0", [&](const row& r) {
    auto found = std::make_unique<table>();
    found->name = r.get<std::string>(0);
    found->wanted = sink_.wants(found->name);
    tables_.push_back(std::move(found));
  });
  for (auto& t : tables_) {
    if (!t->wanted) continue;
    std::vector<std::pair<int, int>> key;  // place in the key, column
    db.each(
        "SELECT name, pk FROM pragma_table_xinfo(?) ORDER BY cid",
        [&](const row& r) {
          if (auto place = r.get<int>(1)) key.emplace_back(place, static_cast<int>(t->columns.size()));
          t->columns.push_back(r.get<std::string>(0));
        },
        t->name);
    std::sort(key.begin(), key.end());
    for (auto [place, column] : key) t->key.push_back(column);
  }
  sqlite3_preupdate_hook(
      connection_,
      [](void* self, sqlite3* c, int op, const char* schema, const char* name, sqlite3_int64 before,
         sqlite3_int64 after) { hook(self, c, op, schema, name, before, after); },
      this);
}

change_tap::~change_tap() {
  sqlite3_preupdate_hook(connection_, nullptr, nullptr);
}

void change_tap::hook(void* self, sqlite3*, int op, const char* schema, const char* name,
                      std::int64_t before_rowid, std::int64_t after_rowid) {
  if (std::strcmp(schema, "main") != 0) return;
  static_cast<change_tap*>(self)->changed(op, name, op == SQLITE_INSERT ? after_rowid : before_rowid);
}

void change_tap::changed(int op, const char* name, std::int64_t rowid) {
  auto& t = find(name);
  if (!t.wanted) return;
  int columns = sqlite3_preupdate_count(connection_);
  before_.clear();
  after_.clear();
  if (op != SQLITE_INSERT) fill(connection_, sqlite3_preupdate_old, columns, before_);
  if (op != SQLITE_DELETE) fill(connection_, sqlite3_preupdate_new, columns, after_);
  // A column added since record_changes() has no name here; without all names there are none.
  bool known = t.columns.size() == static_cast<std::size_t>(columns);
  sink_.changed({op == SQLITE_INSERT   ? change_op::insert
                 : op == SQLITE_DELETE ? change_op::remove
                                       : change_op::update,
                 t.name, rowid,
                 known ? std::span<const std::string>(t.columns) : std::span<const std::string>(),
                 known ? std::span<const int>(t.key) : std::span<const int>(), before_, after_});
}

change_tap::table& change_tap::find(const char* name) {
  if (name == last_name_ && last_->name == name) return *last_;
  auto found = std::find_if(tables_.begin(), tables_.end(), [&](auto& t) { return t->name == name; });
  if (found == tables_.end()) {
    tables_.push_back(std::make_unique<table>(table{name, sink_.wants(name)}));
    found = std::prev(tables_.end());
  }
  last_name_ = name;
  last_ = found->get();
  return *last_;
}

}  // namespace troupe::storage

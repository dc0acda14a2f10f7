// Ordered migrations, counted per component in one small table of each file.
#include <SQLiteCpp/Database.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/database.h"

namespace troupe::storage {
namespace {

constexpr std::string_view make_table =
    "CREATE TABLE storage_schema(component TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID, STRICT";

bool table_exists(sqlite3* db) {
  return sqlite3_table_column_metadata(db, "main", "storage_schema", "version", nullptr, nullptr, nullptr,
                                       nullptr, nullptr) == SQLITE_OK;
}

}  // namespace

int database::version(std::string_view component) {
  if (!table_exists(handle())) return 0;
  return one<int>("SELECT version FROM storage_schema WHERE component=?", component).value_or(0);
}

void database::migrate(std::span<const migration> steps, std::string_view component) {
  schema one{component, steps};
  migrate(std::span(&one, 1));
}

void database::migrate(std::span<const schema> schemas) {
  bool pending = false;
  for (auto& s : schemas) {
    for (std::size_t i = 0; i < s.steps.size(); ++i)
      if (s.steps[i].version != static_cast<int>(i) + 1)
        raise_misuse(
            fmt::format("step {} of {} calls itself version {}", i + 1, s.component, s.steps[i].version),
            "migrate", file_);
    int have = version(s.component), known = static_cast<int>(s.steps.size());
    if (have > known) refuse_newer(s.component, have, known);
    pending = pending || have < known;
  }
  if (!pending) return;

  transaction all(*this);
  if (!table_exists(handle())) script(make_table);
  for (auto& s : schemas) {
    int have = version(s.component);
    for (auto& step : s.steps.subspan(static_cast<std::size_t>(have))) {
      auto tried = fmt::format("migrate {} to version {}", s.component, step.version);
      execute(std::string(step.sql).c_str(), tried);
      if (!in_transaction()) raise_misuse("the step ended the transaction", tried, file_);
    }
    run("INSERT INTO storage_schema(component, version) VALUES(?, ?) "
        "ON CONFLICT(component) DO UPDATE SET version=excluded.version",
        s.component, s.steps.size());
  }
  all.commit();
}

}  // namespace troupe::storage

#include "storage/row.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/error.h"

namespace troupe::storage {
namespace {

[[noreturn]] void complain(sqlite3_stmt* statement, int column, std::string_view why) {
  auto file = sqlite3_db_filename(sqlite3_db_handle(statement), "main");
  auto name = sqlite3_column_name(statement, column);
  raise_misuse(fmt::format("column {} ({}) {}", column, name ? name : "there is none", why),
               fmt::format("read a row of «{}»", sqlite3_sql(statement)), file ? file : "");
}

}  // namespace

value to_value(const value_view& view) {
  return std::visit(
      [](const auto& held) -> value {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return std::string(held);
        } else if constexpr (std::is_same_v<T, blob_view>) {
          return blob(held.begin(), held.end());
        } else {
          return held;
        }
      },
      view);
}

bool row::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int row::columns() const {
  return sqlite3_column_count(statement_);
}

std::string_view row::name(int column) const {
  auto name = sqlite3_column_name(statement_, column);
  return name ? name : "";
}

value_view row::as_view(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return integer(column);
    case SQLITE_FLOAT:
      return real(column);
    case SQLITE_TEXT:
      return text(column);
    case SQLITE_BLOB:
      return bytes(column);
    default:
      return nullptr;
  }
}

value row::as_value(int column) const {
  return to_value(as_view(column));
}

std::int64_t row::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double row::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string_view row::text(int column) const {
  // The pointer first: asking for the size before could convert the value after the size was taken.
  auto text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return {text ? text : "", static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

blob_view row::bytes(int column) const {
  auto bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void row::require_value(int column) const {
  if (is_null(column)) complain(statement_, column, "is NULL; read it as std::optional");
}

void row::out_of_range(int column) const {
  complain(statement_, column,
           fmt::format("holds {}, which does not fit the type asked for", integer(column)));
}

}  // namespace troupe::storage

#include "runtime/inspect_parts.h"

#include "storage/changes.h"

namespace troupe {
namespace {

template <class Bytes>
std::string sql_literal(const Bytes& bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string hex = "x'";
  for (const auto b : bytes) {
    hex += digits[static_cast<unsigned char>(b) >> 4];
    hex += digits[static_cast<unsigned char>(b) & 15];
  }
  return hex + "'";
}

void show_blobs(json& j) {
  if (j.is_binary())
    j = sql_literal(j.get_binary());
  else if (j.is_structured()) {
    for (auto& inner : j) show_blobs(inner);
  }
}

}  // namespace

json to_json(const storage::value& v) {
  return std::visit(
      [](const auto& x) -> json {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, storage::blob>)
          return sql_literal(x);
        else
          return x;
      },
      v);
}

json rows_of(const storage::read_result& r) {
  json rows = json::array();
  for (const auto& row : r.rows) {
    json out = json::object();
    for (std::size_t i = 0; i < row.size(); ++i) out[r.columns[i]] = to_json(row[i]);
    rows.push_back(std::move(out));
  }
  return rows;
}

std::int64_t integer_of(const storage::value& v) {
  const auto* n = std::get_if<std::int64_t>(&v);
  return n ? *n : 0;
}

std::string string_of(const storage::value& v) {
  const auto* s = std::get_if<std::string>(&v);
  return s ? *s : std::string();
}

json parsed(const storage::value& v) {
  auto j = json::parse(string_of(v), nullptr, false);
  return j.is_discarded() ? json(nullptr) : j;
}

json changes_of(const storage::value& recorded, std::int64_t from, std::int64_t to) {
  const auto* data = std::get_if<storage::blob>(&recorded);
  if (!data) return json::array();
  const auto all = storage::as_text(*data);
  if (from < 0 || from > to || to > static_cast<std::int64_t>(all.size())) return json::array();
  auto changes = json::from_cbor(
      storage::as_cbor_array(all.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from))),
      true, false);
  if (changes.is_discarded()) return json::array();
  show_blobs(changes);
  return changes;
}

problem failed(const key& k, const storage::error& e, bool asked) {
  if (e.kind() == storage::failure::missing) return not_found("there is no actor " + k.str());
  if (e.kind() == storage::failure::misuse && asked) {
    return unprocessable(
        "bad_sql", e.reason().empty() ? e.what() : "SQLite does not take this statement: " + e.reason());
  }
  if (e.kind() == storage::failure::interrupted) {
    return unprocessable("query_too_slow",
                         asked ? "the statement took longer than 2 s and was ended; ask for less" : e.what());
  }
  return unavailable("storage", e.what());
}

problem bad_turn(std::string detail) {
  return {410, "turn_not_kept", std::move(detail)};
}

}  // namespace troupe

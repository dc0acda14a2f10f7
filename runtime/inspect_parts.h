// What the files of the inspector share: rows as JSON, and failures as problems.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/catalog.h"
#include "runtime/inspect.h"
#include "storage/reader.h"

namespace troupe {

using nlohmann::json;

json to_json(const storage::value&);
/// One object per row.
json rows_of(const storage::read_result&);
std::int64_t integer_of(const storage::value&);
std::string string_of(const storage::value&);
/// JSON that a column holds as text; null where it is none.
json parsed(const storage::value&);
/// The recorded changes between two offsets; blobs in the form of SQL literals.
json changes_of(const storage::value& recorded, std::int64_t from, std::int64_t to);
/// What reading an actor's file failed of. `asked`: the SQL is the caller's own, so a mistake in it is the
/// caller's.
problem failed(const key&, const storage::error&, bool asked = false);
problem bad_turn(std::string detail);

template <class Look>
inspector::result inspector::look(const key& k, Look&& f) const {
  auto is = known(k);
  if (auto* why = std::get_if<problem>(&is)) return *why;
  try {
    storage::reader db(file(k));
    return f(*std::get<const known_kind*>(is), db);
  } catch (const storage::error& e) {
    return failed(k, e);
  }
}

}  // namespace troupe

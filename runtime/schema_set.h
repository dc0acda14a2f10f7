// The tables and JSON Schemas of one kind, as schemas/ embeds them.
#pragma once

#include <span>
#include <string_view>

#include "storage/migration.h"

namespace troupe {

struct schema_file {
  std::string_view name;
  std::string_view text;
};

/// Everything of schemas/<kind>/: 0001.sql, 0002.sql, … are the migrations of the kind's own tables;
/// NAME.body.json and NAME.result.json the JSON Schemas of command or query NAME; snapshot.json;
/// STREAM.entry.json. The host refuses to start when a client's command or a query lacks one. Rows that only
/// take outcomes (from effect or reply alone) need none.
struct schema_set {
  std::span<const storage::migration> migrations;
  std::span<const schema_file> files;
};

}  // namespace troupe

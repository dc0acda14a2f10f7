// The kinds of a host, checked and with their schemas compiled.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/kind.h"
#include "runtime/schema.h"

namespace troupe {

/// A row of a kind's table with its body's schema (none for rows that only take outcomes).
struct known_command {
  const command_row* row;
  std::unique_ptr<schema> body;
};

struct known_query {
  const query_row* row;
  std::unique_ptr<schema> body;
};

/// Immutable after construction; thread-safe.
class known_kind {
 public:
  /// Throws std::logic_error naming the row that is at fault.
  explicit known_kind(const kind&);

  const kind& declared() const { return *kind_; }
  const known_command* command(std::string_view name) const;
  const known_query* query(std::string_view name) const;
  const stream_row* stream(std::string_view name) const;
  bool secret_column(std::string_view table, std::string_view column) const;

 private:
  std::unique_ptr<schema> compile(std::string_view name, std::string_view suffix, bool required) const;

  const kind* kind_;
  std::map<std::string_view, known_command> commands_;
  std::map<std::string_view, known_query> queries_;
};

class catalog {
 public:
  explicit catalog(const std::vector<const kind*>&);

  const known_kind* find(std::string_view name) const;
  /// Whether every ancestor is of a kind too: folders below an actor that are none of ours (a sandbox's
  /// files) hold no actors, whatever lies in them.
  bool knows_all_of(const key&) const;
  const std::vector<const kind*>& kinds() const { return kinds_; }

 private:
  std::vector<const kind*> kinds_;
  std::map<std::string_view, known_kind> known_;
};

}  // namespace troupe

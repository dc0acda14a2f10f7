// The preupdate hook of one connection, turned into calls of a change_sink. Owned by `database`, on its
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/changes.h"

struct sqlite3;

namespace troupe::storage {

class database;

class change_tap {
 public:
  // Reads the columns of the tables that the sink wants: the hook itself may not run SQL.
  change_tap(database&, sqlite3*, change_sink&);
  ~change_tap();
  change_tap(const change_tap&) = delete;
  change_tap& operator=(const change_tap&) = delete;

 private:
  struct table {
    std::string name;
    bool wanted = false;
    std::vector<std::string> columns{};
    std::vector<int> key{};
  };

  static void hook(void* self, sqlite3*, int op, const char* schema, const char* name,
                   std::int64_t before_rowid, std::int64_t after_rowid);
  void changed(int op, const char* name, std::int64_t rowid);
  table& find(const char* name);

  sqlite3* connection_;
  change_sink& sink_;
  std::vector<std::unique_ptr<table>> tables_;
  // SQLite hands out the same pointer for a table until its schema is read again, so the last one is worth
  // keeping; the text is compared all the same.
  const char* last_name_ = nullptr;
  table* last_ = nullptr;
  std::vector<value_view> before_, after_;  // kept for their memory
};

}  // namespace troupe::storage

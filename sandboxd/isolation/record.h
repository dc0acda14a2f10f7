// What a supervisor writes down about itself, so that whoever comes after a crash finds exactly its
// processes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sandboxd/descriptor.h"
#include "sandboxd/isolation/identity.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct supervisor_record {
  std::string nonce;
  process_identity supervisor;
  process_identity bwrap;  // pid 0 until it runs
  process_identity init;
  std::string state;                // starting, running, ended
  std::string why;                  // of ended
  std::vector<std::string> groups;  // control group folders, recorded before they are made
};

// In run/: the intent (the spec), the record, the lock that the supervisor holds while it lives.
inline std::filesystem::path intent_file(const sandbox_spec& s) {
  return s.run() / "intent.json";
}
inline std::filesystem::path record_file(const sandbox_spec& s) {
  return s.run() / "supervisor.json";
}
inline std::filesystem::path lock_file(const sandbox_spec& s) {
  return s.run() / "lock";
}

// Whole or not at all: a temporary file, fsync, rename.
outcome<done> write_record(const std::filesystem::path& file, const supervisor_record& record);
// Nothing when there is none or it makes no sense.
std::optional<supervisor_record> read_record(const std::filesystem::path& file);

outcome<done> write_whole(const std::filesystem::path& file, const std::string& text);

// The lock; EWOULDBLOCK while a supervisor lives. Given up by the kernel when its holder dies.
outcome<descriptor> take_lock(const std::filesystem::path& file);

}  // namespace troupe::sandboxd

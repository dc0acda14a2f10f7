#include "storage/error.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sqlite3.h>

namespace troupe::storage {
namespace {

std::string_view advice(failure kind) {
  switch (kind) {
    case failure::full:
      return "free some space on that disk; nothing of this transaction was kept";
    case failure::io:
      return "check the disk and the system's log, then open the file again";
    case failure::corrupt:
      return "restore this file from a backup; others are not affected";
    case failure::busy:
      return "find the other program that holds the file open for writing, then try again";
    case failure::constraint:
      return "the data breaks a rule of the table; nothing of the statement was kept";
    case failure::newer_schema:
      return "use the program that wrote the file, or a later one; the file was not touched";
    case failure::cannot_open:
      return "check the folder, its permissions, and the limit of open files";
    case failure::interrupted:
      return "it took longer than it may";
    case failure::missing:
      return "check the path, or restore the file from a backup";
    case failure::out_of_memory:
      return "give the process more memory or run fewer actors";
    case failure::misuse:
      return "this is a mistake in the calling code";
  }
  return "";
}

}  // namespace

std::string_view to_string(failure kind) {
  switch (kind) {
    case failure::full:
      return "full";
    case failure::io:
      return "io";
    case failure::corrupt:
      return "corrupt";
    case failure::busy:
      return "busy";
    case failure::constraint:
      return "constraint";
    case failure::newer_schema:
      return "newer_schema";
    case failure::cannot_open:
      return "cannot_open";
    case failure::interrupted:
      return "interrupted";
    case failure::missing:
      return "missing";
    case failure::out_of_memory:
      return "out_of_memory";
    case failure::misuse:
      return "misuse";
  }
  return "unknown";
}

error::error(failure kind, int sqlite_code, std::filesystem::path file, const std::string& text,
             std::string reason)
    : std::runtime_error(text),
      kind_(kind),
      sqlite_code_(sqlite_code),
      file_(std::move(file)),
      reason_(std::move(reason)) {}

failure classify(int code, int system_errno) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return failure::full;
    case SQLITE_IOERR:
      if (code == SQLITE_IOERR_NOMEM) return failure::out_of_memory;
      // A sync or a truncate that met a full disk or quota says so in errno alone.
      if (system_errno == ENOSPC || system_errno == EDQUOT) return failure::full;
      return failure::io;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return failure::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return failure::busy;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return failure::constraint;
    case SQLITE_READONLY:
      return code == SQLITE_READONLY_DBMOVED ? failure::missing : failure::cannot_open;
    case SQLITE_CANTOPEN:
      if (system_errno == ENOSPC || system_errno == EDQUOT) return failure::full;
      return failure::cannot_open;
    case SQLITE_PERM:
      return failure::cannot_open;
    case SQLITE_INTERRUPT:
      return failure::interrupted;
    case SQLITE_NOMEM:
      return failure::out_of_memory;
    default:
      return failure::misuse;
  }
}

void raise(int code, int system_errno, std::string_view why, std::string_view tried,
           const std::filesystem::path& file) {
  auto kind = classify(code, system_errno);
  // errno is a leftover of some earlier call unless the operating system had a part in this failure.
  bool system =
      system_errno != 0 && (kind == failure::io || kind == failure::cannot_open || kind == failure::full);
  throw error(kind, code, file,
              fmt::format("could not {} in {}: {} ({}, SQLite {}{}{}); {}", tried, file.native(), why,
                          to_string(kind), code, system ? ", " : "",
                          system ? std::strerror(system_errno) : "", advice(kind)),
              std::string(why));
}

void raise(sqlite3* connection, std::string_view tried, const std::filesystem::path& file) {
  raise(sqlite3_extended_errcode(connection), sqlite3_system_errno(connection), sqlite3_errmsg(connection),
        tried, file);
}

void raise_misuse(std::string_view why, std::string_view tried, const std::filesystem::path& file) {
  raise(SQLITE_MISUSE, 0, why, tried, file);
}

}  // namespace troupe::storage

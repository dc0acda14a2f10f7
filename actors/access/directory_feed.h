// Keeps a directory at the access actor's newest snapshot.
#pragma once

#include <memory>
#include <stop_token>
#include <thread>

#include "actors/access/directory.h"
#include "runtime/host.h"

namespace troupe::actors {

/// Owned by the program, after the host and the directory and destroyed before them. Any thread. A thread of
/// its own reads access.directory, whole, after every snapshot of `access` that says that it changed.
class directory_feed {
 public:
  /// The access actor exists (access.initialize). Until it has loaded once everybody stays unknown;
  /// await_loaded() waits.
  directory_feed(host&, directory&);
  ~directory_feed();
  directory_feed(const directory_feed&) = delete;
  directory_feed& operator=(const directory_feed&) = delete;

  /// False when it has not loaded by then.
  bool await_loaded(std::chrono::milliseconds timeout) const;

 private:
  class listener;
  void run(const std::stop_token&);
  bool load();

  host& host_;
  directory& directory_;
  std::shared_ptr<listener> listener_;
  subscription subscription_;
  std::jthread thread_;
};

}  // namespace troupe::actors

// The one backup that a server may be making, and how far it is. Private to this folder.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "runtime/backup.h"

namespace troupe::gateway {

/// Thread-safe.
class backup_job {
 public:
  /// Host and options outlive it.
  backup_job(host& h, std::vector<std::string> also) : host_(h), also_(std::move(also)) {}
  ~backup_job() { stop(); }

  /// False when one is being made.
  bool start(const std::filesystem::path& place);
  /// {"state":"none|running|done|failed","place","what","done","all","result","error"}
  nlohmann::json state() const;
  /// Gives up what is being made and waits for that.
  void stop();

 private:
  void run(const std::filesystem::path& place, const std::stop_token&);

  host& host_;
  const std::vector<std::string> also_;
  mutable std::mutex mutex_;
  nlohmann::json state_{{"state", "none"}};
  std::jthread thread_;
};

}  // namespace troupe::gateway

// One real sandbox for a test: made by `sandboxd supervise`, gone without a trace with its owner.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "net/wire/client.h"
#include "sandboxd/isolation/spec.h"

namespace isolation_kit {

// Empty: this machine makes sandboxes with namespaces. Else why not; tests skip with it.
const std::string& why_not();

// Looks again and again until it is true; false after 10 s.
bool eventually(const std::function<bool()>& what);

struct finished {
  int code = -1;
  std::string out, err;
};

// `sandboxd ARGS…`, its output as JSON.
nlohmann::json sandboxd(const std::vector<std::string>& arguments);

class box {
 public:
  explicit box(const std::function<void(troupe::sandboxd::sandbox_spec&)>& change = {});
  ~box();
  box(const box&) = delete;
  box& operator=(const box&) = delete;

  nlohmann::json start();  // again, after an end
  nlohmann::json reap(bool files);
  // A command line of sh inside, to its end.
  finished sh(const std::string& command, int seconds = 20);
  nlohmann::json call(const std::string& method, const std::string& target,
                      const nlohmann::json& body = nullptr, int* status = nullptr);
  nlohmann::json state() { return call("GET", "/v1/sandbox"); }

  // What is left of it on the host, in words; empty: nothing.
  std::string traces() const;

  const troupe::sandboxd::sandbox_spec& spec() const { return spec_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  troupe::sandboxd::sandbox_spec spec_;
  troupe::wire::blocking_client http_;
};

}  // namespace isolation_kit

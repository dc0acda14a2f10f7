#include "sandboxd/isolation/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

json identity_json(const process_identity& who) {
  return {{"pid", who.pid}, {"started", who.started}, {"boot", who.boot}};
}

process_identity identity_from(const json& value) {
  return {value.at("pid").get<pid_t>(), value.at("started").get<std::uint64_t>(),
          value.at("boot").get<std::string>()};
}

}  // namespace

outcome<done> write_whole(const std::filesystem::path& file, const std::string& text) {
  const auto next = file.string() + ".next";
  descriptor out{::open(next.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600)};
  if (!out) return os_error{errno, "write " + next};
  if (::write(out.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(out.get()) < 0)
    return os_error{errno ? errno : ENOSPC, "write " + next};
  if (::rename(next.c_str(), file.c_str()) < 0) return os_error{errno, "rename " + next};
  return done{};
}

outcome<done> write_record(const std::filesystem::path& file, const supervisor_record& record) {
  const json out = {{"nonce", record.nonce},
                    {"supervisor", identity_json(record.supervisor)},
                    {"bwrap", identity_json(record.bwrap)},
                    {"init", identity_json(record.init)},
                    {"state", record.state},
                    {"why", record.why},
                    {"groups", record.groups}};
  return write_whole(file, out.dump(2, ' ', false, json::error_handler_t::replace));
}

std::optional<supervisor_record> read_record(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object()) return {};
  try {
    supervisor_record out;
    out.nonce = value.at("nonce").get<std::string>();
    out.supervisor = identity_from(value.at("supervisor"));
    out.bwrap = identity_from(value.at("bwrap"));
    out.init = identity_from(value.at("init"));
    out.state = value.at("state").get<std::string>();
    out.why = value.at("why").get<std::string>();
    out.groups = value.at("groups").get<std::vector<std::string>>();
    return out;
  } catch (const json::exception&) {
    return {};
  }
}

outcome<descriptor> take_lock(const std::filesystem::path& file) {
  descriptor fd{::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
  if (!fd) return os_error{errno, "open " + file.string()};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) return os_error{errno, "lock " + file.string()};
  return fd;
}

}  // namespace troupe::sandboxd

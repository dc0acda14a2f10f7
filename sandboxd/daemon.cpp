#include "sandboxd/daemon.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace troupe::sandboxd {
namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  if (DIR* d = ::opendir(folder.c_str())) {
    while (auto* e = ::readdir(d))
      if (e->d_name[0] != '.') out.push_back(e->d_name);
    ::closedir(d);
  }
  std::sort(out.begin(), out.end());
  return out;
}

outcome<done> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return os_error{errno, "make the state folder " + path};
  return done{};
}

std::uint64_t number_after(const std::string& text, std::size_t at) {
  return text.size() > at ? std::strtoull(text.c_str() + at, nullptr, 10) : 0;
}

}  // namespace

outcome<done> daemon::recover() {
  for (auto& path : {folder, folder + "/acp", folder + "/processes"})
    if (auto made = make_folder(path); !made) return made;
  lock.reset(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return os_error{errno, errno == EWOULDBLOCK ? "another daemon uses the state folder " + folder +
                                                      ": give this one its own with --state"
                                                : "lock the state folder " + folder};
  auto opened = key_ledger::open(folder + "/keys", ledger_options{});
  if (!opened) return opened.error();
  keys = std::move(opened).value();

  // What cannot be read is no reason not to start: it is of an earlier life, and nothing will be asked of it.
  std::error_code ignored;
  for (auto& name : names_in(folder + "/acp")) {
    auto path = folder + "/acp/" + name;
    next_connection_folder = std::max(next_connection_folder, number_after(name, 0) + 1);
    auto left = connection::recover(ex, where, path, options.connections);
    if (left)
      connections[left.value()->who().id] = left.value();
    else
      std::filesystem::remove_all(path, ignored);
  }
  std::ifstream(folder + "/next_process") >> next_process_number;
  next_process_number = std::max<std::uint64_t>(1, next_process_number);
  for (auto& name : names_in(folder + "/processes")) {
    auto path = folder + "/processes/" + name;
    auto number = number_after(name, 5);
    next_process_number = std::max(next_process_number, number + 1);
    auto left = process::recover(ex, where, path, config.max_log_bytes);
    if (left && number)
      processes[number] = left.value();
    else
      std::filesystem::remove_all(path, ignored);
  }
  trim_processes();
  return done{};
}

std::shared_ptr<process> daemon::find_process(const std::string& id) const {
  if (id.rfind("proc_", 0) != 0) return nullptr;
  auto found = processes.find(number_after(id, 5));
  // "proc_01" is not "proc_1".
  return found == processes.end() || found->second->what().id != id ? nullptr : found->second;
}

void daemon::trim_processes() {
  std::size_t exited = processes.size() - running_processes();
  for (auto at = processes.begin(); exited > max_exited_processes && at != processes.end();) {
    if (at->second->running()) {
      ++at;
      continue;
    }
    at->second->remove();
    at = processes.erase(at);
    --exited;
  }
}

std::size_t daemon::running_processes() const {
  return static_cast<std::size_t>(
      std::count_if(processes.begin(), processes.end(), [](auto& p) { return p.second->running(); }));
}

std::uint64_t daemon::next_process() {
  auto number = next_process_number++;
  std::ofstream(folder + "/next_process") << next_process_number;
  return number;
}

std::string daemon::new_connection_folder() {
  return folder + "/acp/" + std::to_string(next_connection_folder++);
}

}  // namespace troupe::sandboxd

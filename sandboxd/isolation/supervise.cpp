#include "sandboxd/isolation/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/launch.h"
#include "sandboxd/isolation/record.h"
#include "sandboxd/isolation/supervisor.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

constexpr int answer_limit_ms = 20'000;  // launch_limit and some

std::string line_of(const os_error& e) {
  return json{{"ok", false}, {"errno", e.number}, {"text", e.text}}.dump(-1, ' ', false,
                                                                         json::error_handler_t::replace);
}

void say(int to, const std::string& text) {
  const auto line = text + "\n";
  [[maybe_unused]] auto n = ::write(to, line.data(), line.size());
}

// The foreground half: waits for the first line of the other and repeats it.
int wait_for_answer(int from) {
  std::string text;
  for (;;) {
    pollfd wait{from, POLLIN, 0};
    const int ready = ::poll(&wait, 1, answer_limit_ms);
    if (ready == 0) {
      say(1, line_of({ETIMEDOUT, "the supervisor did not answer within 20 s"}));
      return 1;
    }
    char piece[4096];
    const ssize_t n = ::read(from, piece, sizeof(piece));
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) text.append(piece, static_cast<std::size_t>(n));
    if (n <= 0 || text.back() == '\n') break;
  }
  const json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) {
    say(1,
        line_of({EIO,
                 "the supervisor ended before it answered; see supervisor.log in the sandbox's run folder"}));
    return 1;
  }
  say(1, answer.dump());
  return answer.value("ok", false) ? 0 : 1;
}

void leave_terminal(const sandbox_spec& spec) {
  ::setsid();
  if (::chdir("/") < 0) return;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log =
      ::open((spec.run() / "supervisor.log").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  ::dup2(null, 0);
  ::dup2(null, 1);
  ::dup2(log >= 0 ? log : null, 2);
  if (null > 2) ::close(null);
  if (log > 2) ::close(log);
}

// Everything from the lock to the last request. `answer`: where the one line goes.
int supervise(const sandbox_spec& spec, const supervise_options& options, int answer) {
  auto fail = [&](const os_error& e) {
    say(answer, line_of(e));
    return 1;
  };
  ::umask(077);
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);

  auto lock = take_lock(lock_file(spec));
  if (!lock && lock.error().number == EWOULDBLOCK)
    return fail({EALREADY, "sandbox " + spec.key + " has a supervisor already"});
  if (!lock) return fail(lock.error());

  cgroups groups(spec.level == tier::none ? std::vector<cgroup_hierarchy>{}
                                          : cgroups::find(cgroup_sources::of_this_process()),
                 "sb-" + spec.nonce);
  supervisor_record record;
  record.nonce = spec.nonce;
  record.state = "starting";
  if (auto self = identify(::getpid())) record.supervisor = *self;
  for (const auto& folder : groups.folders()) record.groups.push_back(folder.string());
  if (auto wrote = write_record(record_file(spec), record); !wrote) return fail(wrote.error());
  // Without root (or a delegated tree) there are none; the provider knows from the probe and has promised
  // nothing.
  if (auto made = groups.create(spec.limits); !made) {
    (void)groups.remove();
    if (made.error().number != EACCES && made.error().number != EPERM && made.error().number != EROFS)
      return fail(made.error());
    groups = cgroups({}, "sb-" + spec.nonce);
  }

  std::optional<launched> inner;
  if (spec.level != tier::none) {
    auto got = launch(spec, groups);
    if (!got) {
      (void)groups.kill();
      (void)groups.remove();
      return fail(got.error());
    }
    inner = std::move(got).value();
    record.bwrap = inner->bwrap;
    record.init = inner->init;
  }
  supervisor body(spec, std::move(record), std::move(groups), std::move(inner));
  return body.run(options.service, [&](const os_error* e) {
    if (e) return void(fail(*e));
    say(answer, json{{"ok", true}, {"pid", ::getpid()}, {"socket", spec.socket.string()}}.dump());
    if (answer > 2) ::close(answer);
  });
}

}  // namespace

int run_supervise(const supervise_options& options) {
  auto read = read_spec(options.spec_file);
  if (auto* wrong = std::get_if<std::string>(&read)) {
    say(1, line_of({EINVAL, *wrong}));
    return 1;
  }
  const auto& spec = std::get<sandbox_spec>(read);
  if (spec.level == tier::none && !options.allow_no_isolation) {
    say(1, line_of({EPERM, "the tier none isolates nothing; it is refused without --unsafe-no-isolation"}));
    return 1;
  }
  if (spec.level == tier::landlock) {
    say(1, line_of({ENOTSUP, "the tier landlock is not built yet"}));
    return 1;
  }
  if (::mkdir(spec.run().c_str(), 0700) < 0 && errno != EEXIST) {
    say(1, line_of({errno, "make " + spec.run().string()}));
    return 1;
  }
  if (options.foreground) return supervise(spec, options, 1);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) {
    say(1, line_of({errno, "make a pipe"}));
    return 1;
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    say(1, line_of({errno, "start the supervisor: fork"}));
    return 1;
  }
  if (pid > 0) {
    ::close(ends[1]);
    return wait_for_answer(ends[0]);
  }
  ::close(ends[0]);
  leave_terminal(spec);
  return supervise(spec, options, ends[1]);
}

}  // namespace troupe::sandboxd

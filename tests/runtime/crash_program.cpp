// The process that the crash test kills: serves the bank's accounts in DATA and sends transfers without end.
//
//   crash-program DATA PREFIX full|normal     ids of transfers to send again on standard input, one a line
//
// Standard output, a line each: "t ID" before a transfer is sent, "a ID N" when it was answered with number
// N, "r ID CODE" when it was refused, "s KEY MOVES" for a snapshot.
#include <unistd.h>

#include <iostream>
#include <semaphore>
#include <string>
#include <vector>

#include "tests/runtime/crash_bank.h"

using namespace troupe;

namespace {

constexpr int in_flight = 32;
constexpr unsigned longest_life_seconds = 30;

// One write call a line: lines of several threads do not mix in a pipe.
void say(const std::string& line) {
  auto text = line + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) ::_exit(1);
}

class teller : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    auto s = json::parse(frame->data);
    if (!s.is_object()) return;
    say("s " + frame->actor.str() + " " +
        std::to_string(s.at("sent").get<std::int64_t>() + s.at("got").get<std::int64_t>()));
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  ::alarm(longest_life_seconds);
  const std::string prefix = argv[2];
  host h({.data = argv[1],
          .kinds = {&crash_bank::account()},
          .effects = {crash_bank::note()},
          .sync =
              std::string_view(argv[3]) == "full" ? storage::durability::full : storage::durability::normal});
  h.start();
  if (!crash_bank::open_all(h, std::chrono::seconds(10))) return 1;
  auto tell = std::make_shared<teller>();
  std::vector<subscription> topics;
  for (int i = 0; i < crash_bank::accounts; ++i)
    topics.push_back(
        h.subscribe(crash_bank::account_key(i), std::nullopt, "me", tell, [](std::optional<problem>) {}));

  std::counting_semaphore<> room(in_flight);
  auto send = [&](const std::string& id) {
    room.acquire();
    say("t " + id);
    h.command({.to = crash_bank::sender_of(id),
               .id = id,
               .name = "account.transfer",
               .body = crash_bank::body_of(id),
               .principal = "me"},
              [id, &room](reply r) {
                say(r.ok() ? "a " + id + " " + std::to_string(r.result().at("n").get<std::int64_t>())
                           : "r " + id + " " + r.error().code);
                room.release();
              });
  };
  for (std::string id; std::getline(std::cin, id);) send(id);
  for (int n = 0;; ++n) send(prefix + "-" + std::to_string(n));
}

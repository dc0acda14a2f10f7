// The proxy, over real sockets.
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "drivers/sandbox/network_door.h"
#include "net/wire/server.h"

using namespace troupe;
using namespace troupe::drivers;
namespace asio = wire::asio;

namespace {

// A loop on its own thread, a web server on loopback, and a door.
class fixture {
 public:
  explicit fixture(egress_rule rule) : work_(asio::make_work_guard(io_)) {
    char name[] = "/tmp/troupe-door-XXXXXX";
    folder_ = ::mkdtemp(name);
    server_ =
        std::make_unique<wire::server>(io_.get_executor(), [](wire::exchange& x) -> asio::awaitable<void> {
          auto answer =
              wire::response::text(200, "reached " + x.request().target + " as " +
                                            std::string(x.request().headers.find("host").value_or("?")));
          co_await x.reply(std::move(answer));
        });
    port = server_->listen("127.0.0.1", 0).value().port;
    for (auto& text : rule.allow)
      if (text == "SERVER") text = "127.0.0.1:" + std::to_string(port);
    door_options options;
    options.folder = folder_ / "net";
    options.peer_uid = ::geteuid();
    options.rule = std::move(rule);
    options.forwards.push_back({"forward-1.sock", {"127.0.0.1", port}});
    options.ledger = [this](const egress_record& record) {
      std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
    thread_ = std::thread([this] { io_.run(); });
    auto opened = network_door::open(io_.get_executor(), std::move(options));
    REQUIRE(opened);
    door_ = *opened;
  }
  ~fixture() {
    door_.reset();
    server_.reset();
    work_.reset();
    io_.stop();
    thread_.join();
    std::filesystem::remove_all(folder_);
  }

  // Everything that comes back until the other side ends. `second` is sent after the first answer began.
  std::string talk(const std::string& text, const std::string& socket = "proxy.sock",
                   const std::string& second = {}) {
    ++talks_;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ / "net" / socket).string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    std::string out;
    char piece[4096];
    bool sent = second.empty();
    for (ssize_t n; (n = ::recv(fd, piece, sizeof(piece), 0)) > 0;) {
      out.append(piece, static_cast<std::size_t>(n));
      if (!sent) {
        sent = true;
        REQUIRE(::send(fd, second.data(), second.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(second.size()));
      }
    }
    ::close(fd);
    return out;
  }

  egress_record last() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < end) {
      {
        std::lock_guard lock(mutex_);
        if (records_.size() >= talks_) return records_.back();  // written once the connection is over
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return {};
  }

  std::uint16_t port = 0;

 private:
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::filesystem::path folder_;
  std::unique_ptr<wire::server> server_;
  std::shared_ptr<network_door> door_;
  std::mutex mutex_;
  std::vector<egress_record> records_;
  std::size_t talks_ = 0;
  std::thread thread_;
};

bool begins(const std::string& text, const std::string& with) {
  return text.rfind(with, 0) == 0;
}

}  // namespace

TEST_CASE(
    "under the rule public the server's loopback is refused by address and by name, and the ledger says so") {
  fixture f({egress_rule::kind::public_addresses, {}});
  const auto port = std::to_string(f.port);
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1"}) {
    CAPTURE(host);
    const auto got = f.talk("CONNECT " + host + ":" + port + " HTTP/1.1\r\n\r\n");
    CHECK((begins(got, "HTTP/1.1 403") || begins(got, "HTTP/1.1 502")));
    CHECK_FALSE(f.last().allowed);
  }
  CHECK(begins(f.talk("GET http://127.0.0.1:" + port + "/x HTTP/1.1\r\nHost: example.org\r\n\r\n"),
               "HTTP/1.1 403"));
  CHECK(f.last().method == "GET");
  CHECK(f.last().host == "127.0.0.1");
}

TEST_CASE("an allowed address answers through an absolute-form request and through CONNECT") {
  fixture f({egress_rule::kind::allow_list, {"SERVER"}});
  const auto at = "127.0.0.1:" + std::to_string(f.port);
  auto got = f.talk("GET http://" + at +
                    "/x?y=1 HTTP/1.1\r\nHost: other.example\r\nProxy-Connection: keep-alive\r\n\r\n");
  CHECK(got.find("reached /x?y=1 as " + at) != std::string::npos);  // the host is the one that was checked
  CHECK(f.last().allowed);
  CHECK(f.last().address == "127.0.0.1");
  got = f.talk("CONNECT " + at + " HTTP/1.1\r\nHost: " + at + "\r\n\r\n", "proxy.sock",
               "GET /tunnel HTTP/1.1\r\nHost: " + at + "\r\nConnection: close\r\n\r\n");
  CHECK(begins(got, "HTTP/1.1 200"));
  CHECK(got.find("reached /tunnel") != std::string::npos);
}

TEST_CASE("what is not in the allow list is refused before anything is resolved") {
  fixture f({egress_rule::kind::allow_list, {"SERVER"}});
  CHECK(begins(f.talk("CONNECT nowhere.invalid:443 HTTP/1.1\r\n\r\n"), "HTTP/1.1 403"));
  CHECK(f.last().why.find("allow list") != std::string::npos);
  CHECK(begins(f.talk("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n"), "HTTP/1.1 403"));
}

TEST_CASE("a named forward reaches its address whatever the rule") {
  fixture f({egress_rule::kind::nothing, {}});
  const auto got = f.talk("GET /named HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "forward-1.sock");
  CHECK(got.find("reached /named") != std::string::npos);
  CHECK(begins(f.talk("CONNECT 127.0.0.1:" + std::to_string(f.port) + " HTTP/1.1\r\n\r\n"), "HTTP/1.1 403"));
}

TEST_CASE("what is no request to a proxy is answered 400 and a head beyond the limit 431") {
  fixture f({egress_rule::kind::public_addresses, {}});
  for (const std::string text : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n",
                                 "CONNECT x HTTP/1.1\r\n\r\n", "GET ftp://x/ HTTP/1.1\r\n\r\n",
                                 "GET http://u:p@x/ HTTP/1.1\r\n\r\n", "get http://x/ HTTP/1.1\r\n\r\n"}) {
    CAPTURE(text);
    CHECK(begins(f.talk(text), "HTTP/1.1 400"));
  }
  CHECK(begins(f.talk("GET http://x/ HTTP/1.1\r\nA: " + std::string(17'000, 'x')), "HTTP/1.1 431"));
}

#include <unistd.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "embedded_gateway/counter_server.h"
#include "net/wire/client.h"

using namespace troupe;
using nlohmann::json;

namespace {

class counters_at_work {
 public:
  counters_at_work() : server_(std::make_unique<counters::server>(data_, 0)) {}
  ~counters_at_work() {
    server_.reset();
    std::filesystem::remove_all(data_);
  }

  wire::response ask(std::string method, std::string target, const json& body = {}) {
    wire::request r;
    r.method = std::move(method);
    r.target = std::move(target);
    if (!body.is_null()) {
      r.headers.add("Content-Type", "application/json");
      r.body = body.dump();
    }
    const auto to = wire::endpoint::parse(server_->url());
    REQUIRE(to);
    auto got = client_.fetch(*to, std::move(r));
    REQUIRE_MESSAGE(got, got.error().text);
    return std::move(*got);
  }
  json read(const std::string& target) {
    const auto r = ask("GET", target);
    REQUIRE(r.status == 200);
    return json::parse(r.bytes());
  }

 private:
  static std::filesystem::path fresh() {
    std::string name = (std::filesystem::temp_directory_path() / "counters-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    return name;
  }
  const std::filesystem::path data_ = fresh();
  std::unique_ptr<counters::server> server_;
  wire::blocking_client client_;
};

}  // namespace

TEST_CASE("a kind of one's own answers over HTTP, and bodies that do not fit are refused at the door") {
  counters_at_work w;
  const std::string add = "/v1/actors/counter/apples/commands/counter.add";
  CHECK(json::parse(w.ask("POST", add, {{"n", 2}}).bytes())["value"] == 2);
  CHECK(w.read("/v1/actors/counter/apples/snapshot")["value"] == 2);
  CHECK(w.ask("POST", add, {{"n", "two"}}).status == 422);
  CHECK(w.ask("POST", "/v1/actors/counter/none/commands/counter.add", {{"n", 2}}).status == 404);
}

TEST_CASE("the inspector and the dashboard come with the gateway") {
  counters_at_work w;
  w.ask("POST", "/v1/actors/counter/pears/commands/counter.add", {{"n", 3}});
  CHECK(w.read("/v1/inspect/actors?kind=counter")["actors"].size() == 2);
  const auto why = w.read("/v1/inspect/actors/counter/pears/why?table=count&row=1")["changes"];
  CHECK(why[0]["change"] == json::parse(R"(["~", "count", 1, {"value": [0, 3]}])"));
  CHECK(w.ask("GET", "/").status == 200);
}

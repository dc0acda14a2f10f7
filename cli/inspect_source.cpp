#include "cli/inspect_source.h"

#include <filesystem>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/kinds.h"
#include "runtime/inspect.h"
#include "storage/error.h"

namespace troupe::cli {

namespace {

class served final : public inspect_source {
 public:
  explicit served(api& server) : server_(server) {}

  json all(const std::string& what, const wire::query& q) override {
    return server_.get(with("/v1/inspect/" + what, q));
  }
  json one(const std::string& key, const std::string& what, const wire::query& q) override {
    return server_.get(with(path(key) + (what.empty() ? "" : "/" + what), q));
  }
  json sql(const std::string& key, const std::string& statement) override {
    return server_.send("POST", path(key) + "/query", {{"sql", statement}});
  }

 private:
  static std::string path(const std::string& key) {
    return "/v1/inspect/actors/" + wire::percent_encode(key, true);
  }
  static std::string with(std::string path, const wire::query& q) {
    return q.all().empty() ? path : path + '?' + q.encode();
  }

  api& server_;
};

class at_rest final : public inspect_source {
 public:
  explicit at_rest(const std::filesystem::path& data) : looking_(data, kinds_of_troupe()) {}

  json all(const std::string& what, const wire::query& q) override {
    using waiting = inspector::waiting;
    const auto below = q.text("below");
    if (what == "actors") {
      inspector::filter f;
      f.prefix = q.text("prefix");
      f.kind = q.text("kind");
      f.after = q.text("after");
      f.limit = static_cast<std::size_t>(number(q, "limit", 100));
      if (q.has("awake")) f.awake = q.boolean("awake").value;
      return told(looking_.actors(f));
    }
    if (what == "outbox") return told(looking_.list(waiting::outbox, below));
    if (what == "effects") return told(looking_.list(waiting::effects, below));
    if (what == "feeds") return told(looking_.list(waiting::feeds, below));
    if (what == "timers") return told(looking_.list(waiting::timers, below));
    if (what == "dead") return told(looking_.dead(below));
    if (what == "graph") return told(looking_.graph(below));
    throw failure(fmt::format("a data folder at rest has no {}", what),
                  "start its server: troupe serve --data DIR");
  }

  json one(const std::string& name, const std::string& what, const wire::query& q) override {
    const auto k = known(name);
    if (what == "history") {
      return told(looking_.history(k, number(q, "after", 0), number(q, "limit", 100),
                                   q.boolean("newest").value_or(false)));
    }
    if (what == "at") return told(looking_.at(k, number(q, "turn", 0), q.text("table")));
    if (what == "diff") return told(looking_.diff(k, number(q, "from", 0), number(q, "to", 0)));
    if (what == "why") return told(looking_.why(k, q.text("table"), q.text("row"), number(q, "limit", 10)));
    if (what == "queue") return told(looking_.queue(k));
    return told(looking_.actor(k));
  }

  json sql(const std::string& name, const std::string& statement) override {
    return told(looking_.query(known(name), statement));
  }

 private:
  static key known(const std::string& name) {
    if (auto k = key::parse(name)) return *k;
    throw failure(fmt::format("{} is no key of an actor", plain(name)), "keys look like org/acme/task/t1");
  }
  static std::uint64_t number(const wire::query& q, std::string_view name, std::int64_t otherwise) {
    return static_cast<std::uint64_t>(q.integer(name, 0).value_or(otherwise));
  }
  static json told(inspector::result r) {
    if (auto* why = std::get_if<problem>(&r)) throw refused(*why);
    return std::get<json>(std::move(r));
  }

  const inspector looking_;
};

}  // namespace

std::unique_ptr<inspect_source> source_of(context& c) {
  namespace fs = std::filesystem;
  const fs::path data = c.data.empty() ? ".troupe" : c.data;
  const auto running = server_file::read(data / server_file::name);
  const bool runs = running && running->alive();
  // A folder that is named is meant, not another one's server.
  if (c.server_url.empty() && !runs && fs::exists(data / "host.sqlite")) {
    try {
      return std::make_unique<at_rest>(data);
    } catch (const storage::error& e) {
      throw failure(e.what());
    }
  }
  return std::make_unique<served>(c.server());
}

}  // namespace troupe::cli

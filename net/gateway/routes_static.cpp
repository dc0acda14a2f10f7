// The contract's documents and the dashboard: what is compiled into the program. No proof of who asks is
// needed.
#include <algorithm>

#include "dashboard/files.h"
#include "net/gateway/answers.h"
#include "net/gateway/context.h"
#include "net/gateway/contract.h"
#include "net/wire/deflate.h"

namespace troupe::gateway {

namespace {

constexpr std::string_view page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

asio::awaitable<void> document(std::shared_ptr<context> c, wire::exchange& ex, wire::shared_bytes text) {
  auto answer = wire::response::json(200, text);
  answer.headers.add("Cache-Control", "no-cache");
  co_await c->reply(ex, std::move(answer));
}

asio::awaitable<void> schema_file(std::shared_ptr<context> c, wire::exchange& ex) {
  const auto* k = c->actors.find_kind(ex.param("kind"));
  if (k) {
    for (const auto& file : k->schema.files) {
      if (file.name != ex.param("file")) continue;
      auto answer = wire::response::of(200, "application/schema+json", std::string(file.text));
      answer.headers.add("Cache-Control", "no-cache");
      co_await c->reply(ex, std::move(answer));
      co_return;
    }
  }
  auto why = not_found("there is no such schema");
  co_await c->refuse(ex, why, ex.request().path);
}

// `small`: the file compressed as far as it goes, once.
asio::awaitable<void> page(std::shared_ptr<context> c, wire::exchange& ex, const dashboard::file& f,
                           wire::shared_bytes small) {
  const auto& fields = ex.request().headers;
  const std::string etag(f.etag);
  bool same = fields.has_token("If-None-Match", etag) || fields.has_token("If-None-Match", "W/" + etag);
  auto answer = same ? wire::response::empty(304) : wire::response::of(200, f.type, std::string(f.bytes));
  answer.headers.add("ETag", etag);
  if (!same && small && fields.has_token("Accept-Encoding", "gzip")) compress(answer, small);
  answer.headers.add("Cache-Control", "no-cache");
  answer.headers.add("Content-Security-Policy", std::string(page_policy));
  answer.headers.add("X-Content-Type-Options", "nosniff");
  answer.headers.add("Referrer-Policy", "no-referrer");
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_contract_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto http = std::make_shared<const std::string>(openapi_of(c->actors.kinds(), c->options.version));
  auto ws = std::make_shared<const std::string>(asyncapi_of(c->actors.kinds(), c->options.version));
  r.on("GET", "/openapi.json", [c, http](wire::exchange& ex) { return document(c, ex, http); });
  r.on("GET", "/asyncapi.json", [c, ws](wire::exchange& ex) { return document(c, ex, ws); });
  r.on("GET", "/schemas/{kind}/{file}", [c](wire::exchange& ex) { return schema_file(c, ex); });
}

// Without a built dashboard the plain page is the first one.
void add_page_routes(wire::router& r, const std::shared_ptr<context>& c) {
  const auto files = dashboard::files();
  const bool built = std::ranges::any_of(files, [](const auto& f) { return f.name == "index.html"; });
  for (const auto& f : files) {
    wire::shared_bytes small;
    if (f.bytes.size() >= compressed_from)
      small = std::make_shared<const std::string>(wire::gzip(f.bytes, 9));
    const auto serve = [c, &f, small](wire::exchange& ex) { return page(c, ex, f, small); };
    r.on("GET", std::string("/").append(f.name), serve);
    if (f.name == "plain/index.html") r.on("GET", "/plain/", serve);
    if (f.name == (built ? "index.html" : "plain/index.html")) r.on("GET", "/", serve);
  }
}

}  // namespace troupe::gateway

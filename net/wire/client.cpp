#include "net/wire/client.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <list>

#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>

#include "net/wire/client_connection.h"
#include "net/wire/websocket_impl.h"

namespace troupe::wire {

namespace {

using response_parser = message_parser<false>;

std::string request_head(const endpoint& to, const request& what, const std::string& agent) {
  std::string out = what.method + " ";
  // A target with a line break would be a second request.
  for (char c : what.target)
    if (static_cast<unsigned char>(c) > 0x20 && c != 0x7F) out += c;
  out += " HTTP/1.1\r\n";
  if (!what.headers.has("Host")) append_field(out, "Host", host_field(to));
  if (!what.headers.has("User-Agent") && !agent.empty()) append_field(out, "User-Agent", agent);
  for (const auto& [name, value] : what.headers)
    if (!equal_ignoring_case(name, "Content-Length") && !equal_ignoring_case(name, "Transfer-Encoding"))
      append_field(out, name, value);
  bool may_have_body = what.method != "GET" && what.method != "HEAD" && what.method != "DELETE";
  if (!what.body.empty() || may_have_body)
    append_field(out, "Content-Length", std::to_string(what.body.size()));
  out += "\r\n";
  return out;
}

bool may_be_repeated(const request& what) {
  return what.method == "GET" || what.method == "HEAD" || what.method == "PUT" || what.method == "DELETE" ||
         what.headers.has("Idempotency-Key");
}

response head_of(const response_parser& parser) {
  response r;
  const auto& head = parser.get();
  r.status = static_cast<int>(head.result_int());
  for (const auto& field : head) r.headers.add(std::string(field.name_string()), std::string(field.value()));
  return r;
}

}  // namespace

struct client::impl : std::enable_shared_from_this<client::impl> {
  impl(executor e, client_options o) : ex(std::move(e)), options(std::move(o)) {}

  std::shared_ptr<connection> take_idle(const std::string& key) {
    std::lock_guard lock(mutex);
    auto now = clock::now();
    while (true) {
      auto found =
          std::find_if(idle.rbegin(), idle.rend(), [&](const auto& c) { return c->pool_key == key; });
      if (found == idle.rend()) return nullptr;
      auto one = *found;
      idle.erase(std::next(found).base());
      // A server that closed the connection has said so by now; bytes that nobody asked for are no better.
      bool good =
          now - one->idle_since < options.idle_limit && one->bytes->look() == transport::peer_state::quiet;
      if (good) {
        one->used_before = true;
        active.push_back(one->bytes);
        return one;
      }
      drop(one->bytes);
    }
  }

  // After its last byte has been read.
  void give_back(const std::shared_ptr<connection>& one) {
    std::lock_guard lock(mutex);
    forget(one->bytes);
    if (closed) return drop(one->bytes);
    one->bytes->read_by(time_point::max());
    one->bytes->write_by(time_point::max());
    one->idle_since = clock::now();
    auto same =
        std::count_if(idle.begin(), idle.end(), [&](const auto& c) { return c->pool_key == one->pool_key; });
    if (static_cast<std::size_t>(same) >= options.idle_per_endpoint) return drop(one->bytes);
    idle.push_back(one);
    while (!idle.empty() && (idle.size() > options.idle_total ||
                             one->idle_since - idle.front()->idle_since > options.idle_limit)) {
      drop(idle.front()->bytes);
      idle.pop_front();
    }
  }

  static void drop(const std::shared_ptr<transport>& t) {
    asio::post(t->get_executor(), [t] { t->close(); });
  }

  void forget(const std::shared_ptr<transport>& t) {
    active.remove_if([&](const auto& weak) {
      auto one = weak.lock();
      return !one || one == t;
    });
  }

  // For one that is not given back.
  void done_with(const std::shared_ptr<connection>& one) {
    std::lock_guard lock(mutex);
    forget(one->bytes);
    drop(one->bytes);
  }

  asio::awaitable<result<std::shared_ptr<connection>>> connect(executor strand, const endpoint& to,
                                                               time_point until) {
    until = std::min(until, clock::now() + options.connect_limit);
    on_socket told = [this](const std::shared_ptr<transport>& t) {
      std::lock_guard lock(mutex);
      active.push_back(t);
      if (closed) drop(t);
    };
    if (closed) co_return closed_by_us(to);
    co_return co_await open_connection(std::move(strand), to, until, contexts, std::move(told));
  }

  void close() {
    std::lock_guard lock(mutex);
    closed = true;
    for (auto& one : idle) drop(one->bytes);
    idle.clear();
    for (auto& weak : active)
      if (auto t = weak.lock()) drop(t);
    active.clear();
  }

  failure failed(const endpoint& to, const error_code& ec, std::string_view doing) const {
    if (closed || ec == asio::error::operation_aborted) return closed_by_us(to);
    auto text = std::string(doing) + " " + to.name() + ": ";
    if (ec == asio::error::timed_out) return {fault::timed_out, text + "it took too long"};
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
      return {fault::too_large, text + "the head of its answer is too long"};
    bool ended = ec == http::error::end_of_stream || ec == http::error::partial_message;
    if (!ended && ec.category() == make_error_code(http::error::bad_method).category())
      return {fault::protocol, text + "its answer is not HTTP: " + ec.message()};
    return {fault::closed,
            text + (ended ? "it ended the connection before its answer was whole" : ec.message())};
  }

  // Sends the request and reads the head of the answer. On the connection's strand. `nothing_came` is true
  // when it failed before a byte of an answer, so that another connection may be tried.
  asio::awaitable<std::optional<failure>> ask(connection& c, const endpoint& to, const request& what,
                                              time_point until, std::unique_ptr<response_parser>& parser,
                                              bool& nothing_came) {
    auto head = request_head(to, what, options.user_agent);
    c.bytes->write_by(until);
    c.bytes->read_by(until);
    error_code write_error;
    buffers3 out{asio::buffer(head), asio::buffer(what.body), asio::const_buffer()};
    co_await c.bytes->write(out, write_error);
    c.bytes->write_by(time_point::max());
    nothing_came = true;
    if (write_error == asio::error::timed_out) co_return failed(to, write_error, "sending to");
    // A server may refuse in words before it has read everything: what it said counts, not that it stopped
    // reading.
    error_code ec;
    do {
      parser = std::make_unique<response_parser>();
      parser->header_limit(static_cast<std::uint32_t>(options.response_header_bytes));
      parser->body_limit(no_body_limit);
      if (what.method == "HEAD") parser->skip(true);
      ec = co_await read_head(*c.bytes, c.buffer, *parser);
      if (ec != http::error::end_of_stream && !(ec && write_error) && ec != asio::error::connection_reset)
        nothing_came = false;
    } while (!ec && parser->get().result_int() < 200 && parser->get().result_int() != 101);
    if (ec)
      co_return failed(to, write_error && ec != asio::error::timed_out ? write_error : ec, "waiting for");
    co_return std::nullopt;
  }

  struct asked {
    std::shared_ptr<connection> on;
    std::unique_ptr<response_parser> parser;
  };

  // Either a connection whose answer's head has been read, or a failure. On `strand`s of its own.
  asio::awaitable<result<asked>> begin(const endpoint& to, const request& what, time_point until) {
    for (;;) {
      auto one = take_idle(pool_key_of(to));
      if (!one) {
        auto strand = executor(asio::make_strand(ex));
        auto opening = [&, this] { return connect(strand, to, until); };
        auto made = co_await asio::co_spawn(strand, opening, asio::use_awaitable);
        if (!made) co_return made.error();
        one = *made;
      }
      asked a{one, nullptr};
      bool nothing_came = false;
      auto failed = co_await asio::co_spawn(
          one->bytes->get_executor(),
          [&, this] { return ask(*one, to, what, until, a.parser, nothing_came); }, asio::use_awaitable);
      if (!failed) co_return a;
      done_with(one);
      bool again = one->used_before && nothing_came && failed->kind == fault::closed &&
                   may_be_repeated(what) && !closed && clock::now() < until;
      if (!again) co_return *failed;
    }
  }

  asio::awaitable<result<response>> take_body(asked& a, const endpoint& to, time_point until) {
    auto answer = head_of(*a.parser);
    std::string body;
    if (auto length = a.parser->content_length(); length && !a.parser->is_done())
      body.reserve(std::min<std::uint64_t>(*length, options.response_bytes));
    std::string piece(body_backlog, '\0');
    a.on->bytes->read_by(until);
    while (!a.parser->is_done()) {
      error_code ec;
      auto n = co_await read_body_some(*a.on->bytes, a.on->buffer, *a.parser, asio::buffer(piece), ec);
      if (ec) {
        done_with(a.on);
        co_return failed(to, ec, "reading the answer of");
      }
      if (body.size() + n > options.response_bytes) {
        done_with(a.on);
        co_return failure{fault::too_large, "the answer of " + to.name() + " is over the limit of " +
                                                std::to_string(options.response_bytes) + " bytes"};
      }
      body.append(piece, 0, n);
    }
    if (a.parser->keep_alive() && a.on->buffer.size() == 0) {
      give_back(a.on);
    } else {
      done_with(a.on);
    }
    answer.body = std::move(body);
    co_return answer;
  }

  executor ex;
  client_options options;
  tls_contexts contexts;
  std::atomic<bool> closed{false};
  std::mutex mutex;                              // guards what follows; held for moments only
  std::deque<std::shared_ptr<connection>> idle;  // oldest first
  std::list<std::weak_ptr<transport>> active;
};

struct response_stream::impl {
  impl(std::shared_ptr<client::impl> o, endpoint e, client::impl::asked a)
      : owner(std::move(o)), to(std::move(e)), asked(std::move(a)), head(head_of(*asked.parser)) {}

  std::shared_ptr<client::impl> owner;
  endpoint to;
  client::impl::asked asked;
  response head;
  sse_parser events;
  std::deque<sse_event> ready;
  std::atomic<bool> closed{false};
  bool over = false;  // the connection was given back or dropped

  ~impl() {
    if (!over) owner->done_with(asked.on);
  }

  void close() {
    closed = true;
    client::impl::drop(asked.on->bytes);
  }

  asio::awaitable<result<std::optional<std::string>>> read(clock::duration silence) {
    if (closed) co_return closed_by_us(to);
    if (over) co_return std::optional<std::string>();
    std::string piece(body_backlog, '\0');
    error_code ec;
    std::size_t n = 0;
    if (!asked.parser->is_done()) {
      asked.on->bytes->read_by(clock::now() + silence);
      n = co_await read_body_some(*asked.on->bytes, asked.on->buffer, *asked.parser, asio::buffer(piece), ec);
    }
    if (ec) {
      over = true;
      owner->done_with(asked.on);
      if (closed) co_return closed_by_us(to);
      co_return owner->failed(to, ec, "reading the stream of");
    }
    if (n > 0) {
      piece.resize(n);
      co_return std::optional<std::string>(std::move(piece));
    }
    over = true;
    if (asked.parser->keep_alive() && asked.on->buffer.size() == 0) {
      owner->give_back(asked.on);
    } else {
      owner->done_with(asked.on);
    }
    co_return std::optional<std::string>();
  }
};

response_stream::response_stream(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
response_stream::response_stream(response_stream&&) noexcept = default;
response_stream& response_stream::operator=(response_stream&& other) noexcept {
  if (this != &other) {
    if (impl_) close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
response_stream::~response_stream() {
  if (impl_ && !impl_->over) close();
}

int response_stream::status() const {
  return impl_->head.status;
}
const headers& response_stream::headers() const {
  return impl_->head.headers;
}

asio::awaitable<result<std::optional<std::string>>> response_stream::read(clock::duration silence) {
  auto i = impl_;
  auto work = [i, silence] { return i->read(silence); };
  co_return co_await asio::co_spawn(i->asked.on->bytes->get_executor(), work, asio::use_awaitable);
}

asio::awaitable<result<std::optional<sse_event>>> response_stream::read_event(clock::duration silence) {
  auto i = impl_;
  while (i->ready.empty()) {
    auto piece = co_await read(silence);
    if (!piece) co_return piece.error();
    if (!piece.value()) co_return std::optional<sse_event>();
    bool fits = i->events.feed(**piece, [&](sse_event&& e) {
      i->ready.push_back(std::move(e));
      return true;
    });
    if (!fits) {
      close();
      co_return failure{fault::too_large, "an event of the stream of " + i->to.name() + " is too long"};
    }
  }
  auto first = std::move(i->ready.front());
  i->ready.pop_front();
  co_return std::optional<sse_event>(std::move(first));
}

const std::string& response_stream::last_event_id() const {
  return impl_->events.last_event_id();
}
void response_stream::close() {
  impl_->close();
}

client::client(executor ex, client_options options)
    : impl_(std::make_shared<impl>(std::move(ex), std::move(options))) {}

client::~client() {
  close();
}

void client::close() {
  impl_->close();
}

asio::awaitable<result<response>> client::fetch(endpoint to, request what, clock::duration limit) {
  return fetch(std::move(to), std::move(what), clock::now() + limit);
}

asio::awaitable<result<response>> client::fetch(endpoint to, request what, time_point deadline) {
  auto i = impl_;
  auto begun = co_await i->begin(to, what, deadline);
  if (!begun) co_return begun.error();
  auto& a = *begun;
  auto reading = [&] { return i->take_body(a, to, deadline); };
  co_return co_await asio::co_spawn(a.on->bytes->get_executor(), reading, asio::use_awaitable);
}

asio::awaitable<result<response_stream>> client::open_stream(endpoint to, request what, time_point deadline) {
  auto i = impl_;
  auto begun = co_await i->begin(to, what, deadline);
  if (!begun) co_return begun.error();
  co_return response_stream(std::make_shared<response_stream::impl>(i, to, std::move(*begun)));
}

asio::awaitable<result<websocket>> client::connect_websocket(endpoint to, std::string target,
                                                             websocket_options options, time_point deadline) {
  auto i = impl_;
  auto here = co_await asio::this_coro::executor;
  auto made = co_await i->connect(here, to, deadline);
  if (!made) co_return made.error();
  auto one = *made;
  {
    std::lock_guard lock(i->mutex);
    i->forget(one->bytes);
  }
  peer who;
  who.address = to.name();
  who.unix_socket = to.scheme == endpoint::kind::unix_socket;
  auto socket = one->bytes->to_websocket(options, std::move(who));
  asio::steady_timer limit(here);
  auto late = std::make_shared<bool>(false);
  if (deadline != time_point::max()) {
    limit.expires_at(deadline);
    limit.async_wait([weak = std::weak_ptr(socket), late](const error_code& ec) {
      if (ec) return;
      *late = true;
      if (auto s = weak.lock()) s->cut();
    });
  }
  auto failed = co_await socket->connect(host_field(to), target);
  limit.cancel();
  if (failed) {
    socket->cut();
    if (*late) failed->kind = fault::timed_out;
    failed->text = to.name() + target.substr(0, target.find('?')) + ": " + failed->text;
    co_return std::move(*failed);
  }
  socket->start();
  co_return websocket(std::move(socket));
}

}  // namespace troupe::wire

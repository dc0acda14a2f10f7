// The feed agent.updates: a reader that follows the daemon's event stream, and a deliverer that hands batches
// to the session and acknowledges them once they are durable. Both run on one strand; between them is a
// bounded queue, so a slow session makes the reader stop, then the daemon's spool fill, then the agent wait.
#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>

#include "drivers/acp/driver.h"
#include "drivers/acp/protocol.h"
#include "drivers/daemon/perform.h"
#include "net/wire/signal.h"

namespace troupe::drivers::acp {
namespace {

using wire::asio::awaitable;

constexpr std::size_t max_batch_entries = 256;
constexpr std::size_t max_batch_bytes = 512u << 10;  // one entry alone may be longer
constexpr std::size_t max_queued_entries = 1024;
constexpr std::size_t max_queued_bytes = 8u << 20;        // and one entry
constexpr auto silence_limit = std::chrono::seconds(45);  // three heartbeats of the daemon
constexpr auto first_pause = std::chrono::milliseconds(50);
constexpr auto longest_pause = std::chrono::seconds(5);
constexpr auto acknowledge_limit = std::chrono::seconds(10);
constexpr auto hold_limit = std::chrono::seconds(1);  // of what may be the beginning of a secret
constexpr auto ended_mark = " ended";  // behind the position of the entry with which the agent's life ended

struct queued {
  std::uint64_t seq = 0;
  std::size_t bytes = 0;
  json entry;
};

struct position {
  std::uint64_t seq = 0;
  bool ended = false;
  std::string how;  // the agent ended: exit code, as JSON text

  static position parse(const std::string& text) {
    position p;
    std::from_chars(text.data(), text.data() + text.size(), p.seq);
    if (const auto at = text.find(ended_mark); at != std::string::npos) {
      p.ended = true;
      p.how = text.substr(at + std::string_view(ended_mark).size());
    }
    return p;
  }
};

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// " CODE" of an agent_exited message, as it stands behind ended_mark; nothing for any other message.
std::optional<std::string> exit_of(const json& message) {
  if (!message.is_object() || message.value("method", json()) != "_adapter/agent_exited") return std::nullopt;
  const auto params = message.value("params", json::object());
  return " " + (params.contains("code") ? params["code"].dump() : std::string("null"));
}

failed ended_with(const std::string& how, const std::string& said) {
  const auto code = how.substr(std::min(how.find_first_not_of(' '), how.size()));
  auto words = code == "null" || code.empty() ? std::string("the agent's process was ended by a signal")
                                              : "the agent's process ended with exit code " + code;
  if (!said.empty()) words += "; the end of what it wrote to stderr:\n" + said;
  return agent_failed(std::move(words));
}

// How an entry stands to the text that an agent says in pieces.
struct piece {
  std::string* text = nullptr;  // set: it is one, of this kind of update
  std::string kind;
  bool between = false;  // it says something beside the text (how much context is used, say)
};

piece piece_of(json& entry) {
  piece out;
  const auto message = entry.find("message");
  const json::json_pointer update("/params/update"), text("/content/text"), name("/sessionUpdate");
  if (message == entry.end() || !message->is_object() || !message->contains(update)) return out;
  auto& said = (*message)[update];
  if (!said.contains(name) || !said[name].is_string()) return out;
  out.kind = said[name].get<std::string>();
  if (!out.kind.ends_with("_chunk"))
    out.between = out.kind != "plan" && !out.kind.starts_with("tool_call");
  else if (said.contains(text) && said[text].is_string())
    out.text = &said[text].get_ref<std::string&>();
  return out;
}

class update_feed : public std::enable_shared_from_this<update_feed> {
 public:
  update_feed(wire::executor strand, daemon_client& daemons, options limits, find_redaction secrets,
              std::shared_ptr<feed_run> run)
      : strand_(strand),
        daemons_(daemons),
        limits_(limits),
        secrets_(std::move(secrets)),
        run_(std::move(run)),
        handle_(text_field(run_->body(), "handle")),
        connection_(text_field(run_->body(), "connection")),
        room_(strand),
        filled_(strand),
        committed_(strand) {}

  void begin() {
    const auto from = position::parse(run_->position());
    last_read_ = delivered_ = from.seq;
    // The end was stored and the server went down before it could be told.
    if (from.ended) {
      how_ = from.how;
      ended_ = true;
    }
    run_->on_stop([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        wire::asio::post(self->strand_, [self] { self->finish(std::nullopt); });
      }
    });
    wire::asio::co_spawn(
        strand_, [self = shared_from_this()] { return self->read(); }, wire::asio::detached);
    wire::asio::co_spawn(
        strand_, [self = shared_from_this()] { return self->deliver(); }, wire::asio::detached);
  }

 private:
  std::string target() const { return "/v1/acp/" + wire::percent_encode(connection_); }
  std::string about() const { return "following agent connection `" + connection_ + "`"; }
  bool full() const { return queue_.size() >= max_queued_entries || queued_bytes_ >= max_queued_bytes; }

  // Ends both coroutines; what is queued and not delivered is read again by whoever resumes the feed.
  void finish(std::optional<failed> why) {
    if (over_) return;
    over_ = true;
    if (stream_ != nullptr) stream_->close();
    room_.raise();
    filled_.raise();
    committed_.raise();
    if (why) run_->fail(why->why);
  }

  awaitable<void> read() {
    const auto self = shared_from_this();
    const auto give_up = wire::clock::now() + limits_.appear_limit;
    bool appeared = last_read_ > 0;
    auto pause = std::chrono::milliseconds(first_pause);
    while (!over_) {
      if (appeared) co_await acknowledge(delivered_);
      wire::request get;
      get.target = target();
      get.headers.set("Accept", "text/event-stream");
      if (last_read_ > 0) get.headers.set("Last-Event-ID", std::to_string(last_read_));
      const auto before = last_read_;
      auto stream =
          co_await daemons_.open_stream(handle_, about(), std::move(get), wire::clock::now() + silence_limit);
      if (over_) co_return;
      if (stream) {
        // From here on the daemon drops nothing that has not been acknowledged.
        if (!appeared) co_await acknowledge(0);
        appeared = true;
        if (over_) co_return;
        stream_ = &*stream;
        co_await read_events(*stream);
        stream_ = nullptr;
      } else if (stream.error().why.code == "not_found") {
        // Before its first call the connection is not known yet; a sandbox or a connection that was there is
        // gone.
        if (appeared || wire::clock::now() >= give_up) co_return finish(stream.error());
        pause = first_pause;
      } else if (!stream.error().again && stream.error().why.code != "timeout") {
        co_return finish(stream.error());
      }
      if (over_ || ended_) co_return;
      if (last_read_ > before) pause = first_pause;
      co_await room_.wait(wire::clock::now() + pause);
      pause = std::min<std::chrono::milliseconds>(pause * 2, longest_pause);
    }
  }

  awaitable<void> read_events(wire::response_stream& stream) {
    while (!over_ && !ended_) {
      if (full()) {
        co_await room_.wait();
        continue;
      }
      auto event = co_await stream.read_event(silence_limit);
      if (!event || !*event || over_) co_return;
      take(**event);
    }
  }

  void take(const wire::sse_event& event) {
    std::uint64_t seq = 0;
    const auto [end, bad] = std::from_chars(event.id.data(), event.id.data() + event.id.size(), seq);
    if (bad != std::errc{} || seq <= last_read_) return;  // read before, or not an entry
    if (seq > last_read_ + 1) push({seq - 1, 0, {{"seq", seq - 1}, {"gap", seq - 1 - last_read_}}});
    auto message = json::parse(event.data, nullptr, false);
    if (message.is_discarded()) {
      message = {
          {"jsonrpc", "2.0"},
          {"method", "_adapter/invalid_stdout"},
          {"params", {{"error", "the daemon's event is not JSON"}, {"raw", event.data.substr(0, 65536)}}}};
    }
    last_read_ = seq;
    if (auto how = exit_of(message)) {
      ended_ = true;
      how_ = *how;
    }
    push({seq, event.data.size(), {{"seq", seq}, {"time", now_ms()}, {"message", std::move(message)}}});
  }

  void push(queued one) {
    queued_bytes_ += one.bytes;
    queue_.push_back(std::move(one));
    filled_.raise();
  }

  // Takes secrets out of what is queued, also those that come in several pieces. How many entries may go: the
  // last pieces wait while they may be the beginning of one, for hold_limit at most.
  std::size_t mask_secrets() {
    const auto secrets = secrets_ ? secrets_(run_->actor().id_of("org")) : nullptr;
    if (secrets == nullptr || secrets->empty()) return queue_.size();
    std::vector<std::string*> pieces;
    std::vector<std::size_t> places;  // of them in the queue
    std::string kind = delivered_kind_, before = delivered_end_;
    for (std::size_t i = 0; i < queue_.size(); ++i) {
      const auto one = piece_of(queue_[i].entry);
      if (one.between) continue;
      if (one.text == nullptr || one.kind != kind) {
        secrets->apply(pieces, before);
        pieces.clear();
        places.clear();
        before.clear();
      }
      kind = one.text ? one.kind : "";
      if (one.text == nullptr) continue;
      pieces.push_back(one.text);
      places.push_back(i);
    }
    secrets->apply(pieces, before);
    run_kind_ = kind;
    run_text_ = before;
    for (const auto* text : pieces) run_text_ += *text;
    const auto open = secrets->open_end(run_text_);
    run_text_.erase(0, run_text_.size() - open);
    std::size_t held = 0;  // from the piece on in which the possible secret begins
    for (std::size_t i = pieces.size(), bytes = 0; i > 0 && bytes < open; --i) {
      bytes += pieces[i - 1]->size();
      held = queue_.size() - places[i - 1];
    }
    const auto now = wire::clock::now();
    if (held == 0 || ended_ || now >= held_until_.value_or(now + hold_limit)) {
      held_until_.reset();
      return queue_.size();
    }
    if (!held_until_) held_until_ = now + hold_limit;
    return queue_.size() - held;
  }

  awaitable<void> deliver() {
    const auto self = shared_from_this();
    while (!over_) {
      if (queue_.empty()) {
        if (ended_) co_return co_await tell_end();
        co_await filled_.wait();
        continue;
      }
      const auto ready = mask_secrets();
      if (ready == 0) {
        co_await filled_.wait(*held_until_);
        continue;
      }
      json entries = json::array();
      std::size_t bytes = 0;
      std::uint64_t seq = 0;
      while (entries.size() < std::min(ready, max_batch_entries) &&
             (entries.empty() || bytes + queue_.front().bytes <= max_batch_bytes)) {
        auto& one = queue_.front();
        seq = one.seq;
        bytes += one.bytes;
        queued_bytes_ -= one.bytes;
        entries.push_back(std::move(one.entry));
        queue_.pop_front();
      }
      if (queue_.empty()) {
        delivered_kind_ = run_kind_;
        delivered_end_ = run_text_;
      } else {
        delivered_kind_.clear();
        delivered_end_.clear();
      }
      room_.raise();
      auto at = std::to_string(seq);
      if (ended_ && queue_.empty()) at += ended_mark + how_;
      run_->deliver(std::move(at), std::move(entries), [committed = committed_] { committed.raise(); });
      co_await committed_.wait();
      if (over_) co_return;
      delivered_ = seq;
      co_await acknowledge(seq);
    }
  }

  // The process has ended and everything that it said is durable.
  awaitable<void> tell_end() {
    wire::request get;
    get.target = target() + "/status";
    auto answer =
        co_await daemons_.send(handle_, about(), std::move(get), wire::clock::now() + acknowledge_limit);
    std::string said;
    if (answer) said = end_of_stderr(json::parse(answer->bytes(), nullptr, false));
    finish(ended_with(how_, said));
  }

  // Cumulative, so that a lost one is made up for by the next.
  awaitable<void> acknowledge(std::uint64_t seq) {
    wire::request post;
    post.method = "POST";
    post.target = target() + "/ack?seq=" + std::to_string(seq);
    [[maybe_unused]] const auto answer = co_await daemons_.send(handle_, "acknowledging", std::move(post),
                                                                wire::clock::now() + acknowledge_limit);
  }

  const wire::executor strand_;
  daemon_client& daemons_;
  const options limits_;
  const find_redaction secrets_;
  const std::shared_ptr<feed_run> run_;
  const std::string handle_;
  const std::string connection_;

  std::deque<queued> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t last_read_ = 0;  // sequence number of the newest event that was queued
  std::uint64_t delivered_ = 0;  // of the newest whose turn is durable
  // The run of pieces at the end of the queue, and its end that may be the beginning of a secret; the same of
  // what was delivered last, while nothing else is queued.
  std::string run_kind_, run_text_, delivered_kind_, delivered_end_;
  std::optional<wire::time_point> held_until_;
  bool ended_ = false;                       // true once the agent's end stands in the queue, or has left it
  std::string how_;                          // its exit code, from then on
  bool over_ = false;                        // true once nobody wants to hear more, or the feed has failed
  wire::response_stream* stream_ = nullptr;  // set while read_events() reads it
  wire::signal room_;                        // for the reader: the queue has room, or it is over
  wire::signal filled_;                      // for the deliverer
  wire::signal committed_;                   // for the deliverer: the turn of its batch is durable
};

}  // namespace

std::vector<feed_kind> feeds(wire::executor ex, daemon_client& daemons, options limits,
                             find_redaction secrets) {
  feed_kind updates;
  updates.name = "agent.updates";
  updates.start = [ex, &daemons, limits, secrets](std::shared_ptr<feed_run> run) {
    const wire::executor strand = wire::asio::make_strand(ex);
    std::shared_ptr<update_feed> feed;
    try {
      feed = std::make_shared<update_feed>(strand, daemons, limits, secrets, run);
    } catch (const std::exception& e) {
      return run->fail(invalid(std::string("the feed agent.updates cannot begin: ") + e.what()).why);
    }
    wire::asio::post(strand, [feed] { feed->begin(); });
  };
  return {std::move(updates)};
}

}  // namespace troupe::drivers::acp

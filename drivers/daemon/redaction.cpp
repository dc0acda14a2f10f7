#include "drivers/daemon/redaction.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "net/wire/message.h"

namespace troupe::drivers {
namespace {

constexpr std::size_t least_line =
    20;  // bytes of a line that counts alone: a key of many lines is cut up easily

std::string base64_of(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c : bytes) {
    held = held << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out += digits[held >> (bits - 6) & 63];
  }
  return out;  // the digits that are certain, whatever follows
}

// In base64 the same bytes look different at each of three offsets; the digits that neighbours share are left
// out.
void add_base64(std::set<std::string>& to, const std::string& value) {
  for (std::size_t offset = 0; offset < 3; ++offset) {
    auto digits = base64_of(std::string(offset, '\0') + value);
    digits.erase(0, offset == 0 ? 0 : offset + 1);
    if (digits.size() < redaction::least_bytes) continue;
    to.insert(digits);
    std::ranges::replace(digits, '+', '-');
    std::ranges::replace(digits, '/', '_');
    to.insert(digits);
  }
}

void add(std::set<std::string>& to, const std::string& value) {
  if (value.size() < redaction::least_bytes) return;
  to.insert(value);
  to.insert(wire::percent_encode(value));
  const auto quoted = json(value).dump(-1, ' ', false, json::error_handler_t::replace);
  to.insert(quoted.substr(1, quoted.size() - 2));
  add_base64(to, value);
}

struct region {
  std::size_t begin, end;
};

/// Where secrets lie in the text, in order and apart from each other.
std::vector<region> regions(const std::vector<std::string>& forms, std::string_view text) {
  std::vector<region> found;
  for (const auto& form : forms)
    for (auto at = text.find(form); at != text.npos; at = text.find(form, at + form.size()))
      found.push_back({at, at + form.size()});
  std::ranges::sort(found, {}, &region::begin);
  std::vector<region> apart;
  for (const auto& one : found) {
    if (!apart.empty() && one.begin < apart.back().end)
      apart.back().end = std::max(apart.back().end, one.end);
    else
      apart.push_back(one);
  }
  return apart;
}

class redacting_effect final : public effect_run {
 public:
  redacting_effect(std::shared_ptr<effect_run> run, find_redaction find)
      : run_(std::move(run)), find_(std::move(find)) {}
  const key& actor() const override { return run_->actor(); }
  const std::string& id() const override { return run_->id(); }
  int attempt() const override { return run_->attempt(); }
  bool resumed() const override { return run_->resumed(); }
  const json& body() const override { return run_->body(); }
  const std::string& principal() const override { return run_->principal(); }
  std::chrono::steady_clock::time_point deadline() const override { return run_->deadline(); }
  void on_cancel(std::function<void()> f) override { run_->on_cancel(std::move(f)); }
  void succeed(json result) override {
    now()->apply(result);
    run_->succeed(std::move(result));
  }
  void fail(problem why, bool again) override {
    now()->apply(why.detail);
    run_->fail(std::move(why), again);
  }

 private:
  // A prompt takes hours: secrets change under it.
  std::shared_ptr<const redaction> now() const { return find_(actor().id_of("org")); }

  const std::shared_ptr<effect_run> run_;
  const find_redaction find_;
};

class redacting_feed final : public feed_run {
 public:
  redacting_feed(std::shared_ptr<feed_run> run, find_redaction find)
      : run_(std::move(run)), find_(std::move(find)) {}
  const key& actor() const override { return run_->actor(); }
  const std::string& id() const override { return run_->id(); }
  const json& body() const override { return run_->body(); }
  const std::string& principal() const override { return run_->principal(); }
  std::string position() const override { return run_->position(); }
  void deliver(std::string position, json entries, std::function<void()> committed) override {
    now()->apply(entries);
    run_->deliver(std::move(position), std::move(entries), std::move(committed));
  }
  void end(json result) override {
    now()->apply(result);
    run_->end(std::move(result));
  }
  void fail(problem why) override {
    now()->apply(why.detail);
    run_->fail(std::move(why));
  }
  void on_stop(std::function<void()> f) override { run_->on_stop(std::move(f)); }

 private:
  std::shared_ptr<const redaction> now() const { return find_(actor().id_of("org")); }

  const std::shared_ptr<feed_run> run_;
  const find_redaction find_;
};

}  // namespace

redaction::redaction(const std::vector<std::string>& values) {
  std::set<std::string> all;
  for (auto value : values) {
    // A file that was piped in ends with a line end, which is not said again.
    while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
    add(all, value);
    for (std::size_t at = 0; value.find('\n') != value.npos && at < value.size();) {
      const auto end = std::min(value.find('\n', at), value.size());
      if (end - at >= least_line) add(all, value.substr(at, end - at));
      at = end + 1;
    }
  }
  forms_.assign(all.begin(), all.end());
  std::ranges::stable_sort(forms_, [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

void redaction::apply(std::string& text) const {
  if (text.size() < least_bytes) return;
  apply({&text}, {});
}

void redaction::apply(json& value) const {
  if (empty()) return;
  if (value.is_string()) return apply(value.get_ref<std::string&>());
  if (value.is_structured())
    for (auto& one : value) apply(one);
}

void redaction::apply(const std::vector<std::string*>& pieces, std::string_view before) const {
  if (empty()) return;
  std::string whole(before);
  for (const auto* piece : pieces) whole += *piece;
  const auto found = regions(forms_, whole);
  if (found.empty()) return;
  std::size_t begin = before.size();
  for (auto* piece : pieces) {
    const auto end = begin + piece->size();
    std::string kept;
    auto at = begin;
    for (const auto& one : found) {
      if (one.end <= at || one.begin >= end) continue;
      if (one.begin > at) kept += whole.substr(at, one.begin - at);
      // One that began before all pieces is marked where they begin: what came before is gone already.
      if (one.begin >= begin || (begin == before.size() && one.begin < begin)) kept += mark;
      at = std::min(one.end, end);
    }
    *piece = kept + whole.substr(at, end - at);
    begin = end;
  }
}

std::size_t redaction::open_end(std::string_view text) const {
  std::size_t longest = 0;
  for (const auto& form : forms_) {
    for (auto size = std::min(form.size() - 1, text.size()); size > longest; --size)
      if (text.ends_with(std::string_view(form).substr(0, size))) longest = size;
  }
  return longest;
}

effect_kind redacted(effect_kind kind, find_redaction find) {
  kind.start = [start = std::move(kind.start), find = std::move(find)](std::shared_ptr<effect_run> run) {
    start(std::make_shared<redacting_effect>(std::move(run), find));
  };
  return kind;
}

feed_kind redacted(feed_kind kind, find_redaction find) {
  kind.start = [start = std::move(kind.start), find = std::move(find)](std::shared_ptr<feed_run> run) {
    start(std::make_shared<redacting_feed>(std::move(run), find));
  };
  return kind;
}

}  // namespace troupe::drivers

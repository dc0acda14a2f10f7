// The handler's side of a session.
#include <boost/beast/websocket/rfc6455.hpp>

#include "net/wire/session.h"

namespace troupe::wire {

const wire::request& exchange::request() const {
  return impl_.request;
}
wire::request& exchange::request() {
  return impl_.request;
}

const std::string& exchange::param(std::string_view name) const {
  static const std::string none;
  auto found = impl_.params.find(name);
  return found == impl_.params.end() ? none : found->second;
}

void exchange::set_param(std::string name, std::string value) {
  impl_.params.insert_or_assign(std::move(name), std::move(value));
}

asio::awaitable<bool> exchange::reply(response answer) {
  return impl_.owner.reply(impl_, std::move(answer));
}

asio::awaitable<bool> exchange::begin_stream(int status, headers fields) {
  return impl_.owner.begin_stream(impl_, status, std::move(fields));
}

asio::awaitable<bool> exchange::write(std::string bytes) {
  co_return co_await impl_.owner.write(impl_, bytes);
}

asio::awaitable<bool> exchange::write(shared_bytes bytes) {
  co_return !bytes || co_await impl_.owner.write(impl_, *bytes);
}

asio::awaitable<bool> exchange::finish() {
  return impl_.owner.finish(impl_);
}

asio::awaitable<result<std::optional<std::string>>> exchange::read_body() {
  return impl_.owner.read_body(impl_);
}

bool exchange::upgrade_requested() const {
  return beast::websocket::is_upgrade(impl_.parser.get());
}

asio::awaitable<std::optional<websocket>> exchange::upgrade(websocket_options options) {
  return impl_.owner.upgrade(impl_, std::move(options));
}

bool exchange::answered() const {
  return impl_.state != impl::answer::none;
}
bool exchange::gone() const {
  return impl_.owner.gone(impl_);
}

void exchange::on_gone(std::function<void()> f) {
  if (impl_.told_gone || gone()) {
    impl_.told_gone = true;
    if (f) f();
    return;
  }
  impl_.on_gone = std::move(f);
  if (impl_.on_gone) impl_.owner.watch();
}

bool exchange::stopping() const {
  return impl_.owner.context_->stopping;
}
executor exchange::get_executor() const {
  return impl_.owner.get_executor();
}

}  // namespace troupe::wire

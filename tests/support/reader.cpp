#include "simulation/reader.hpp"

namespace simulated {

reader::reader(kawait::testing::world& w, kawait::config c) : world(w), consumer(w.executor(), c) {
  consumer.subscribe(kafka::topic);
}

void reader::run() {
  consumer.async_run([this](std::error_code ec) { ended = ec; });
}

void reader::read_all(bool done) {
  consumer.async_next([this, done](std::error_code ec, kawait::batch b) {
    if (ec) {
      errors.push_back(ec);
      return;
    }
    order.push_back(b.partition());
    for (const kawait::record& r : b) seen[b.partition()].push_back(r.offset());
    if (done) b.done();
    b = kawait::batch();
    read_all(done);
  });
}

void reader::close() {
  consumer.async_close(kawait::close_options(), [this](std::error_code ec) { closed = ec; });
}

}  // namespace simulated

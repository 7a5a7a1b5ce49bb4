#include <kawait/wire/compression.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <iostream>
#include <span>
#include <string>

// Uses what each way of taking kawait into a program has to hand over: the headers, Asio's backend, the libraries. Without a consumer
// or its configuration, which are most of what there is to compile: one of the ways has them in consumer.cpp.
int main() {
  asio::io_context context(1);
  std::string text;
  asio::post(context, [&] {
    constexpr char frame[] = "\x28\xb5\x2f\xfd\0\x58\x31\0\0kawait";  // of zstd, which no option leaves out
    kawait::wire::decompressor codecs;
    kawait::wire::heap_slabs memory;
    kawait::wire::slab_ref slab;
    std::size_t size = 0;
    const auto failure = codecs.decompress(kawait::wire::codec::zstd, std::as_bytes(std::span(frame, sizeof frame - 1)),
                                           kawait::wire::default_decompression_limit, memory, slab, size);
    if (!failure) text.assign(reinterpret_cast<const char*>(slab->data()), size);
  });
  context.run();
  // TLS comes with a connection, which is not here: its two libraries by themselves.
  const bool tls = TLS_client_method() != nullptr;
  std::cout << text << ' ' << KAWAIT_VERSION << ", " << OpenSSL_version(OPENSSL_VERSION) << '\n';
  return text == "kawait" && tls ? 0 : 1;
}

// A response of one API, of any version: the first byte, then what follows the correlation id. An API each, all in one program, since the
// headers take the compiler longer than what is made of them.

#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/find_coordinator.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/protocol/offset_for_leader_epoch.hpp>
#include <kawait/protocol/sasl_authenticate.hpp>
#include <kawait/protocol/sasl_handshake.hpp>

#include <vector>

#include "fuzz/fuzz.hpp"

namespace {

using namespace kawait::protocol;

template <class response>
int message(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto version = static_cast<std::int16_t>(data[0] % (response::max_version + 1));
  if (version < response::min_version) return 0;
  response first;
  if (decode_response(first, fuzz::bytes(data + 1, size - 1), version)) return 0;
  // What was understood can be said again, and means the same.
  std::vector<std::byte> said, again;
  if (encode_body(said, first, version)) return 0;  // null, perhaps, where only a later version has it
  response second;
  fuzz::check(!decode_body(second, said, version), "an encoded message decodes");
  fuzz::check(!encode_body(again, second, version), "a decoded message is encoded again");
  fuzz::check(said == again, "a message comes back as it was");
  return 0;
}

constexpr fuzz::one_of apis[] = {
    {"api_versions", message<api_versions_response>},
    {"metadata", message<metadata_response>},
    {"find_coordinator", message<find_coordinator_response>},
    {"consumer_group_heartbeat", message<consumer_group_heartbeat_response>},
    {"offset_fetch", message<offset_fetch_response>},
    {"offset_commit", message<offset_commit_response>},
    {"list_offsets", message<list_offsets_response>},
    {"offset_for_leader_epoch", message<offset_for_leader_epoch_response>},
    {"fetch", message<fetch_response>},
    {"sasl_handshake", message<sasl_handshake_response>},
    {"sasl_authenticate", message<sasl_authenticate_response>},
};
const fuzz::one_of* api = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char*** argv) {
  api = &fuzz::called(apis, (*argv)[0]);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { return api->run(data, size); }

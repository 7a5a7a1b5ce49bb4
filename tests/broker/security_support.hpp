#pragma once

// A real Kafka with a listener of every kind, certificates of the tests' own, and SCRAM's users made by Kafka's tool.

#include "member_support.hpp"

#include <cstdlib>
#include <filesystem>

#include "support/certificates.hpp"

namespace kawait::tests::secured {

namespace fs = std::filesystem;

/// Ports of the node's listeners, above that of the plaintext one.
enum class listener : int { plaintext = 0, ssl = 10, mutual, elsewhere, expired, sasl_plaintext, sasl_ssl, renewed, rotated };

inline constexpr const char* password = "hunter2-scram";
inline constexpr const char* key_password = "hunter2-key";
inline constexpr const char* common_part = "hunter2";

/// The node, its certificates in files, and where its listeners are.
class secure_node {
 public:
  secure_node() : node_(1, properties()) {}
  ~secure_node() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  const std::string& plaintext() const noexcept { return node_.bootstrap(); }
  std::string at(listener l) const {
    const std::size_t colon = node_.bootstrap().rfind(':');
    return "127.0.0.1:" + std::to_string(std::stoi(node_.bootstrap().substr(colon + 1)) + static_cast<int>(l));
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  const authority& clients() const noexcept { return clients_; }
  void write_store(const std::string& name, const certificate& c) const { write_file(file(name), c.key + c.text); }
  /// Whose certificate the listener of TLS that is rotated shows from now on, or soon.
  asio::awaitable<void> show(admin& a, const std::string& name) const {
    std::string path = file(name);
    return a.set_broker(1, "listener.name.rotated.ssl.keystore.location", std::move(path));
  }

 private:
  static fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "kawait-security-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
    return name;
  }
  std::vector<std::string> properties() const {
    using seconds = std::chrono::seconds;
    write_file(file("ca.pem"), brokers_.text());
    write_file(file("clients.pem"), clients_.text());
    write_file(file("other.pem"), authority("somebody else").text());
    write_store("broker.pem", brokers_.issue("broker", {"IP:127.0.0.1"}));
    write_store("elsewhere.pem", brokers_.issue("elsewhere", {"DNS:elsewhere"}));
    write_store("next.pem", next_.issue("broker", {"IP:127.0.0.1"}));
    write_file(file("both.pem"), brokers_.text() + next_.text());
    write_store("expired.pem", brokers_.issue("broker", {"IP:127.0.0.1"}, validity(seconds(-7200), seconds(-60))));
    const certificate own = clients_.issue("alice", {}, validity(), key_password);
    write_file(file("alice.pem"), own.text);
    write_file(file("alice.key"), own.key);

    const std::vector<std::pair<std::string, int>> names = {{"SSL", 11},     {"MUTUAL", 12},         {"ELSEWHERE", 13}, {"EXPIRED", 14},
                                                            {"SASL_PLAINTEXT", 15}, {"SASL_SSL", 16}, {"RENEWED", 17},
                                                            {"ROTATED", 18}};
    std::string all = "PLAINTEXT://127.0.0.1:@1@";
    for (const auto& [name, port] : names) all += "," + name + "://127.0.0.1:@" + std::to_string(port) + "@";
    std::vector<std::string> p = {
        "listeners=" + all + ",CONTROLLER://127.0.0.1:@101@",
        "advertised.listeners=" + all,
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,MUTUAL:SSL,ELSEWHERE:SSL,EXPIRED:SSL,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,RENEWED:SASL_PLAINTEXT,ROTATED:SSL",
        "ssl.keystore.type=PEM",
        "ssl.keystore.location=" + file("broker.pem"),
        "ssl.truststore.type=PEM",
        "ssl.truststore.location=" + file("clients.pem"),
        "listener.name.mutual.ssl.client.auth=required",
        "listener.name.mutual.ssl.enabled.protocols=TLSv1.2",
        "listener.name.elsewhere.ssl.enabled.protocols=TLSv1.3",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.renewed.sasl.enabled.mechanisms=SCRAM-SHA-256,OAUTHBEARER",
        "listener.name.renewed.scram-sha-256.connections.max.reauth.ms=3000",
        "listener.name.renewed.oauthbearer.connections.max.reauth.ms=3000",
        std::string("scram-user=alice:") + password,
        "scram-user=bob:hunter2-bob",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS;User:alice;User:CN=alice",
        "listener.name.rotated.ssl.keystore.type=PEM",
        "listener.name.rotated.ssl.keystore.location=" + file("expired.pem"),
    };
    for (const std::string name : {"elsewhere", "expired"}) {
      p.push_back("listener.name." + name + ".ssl.keystore.type=PEM");
      p.push_back("listener.name." + name + ".ssl.keystore.location=" + file(name + ".pem"));
    }
    const std::string module = "org.apache.kafka.common.security.";
    for (const std::string name : {"sasl_plaintext", "sasl_ssl", "renewed"}) {
      const std::string of = "listener.name." + name + ".";
      for (const std::string hash : {"256", "512"}) {
        p.push_back(of + "scram-sha-" + hash + ".sasl.jaas.config=" + module + "scram.ScramLoginModule required;");
      }
      p.push_back(of + "plain.sasl.jaas.config=" + module + "plain.PlainLoginModule required user_alice=\"hunter2-plain\";");
      p.push_back(of + "oauthbearer.sasl.jaas.config=" + module +
                  "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";");
    }
    return p;
  }

  fs::path folder_ = make_folder();
  authority brokers_{"brokers"}, next_{"brokers of tomorrow"}, clients_{"clients"};
  cluster node_;
};

inline secure_node& node() {
  static secure_node shared;
  return shared;
}

using settings = std::map<std::string, std::string>;

/// What a client of the listener needs, by Kafka's names.
inline settings for_tls(settings more = {}) {
  more.insert({{"security.protocol", "SSL"}, {"ssl.ca.location", node().file("ca.pem")}});
  return more;
}
inline settings for_sasl(const std::string& mechanism, settings more = {}) {
  more.insert({{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", mechanism}, {"sasl.username", "alice"}, {"sasl.password", password}});
  return more;
}
inline settings for_both(const std::string& mechanism, settings more = {}) {
  more["security.protocol"] = "SASL_SSL";
  more["ssl.ca.location"] = node().file("ca.pem");
  return for_sasl(mechanism, std::move(more));
}
inline settings of_client() {
  return {{"ssl.certificate.location", node().file("alice.pem")},
          {"ssl.key.location", node().file("alice.key")},
          {"ssl.key.password", key_password}};
}

}  // namespace kawait::tests::secured

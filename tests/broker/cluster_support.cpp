#include "cluster_support.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kawait::tests {

namespace {

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string script(const char* name) { return shell_quoted(std::string(KAWAIT_TESTS_DIR) + "/kafka/" + name); }

std::string output_of(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("popen: " + command);
  std::string out;
  std::array<char, 256> part{};
  while (std::fgets(part.data(), static_cast<int>(part.size()), pipe)) out += part.data();
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::string make_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "kawait-broker-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
  return name;
}

}  // namespace

cluster::cluster(int nodes, const std::vector<std::string>& properties) : nodes_(nodes), directory_(make_directory()) {
  std::string command = "KAFKA_OWNER=" + std::to_string(::getpid()) + " " + script("kafka-up") + " " + shell_quoted(directory_) + " " +
                        std::to_string(nodes) + " 0";
  for (const auto& p : properties) command += " " + shell_quoted(p);
  bootstrap_ = output_of(command);
}

cluster::~cluster() {
  // Neither can be done more about than the owner's watch will do.
  const int status = std::system((script("kafka-down") + " " + shell_quoted(directory_)).c_str());
  std::error_code ignored;
  if (status == 0) std::filesystem::remove_all(directory_, ignored);
}

int cluster::pid_of(int node) const {
  std::ifstream file(directory_ + "/" + std::to_string(node) + ".pid");
  int pid = 0;
  if (!(file >> pid) || pid <= 1) throw std::runtime_error("no process of node " + std::to_string(node));
  return pid;
}

void cluster::await_end(int pid) const {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (::kill(pid, 0) == 0) {
    if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("process " + std::to_string(pid) + " does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void cluster::kill(int node) {
  const int pid = pid_of(node);
  ::kill(pid, SIGKILL);
  await_end(pid);
}

void cluster::stop(int node) {
  const int pid = pid_of(node);
  ::kill(pid, SIGTERM);
  await_end(pid);
}

void cluster::start(int node) {
  output_of(script("kafka-up") + " --again " + shell_quoted(directory_) + " " + std::to_string(node));
}

cluster& one_node() {
  static cluster shared(1);
  return shared;
}

cluster& three_nodes() {
  static cluster shared(3, {"min.insync.replicas=1", "controlled.shutdown.enable=true"});
  return shared;
}

std::string unique_name(const std::string& stem) {
  static std::atomic<int> counter{0};
  return stem + "-" + std::to_string(++counter);
}

std::uint16_t closed_port() {
  const int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  const bool bound = ::bind(s, reinterpret_cast<sockaddr*>(&at), size) == 0 && ::getsockname(s, reinterpret_cast<sockaddr*>(&at), &size) == 0;
  ::close(s);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(at.sin_port);
}

}  // namespace kawait::tests

// Makes what run.sh -t needs of certificates, as the tests make theirs: FOLDER/ca.pem, which clients trust, and FOLDER/broker.pem, with
// its key, for a broker at 127.0.0.1.
//
//   bench_certificates FOLDER

#include <exception>
#include <iostream>
#include <string>

#include "support/certificates.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: bench_certificates FOLDER\n";
    return 2;
  }
  try {
    const std::string folder = argv[1];
    const kawait::tests::authority signer("the benchmark's authority");
    const kawait::tests::certificate broker = signer.issue("broker", {"IP:127.0.0.1"});
    kawait::tests::write_file(folder + "/ca.pem", signer.text());
    kawait::tests::write_file(folder + "/broker.pem", broker.key + broker.text);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "bench_certificates: " << e.what() << '\n';
    return 1;
  }
}

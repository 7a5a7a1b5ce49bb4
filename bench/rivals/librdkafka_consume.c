/* The rival of bench_consume: the same work over librdkafka, at its best, and the same JSON line.
 *
 *   bench_librdkafka_consume BOOTSTRAP TOPIC COUNT [property=value ...]
 *
 * Records are taken in batches from the consumer's queue, which is the fastest that librdkafka has, with the settings that
 * measured best.
 */

#define RIVAL "bench_librdkafka_consume"
#include "librdkafka_rival.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH 10000

static const char* const tuned[][2] = {{"queued.min.messages", "1000000"},
                                       {"queued.max.messages.kbytes", "262144"},
                                       {"fetch.message.max.bytes", "2097152"},
                                       {"fetch.queue.backoff.ms", "2"}};
#define TUNED (sizeof tuned / sizeof *tuned)

struct usage {
  double at, user, system;
};

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static struct usage usage_now(void) {
  struct timespec t;
  struct rusage r;
  struct usage u;
  clock_gettime(CLOCK_MONOTONIC, &t);
  getrusage(RUSAGE_SELF, &r);
  u.at = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
  u.user = seconds(r.ru_utime);
  u.system = seconds(r.ru_stime);
  return u;
}

int main(int argc, char** argv) {
  static rd_kafka_message_t* messages[BATCH];
  const struct usage start = usage_now();
  struct usage first = {0, 0, 0}, last;
  struct rusage all;
  uint64_t wanted, records = 0, bytes = 0, sum = 0;
  rd_kafka_queue_t* queue;
  rd_kafka_t* consumer;
  size_t t;

  if (argc < 4) {
    fprintf(stderr, "usage: bench_librdkafka_consume BOOTSTRAP TOPIC COUNT [property=value ...]\n");
    return 2;
  }
  wanted = strtoull(argv[3], NULL, 10);
  if (wanted == 0) fail(argv[3], "COUNT is not a positive number");
  consumer = make_consumer(argv[1], "earliest", tuned, TUNED, argc - 4, argv + 4);
  subscribe(consumer, argv[2]);
  queue = rd_kafka_queue_get_consumer(consumer);

  while (records < wanted) {
    /* The call waits for a full batch or its time-out: asked for more than is left, the last would always wait. */
    const size_t room = wanted - records < BATCH ? (size_t)(wanted - records) : BATCH;
    const ssize_t got = rd_kafka_consume_batch_queue(queue, 100, messages, room);
    ssize_t i;
    if (got < 0) fail("consume", rd_kafka_err2str(rd_kafka_last_error()));
    if (got > 0 && records == 0) first = usage_now();
    for (i = 0; i < got; ++i) {
      const rd_kafka_message_t* m = messages[i];
      if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) fail("message", rd_kafka_message_errstr(m));
      if (!m->err) {
        ++records;
        bytes += m->key_len + m->len;
        if (m->len > 0) sum += ((const unsigned char*)m->payload)[m->len - 1];
      }
      rd_kafka_message_destroy(messages[i]);
    }
  }
  last = usage_now();
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  getrusage(RUSAGE_SELF, &all);
  printf("{\"name\":\"librdkafka %s\",\"topic\":\"%s\",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
         ",\"first_s\":%.6f,\"wall_s\":%.6f,\"user_s\":%.6f,\"sys_s\":%.6f,\"cpu_all_s\":%.6f"
         ",\"maxrss_kb\":%ld,\"sum\":%" PRIu64 ",\"settings\":\"",
         rd_kafka_version_str(), argv[2], records, bytes, first.at - start.at, last.at - first.at, last.user - first.user,
         last.system - first.system, seconds(all.ru_utime) + seconds(all.ru_stime), all.ru_maxrss, sum);
  for (t = 0; t < TUNED; ++t) printf("%s=%s, ", tuned[t][0], tuned[t][1]);
  printf("batch calls\"}\n");
  return 0;
}

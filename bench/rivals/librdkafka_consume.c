/* The rival of bench_consume: the same work over librdkafka, at its best, and the same JSON line.
 *
 *   bench_librdkafka_consume BOOTSTRAP TOPIC COUNT [property=value ...]
 *
 * Records are taken in batches from the consumer's queue, which is the fastest that librdkafka has, with the settings that
 * measured best.
 */

#include <librdkafka/rdkafka.h>

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

static void fail(const char* what, const char* why) {
  fprintf(stderr, "bench_librdkafka_consume: %s: %s\n", what, why);
  exit(1);
}

static void set(rd_kafka_conf_t* conf, const char* name, const char* value) {
  char why[512];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(name, why);
}

static rd_kafka_t* make_consumer(int argc, char** argv) {
  char group[64], why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_t* consumer;
  size_t t;
  int i;
  snprintf(group, sizeof group, "bench-%ld-%ld", (long)getpid(), (long)time(NULL));
  set(conf, "bootstrap.servers", argv[1]);
  set(conf, "group.id", group);
  set(conf, "group.protocol", "consumer");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "check.crcs", "true"); /* as kawait's default */
  for (t = 0; t < TUNED; ++t) set(conf, tuned[t][0], tuned[t][1]);
  for (i = 4; i < argc; ++i) {
    char* equals = strchr(argv[i], '=');
    if (!equals) fail(argv[i], "property=value is expected");
    *equals = '\0';
    set(conf, argv[i], equals + 1);
  }
  consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (!consumer) fail("rd_kafka_new", why);
  rd_kafka_poll_set_consumer(consumer);
  return consumer;
}

int main(int argc, char** argv) {
  static rd_kafka_message_t* messages[BATCH];
  const struct usage start = usage_now();
  struct usage first = {0, 0, 0}, last;
  struct rusage all;
  uint64_t wanted, records = 0, bytes = 0, sum = 0;
  rd_kafka_topic_partition_list_t* topics;
  rd_kafka_queue_t* queue;
  rd_kafka_t* consumer;
  rd_kafka_resp_err_t error;
  size_t t;

  if (argc < 4) {
    fprintf(stderr, "usage: bench_librdkafka_consume BOOTSTRAP TOPIC COUNT [property=value ...]\n");
    return 2;
  }
  wanted = strtoull(argv[3], NULL, 10);
  if (wanted == 0) fail(argv[3], "COUNT is not a positive number");
  consumer = make_consumer(argc, argv);
  topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, argv[2], RD_KAFKA_PARTITION_UA);
  error = rd_kafka_subscribe(consumer, topics);
  if (error) fail("subscribe", rd_kafka_err2str(error));
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
  rd_kafka_topic_partition_list_destroy(topics);
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

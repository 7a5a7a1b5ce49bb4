/* The rival of bench_latency: the same with librdkafka, record by record from consumer_poll, which hands each out as it comes.
 *
 *   librdkafka_latency BOOTSTRAP TOPIC WARM_UP SECONDS [property=value ...]
 */

#define RIVAL "librdkafka_latency"
#include "librdkafka_rival.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MOST_PARTITIONS 64

/* fetch.wait.max.ms (500) and fetch.min.bytes (1) are the defaults. */
static const char* const tuned[][2] = {{"socket.nagle.disable", "true"}};
#define TUNED (sizeof tuned / sizeof *tuned)

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cpu_seconds(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

/* Its latency. Fails if one before it was left out. */
static int64_t look_at(const rd_kafka_message_t* m, int64_t now) {
  static int64_t next[MOST_PARTITIONS]; /* one more than the offset; 0: none seen yet */
  uint64_t sent = 0;
  int i;
  if (m->err) fail("message", rd_kafka_message_errstr(m));
  if (m->partition >= MOST_PARTITIONS || m->len < 8) fail("message", "not one of librdkafka_pace");
  if (next[m->partition] != 0 && m->offset + 1 != next[m->partition]) fail("message", "a gap");
  next[m->partition] = m->offset + 2;
  for (i = 0; i < 8; ++i) sent = sent << 8 | ((const unsigned char*)m->payload)[i];
  return now - (int64_t)sent;
}

static int compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

/* The smallest that so many, of a thousand, are not above. */
static double percentile_us(const int64_t* sorted, size_t count, size_t per_mille) {
  return (double)sorted[(count * per_mille + 999) / 1000 - 1] * 1e-3;
}

int main(int argc, char** argv) {
  size_t count = 0, room = 1024, t;
  int64_t* latencies = malloc(room * sizeof *latencies);
  int64_t begin = 0, end = 0, started = 0, now = 0;
  double cpu = 0;
  rd_kafka_t* consumer;

  if (argc < 5) {
    fprintf(stderr, "usage: librdkafka_latency BOOTSTRAP TOPIC WARM_UP SECONDS [property=value ...]\n");
    return 2;
  }
  consumer = make_consumer(argv[1], "latest", tuned, TUNED, argc - 5, argv + 5);
  subscribe(consumer, argv[2]);
  while (end == 0 || now < end) {
    rd_kafka_message_t* const m = rd_kafka_consumer_poll(consumer, 100);
    if (!m) continue;
    now = now_ns();
    if (end == 0) {
      begin = now + (int64_t)(atof(argv[3]) * 1e9);
      end = begin + (int64_t)(atof(argv[4]) * 1e9);
    }
    const int64_t latency = look_at(m, now);
    rd_kafka_message_destroy(m);
    if (now < begin) continue;
    if (count == 0) {
      started = now;
      cpu = cpu_seconds();
    }
    if (count == room) latencies = realloc(latencies, (room *= 2) * sizeof *latencies);
    if (!latencies) fail("latencies", "no memory");
    latencies[count++] = latency;
  }
  cpu = cpu_seconds() - cpu;
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  if (count == 0) fail(argv[2], "no records");
  qsort(latencies, count, sizeof *latencies, compare);
  printf("{\"name\":\"librdkafka %s\",\"records\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f"
         ",\"cpu_s\":%.6f,\"settings\":\"",
         rd_kafka_version_str(), count, (double)(now - started) * 1e-9, percentile_us(latencies, count, 500),
         percentile_us(latencies, count, 990), percentile_us(latencies, count, 999), percentile_us(latencies, count, 1000), cpu);
  for (t = 0; t < TUNED; ++t) printf("%s=%s, ", tuned[t][0], tuned[t][1]);
  printf("consumer_poll\"}\n");
  free(latencies);
  return 0;
}

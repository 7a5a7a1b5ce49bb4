/* What bench_latency and its rivals read: PER_SECOND records a second, each sent at once, partitions in turn, until it is killed.
 *
 *   librdkafka_pace BOOTSTRAP TOPIC PARTITIONS PER_SECOND SIZE
 *
 * A value begins with the time at which it was given to the producer: CLOCK_REALTIME in nanoseconds, 8 bytes, big-endian.
 */

#define RIVAL "librdkafka_pace"
#include "librdkafka_rival.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LARGEST 65536

static void on_delivered(rd_kafka_t* producer, const rd_kafka_message_t* message, void* opaque) {
  (void)producer, (void)opaque;
  if (message->err) fail("a record was not written", rd_kafka_err2str(message->err));
}

static rd_kafka_t* make_producer(const char* bootstrap) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_t* producer;
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "linger.ms", "0");
  set(conf, "acks", "1");
  set(conf, "socket.nagle.disable", "true");
  set(conf, "message.timeout.ms", "30000"); /* it ends by itself after the broker */
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
  producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!producer) fail("rd_kafka_new", why);
  return producer;
}

static void stamp(unsigned char* value) {
  struct timespec t;
  unsigned long long now;
  int i;
  clock_gettime(CLOCK_REALTIME, &t);
  now = (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
  for (i = 7; i >= 0; --i, now >>= 8) value[i] = (unsigned char)now;
}

int main(int argc, char** argv) {
  static unsigned char value[LARGEST];
  rd_kafka_t* producer;
  rd_kafka_topic_t* topic;
  struct timespec next;
  long partitions, pause, size, n;

  if (argc != 6) {
    fprintf(stderr, "usage: librdkafka_pace BOOTSTRAP TOPIC PARTITIONS PER_SECOND SIZE\n");
    return 2;
  }
  partitions = atol(argv[3]);
  size = atol(argv[5]);
  if (partitions < 1 || atol(argv[4]) < 1 || size < 8 || size > LARGEST) fail("arguments", "out of range");
  pause = 1000000000L / atol(argv[4]);
  producer = make_producer(argv[1]);
  topic = rd_kafka_topic_new(producer, argv[2], NULL);
  if (!topic) fail(argv[2], rd_kafka_err2str(rd_kafka_last_error()));
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (n = 0;; ++n) {
    next.tv_nsec += pause;
    next.tv_sec += next.tv_nsec / 1000000000L;
    next.tv_nsec %= 1000000000L;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) continue;
    stamp(value);
    if (rd_kafka_produce(topic, (int32_t)(n % partitions), RD_KAFKA_MSG_F_COPY, value, (size_t)size, NULL, 0, NULL) != 0)
      fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_poll(producer, 0);
  }
}

/* The rival of bench_settle: the same rounds with librdkafka, a thread for each member's polls.
 *
 *   librdkafka_settle BOOTSTRAP TOPIC PARTITIONS
 */

#define RIVAL "librdkafka_settle"
#include "librdkafka_rival.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_PARTITIONS 64

struct member {
  rd_kafka_t* consumer;
  pthread_t thread;
  atomic_int closing;
  /* Guarded by mutex: partitions, and those of them of which there was a record. */
  int held, read;
  char is_read[MOST_PARTITIONS];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void sleep_ms(double ms) {
  struct timespec t;
  t.tv_sec = (time_t)(ms / 1e3);
  t.tv_nsec = (long)((ms - (double)t.tv_sec * 1e3) * 1e6);
  while (nanosleep(&t, &t) == -1 && errno == EINTR) continue;
}

static void on_rebalance(rd_kafka_t* consumer, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* list, void* opaque) {
  struct member* m = opaque;
  const int assigned = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  rd_kafka_error_t* error = assigned ? rd_kafka_incremental_assign(consumer, list) : rd_kafka_incremental_unassign(consumer, list);
  int i;
  if (error) fail("assign", rd_kafka_error_string(error));
  pthread_mutex_lock(&mutex);
  m->held += assigned ? list->cnt : -list->cnt;
  for (i = 0; i < list->cnt; ++i) {
    m->read -= m->is_read[list->elems[i].partition];
    m->is_read[list->elems[i].partition] = 0;
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void make(struct member* m, const char* bootstrap, const char* group) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "group.id", group);
  set(conf, "group.protocol", "consumer");
  set(conf, "auto.offset.reset", "earliest");
  set(conf, "enable.auto.commit", "false");
  rd_kafka_conf_set_opaque(conf, m);
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  m->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (!m->consumer) fail("rd_kafka_new", why);
  rd_kafka_poll_set_consumer(m->consumer);
  atomic_init(&m->closing, 0);
  m->held = m->read = 0;
  memset(m->is_read, 0, sizeof m->is_read);
}

static void on_message(struct member* m, const rd_kafka_message_t* message) {
  if (message->err) return;
  pthread_mutex_lock(&mutex);
  if (!m->is_read[message->partition]) {
    m->is_read[message->partition] = 1;
    ++m->read;
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&mutex);
}

/* A rebalance ends the wait at once; the time-out is how soon it closes. */
static void* serve(void* opaque) {
  struct member* m = opaque;
  while (!atomic_load(&m->closing)) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(m->consumer, 5);
    if (!message) continue;
    on_message(m, message);
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(m->consumer);
  return NULL;
}

static void start(struct member* m, const char* topic) {
  subscribe(m->consumer, topic);
  if (pthread_create(&m->thread, NULL, serve, m) != 0) fail("thread", "not made");
}

static void end(struct member* m) {
  atomic_store(&m->closing, 1);
  pthread_join(m->thread, NULL);
  rd_kafka_destroy(m->consumer);
}

/* When one number is so large, and the other. */
static double until(const int* a, int of_a, const int* b, int of_b) {
  struct timespec late;
  clock_gettime(CLOCK_MONOTONIC, &late);
  late.tv_sec += 120;
  pthread_mutex_lock(&mutex);
  while (*a != of_a || *b != of_b) {
    if (pthread_cond_timedwait(&changed, &mutex, &late) != 0) fail("the group", "not settled within two minutes");
  }
  pthread_mutex_unlock(&mutex);
  return now_ms();
}

static void run_round(char** argv, int n, double first, double second) {
  const int partitions = atoi(argv[3]);
  char group[64];
  struct member a, b;
  double joined, settled, left, resettled, read;
  snprintf(group, sizeof group, "settle-librdkafka-%ld-%d", (long)getpid(), n);
  make(&a, argv[1], group);
  make(&b, argv[1], group);
  start(&a, argv[2]);
  until(&a.read, partitions, &b.read, 0);
  sleep_ms(first);
  joined = now_ms();
  start(&b, argv[2]);
  settled = until(&a.held, partitions - partitions / 2, &b.held, partitions / 2);
  sleep_ms(second);
  left = now_ms();
  atomic_store(&b.closing, 1);
  resettled = until(&a.held, partitions, &b.held, 0);
  read = until(&a.read, partitions, &b.read, 0);
  printf("{\"name\":\"librdkafka %s\",\"join_ms\":%.1f,\"leave_ms\":%.1f,\"first_ms\":%.2f}\n", rd_kafka_version_str(), settled - joined,
         resettled - left, read - resettled);
  fflush(stdout);
  end(&b);
  end(&a);
}

int main(int argc, char** argv) {
  pthread_condattr_t monotonic;
  double first, second;
  int n;
  if (argc != 4 || atoi(argv[3]) > MOST_PARTITIONS) {
    fprintf(stderr, "usage: librdkafka_settle BOOTSTRAP TOPIC PARTITIONS <ROUNDS\n");
    return 2;
  }
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&changed, &monotonic);
  for (n = 0; scanf("%lf %lf", &first, &second) == 2; ++n) run_round(argv, n, first, second);
  return 0;
}

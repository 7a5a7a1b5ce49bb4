/* What librdkafka's programs have in common. RIVAL is the program's name. */

#pragma once

#include <librdkafka/rdkafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void fail(const char* what, const char* why) {
  fprintf(stderr, RIVAL ": %s: %s\n", what, why);
  exit(1);
}

static inline void set(rd_kafka_conf_t* conf, const char* name, const char* value) {
  char why[512];
  if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(name, why);
}

/* Of a group of its own, with the program's settings and those of the command line: property=value. */
static inline rd_kafka_t* make_consumer(const char* bootstrap, const char* reset, const char* const tuned[][2], size_t count, int argc,
                                        char** argv) {
  char group[64], why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_t* consumer;
  size_t t;
  int i;
  snprintf(group, sizeof group, RIVAL "-%ld-%ld", (long)getpid(), (long)time(NULL));
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "group.id", group);
  set(conf, "group.protocol", "consumer");
  set(conf, "auto.offset.reset", reset);
  set(conf, "check.crcs", "true"); /* as kawait's default */
  for (t = 0; t < count; ++t) set(conf, tuned[t][0], tuned[t][1]);
  for (i = 0; i < argc; ++i) {
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

static inline void subscribe(rd_kafka_t* consumer, const char* topic) {
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_resp_err_t error;
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  error = rd_kafka_subscribe(consumer, topics);
  if (error) fail("subscribe", rd_kafka_err2str(error));
  rd_kafka_topic_partition_list_destroy(topics);
}

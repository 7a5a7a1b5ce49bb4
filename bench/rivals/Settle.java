// The rival of bench_settle: the same rounds with the Java consumer, in one JVM.
//
//   java -cp KAFKA-CLIENTS Settle.java BOOTSTRAP TOPIC PARTITIONS

import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.Scanner;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Settle {
  /// Polls often: the listener is called by poll alone, and must not be what is measured.
  static class Member extends Thread implements ConsumerRebalanceListener {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final String topic;
    private final Set<TopicPartition> held = new HashSet<>();
    private final Set<TopicPartition> read = new HashSet<>();  // of which there was a record
    private volatile boolean closing;

    Member(String bootstrap, String topic, String group) {
      Properties p = new Properties();
      p.put("bootstrap.servers", bootstrap);
      p.put("group.id", group);
      p.put("group.protocol", "consumer");
      p.put("auto.offset.reset", "earliest");
      p.put("enable.auto.commit", "false");
      consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
      this.topic = topic;
      setDaemon(true);  // or the JVM outlives a main thread that gave up
    }

    @Override public void run() {
      consumer.subscribe(List.of(topic), this);
      while (!closing) {
        Set<TopicPartition> some = consumer.poll(Duration.ofMillis(5)).partitions();
        if (some.isEmpty()) continue;
        synchronized (Settle.class) {
          read.addAll(some);
          Settle.class.notifyAll();
        }
      }
      consumer.close();
    }

    @Override public void onPartitionsAssigned(Collection<TopicPartition> list) {
      synchronized (Settle.class) {
        held.addAll(list);
        Settle.class.notifyAll();
      }
    }

    @Override public void onPartitionsRevoked(Collection<TopicPartition> list) {
      synchronized (Settle.class) {
        held.removeAll(list);
        read.removeAll(list);
        Settle.class.notifyAll();
      }
    }

    void close() { closing = true; }
  }

  /// When one set has so many, and the other.
  static long until(Set<TopicPartition> a, int ofA, Set<TopicPartition> b, int ofB) throws InterruptedException {
    long deadline = System.nanoTime() + 120_000_000_000L;
    synchronized (Settle.class) {
      while (a.size() != ofA || b.size() != ofB) {
        long left = (deadline - System.nanoTime()) / 1_000_000;
        if (left <= 0) throw new IllegalStateException("not settled within two minutes");
        Settle.class.wait(left);
      }
      return System.nanoTime();
    }
  }

  static void sleep(double ms) throws InterruptedException { Thread.sleep(Math.round(ms)); }

  public static void main(String[] args) throws Exception {
    int partitions = Integer.parseInt(args[2]);
    Scanner rounds = new Scanner(System.in).useLocale(Locale.ROOT);
    for (int n = 0; rounds.hasNextDouble(); ++n) {
      double first = rounds.nextDouble(), second = rounds.nextDouble();
      String group = "settle-java-" + ProcessHandle.current().pid() + "-" + n;
      Member a = new Member(args[0], args[1], group), b = new Member(args[0], args[1], group);
      a.start();
      until(a.read, partitions, b.read, 0);
      sleep(first);
      long joined = System.nanoTime();
      b.start();
      long settled = until(a.held, partitions - partitions / 2, b.held, partitions / 2);
      sleep(second);
      long left = System.nanoTime();
      b.close();
      long resettled = until(a.held, partitions, b.held, 0);
      long read = until(a.read, partitions, b.read, 0);
      System.out.printf(Locale.ROOT, "{\"name\":\"Java %s\",\"join_ms\":%.1f,\"leave_ms\":%.1f,\"first_ms\":%.2f}%n",
          AppInfoParser.getVersion(), (settled - joined) / 1e6, (resettled - left) / 1e6, (read - resettled) / 1e6);
      System.out.flush();
      a.close();
      a.join();
      b.join();
    }
  }
}

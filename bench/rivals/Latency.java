// The rival of bench_latency: the same with the Java consumer.
//
//   java -cp KAFKA-CLIENTS Latency.java BOOTSTRAP TOPIC WARM_UP SECONDS [property=value ...]

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Latency {
  static final Map<String, String> tuned = new TreeMap<>(Map.of("group.protocol", "consumer"));

  private final long warmUp, length;
  private final Map<Integer, Long> next = new HashMap<>();
  private long[] latencies = new long[1024];
  private int count;
  private long begin, end, started, now;
  private double cpu;

  Latency(String warmUp, String seconds) {
    this.warmUp = (long) (Double.parseDouble(warmUp) * 1e9);
    this.length = (long) (Double.parseDouble(seconds) * 1e9);
  }

  static double cpuSeconds() throws IOException {
    // Behind the name, which may have blanks: the state is the third field, utime and stime the 14th and 15th, in 1/100 s.
    String stat = Files.readString(Path.of("/proc/self/stat"));
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
  }

  static long nanosSince1970() {
    Instant t = Instant.now();
    return t.getEpochSecond() * 1_000_000_000L + t.getNano();
  }

  boolean isOver() { return end != 0 && now >= end; }

  void read(ConsumerRecord<byte[], byte[]> record) throws IOException {
    now = nanosSince1970();
    if (end == 0) {
      begin = now + warmUp;
      end = begin + length;
    }
    Long expected = next.put(record.partition(), record.offset() + 1);
    if (expected != null && expected != record.offset()) throw new IllegalStateException("a gap");
    if (now < begin) return;
    if (count == 0) {
      started = now;
      cpu = cpuSeconds();
    }
    if (count == latencies.length) latencies = Arrays.copyOf(latencies, 2 * count);
    latencies[count++] = now - ByteBuffer.wrap(record.value()).getLong();
  }

  /// The smallest that so many, of a thousand, are not above; in microseconds.
  double percentile(int perMille) { return latencies[(int) (((long) count * perMille + 999) / 1000 - 1)] / 1e3; }

  void print(double cpuNow) {
    Arrays.sort(latencies, 0, count);
    String settings = tuned.entrySet().stream().map(Object::toString).collect(Collectors.joining(", "));
    System.out.printf(Locale.ROOT, "{\"name\":\"Java %s\",\"records\":%d,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f"
        + ",\"max_us\":%.1f,\"cpu_s\":%.6f,\"settings\":\"%s, poll\"}%n", AppInfoParser.getVersion(), count, (now - started) / 1e9,
        percentile(500), percentile(990), percentile(999), percentile(1000), cpuNow - cpu, settings);
  }

  public static void main(String[] args) throws Exception {
    for (String word : List.of(args).subList(4, args.length)) tuned.put(word.split("=", 2)[0], word.split("=", 2)[1]);
    Properties p = new Properties();
    p.putAll(tuned);
    p.put("bootstrap.servers", args[0]);
    p.put("group.id", "latency-java-" + ProcessHandle.current().pid());
    p.put("auto.offset.reset", "latest");
    Latency all = new Latency(args[2], args[3]);
    double cpuNow;
    try (var consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(args[1]));
      while (!all.isOver()) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) all.read(record);
      }
      cpuNow = cpuSeconds();
    }
    all.print(cpuNow);
  }
}

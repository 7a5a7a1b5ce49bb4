// Java's side of the byte comparison. Started by run.sh as a single-file program with Kafka's libraries on the class path:
//   Oracle FRAMES_IN FRAMES_OUT SEED COUNT
// FRAMES_IN holds lines "FetchRequest 17 <hex of a frame>" that kawait encoded. Each is decoded by Kafka's own classes and
// must encode to the same bytes. Then COUNT seeded messages of each kind and version of FRAMES_IN are made from Kafka's own
// definitions and written to FRAMES_OUT, for kawait to decode.
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class Oracle {
  static final ObjectMapper MAPPER = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);
  static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  /** One message in one version, and Kafka's classes for it. */
  record Kind(String name, short version) {
    boolean isRequest() {
      return name.endsWith("Request");
    }

    JsonNode definition() throws Exception {
      try (InputStream in = Message.class.getResourceAsStream("/common/message/" + name + ".json")) {
        return MAPPER.readTree(in);
      }
    }

    ApiMessageType type() throws Exception {
      return ApiMessageType.fromApiKey((short) definition().get("apiKey").asInt());
    }

    short headerVersion() throws Exception {
      return isRequest() ? type().requestHeaderVersion(version) : type().responseHeaderVersion(version);
    }

    ApiMessage empty() throws Exception {
      return isRequest() ? type().newRequest() : type().newResponse();
    }

    ApiMessage fromJson(JsonNode json) throws Exception {
      Class<?> converter = Class.forName("org.apache.kafka.common.message." + name + "DataJsonConverter");
      return (ApiMessage) converter.getMethod("read", JsonNode.class, short.class).invoke(null, json, version);
    }
  }

  static byte[] frame(Message header, short headerVersion, ApiMessage m, short version) {
    ObjectSerializationCache cache = new ObjectSerializationCache();
    int size = header.size(cache, headerVersion) + m.size(cache, version);
    ByteBuffer buffer = ByteBuffer.allocate(4 + size);
    ByteBufferAccessor out = new ByteBufferAccessor(buffer);
    out.writeInt(size);
    header.write(out, cache, headerVersion);
    m.write(out, cache, version);
    if (buffer.hasRemaining()) throw new IllegalStateException("Java's own size is wrong");
    return buffer.array();
  }

  /** Returns what differs, or null. */
  static String check(Kind kind, byte[] in) throws Exception {
    ByteBufferAccessor reader = new ByteBufferAccessor(ByteBuffer.wrap(in));
    if (reader.readInt() != in.length - 4) return "the frame's length is wrong";
    Message header = kind.isRequest() ? new RequestHeaderData() : new ResponseHeaderData();
    header.read(reader, kind.headerVersion());
    ApiMessage m = kind.empty();
    m.read(reader, kind.version());
    if (reader.remaining() != 0) return reader.remaining() + " bytes left over";
    if (header instanceof RequestHeaderData h && (h.requestApiKey() != m.apiKey() || h.requestApiVersion() != kind.version())) {
      return "wrong API or version in the header";
    }
    byte[] again = frame(header, kind.headerVersion(), m, kind.version());
    if (!Arrays.equals(in, again)) return "Java encodes differently: " + HexFormat.of().formatHex(again);
    String unknown = unknownTags(m);
    return unknown == null ? null : "Java does not know a tag of " + unknown;
  }

  /** Java keeps tags that it does not know and writes them again, so a wrong tag would pass unseen. */
  static String unknownTags(Object value) throws Exception {
    if (value instanceof Collection<?> elements) {
      for (Object element : elements) {
        String found = unknownTags(element);
        if (found != null) return found;
      }
    } else if (value instanceof Message m) {
      if (!m.unknownTaggedFields().isEmpty()) return m.getClass().getSimpleName();
      for (Field f : m.getClass().getDeclaredFields()) {
        if (Modifier.isStatic(f.getModifiers()) || f.getName().equals("_unknownTaggedFields")) continue;
        f.setAccessible(true);
        String found = unknownTags(f.get(m));
        if (found != null) return found;
      }
    }
    return null;
  }

  /** Fills messages from Kafka's definitions, as the JSON that its converters read. */
  static class Filler {
    final Random random;
    final Kind kind;
    final Map<String, JsonNode> commonStructs = new HashMap<>();

    Filler(Kind kind, long seed) throws Exception {
      this.kind = kind;
      this.random = new Random(seed);
      if (kind.definition().has("commonStructs")) {
        for (JsonNode s : kind.definition().get("commonStructs")) commonStructs.put(s.get("name").asText(), s.get("fields"));
      }
    }

    boolean within(JsonNode field, String key) {
      String range = field.has(key) ? field.get(key).asText() : "none";
      if (range.equals("none")) return false;
      if (range.endsWith("+")) return kind.version() >= Integer.parseInt(range.substring(0, range.length() - 1));
      String[] ends = range.split("-");
      return kind.version() >= Integer.parseInt(ends[0]) && kind.version() <= Integer.parseInt(ends[ends.length - 1]);
    }

    ObjectNode struct(JsonNode fields) {
      ObjectNode out = JSON.objectNode();
      for (JsonNode field : fields) {
        if (!within(field, "versions")) continue;
        if (within(field, "taggedVersions") && random.nextInt(3) == 0) continue;
        String name = field.get("name").asText();
        out.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(field));
      }
      return out;
    }

    JsonNode value(JsonNode field) {
      if (within(field, "nullableVersions") && random.nextInt(3) == 0) return JSON.nullNode();
      String type = field.get("type").asText();
      if (!type.startsWith("[]")) return one(type, field);
      ArrayNode out = JSON.arrayNode();
      boolean scalar = !field.has("fields") && !commonStructs.containsKey(type.substring(2));
      int n = scalar && random.nextInt(20) == 0 ? 126 + random.nextInt(4) : random.nextInt(4);
      while (n-- > 0) out.add(one(type.substring(2), field));
      return out;
    }

    JsonNode one(String type, JsonNode field) {
      switch (type) {
        case "bool": return JSON.booleanNode(random.nextBoolean());
        case "int8": return JSON.numberNode((byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE));
        case "int16": return JSON.numberNode((short) number(Short.MIN_VALUE, Short.MAX_VALUE));
        case "int32": return JSON.numberNode((int) number(Integer.MIN_VALUE, Integer.MAX_VALUE));
        case "int64": return JSON.numberNode(number(Long.MIN_VALUE, Long.MAX_VALUE));
        case "uuid": return JSON.textNode(new Uuid(random.nextLong(), random.nextLong()).toString());
        case "string": return JSON.textNode(text());
        case "records":
        case "bytes": return JSON.binaryNode(text().getBytes(StandardCharsets.UTF_8));
        default: return struct(field.has("fields") ? field.get("fields") : commonStructs.get(type));
      }
    }

    long number(long min, long max) {
      switch (random.nextInt(6)) {
        case 0: return 0;
        case 1: return -1;
        case 2: return min;
        case 3: return max;
        default: return random.nextLong() & max;
      }
    }

    String text() {
      int n = random.nextInt(400) == 0 ? 20_000 : random.nextInt(8) == 0 ? 120 + random.nextInt(300) : random.nextInt(12);
      StringBuilder out = new StringBuilder();
      while (n-- > 0) out.append(random.nextInt(10) == 0 ? 'π' : (char) ('!' + random.nextInt(90)));
      return out.toString();
    }

    byte[] frame() throws Exception {
      ApiMessage m = kind.fromJson(struct(kind.definition().get("fields")));
      Message header;
      if (kind.isRequest()) {
        header = new RequestHeaderData().setRequestApiKey(m.apiKey()).setRequestApiVersion(kind.version())
            .setCorrelationId(random.nextInt()).setClientId(text());
      } else {
        header = new ResponseHeaderData().setCorrelationId(random.nextInt());
      }
      return Oracle.frame(header, kind.headerVersion(), m, kind.version());
    }
  }

  static void fail(Kind kind, String problem, String hex) {
    System.err.println(kind.name() + " v" + kind.version() + ": " + problem);
    System.err.println("  from kawait: " + hex);
    System.exit(1);
  }

  public static void main(String[] args) throws Exception {
    Set<Kind> kinds = new LinkedHashSet<>();
    int lines = 0;
    try (BufferedReader in = Files.newBufferedReader(Path.of(args[0]))) {
      for (String line; (line = in.readLine()) != null; ++lines) {
        String[] words = line.split(" ");
        Kind kind = new Kind(words[0], Short.parseShort(words[1]));
        kinds.add(kind);
        String problem;
        try {
          problem = check(kind, HexFormat.of().parseHex(words[2]));
        } catch (Exception e) {
          problem = "Java cannot decode it: " + (e.getCause() != null ? e.getCause() : e);
        }
        if (problem != null) fail(kind, problem, words[2]);
      }
    }
    if (lines == 0) throw new IllegalArgumentException("no messages in " + args[0]);
    System.out.println(lines + " messages of kawait's decoded and encoded identically by Java");
    long seed = Long.parseLong(args[2]);
    int count = Integer.parseInt(args[3]);
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[1])))) {
      for (Kind kind : kinds) {
        Filler filler = new Filler(kind, seed);
        for (int i = 0; i < count; ++i) {
          out.println(kind.name() + " " + kind.version() + " " + HexFormat.of().formatHex(filler.frame()));
        }
      }
    }
  }
}

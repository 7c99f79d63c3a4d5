import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;

/**
 * A cache that forgets what was used least recently, driven by commands on stdin:
 * {@code capacity N}, {@code put KEY VALUE}, {@code get KEY}, {@code show}.
 */
public class Lru {
    private static final class Node {
        final String key;
        String value;
        Node older;
        Node newer;

        Node(String key, String value) {
            this.key = key;
            this.value = value;
        }
    }

    private final int capacity;
    private final Map<String, Node> nodes = new HashMap<>();
    private Node oldest;
    private Node newest;
    private int hits;
    private int misses;

    Lru(int capacity) {
        this.capacity = capacity;
    }

    /** The value, or null; using it makes it the newest. */
    String get(String key) {
        Node node = nodes.get(key);
        if (node == null) {
            misses++;
            return null;
        }
        hits++;
        unlink(node);
        append(node);
        return node.value;
    }

    /** Returns the key that had to go, or null. */
    String put(String key, String value) {
        Node known = nodes.get(key);
        if (known != null) {
            known.value = value;
            unlink(known);
            append(known);
            return null;
        }
        String gone = null;
        if (nodes.size() == capacity) {
            gone = oldest.key;
            nodes.remove(gone);
            unlink(oldest);
        }
        Node node = new Node(key, value);
        nodes.put(key, node);
        append(node);
        return gone;
    }

    String show() {
        StringBuilder text = new StringBuilder();
        for (Node node = newest; node != null; node = node.older) {
            text.append(text.length() == 0 ? "" : " ").append(node.key).append('=').append(node.value);
        }
        return text + " (" + hits + " hits, " + misses + " misses)";
    }

    private void unlink(Node node) {
        if (node.older == null) {
            oldest = node.newer;
        } else {
            node.older.newer = node.newer;
        }
        if (node.newer == null) {
            newest = node.older;
        } else {
            node.newer.older = node.older;
        }
    }

    private void append(Node node) {
        node.older = newest;
        node.newer = null;
        if (newest == null) {
            oldest = node;
        } else {
            newest.newer = node;
        }
        newest = node;
    }

    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        Lru cache = new Lru(2);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split("\\s+");
            switch (words[0]) {
                case "capacity" -> cache = new Lru(Integer.parseInt(words[1]));
                case "put" -> {
                    String gone = cache.put(words[1], words[2]);
                    System.out.println("put " + words[1] + (gone == null ? "" : ", forgot " + gone));
                }
                case "get" -> {
                    String value = cache.get(words[1]);
                    System.out.println("get " + words[1] + ": " + (value == null ? "not here" : value));
                }
                case "show" -> System.out.println(cache.show());
                case "" -> { }
                default -> {
                    System.err.println("unknown command: " + words[0]);
                    System.exit(1);
                }
            }
        }
    }
}

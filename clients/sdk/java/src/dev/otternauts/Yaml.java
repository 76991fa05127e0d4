package dev.otternauts;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a kubeconfig is written in: maps, lists and plain values of YAML in block form, or JSON. Refuses everything else. */
final class Yaml {
  private final List<String> lines = new ArrayList<>();
  private int at;

  private Yaml() {}

  static Map<String, Object> read(String text) {
    if (text.strip().startsWith("{")) return Json.readObject(text);
    Yaml yaml = new Yaml();
    for (String line : text.split("\n")) {
      String words = line.strip();
      if (!words.isEmpty() && !words.equals("---") && !words.startsWith("#")) yaml.lines.add(line.stripTrailing());
    }
    Map<String, Object> out = yaml.map(0);
    if (yaml.at < yaml.lines.size()) throw new IllegalArgumentException("cannot read this YAML: " + yaml.line());
    return out;
  }

  private String line() {
    return at < lines.size() ? lines.get(at).strip() : "";
  }

  /** -1 at the end. */
  private int indent() {
    return at < lines.size() ? lines.get(at).length() - lines.get(at).stripLeading().length() : -1;
  }

  private static boolean isItem(String line) {
    return line.equals("-") || line.startsWith("- ");
  }

  /** The colon of {@code key: value}; -1 when it is no such line. */
  private static int colon(String line) {
    if (isItem(line)) return -1;
    int middle = line.indexOf(": ");
    return middle >= 0 ? middle : line.endsWith(":") ? line.length() - 1 : -1;
  }

  private Object block(int depth) {
    return isItem(line()) ? list(depth) : map(depth);
  }

  private List<Object> list(int depth) {
    List<Object> out = new ArrayList<>();
    while (indent() == depth && isItem(line())) {
      String rest = line().substring(1).strip();
      if (colon(rest) > 0) {
        // `- name: x` begins a map two columns in.
        int inner = depth + line().length() - rest.length();
        lines.set(at, " ".repeat(inner) + rest);
        out.add(map(inner));
      } else {
        at++;
        out.add(rest.isEmpty() ? block(indent()) : scalar(rest));
      }
    }
    return out;
  }

  private Map<String, Object> map(int depth) {
    Map<String, Object> out = new LinkedHashMap<>();
    while (indent() == depth && colon(line()) > 0) {
      String line = line();
      String key = line.substring(0, colon(line)).replaceAll("^[\"']|[\"']$", "");
      String value = line.substring(colon(line) + 1).strip();
      at++;
      boolean nested = indent() > depth || (indent() == depth && isItem(line()));
      out.put(key, !value.isEmpty() ? scalar(value) : nested ? block(indent()) : null);
    }
    return out;
  }

  private static Object scalar(String text) {
    if (text.equals("{}")) return new LinkedHashMap<String, Object>();
    if (text.equals("[]")) return new ArrayList<Object>();
    if (text.startsWith("\"")) return Json.read(text);
    if (text.startsWith("'")) return text.substring(1, text.length() - 1).replace("''", "'");
    if ("&*|>{[!".indexOf(text.charAt(0)) >= 0) throw new IllegalArgumentException("cannot read this YAML value: " + text);
    if (text.equals("true") || text.equals("false")) return Boolean.valueOf(text);
    return text;
  }
}

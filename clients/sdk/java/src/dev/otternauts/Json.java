package dev.otternauts;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, longs, doubles, booleans and null. */
public final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /** Reads a document. Throws IllegalArgumentException for anything else. */
  public static Object read(String text) {
    Json json = new Json(text);
    Object value = json.value(0);
    json.space();
    if (json.at < text.length()) throw json.wrong("the end");
    return value;
  }

  /** Reads an object. */
  public static Map<String, Object> readObject(String text) {
    return object(read(text));
  }

  /** A value as an object: it must be one. Keys that are no strings cannot occur. */
  @SuppressWarnings("unchecked")
  static Map<String, Object> object(Object value) {
    if (value instanceof Map<?, ?> map) return (Map<String, Object>) map;
    throw new IllegalArgumentException("not a JSON object: " + value);
  }

  /** A value as a list: it must be one. */
  @SuppressWarnings("unchecked")
  static List<Object> list(Object value) {
    if (value instanceof List<?> list) return (List<Object>) list;
    throw new IllegalArgumentException("not a JSON list: " + value);
  }

  private IllegalArgumentException wrong(String wanted) {
    return new IllegalArgumentException("JSON: " + wanted + " expected at " + at);
  }

  private void space() {
    while (at < text.length() && " \n\r\t".indexOf(text.charAt(at)) >= 0) at++;
  }

  private boolean next(char wanted) {
    space();
    if (at >= text.length() || text.charAt(at) != wanted) return false;
    at++;
    return true;
  }

  private Object value(int depth) {
    if (depth > 256) throw wrong("less nesting");
    space();
    if (at >= text.length()) throw wrong("a value");
    switch (text.charAt(at)) {
      case '{': {
        at++;
        Map<String, Object> out = new LinkedHashMap<>();
        if (next('}')) return out;
        do {
          space();
          String key = string();
          if (!next(':')) throw wrong(":");
          out.put(key, value(depth + 1));
        } while (next(','));
        if (!next('}')) throw wrong("}");
        return out;
      }
      case '[': {
        at++;
        List<Object> out = new ArrayList<>();
        if (next(']')) return out;
        do out.add(value(depth + 1));
        while (next(','));
        if (!next(']')) throw wrong("]");
        return out;
      }
      case '"':
        return string();
      default:
        return word();
    }
  }

  private Object word() {
    int from = at;
    while (at < text.length() && ",]} \n\r\t".indexOf(text.charAt(at)) < 0) at++;
    String word = text.substring(from, at);
    switch (word) {
      case "true":
        return Boolean.TRUE;
      case "false":
        return Boolean.FALSE;
      case "null":
        return null;
      default:
        try {
          if (word.matches("-?\\d{1,18}")) return Long.valueOf(word);
          if (word.matches("-?\\d+")) return new BigInteger(word);
          return Double.valueOf(word);
        } catch (NumberFormatException e) {
          at = from;
          throw wrong("a value");
        }
    }
  }

  private String string() {
    if (at >= text.length() || text.charAt(at) != '"') throw wrong("a string");
    StringBuilder out = new StringBuilder();
    for (at++; at < text.length(); at++) {
      char c = text.charAt(at);
      if (c == '"') {
        at++;
        return out.toString();
      }
      if (c == '\\') {
        at++;
        if (at >= text.length()) break;
        int plain = "nrtbf".indexOf(text.charAt(at));
        if (plain >= 0) out.append("\n\r\t\b\f".charAt(plain));
        else if (text.charAt(at) == 'u' && at + 4 < text.length()) {
          out.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16));
          at += 4;
        } else out.append(text.charAt(at));
      } else out.append(c);
    }
    throw wrong("the end of a string");
  }

  /** Writes a document. Views ({@link Node}) are written as what they look at. */
  public static String write(Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value);
    return out.toString();
  }

  private static void write(StringBuilder out, Object value) {
    if (value instanceof Node node) write(out, node.asMap());
    else if (value instanceof Map<?, ?> map) {
      char before = '{';
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        out.append(before);
        quote(out, String.valueOf(entry.getKey()));
        out.append(':');
        write(out, entry.getValue());
        before = ',';
      }
      out.append(before == '{' ? "{}" : "}");
    } else if (value instanceof List<?> list) {
      char before = '[';
      for (Object item : list) {
        out.append(before);
        write(out, item);
        before = ',';
      }
      out.append(before == '[' ? "[]" : "]");
    } else if (value instanceof CharSequence text) quote(out, text);
    else out.append(value);
  }

  private static void quote(StringBuilder out, CharSequence text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    out.append('"');
  }
}

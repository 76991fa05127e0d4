package dev.otternauts;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A view of a JSON object. Fields that have no method here stay in it and are written back. */
public class Node {
  private final Map<String, Object> json;

  /** An empty one. */
  protected Node() {
    this(new LinkedHashMap<>());
  }

  /** A view of this object. */
  protected Node(Map<String, Object> json) {
    this.json = json;
  }

  /** The JSON object itself: changes show on both sides. */
  public final Map<String, Object> asMap() {
    return json;
  }

  /** Any field. */
  public final Object getField(String name) {
    return json.get(name);
  }

  /** Sets any field; null takes it away. */
  public final void setField(String name, Object value) {
    if (value == null) json.remove(name);
    else json.put(name, plain(value));
  }

  private static Object plain(Object value) {
    if (value instanceof Node node) return node.json;
    if (value instanceof List<?> list) {
      List<Object> out = new ArrayList<>();
      for (Object item : list) out.add(plain(item));
      return out;
    }
    return value;
  }

  final String getText(String name) {
    return (String) json.get(name);
  }

  final Long getWhole(String name) {
    return json.get(name) instanceof Number n ? n.longValue() : null;
  }

  final Double getNumber(String name) {
    return json.get(name) instanceof Number n ? n.doubleValue() : null;
  }

  final Boolean getFlag(String name) {
    return (Boolean) json.get(name);
  }

  final <N> N getNode(String name, Function<Map<String, Object>, N> view) {
    Object value = json.get(name);
    return value == null ? null : view.apply(Json.object(value));
  }

  final <N> List<N> getNodes(String name, Function<Map<String, Object>, N> view) {
    List<N> out = new ArrayList<>();
    for (Object item : getList(name)) out.add(view.apply(Json.object(item)));
    return out;
  }

  final List<Object> getList(String name) {
    Object value = json.get(name);
    return value == null ? List.of() : Json.list(value);
  }

  final List<String> getTexts(String name) {
    return getList(name).stream().map(String::valueOf).toList();
  }

  final Map<String, Object> getMap(String name) {
    Object value = json.get(name);
    return value == null ? Map.of() : Json.object(value);
  }

  final Map<String, String> getTextMap(String name) {
    Map<String, String> out = new LinkedHashMap<>();
    getMap(name).forEach((key, value) -> out.put(key, String.valueOf(value)));
    return out;
  }

  @Override
  public final String toString() {
    return Json.write(json);
  }

  @Override
  public final boolean equals(Object other) {
    return other instanceof Node node && json.equals(node.json);
  }

  @Override
  public final int hashCode() {
    return json.hashCode();
  }
}

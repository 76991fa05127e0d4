package dev.otternauts;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** The objects of one kind in one place. */
public final class Handle<T extends KubeObject> {
  /** How a patch is meant. STRATEGIC works on built-in kinds only. */
  public enum PatchType {
    MERGE("application/merge-patch+json"),
    JSON("application/json-patch+json"),
    STRATEGIC("application/strategic-merge-patch+json");

    private final String media;

    PatchType(String media) {
      this.media = media;
    }
  }

  /** One page of a list; {@code next} is null on the last one. */
  public record Page<T>(List<T> items, String resourceVersion, String next) {}

  private static final String JSON = "application/json";
  final Client client;
  final Resource<T> resource;
  private final String namespace;

  Handle(Client client, Resource<T> resource, String namespace) {
    this.client = client;
    this.resource = resource;
    this.namespace = namespace;
  }

  String path(String name, String subresource) {
    return resource.path(namespace, name, subresource);
  }

  private T send(String method, String path, Map<String, String> query, String media, Object body) {
    return resource.view().apply(client.request(method, path, query, media, body));
  }

  private T typed(T object) {
    object.setField("apiVersion", resource.apiVersion());
    object.setField("kind", resource.kind());
    return object;
  }

  /** Reads one object. */
  public T get(String name) {
    return send("GET", path(name, ""), Map.of(), JSON, null);
  }

  /** One page. The query knows labelSelector, fieldSelector, limit, continue. */
  public Page<T> list(Map<String, String> query) {
    Map<String, String> all = new HashMap<>(Map.of("limit", "500"));
    all.putAll(query);
    Map<String, Object> answer = client.request("GET", path("", ""), all, JSON, null);
    Models.ListMeta meta = new Models.ListMeta(Json.object(answer.get("metadata")));
    List<T> items = new ArrayList<>();
    for (Object item : Json.list(answer.get("items"))) items.add(resource.view().apply(Json.object(item)));
    String next = meta.continue_() == null || meta.continue_().isEmpty() ? null : meta.continue_();
    return new Page<>(items, meta.resourceVersion(), next);
  }

  /** Every page. */
  public List<Page<T>> pages(Map<String, String> query) {
    List<Page<T>> out = new ArrayList<>();
    Map<String, String> next = new HashMap<>(query);
    for (Page<T> page = list(next); ; page = list(next)) {
      out.add(page);
      if (page.next() == null) return out;
      next.put("continue", page.next());
    }
  }

  /** Makes an object. */
  public T create(T object, Map<String, String> query) {
    return send("POST", path("", ""), query, JSON, typed(object));
  }

  /** Makes an object. */
  public T create(T object) {
    return create(object, Map.of());
  }

  /** Writes the whole object; refused with Conflict when it changed since it was read. */
  public T replace(T object) {
    return send("PUT", path(object.name(), ""), Map.of(), JSON, typed(object));
  }

  /** Writes the status alone. */
  public T replaceStatus(T object) {
    return send("PUT", path(object.name(), "status"), Map.of(), JSON, typed(object));
  }

  /** Reads, changes and writes, again when somebody else was faster. */
  public T update(String name, Consumer<T> change) {
    for (int attempt = 1; ; attempt++) {
      T object = get(name);
      change.accept(object);
      try {
        return replace(object);
      } catch (StatusException e) {
        if (!e.reason().equals("Conflict") || attempt >= Client.ATTEMPTS) throw e;
      }
      Client.pause(Client.backoff(attempt));
    }
  }

  /** Changes parts of an object. */
  public T patch(String name, PatchType type, Object patch) {
    return send("PATCH", path(name, ""), Map.of(), type.media, patch);
  }

  /** Server-side apply: says what the manager wants, and takes fields from others only with force. */
  public T apply(T object, String manager, boolean force) {
    Map<String, String> query = Map.of("fieldManager", manager, "force", String.valueOf(force));
    return send("PATCH", path(object.name(), ""), query, "application/apply-patch+yaml", typed(object));
  }

  /** Removes an object; finalizers may hold it for a while. */
  public void delete(String name, Models.DeleteOptions options) {
    client.request("DELETE", path(name, ""), Map.of(), JSON, options);
  }

  /** Removes an object; finalizers may hold it for a while. */
  public void delete(String name) {
    delete(name, new Models.DeleteOptions());
  }

  /** Removes every object that is selected. */
  public void deleteAll(Map<String, String> query) {
    client.request("DELETE", path("", ""), query, JSON, null);
  }

  /** See {@link Watch}. */
  public Watch<T> watch(Map<String, String> selection) {
    return new Watch<>(this, selection, null, false);
  }

  /** Begins after a version, without the current objects. */
  public Watch<T> watch(Map<String, String> selection, String resourceVersion, boolean bookmarks) {
    return new Watch<>(this, selection, resourceVersion, bookmarks);
  }

  /** Waits until the object is as wanted. */
  public T await(String name, Predicate<T> wanted) {
    try (Watch<T> watch = watch(new LinkedHashMap<>(Map.of("fieldSelector", "metadata.name=" + name)))) {
      while (true) {
        Watch.Event<T> event = watch.next();
        if (!event.type().equals("DELETED") && wanted.test(event.object())) return event.object();
      }
    }
  }
}

package dev.otternauts;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Consumer;
import java.util.function.Predicate;

/** The objects of one kind in one place. */
public final class Handle<T extends KubeObject> {
  /** How a patch is meant. */
  public enum PatchType {
    /** RFC 7386: an object; null takes a field away. */
    MERGE("application/merge-patch+json"),
    /** RFC 6902: a list of operations. */
    JSON("application/json-patch+json"),
    /** As MERGE, but lists are joined by their keys; of built-in kinds only. */
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

  /** One page. */
  public Page<T> list(ListOptions options) {
    Map<String, String> query = options.selection();
    query.put("limit", String.valueOf(options.limit()));
    if (options.from() != null) query.put("continue", options.from());
    Map<String, Object> answer = client.request("GET", path("", ""), query, JSON, null);
    Models.ListMeta meta = new Models.ListMeta(Json.object(answer.get("metadata")));
    List<T> items = new ArrayList<>();
    for (Object item : Json.list(answer.get("items"))) items.add(resource.view().apply(Json.object(item)));
    String next = meta.continue_() == null || meta.continue_().isEmpty() ? null : meta.continue_();
    return new Page<>(items, meta.resourceVersion(), next);
  }

  /** Every page, as one is needed. */
  public Iterable<Page<T>> pages(ListOptions options) {
    return () ->
        new Iterator<>() {
          private ListOptions ahead = options;

          @Override
          public boolean hasNext() {
            return ahead != null;
          }

          @Override
          public Page<T> next() {
            if (ahead == null) throw new NoSuchElementException();
            Page<T> page = list(ahead);
            ahead = page.next() == null ? null : ahead.from(page.next());
            return page;
          }
        };
  }

  /** Every object. */
  public List<T> all(ListOptions options) {
    List<T> out = new ArrayList<>();
    for (Page<T> page : pages(options)) out.addAll(page.items());
    return out;
  }

  /** Makes an object; its apiVersion and kind are filled in. */
  public T create(T object, WriteOptions options) {
    return send("POST", path("", ""), options.query(), JSON, typed(object));
  }

  /** Makes an object; its apiVersion and kind are filled in. */
  public T create(T object) {
    return create(object, WriteOptions.NONE);
  }

  /** Writes the whole object; refused with Conflict when it changed since it was read. */
  public T replace(T object, WriteOptions options) {
    return send("PUT", path(object.name(), options.subresource()), options.query(), JSON, typed(object));
  }

  /** Writes the whole object; refused with Conflict when it changed since it was read. */
  public T replace(T object) {
    return replace(object, WriteOptions.NONE);
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

  /** Changes parts of an object: a map or a {@link Node} for MERGE and STRATEGIC, a list of operations for JSON. */
  public T patch(String name, PatchType type, Object patch, WriteOptions options) {
    return send("PATCH", path(name, options.subresource()), options.query(), type.media, patch);
  }

  /** Changes parts of an object. */
  public T patch(String name, PatchType type, Object patch) {
    return patch(name, type, patch, WriteOptions.NONE);
  }

  /** Server-side apply: says what {@link WriteOptions#as a manager} wants, and takes fields from others only if forced. */
  public T apply(T object, WriteOptions options) {
    String path = path(object.name(), options.subresource());
    return send("PATCH", path, options.query(), "application/apply-patch+yaml", typed(object));
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
  public void deleteAll(ListOptions options) {
    client.request("DELETE", path("", ""), options.selection(), JSON, null);
  }

  /** The current objects as ADDED, then every change: see {@link Watch}. */
  public Watch<T> watch(ListOptions options) {
    return new Watch<>(this, options, null, false);
  }

  /** Begins after a version, without the current objects; tells bookmarks if asked to. */
  public Watch<T> watch(ListOptions options, String resourceVersion, boolean bookmarks) {
    return new Watch<>(this, options, resourceVersion, bookmarks);
  }

  /** Waits until the object is as wanted. */
  public T await(String name, Predicate<T> wanted) {
    try (Watch<T> watch = watch(ListOptions.ALL.fields("metadata.name=" + name))) {
      while (true) {
        Watch.Event<T> event = watch.next();
        if (!event.type().equals("DELETED") && wanted.test(event.object())) return event.object();
      }
    }
  }
}

package dev.otternauts;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The current objects as ADDED, then every change, without end. A connection that breaks is made again where it was; when the
 * server has forgotten that place (410), everything is listed and the differences come as events: nothing is lost, no deletion
 * either. For one thread, but for {@link #close}.
 */
public final class Watch<T extends KubeObject> implements AutoCloseable {
  /** One change. The type is ADDED, MODIFIED, DELETED, or BOOKMARK if asked for. */
  public record Event<T>(String type, T object) {}

  private final Handle<T> handle;
  private final ListOptions options;
  private final boolean bookmarks;
  private final Map<String, T> known = new LinkedHashMap<>();
  private final Deque<Event<T>> ready = new ArrayDeque<>();

  /** What the reader reads from: a reader cannot be closed while another thread waits in it, this can. */
  private volatile InputStream wire;

  private BufferedReader stream;
  private volatile boolean closed;
  private String version;
  private int quiet;

  Watch(Handle<T> handle, ListOptions options, String version, boolean bookmarks) {
    this.handle = handle;
    this.options = options;
    this.version = version;
    this.bookmarks = bookmarks;
  }

  /** The next event; waits for it. Throws StatusException for an error that does not pass, IllegalStateException after close. */
  public Event<T> next() {
    while (!closed) {
      if (!ready.isEmpty()) return ready.poll();
      try {
        if (stream == null) connect();
        String line = stream == null ? null : stream.readLine();
        if (line == null) again();
        else if (!line.isBlank()) read(Json.readObject(line));
      } catch (StatusException e) {
        if (e.code() == 410) version = null;
        else if (e.code() < 500 && e.code() != 429) throw e;
        again();
      } catch (IOException | UncheckedIOException e) {
        again();
      } catch (IllegalArgumentException e) {
        // The connection ended in the middle of a line.
        again();
      }
    }
    throw new IllegalStateException("the watch is closed");
  }

  private void connect() throws IOException {
    if (version == null) {
      list();
      if (!ready.isEmpty()) return;
    }
    Map<String, String> query = options.selection();
    query.putAll(Map.of("watch", "true", "allowWatchBookmarks", "true", "resourceVersion", version));
    InputStream answer = handle.client.send("GET", handle.path("", ""), query, "", null);
    wire = answer;
    stream = new BufferedReader(new InputStreamReader(answer, StandardCharsets.UTF_8));
    // Whoever closed meanwhile has not seen it.
    if (closed) answer.close();
  }

  /** The first time at once: servers end watches as a matter of course. */
  private void again() {
    if (stream == null && !ready.isEmpty()) return;
    drop();
    stream = null;
    quiet++;
    if (quiet > 1 && !closed) Client.pause(Client.backoff(quiet));
  }

  private void read(Map<String, Object> line) {
    String type = String.valueOf(line.get("type"));
    Map<String, Object> json = Json.object(line.get("object"));
    if (type.equals("ERROR")) {
      Models.Status status = new Models.Status(json);
      throw new StatusException(status.code() == null ? 500 : status.code().intValue(), status, null);
    }
    T object = handle.resource.view().apply(json);
    quiet = 0;
    if (object.metadata().resourceVersion() != null) version = object.metadata().resourceVersion();
    if (type.equals("BOOKMARK")) {
      if (!bookmarks) return;
    } else if (type.equals("DELETED")) known.remove(key(object));
    else known.put(key(object), object);
    ready.add(new Event<>(type, object));
  }

  private void list() {
    Map<String, T> found = new LinkedHashMap<>();
    String at = null;
    for (Handle.Page<T> page : handle.pages(options)) {
      at = page.resourceVersion();
      for (T item : page.items()) found.put(key(item), item);
    }
    List<String> gone = new ArrayList<>(known.keySet());
    gone.removeAll(found.keySet());
    for (String key : gone) ready.add(new Event<>("DELETED", known.remove(key)));
    found.forEach(
        (key, object) -> {
          T before = known.put(key, object);
          if (before == null) ready.add(new Event<>("ADDED", object));
          else if (!Objects.equals(before.metadata().resourceVersion(), object.metadata().resourceVersion())) {
            ready.add(new Event<>("MODIFIED", object));
          }
        });
    version = at;
  }

  /** One object is another when it was deleted and made again under the same name. */
  private static String key(KubeObject object) {
    Models.ObjectMeta meta = object.metadata();
    return meta.namespace() + "/" + meta.name() + "/" + meta.uid();
  }

  private void drop() {
    InputStream open = wire;
    if (open == null) return;
    try {
      open.close();
    } catch (IOException e) {
      // It is broken already.
    }
  }

  /** Ends it, from any thread. */
  @Override
  public void close() {
    closed = true;
    drop();
  }
}

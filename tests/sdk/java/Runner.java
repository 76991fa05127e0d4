package dev.otternauts.test;

import dev.otternauts.Client;
import dev.otternauts.Config;
import dev.otternauts.Handle;
import dev.otternauts.Json;
import dev.otternauts.KubeObject;
import dev.otternauts.ListOptions;
import dev.otternauts.Models;
import dev.otternauts.Resource;
import dev.otternauts.StatusException;
import dev.otternauts.Watch;
import dev.otternauts.WriteOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.StringJoiner;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/** Runs the steps of ../steps.json through the Java SDK: {@code Runner STEPS FOLDER}. README.md says what each action means. */
final class Runner {
  private static final Map<String, Resource<? extends KubeObject>> KINDS =
      Map.of(
          "Namespace", Models.Namespace.RESOURCE,
          "ConfigMap", Models.ConfigMap.RESOURCE,
          "Secret", Models.Secret.RESOURCE,
          "Stack", Models.Stack.RESOURCE,
          "CustomResourceDefinition", Models.CustomResourceDefinition.RESOURCE,
          "Gadget", new Resource<>("sdk.example.com", "v1", "Gadget", "gadgets", true, KubeObject::new));

  private final String namespace;
  private final Path folder;
  private final Map<String, Client> clients = new HashMap<>();
  private final Map<String, Object> saved = new HashMap<>();
  private final Map<String, Object> kept = new HashMap<>();

  private Runner(String namespace, Path folder) {
    this.namespace = namespace;
    this.folder = folder;
  }

  /** One action, with its fields as they are in the file. */
  private record Action(Map<String, Object> fields) {
    String text(String name) {
      return (String) fields.get(name);
    }

    int number(String name) {
      return ((Number) fields.get(name)).intValue();
    }

    boolean flag(String name) {
      return Boolean.TRUE.equals(fields.get(name));
    }

    Map<String, Object> object(String name) {
      return fields.get(name) == null ? Map.of() : asObject(fields.get(name));
    }

    ListOptions selection() {
      ListOptions all = ListOptions.ALL.labels(text("labelSelector")).fields(text("fieldSelector"));
      return fields.get("limit") == null ? all : all.limit(number("limit"));
    }

    WriteOptions writing() {
      String subresource = text("subresource") == null ? "" : text("subresource");
      return new WriteOptions(text("manager"), flag("dryRun"), flag("force"), subresource);
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> asObject(Object value) {
    return (Map<String, Object>) value;
  }

  private Client client(String name) throws Exception {
    Client found = clients.get(name);
    if (found == null) clients.put(name, found = Config.client(folder.resolve(name + ".kubeconfig")));
    return found;
  }

  private Object act(Action a) throws Exception {
    switch (a.text("do")) {
      case "fault":
        return client("proxy").request("POST", "/_faults", Map.of(), "application/json", a.object("fault"));
      case "report":
        return client("proxy").request("GET", "/_report", Map.of(), "", null);
      case "whoami":
        return whoami(client(a.text("as")));
      default:
        return perform(a, KINDS.get(a.text("kind")));
    }
  }

  private static Object whoami(Client client) {
    Map<String, Object> body = Map.of("apiVersion", "authentication.k8s.io/v1", "kind", "SelfSubjectReview");
    String path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    Object user = at(client.request("POST", path, Map.of(), "application/json", body), "status.userInfo");
    StringJoiner groups = new StringJoiner(" ");
    if (asObject(user).get("groups") instanceof List<?> list) list.forEach(group -> groups.add(String.valueOf(group)));
    return Map.of("username", asObject(user).get("username"), "groups", groups.toString());
  }

  private <T extends KubeObject> Object perform(Action a, Resource<T> resource) throws Exception {
    String as = a.text("via") != null ? a.text("via") : a.text("as") != null ? a.text("as") : "admin";
    Handle<T> objects = client(as).resource(resource, namespace);
    switch (a.text("do")) {
      case "create":
        return objects.create(resource.view().apply(a.object("body")), a.writing());
      case "get":
        return objects.get(a.text("name"));
      case "replace":
        T old = resource.view().apply(asObject(Json.read(Json.write(kept.get(a.text("kept"))))));
        change(a, old);
        return objects.replace(old, a.writing());
      case "update":
        return objects.update(a.text("name"), object -> change(a, object));
      case "patch":
        Handle.PatchType type = Handle.PatchType.valueOf(a.text("type").toUpperCase(java.util.Locale.ROOT));
        return objects.patch(a.text("name"), type, a.fields().get("patch"), a.writing());
      case "apply":
        return objects.apply(resource.view().apply(a.object("body")), a.writing());
      case "delete":
        objects.delete(a.text("name"), new Models.DeleteOptions(new HashMap<>(a.object("options"))));
        return Map.of();
      case "deleteAll":
        objects.deleteAll(a.selection());
        return Map.of();
      case "wait":
        return objects.await(a.text("name"), object -> isTrue(object, a.text("condition")));
      case "fill":
        for (int i = 0; i < a.number("many"); i++) objects.create(labelled(resource, a, a.text("prefix") + i));
        return Map.of();
      case "list":
        return list(objects, a);
      case "watch":
        StringJoiner said = new StringJoiner(", ");
        for (Watch.Event<T> event : events(objects, a, a.number("count"))) {
          said.add(event.type() + " " + Objects.requireNonNullElse(event.object().name(), ""));
        }
        return Map.of("events", said.toString());
      case "storm":
        return storm(objects, resource, a);
      case "cancel":
        return cancel(objects, a);
      default:
        throw new IllegalArgumentException("no action " + a.text("do"));
    }
  }

  private static <T extends KubeObject> T labelled(Resource<T> resource, Action a, String name) {
    Map<String, Object> metadata = new HashMap<>(Map.of("name", name, "labels", a.object("labels")));
    return resource.view().apply(new HashMap<>(Map.of("metadata", metadata)));
  }

  private static boolean isTrue(KubeObject object, String condition) {
    Models.CustomResourceDefinitionStatus status = ((Models.CustomResourceDefinition) object).status();
    if (status == null) return false;
    return status.conditions().stream().anyMatch(c -> c.type().equals(condition) && c.status().equals("True"));
  }

  /** Sets the fields that the action names. */
  private static void change(Action a, KubeObject object) {
    a.object("set")
        .forEach(
            (path, value) -> {
              String[] way = path.split("\\.");
              Map<String, Object> place = object.asMap();
              for (int i = 0; i < way.length - 1; i++) {
                place = asObject(place.computeIfAbsent(way[i], key -> new HashMap<String, Object>()));
              }
              place.put(way[way.length - 1], value);
            });
  }

  private static <T extends KubeObject> Object list(Handle<T> objects, Action a) {
    List<String> names = new ArrayList<>();
    long pages = 0;
    String version = "";
    for (Handle.Page<T> page : objects.pages(a.selection())) {
      pages++;
      version = page.resourceVersion();
      page.items().forEach(item -> names.add(item.name()));
    }
    return Map.of("names", String.join(" ", names), "count", (long) names.size(), "pages", pages, "resourceVersion", version);
  }

  private static <T extends KubeObject> List<Watch.Event<T>> events(Handle<T> objects, Action a, int count) {
    List<Watch.Event<T>> found = new ArrayList<>();
    try (Watch<T> watch = objects.watch(a.selection(), a.text("from"), a.flag("bookmarks"))) {
      while (found.size() < count) found.add(watch.next());
    }
    return found;
  }

  private static <T extends KubeObject> Object storm(Handle<T> objects, Resource<T> resource, Action a) throws Exception {
    int writes = a.number("writes");
    CompletableFuture<List<Watch.Event<T>>> reader = CompletableFuture.supplyAsync(() -> events(objects, a, writes));
    for (int i = 0; i < writes; i++) {
      String name = "w" + i % a.number("names");
      switch (i / a.number("names") % 4) {
        case 0 -> objects.create(labelled(resource, a, name));
        case 1 -> objects.patch(name, Handle.PatchType.MERGE, Map.of("data", Map.of("turn", String.valueOf(i))));
        case 2 -> objects.patch(name, Handle.PatchType.JSON, List.of(Map.of("op", "add", "path", "/data/more", "value", String.valueOf(i))));
        default -> objects.delete(name);
      }
    }
    Map<String, String> told = new HashMap<>();
    List<Watch.Event<T>> events = reader.get();
    for (Watch.Event<T> event : events) {
      if (event.type().equals("DELETED")) told.remove(event.object().name());
      else told.put(event.object().name(), event.object().metadata().resourceVersion());
    }
    Map<String, String> left = new HashMap<>();
    for (T item : objects.all(a.selection())) left.put(item.name(), item.metadata().resourceVersion());
    return Map.of("events", (long) events.size(), "left", (long) left.size(), "same", told.equals(left));
  }

  private static <T extends KubeObject> Object cancel(Handle<T> objects, Action a) throws Exception {
    Watch<T> watch = objects.watch(a.selection());
    CountDownLatch arrived = new CountDownLatch(a.number("count"));
    CompletableFuture<Boolean> reader =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                while (true) {
                  watch.next();
                  arrived.countDown();
                }
              } catch (IllegalStateException e) {
                return true;
              }
            });
    arrived.await();
    watch.close();
    return Map.of("ended", reader.get());
  }

  private void run(Action unfilled) throws Exception {
    Action a = new Action(asObject(filled(unfilled.fields())));
    Object result;
    try {
      result = act(a);
    } catch (StatusException e) {
      if (a.fields().get("error") == null) throw e;
      compare(e.status().asMap(), a.object("error"));
      if (!Objects.equals(e.reason(), a.object("error").get("reason"))) throw new AssertionError("the reason is " + e.reason());
      return;
    }
    if (a.fields().get("error") != null) throw new AssertionError("it should have failed with " + a.object("error"));
    Object plain = Json.read(Json.write(result));
    compare(plain, a.object("expect"));
    a.object("save").forEach((name, path) -> saved.put(name, at(plain, (String) path)));
    if (a.text("keep") != null) kept.put(a.text("keep"), plain);
  }

  /** The value with what was saved in the places of ${NAME}. */
  private Object filled(Object value) {
    if (value instanceof Map<?, ?> map) {
      Map<String, Object> out = new HashMap<>();
      map.forEach((key, item) -> out.put((String) key, filled(item)));
      return out;
    }
    if (value instanceof List<?> list) {
      List<Object> out = new ArrayList<>();
      list.forEach(item -> out.add(filled(item)));
      return out;
    }
    return value instanceof String text && text.startsWith("${") ? saved.get(text.substring(2, text.length() - 1)) : value;
  }

  /** What is at {@code a.0.b}; null where nothing is. */
  private static Object at(Object value, String path) {
    for (String part : path.split("\\.")) {
      if (value instanceof Map<?, ?> map) value = map.get(part);
      else if (value instanceof List<?> list) value = Integer.parseInt(part) < list.size() ? list.get(Integer.parseInt(part)) : null;
      else return null;
    }
    return value;
  }

  private static void compare(Object result, Map<String, Object> expected) {
    expected.forEach(
        (path, value) -> {
          if (!Objects.equals(at(result, path), value)) {
            throw new AssertionError(path + " is " + Json.write(at(result, path)) + ", not " + Json.write(value));
          }
        });
  }

  public static void main(String[] args) throws Exception {
    Map<String, Object> document = Json.readObject(Files.readString(Path.of(args[0])));
    Runner runner = new Runner((String) document.get("namespace"), Path.of(args[1]));
    int number = 0;
    for (Object each : (List<?>) document.get("steps")) {
      Map<String, Object> step = asObject(each);
      number++;
      for (Object action : (List<?>) step.get("actions")) {
        try {
          runner.run(new Action(asObject(action)));
        } catch (Exception | AssertionError e) {
          System.out.printf("%2d FAILED %s%n   %s%n   %s%n", number, step.get("name"), Json.write(action), e);
          System.exit(1);
        }
      }
      System.out.printf("%2d ok     %s%n", number, step.get("name"));
    }
    System.exit(0);
  }
}

package dev.otternauts;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.ThreadLocalRandom;
import javax.net.ssl.SSLContext;

/** A connection to one server, safe for concurrent use. Make one with {@link Config#client}, or by hand. */
public final class Client {
  static final int ATTEMPTS = 5;
  private final HttpClient http;
  private final String server;
  private final Credentials credentials;
  private final String namespace;

  /** Credentials or a TLS context that are null are not used; without a namespace it is {@code default}. */
  public Client(String server, Credentials credentials, String namespace, SSLContext tls) {
    HttpClient.Builder builder = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(30)).version(HttpClient.Version.HTTP_1_1);
    this.http = (tls == null ? builder : builder.sslContext(tls)).build();
    this.server = server.replaceAll("/+$", "");
    this.credentials = credentials;
    this.namespace = namespace == null ? "default" : namespace;
  }

  /** The objects of one kind, where the client is at home. */
  public <T extends KubeObject> Handle<T> resource(Resource<T> resource) {
    return resource(resource, namespace);
  }

  /** The objects of one kind in a namespace; {@code "*"} is everywhere. */
  public <T extends KubeObject> Handle<T> resource(Resource<T> resource, String namespace) {
    return new Handle<>(this, resource, namespace);
  }

  /** One request, again where that is safe. Throws {@link StatusException}. */
  public Map<String, Object> request(String method, String path, Map<String, String> query, String mediaType, Object body) {
    try (InputStream answer = send(method, path, query, mediaType, body)) {
      return Json.readObject(new String(answer.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** As {@link #request}; the answer is not read yet, and the caller closes it. */
  InputStream send(String method, String path, Map<String, String> query, String mediaType, Object body) throws IOException {
    StringJoiner pairs = new StringJoiner("&", query.isEmpty() ? "" : "?", "");
    query.forEach((name, value) -> pairs.add(Resource.escape(name) + "=" + Resource.escape(value)));
    HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(server + path + pairs));
    builder.header("Accept", "application/json").header("User-Agent", "otternauts-java/0.1");
    if (body == null) builder.method(method, HttpRequest.BodyPublishers.noBody());
    else builder.header("Content-Type", mediaType).method(method, HttpRequest.BodyPublishers.ofString(Json.write(body)));
    for (int attempt = 1; ; attempt++) {
      double wait = backoff(attempt);
      String bearer = credentials == null ? null : credentials.token();
      if (bearer != null) builder.setHeader("Authorization", "Bearer " + bearer);
      try {
        HttpResponse<InputStream> response = http.send(builder.build(), HttpResponse.BodyHandlers.ofInputStream());
        if (response.statusCode() < 300) return response.body();
        String text;
        try (InputStream content = response.body()) {
          text = new String(content.readAllBytes(), StandardCharsets.UTF_8);
        }
        int code = response.statusCode();
        StatusException error = StatusException.of(code, text, response.headers().firstValue("retry-after").orElse(null));
        // What was not looked at by the server may be sent again: after 401 with a newer token, after 429, and after a 5xx that says
        // Retry-After. After another 5xx only a read may.
        boolean renewed = code == 401 && attempt == 1 && bearer != null;
        boolean again = code == 429 || (code >= 500 && (method.equals("GET") || error.retryAfter() >= 0));
        if (attempt >= ATTEMPTS || !(again || renewed)) throw error;
        if (renewed) {
          credentials.refused(bearer);
          wait = 0;
        } else if (error.retryAfter() >= 0) wait = error.retryAfter();
      } catch (InterruptedException e) {
        throw interrupted(e);
      } catch (IOException e) {
        if (attempt >= ATTEMPTS || !method.equals("GET")) throw e;
      }
      pause(wait);
    }
  }

  /** Seconds before the next attempt: doubling from 0.1 to 10, with some chance in it. */
  static double backoff(int attempt) {
    return Math.min(0.1 * Math.pow(2, attempt - 1), 10) * ThreadLocalRandom.current().nextDouble(0.5, 1);
  }

  static void pause(double seconds) {
    try {
      Thread.sleep((long) (seconds * 1000));
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  private static IllegalStateException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new IllegalStateException("interrupted", e);
  }
}

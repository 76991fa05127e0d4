package dev.otternauts;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Asks its source when there is no token yet, when the token's time is over, and after the server refused it. */
public final class Credentials {
  /** A bearer token; {@code expires} is null when nothing is known about its end. */
  public record Token(String value, Instant expires) {
    @Override
    public String toString() {
      return "Token[expires=" + expires + "]";
    }
  }

  /** Where tokens come from. */
  public interface Source {
    /** A token that is good now. */
    Token token() throws IOException;
  }

  private final Source source;
  private Token token;

  /** Of this source. */
  public Credentials(Source source) {
    this.source = source;
  }

  /** The token to send now; may wait for a plugin. */
  public synchronized String token() throws IOException {
    boolean over = token != null && token.expires() != null && !Instant.now().isBefore(token.expires());
    if (token == null || over) token = source.token();
    return token.value();
  }

  synchronized void refused(String value) {
    if (token != null && token.value().equals(value)) token = null;
  }

  /** A file with a token, which may be renewed in place. */
  static Credentials ofFile(Path file) {
    return new Credentials(() -> new Token(Files.readString(file).strip(), null));
  }

  /** What an exec plugin of a kubeconfig prints. A command with a slash is meant relative to the folder. */
  static Credentials ofPlugin(Map<String, Object> exec, Path folder) {
    String command = String.valueOf(exec.get("command"));
    List<String> words = new ArrayList<>();
    words.add(command.contains("/") ? folder.resolve(command).toString() : command);
    if (exec.get("args") != null) Json.list(exec.get("args")).forEach(word -> words.add(String.valueOf(word)));
    Map<String, String> env = new LinkedHashMap<>();
    if (exec.get("env") != null) {
      for (Object entry : Json.list(exec.get("env"))) {
        env.put(String.valueOf(Json.object(entry).get("name")), String.valueOf(Json.object(entry).get("value")));
      }
    }
    Map<String, Object> info = new LinkedHashMap<>();
    info.put("apiVersion", exec.get("apiVersion"));
    info.put("kind", "ExecCredential");
    info.put("spec", Map.of("interactive", false));
    env.put("KUBERNETES_EXEC_INFO", Json.write(info));
    return new Credentials(() -> run(command, words, env));
  }

  private static Token run(String command, List<String> words, Map<String, String> env) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().putAll(env);
    Process process = builder.start();
    process.getOutputStream().close();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) throw new IOException("the credential plugin " + command + " ended with " + process.exitValue());
    } catch (InterruptedException e) {
      process.destroy();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the credential plugin " + command + " ran", e);
    }
    try {
      Map<String, Object> status = Json.object(Json.readObject(printed).get("status"));
      if (!(status.get("token") instanceof String value)) throw new IllegalArgumentException("no token (certificates are not taken)");
      Object expires = status.get("expirationTimestamp");
      return new Token(value, expires == null ? null : OffsetDateTime.parse(String.valueOf(expires)).toInstant());
    } catch (IllegalArgumentException | java.time.DateTimeException e) {
      throw new IOException("cannot use what the credential plugin " + command + " printed", e);
    }
  }
}

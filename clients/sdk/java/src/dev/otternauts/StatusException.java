package dev.otternauts;

import java.util.Map;

/** An answer that is an error. {@link #reason} is for programs: NotFound, Conflict, Invalid. */
public final class StatusException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final int code;
  private final transient Models.Status status;
  private final double retryAfter;

  StatusException(int code, Models.Status status, String retryAfterHeader) {
    super(status.message() == null ? "the server answered " + code : status.message());
    this.code = code;
    this.status = status;
    Long inBody = status.details() == null ? null : status.details().retryAfterSeconds();
    boolean header = retryAfterHeader != null && retryAfterHeader.matches("\\d{1,9}");
    this.retryAfter = header ? Integer.parseInt(retryAfterHeader) : inBody == null ? -1 : inBody;
  }

  static StatusException of(int code, String text, String retryAfter) {
    try {
      Models.Status status = new Models.Status(Json.readObject(text));
      if ("Status".equals(status.kind())) return new StatusException(code, status, retryAfter);
    } catch (IllegalArgumentException e) {
      // Not JSON: a proxy in between, or a plain 404. The text is the message.
    }
    return new StatusException(code, new Models.Status(new java.util.LinkedHashMap<>(Map.of("message", text.strip()))), retryAfter);
  }

  /** The HTTP status. */
  public int code() {
    return code;
  }

  /** Why, in one word; empty when the server gave none. */
  public String reason() {
    return status.reason() == null ? "" : status.reason();
  }

  /** Everything the server said. */
  public Models.Status status() {
    return status;
  }

  /** Seconds to wait; negative when the server does not say. */
  public double retryAfter() {
    return retryAfter;
  }
}

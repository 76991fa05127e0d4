import type { Status } from "./models.js";

/** An answer that is an error. `reason` is for programs: `NotFound`, `Conflict`, `AlreadyExists`, `Invalid`, ... */
export class StatusError extends Error {
  /** The HTTP status. */
  readonly code: number;
  /** Why, in one word; empty when the server gave none. */
  readonly reason: string;
  /** Everything the server said. */
  readonly status: Status;
  /** Seconds to wait, if the server said so. */
  readonly retryAfter: number | undefined;

  constructor(code: number, status: Status, retryAfter?: number) {
    super(status.message ?? `the server answered ${code}`);
    this.name = "StatusError";
    this.code = code;
    this.reason = status.reason ?? "";
    this.status = status;
    this.retryAfter = retryAfter ?? status.details?.retryAfterSeconds;
  }

  /** The error that an answer is. */
  static async of(response: Response): Promise<StatusError> {
    const text = await response.text();
    const after = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
    let status: Status = { message: text.trim() || response.statusText };
    try {
      const parsed: unknown = JSON.parse(text);
      if (typeof parsed === "object" && parsed !== null && "kind" in parsed && parsed.kind === "Status") {
        status = parsed as Status;
      }
    } catch {
      // Not JSON: a proxy in between, or a plain 404. The text is the message.
    }
    return new StatusError(response.status, status, Number.isNaN(after) ? undefined : after);
  }

  /** True for the error with this reason, for example `StatusError.is(e, "NotFound")`. */
  static is(error: unknown, reason: string): error is StatusError {
    return error instanceof StatusError && error.reason === reason;
  }
}

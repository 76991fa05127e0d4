package dev.otternauts;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Of a write.
 *
 * @param fieldManager who owns the fields that are set; null for the client's name
 * @param dryRun says what would happen; stores nothing
 * @param force takes fields from others; of an apply only
 * @param subresource {@code status}, or empty for the object itself
 */
public record WriteOptions(String fieldManager, boolean dryRun, boolean force, String subresource) {
  /** Nothing special. */
  public static final WriteOptions NONE = new WriteOptions(null, false, false, "");

  /** To the status alone. */
  public static final WriteOptions STATUS = new WriteOptions(null, false, false, "status");

  /** A dry run. */
  public static final WriteOptions DRY_RUN = new WriteOptions(null, true, false, "");

  /** On behalf of this manager. */
  public static WriteOptions as(String fieldManager) {
    return new WriteOptions(fieldManager, false, false, "");
  }

  /** The same, taking fields from others. */
  public WriteOptions forced() {
    return new WriteOptions(fieldManager, dryRun, true, subresource);
  }

  Map<String, String> query() {
    Map<String, String> query = new LinkedHashMap<>();
    if (fieldManager != null) query.put("fieldManager", fieldManager);
    if (dryRun) query.put("dryRun", "All");
    if (force) query.put("force", "true");
    return query;
  }
}

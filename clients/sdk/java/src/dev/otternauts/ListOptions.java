package dev.otternauts;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What is listed or watched.
 *
 * @param labelSelector {@code tier=front,env in (test,dev)}; null for all
 * @param fieldSelector {@code metadata.name=shop}; null for all
 * @param limit objects a page
 * @param from where a page begins: {@link Handle.Page#next} of the one before; null for the first
 */
public record ListOptions(String labelSelector, String fieldSelector, int limit, String from) {
  /** Everything, 500 objects a page. */
  public static final ListOptions ALL = new ListOptions(null, null, 500, null);

  /** The same with another selector of labels. */
  public ListOptions labels(String selector) {
    return new ListOptions(selector, fieldSelector, limit, from);
  }

  /** The same with another selector of fields. */
  public ListOptions fields(String selector) {
    return new ListOptions(labelSelector, selector, limit, from);
  }

  /** The same with other pages. */
  public ListOptions limit(int objects) {
    return new ListOptions(labelSelector, fieldSelector, objects, from);
  }

  /** The same, a page further. */
  public ListOptions from(String next) {
    return new ListOptions(labelSelector, fieldSelector, limit, next);
  }

  /** What is selected, as a query. */
  Map<String, String> selection() {
    Map<String, String> query = new LinkedHashMap<>();
    if (labelSelector != null) query.put("labelSelector", labelSelector);
    if (fieldSelector != null) query.put("fieldSelector", fieldSelector);
    return query;
  }
}

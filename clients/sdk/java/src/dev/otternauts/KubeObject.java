package dev.otternauts;

import java.util.LinkedHashMap;
import java.util.Map;

/** What every kind is. Used as it is for kinds of your own CRDs. */
public class KubeObject extends Node {
  /** A new object of a kind. */
  public KubeObject(String apiVersion, String kind) {
    setField("apiVersion", apiVersion);
    setField("kind", kind);
  }

  /** A view of this JSON object. */
  public KubeObject(Map<String, Object> json) {
    super(json);
  }

  /** Its metadata, made if there is none yet. */
  public final Models.ObjectMeta metadata() {
    return new Models.ObjectMeta(Json.object(asMap().computeIfAbsent("metadata", key -> new LinkedHashMap<String, Object>())));
  }

  /** Its name. */
  public final String name() {
    return metadata().name();
  }
}

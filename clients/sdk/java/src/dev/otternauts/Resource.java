package dev.otternauts;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.Function;

/** Where objects of a kind are served. For kinds of your own CRDs write one over {@link KubeObject}. */
public record Resource<T extends KubeObject>(
    String group, String version, String kind, String plural, boolean namespaced, Function<Map<String, Object>, T> view) {

  /** GROUP/VERSION, or the version alone for the core group. */
  public String apiVersion() {
    return group.isEmpty() ? version : group + "/" + version;
  }

  String path(String namespace, String name, String subresource) {
    StringBuilder path = new StringBuilder(group.isEmpty() ? "/api/" + version : "/apis/" + group + "/" + version);
    if (namespaced && !namespace.equals("*")) path.append("/namespaces/").append(escape(namespace));
    path.append('/').append(plural);
    if (!name.isEmpty()) path.append('/').append(escape(name));
    if (!subresource.isEmpty()) path.append('/').append(subresource);
    return path.toString();
  }

  static String escape(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}

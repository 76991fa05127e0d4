package dev.otternauts;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.Map;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** A client from a kubeconfig. */
public final class Config {
  private final Map<String, Object> document;
  private final Path file;

  private Config(Path file) throws IOException {
    this.file = file;
    this.document = Yaml.read(Files.readString(file));
  }

  /** For the current context of KUBECONFIG, or of ~/.kube/config. */
  public static Client client() throws IOException, GeneralSecurityException {
    String named = System.getenv("KUBECONFIG");
    return client(named != null ? Path.of(named) : Path.of(System.getProperty("user.home"), ".kube", "config"));
  }

  /** For the current context of a kubeconfig. Private keys must be PKCS #8. */
  public static Client client(Path file) throws IOException, GeneralSecurityException {
    Config config = new Config(file);
    Map<String, Object> context = config.pick("contexts", "context", (String) config.document.get("current-context"));
    Map<String, Object> cluster = config.pick("clusters", "cluster", (String) context.get("cluster"));
    Map<String, Object> user = config.pick("users", "user", (String) context.get("user"));
    String namespace = (String) context.get("namespace");
    return new Client((String) cluster.get("server"), config.credentials(user), namespace, config.tls(cluster, user));
  }

  private Credentials credentials(Map<String, Object> user) {
    if (user.get("token") instanceof String token) return new Credentials(() -> new Credentials.Token(token, null));
    if (user.get("tokenFile") instanceof String name) return Credentials.ofFile(beside(name));
    return user.get("exec") == null ? null : Credentials.ofPlugin(Json.object(user.get("exec")), folder());
  }

  private Path folder() {
    return file.toAbsolutePath().getParent();
  }

  private Map<String, Object> pick(String list, String section, String name) {
    for (Object entry : Json.list(document.get(list))) {
      if (Json.object(entry).get("name").equals(name)) return Json.object(Json.object(entry).get(section));
    }
    throw new IllegalArgumentException(file + ": no " + section + " named " + name);
  }

  private Path beside(String name) {
    return folder().resolve(name);
  }

  private byte[] pem(Map<String, Object> from, String key) throws IOException {
    if (from.get(key + "-data") instanceof String data) return Base64.getDecoder().decode(data);
    return from.get(key) instanceof String name ? Files.readAllBytes(beside(name)) : null;
  }

  private SSLContext tls(Map<String, Object> cluster, Map<String, Object> user) throws IOException, GeneralSecurityException {
    byte[] ca = pem(cluster, "certificate-authority");
    byte[] certificate = pem(user, "client-certificate");
    if (ca == null && certificate == null) return null;
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(ca == null ? null : trusted(ca));
    KeyManager[] keys = certificate == null ? null : keys(certificate, pem(user, "client-key"));
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys, trust.getTrustManagers(), null);
    return context;
  }

  private static KeyStore trusted(byte[] pem) throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    int number = 0;
    for (Certificate certificate : certificates(pem)) store.setCertificateEntry("ca" + number++, certificate);
    return store;
  }

  private static Collection<? extends Certificate> certificates(byte[] pem) throws GeneralSecurityException {
    return CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem));
  }

  private static KeyManager[] keys(byte[] certificate, byte[] key) throws IOException, GeneralSecurityException {
    String text = new String(key, StandardCharsets.US_ASCII).replaceAll("-----[A-Z ]+-----|\\s", "");
    PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text));
    GeneralSecurityException last = null;
    for (String algorithm : new String[] {"EC", "Ed25519", "RSA"}) {
      try {
        PrivateKey read = KeyFactory.getInstance(algorithm).generatePrivate(spec);
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        store.setKeyEntry("client", read, new char[0], certificates(certificate).toArray(new Certificate[0]));
        KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(store, new char[0]);
        return factory.getKeyManagers();
      } catch (GeneralSecurityException e) {
        last = e;
      }
    }
    throw last;
  }
}

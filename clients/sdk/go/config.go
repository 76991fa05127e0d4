package otternauts

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Load makes a client for the current context of a kubeconfig: path, or KUBECONFIG, or ~/.kube/config when path is empty.
func Load(path string) (*Client, error) {
	if path == "" {
		path = os.Getenv("KUBECONFIG")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(home, ".kube", "config")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	document, err := readYAML(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	client, err := (&kubeconfig{document, folder}).client()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return client, nil
}

type kubeconfig struct {
	document map[string]any
	folder   string
}

func (k *kubeconfig) client() (*Client, error) {
	context, err := k.pick("contexts", "context", text(k.document, "current-context"))
	if err != nil {
		return nil, err
	}
	cluster, err := k.pick("clusters", "cluster", text(context, "cluster"))
	if err != nil {
		return nil, err
	}
	user, err := k.pick("users", "user", text(context, "user"))
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := k.trust(settings, cluster, user); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = settings
	return &Client{
		Server:      text(cluster, "server"),
		Token:       text(user, "token"),
		Credentials: k.credentials(user),
		Namespace:   text(context, "namespace"),
		HTTP:        &http.Client{Transport: transport},
	}, nil
}

// credentials are those that may change; nil when there are none.
func (k *kubeconfig) credentials(user map[string]any) *Credentials {
	if file := text(user, "tokenFile"); file != "" {
		return fromFile(k.beside(file))
	}
	section, ok := user["exec"].(map[string]any)
	if !ok {
		return nil
	}
	found := plugin{apiVersion: text(section, "apiVersion"), command: text(section, "command"), folder: k.folder}
	args, _ := section["args"].([]any)
	for _, arg := range args {
		if arg, ok := arg.(string); ok {
			found.args = append(found.args, arg)
		}
	}
	env, _ := section["env"].([]any)
	for _, entry := range env {
		if entry, ok := entry.(map[string]any); ok {
			found.env = append(found.env, text(entry, "name")+"="+text(entry, "value"))
		}
	}
	return &Credentials{Source: found.run}
}

func (k *kubeconfig) trust(settings *tls.Config, cluster, user map[string]any) error {
	ca, err := k.pem(cluster, "certificate-authority")
	if err != nil {
		return err
	}
	if ca != nil {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(ca) {
			return errors.New("certificate-authority holds no certificate")
		}
	}
	certificate, err := k.pem(user, "client-certificate")
	if err != nil || certificate == nil {
		return err
	}
	key, err := k.pem(user, "client-key")
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	settings.Certificates = []tls.Certificate{pair}
	return err
}

func (k *kubeconfig) pick(list, section, name string) (map[string]any, error) {
	entries, _ := k.document[list].([]any)
	for _, entry := range entries {
		if entry, ok := entry.(map[string]any); ok && text(entry, "name") == name {
			found, _ := entry[section].(map[string]any)
			return found, nil
		}
	}
	return nil, fmt.Errorf("no %s named %q", section, name)
}

func (k *kubeconfig) pem(from map[string]any, key string) ([]byte, error) {
	if data := text(from, key+"-data"); data != "" {
		return base64.StdEncoding.DecodeString(data)
	}
	if file := text(from, key); file != "" {
		return os.ReadFile(k.beside(file))
	}
	return nil, nil
}

func (k *kubeconfig) beside(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(k.folder, file)
}

func text(from map[string]any, key string) string {
	value, _ := from[key].(string)
	return value
}

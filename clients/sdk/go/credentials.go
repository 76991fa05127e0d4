package otternauts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Token is a bearer token. Expires is when it is of no use any more; zero when that is not known.
type Token struct {
	Value   string
	Expires time.Time
}

// String says nothing of the value: tokens do not belong in logs.
func (t Token) String() string { return "Token" }

// Credentials asks Source when there is no token yet, when the token's time is over, and after the server refused it.
// Safe for concurrent use; not to be copied.
type Credentials struct {
	Source func(context.Context) (Token, error)

	lock  sync.Mutex
	token Token
}

func (c *Credentials) get(ctx context.Context) (string, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	over := !c.token.Expires.IsZero() && !time.Now().Before(c.token.Expires)
	if c.token.Value == "" || over {
		token, err := c.Source(ctx)
		if err != nil {
			return "", err
		}
		c.token = token
	}
	return c.token.Value, nil
}

func (c *Credentials) refused(token string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.token.Value == token {
		c.token = Token{}
	}
}

// fromFile reads a token that may be renewed in place.
func fromFile(path string) *Credentials {
	return &Credentials{Source: func(context.Context) (Token, error) {
		text, err := os.ReadFile(path)
		return Token{Value: strings.TrimSpace(string(text))}, err
	}}
}

// plugin is the exec section of a kubeconfig's user.
type plugin struct {
	apiVersion, command string
	args, env           []string
	folder              string
}

// run takes the token that a plugin prints. A command with a slash is meant relative to the kubeconfig.
func (p plugin) run(ctx context.Context) (Token, error) {
	program := p.command
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(p.folder, program)
	}
	info, err := json.Marshal(map[string]any{
		"apiVersion": p.apiVersion, "kind": "ExecCredential", "spec": map[string]bool{"interactive": false},
	})
	if err != nil {
		return Token{}, err
	}
	command := exec.CommandContext(ctx, program, p.args...)
	command.Env = append(append(os.Environ(), p.env...), "KUBERNETES_EXEC_INFO="+string(info))
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		return Token{}, fmt.Errorf("the credential plugin %s: %w: %s", p.command, err, strings.TrimSpace(errs.String()))
	}
	var printed struct {
		Status struct {
			Token               string    `json:"token"`
			ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	err = json.Unmarshal(out, &printed)
	if err == nil && printed.Status.Token == "" {
		err = errors.New("it gave no token (certificates are not taken from plugins)")
	}
	if err != nil {
		return Token{}, fmt.Errorf("the credential plugin %s: %w", p.command, err)
	}
	return Token{printed.Status.Token, printed.Status.ExpirationTimestamp}, nil
}

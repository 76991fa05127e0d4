// Command runner runs the steps of ../steps.json through the Go SDK: `runner STEPS FOLDER`. README.md says what each action means.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	otternauts "otternauts.dev/client"
)

type action struct {
	Do, Kind, Name, As, Via      string
	Body, Patch, Fault           json.RawMessage
	Type, Manager, Subresource   string
	Set                          map[string]any
	Options                      otternauts.DeleteOptions
	DryRun, Force, Bookmarks     bool
	LabelSelector, FieldSelector string
	From, Condition, Prefix      string
	Labels                       map[string]string
	Limit, Count, Many           int
	Writes, Names                int
	Expect, Error                map[string]any
	Save                         map[string]string
	Keep, Kept                   string
}

type document struct {
	Namespace string
	Steps     []struct {
		Name    string
		Actions []json.RawMessage
	}
}

type runner struct {
	namespace, folder string
	clients           map[string]*otternauts.Client
	saved, kept       map[string]any
}

func (r *runner) client(name string) (*otternauts.Client, error) {
	if found := r.clients[name]; found != nil {
		return found, nil
	}
	client, err := otternauts.Load(filepath.Join(r.folder, name+".kubeconfig"))
	r.clients[name] = client
	return client, err
}

// performer does the actions on one kind.
type performer interface {
	perform(ctx context.Context, r *runner, a *action) (any, error)
}

var kinds = map[string]performer{
	"Namespace":                typed[otternauts.Namespace, *otternauts.Namespace]{otternauts.Namespaces},
	"ConfigMap":                typed[otternauts.ConfigMap, *otternauts.ConfigMap]{otternauts.ConfigMaps},
	"Secret":                   typed[otternauts.Secret, *otternauts.Secret]{otternauts.Secrets},
	"Stack":                    typed[otternauts.Stack, *otternauts.Stack]{otternauts.Stacks},
	"CustomResourceDefinition": typed[otternauts.CustomResourceDefinition, *otternauts.CustomResourceDefinition]{otternauts.CustomResourceDefinitions},
	"Gadget": typed[otternauts.Unstructured, *otternauts.Unstructured]{otternauts.Resource[otternauts.Unstructured, *otternauts.Unstructured]{
		Group: "sdk.example.com", Version: "v1", Kind: "Gadget", Plural: "gadgets", Namespaced: true,
	}},
}

func (r *runner) act(ctx context.Context, a *action) (any, error) {
	client, err := r.client("proxy")
	if err != nil {
		return nil, err
	}
	var out any
	switch a.Do {
	case "fault":
		return nil, client.Request(ctx, "POST", "/_faults", nil, "application/json", a.Fault, nil)
	case "report":
		return out, client.Request(ctx, "GET", "/_report", nil, "", nil, &out)
	case "whoami":
		return r.whoami(ctx, a)
	}
	kind := kinds[a.Kind]
	if kind == nil {
		return nil, fmt.Errorf("no kind %q", a.Kind)
	}
	return kind.perform(ctx, r, a)
}

func (r *runner) whoami(ctx context.Context, a *action) (any, error) {
	client, err := r.client(a.As)
	if err != nil {
		return nil, err
	}
	body := map[string]string{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
	var review struct {
		Status struct {
			UserInfo struct {
				Username string
				Groups   []string
			}
		}
	}
	path := "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	if err := client.Request(ctx, "POST", path, nil, "application/json", body, &review); err != nil {
		return nil, err
	}
	user := review.Status.UserInfo
	return map[string]string{"username": user.Username, "groups": strings.Join(user.Groups, " ")}, nil
}

func (r *runner) run(ctx context.Context, raw json.RawMessage) error {
	a := &action{}
	if err := json.Unmarshal(r.filled(raw), a); err != nil {
		return err
	}
	result, err := r.act(ctx, a)
	if a.Error != nil {
		var status *otternauts.StatusError
		if !errors.As(err, &status) {
			return fmt.Errorf("it should have failed with %v, not with %w", a.Error, err)
		}
		return compare(status.Status, a.Error)
	}
	if err != nil {
		return err
	}
	if err := compare(result, a.Expect); err != nil {
		return err
	}
	found, err := plain(result)
	for name, path := range a.Save {
		r.saved[name] = at(found, path)
	}
	if a.Keep != "" {
		r.kept[a.Keep] = found
	}
	return err
}

// filled puts what was saved in the places of ${NAME}.
func (r *runner) filled(raw json.RawMessage) []byte {
	text := string(raw)
	for name, value := range r.saved {
		written, _ := json.Marshal(value) // It came from JSON.
		text = strings.ReplaceAll(text, `"${`+name+`}"`, string(written))
	}
	return []byte(text)
}

// plain is a value as JSON has it.
func plain(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

// at is what is at a.0.b; nil where nothing is.
func at(value any, path string) any {
	for _, part := range strings.Split(path, ".") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(inner) {
				return nil
			}
			value = inner[i]
		default:
			return nil
		}
	}
	return value
}

func compare(result any, expected map[string]any) error {
	found, err := plain(result)
	if err != nil {
		return err
	}
	for path, value := range expected {
		if !reflect.DeepEqual(at(found, path), value) {
			return fmt.Errorf("%s is %v, not %v", path, at(found, path), value)
		}
	}
	return nil
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	steps := document{}
	if err == nil {
		err = json.Unmarshal(text, &steps)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	r := &runner{steps.Namespace, os.Args[2], map[string]*otternauts.Client{}, map[string]any{}, map[string]any{}}
	for i, step := range steps.Steps {
		for _, action := range step.Actions {
			if err := r.run(context.Background(), action); err != nil {
				fmt.Printf("%2d FAILED %s\n   %s\n   %v\n", i+1, step.Name, action, err)
				os.Exit(1)
			}
		}
		fmt.Printf("%2d ok     %s\n", i+1, step.Name)
	}
}

// Package otternauts is a client of the Otternauts API: typed kinds, watch, apply. It needs the standard library only.
package otternauts

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
)

// Object is what every kind is.
type Object interface {
	// Meta is the object's metadata, made if there is none yet.
	Meta() *ObjectMeta
	setType(apiVersion, kind string)
}

// Pointer is a pointer to T that is an Object.
type Pointer[T any] interface {
	*T
	Object
}

// Resource says where objects of a kind are served. For kinds of your own CRDs write one over Unstructured.
type Resource[T any, P Pointer[T]] struct {
	// Group is empty for the core group.
	Group, Version, Kind, Plural string
	Namespaced                   bool
}

// APIVersion is GROUP/VERSION, or the version alone for the core group.
func (r Resource[T, P]) APIVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

func (r Resource[T, P]) path(namespace string, parts ...string) string {
	path := "/api/" + r.Version
	if r.Group != "" {
		path = "/apis/" + r.Group + "/" + r.Version
	}
	if r.Namespaced && namespace != "*" {
		path += "/namespaces/" + url.PathEscape(namespace)
	}
	path += "/" + r.Plural
	for _, part := range parts {
		if part != "" {
			path += "/" + url.PathEscape(part)
		}
	}
	return path
}

// Unstructured is an object of a kind that has no type here: all but the metadata is in Extra.
type Unstructured struct {
	APIVersion string                     `json:"apiVersion,omitempty"`
	Kind       string                     `json:"kind,omitempty"`
	Metadata   *ObjectMeta                `json:"metadata,omitempty"`
	Extra      map[string]json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps unknown fields in Extra.
func (o *Unstructured) UnmarshalJSON(data []byte) error {
	type plain Unstructured
	return readKeeping(data, (*plain)(o), &o.Extra)
}

// MarshalJSON writes Extra back.
func (o Unstructured) MarshalJSON() ([]byte, error) {
	type plain Unstructured
	return writeKeeping(plain(o), o.Extra)
}

// Meta is the object's metadata, made if there is none yet.
func (o *Unstructured) Meta() *ObjectMeta {
	if o.Metadata == nil {
		o.Metadata = &ObjectMeta{}
	}
	return o.Metadata
}

func (o *Unstructured) setType(apiVersion, kind string) { o.APIVersion, o.Kind = apiVersion, kind }

// Ptr is for fields that may be left out: spec.Suspend = otternauts.Ptr(false).
func Ptr[T any](value T) *T { return &value }

// readKeeping fills the struct that target points to, and extra with the fields it does not have.
func readKeeping(data []byte, target any, extra *map[string]json.RawMessage) error {
	if err := json.Unmarshal(data, target); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	kind := reflect.TypeOf(target).Elem()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		delete(all, name)
	}
	if len(all) == 0 {
		all = nil
	}
	*extra = all
	return nil
}

func writeKeeping(value any, extra map[string]json.RawMessage) ([]byte, error) {
	known, err := json.Marshal(value)
	if err != nil || len(extra) == 0 {
		return known, err
	}
	more, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	if string(known) == "{}" {
		return more, nil
	}
	return append(append(known[:len(known)-1], ','), more[1:]...), nil
}

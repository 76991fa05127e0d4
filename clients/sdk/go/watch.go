package otternauts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
)

// Change is one event of a watch. Type is ADDED, MODIFIED, DELETED, or BOOKMARK if asked for.
type Change[T any] struct {
	Type   string
	Object *T
}

// WatchOptions selects what is watched; the zero value is everything.
type WatchOptions struct {
	// LabelSelector is, for example, tier=front,env in (test,dev).
	LabelSelector string
	// FieldSelector is, for example, metadata.name=shop.
	FieldSelector string
	// ResourceVersion begins after this version, without the current objects.
	ResourceVersion string
	// Bookmarks asks for BOOKMARK events, which only say how far the watch has come.
	Bookmarks bool
}

type watching[T any, P Pointer[T]] struct {
	handle  Handle[T, P]
	options WatchOptions
	version string
	known   map[string]*T
	yield   func(Change[T], error) bool
	// quiet counts connections that brought nothing.
	quiet int
}

// errStop says that the caller has left the loop.
var errStop = errors.New("stopped")

// Watch yields the current objects as ADDED, then every change, until ctx ends. A connection that breaks is made again where it
// was; when the server has forgotten that place (410), everything is listed and the differences come as events: nothing is lost, no
// deletion either. An error that does not pass is yielded last.
func (h Handle[T, P]) Watch(ctx context.Context, options WatchOptions) iter.Seq2[Change[T], error] {
	return func(yield func(Change[T], error) bool) {
		w := &watching[T, P]{handle: h, options: options, version: options.ResourceVersion, known: map[string]*T{}, yield: yield}
		for ctx.Err() == nil {
			err := w.follow(ctx)
			var status *StatusError
			switch {
			case errors.Is(err, errStop) || ctx.Err() != nil:
				return
			case errors.As(err, &status) && status.Code == http.StatusGone:
				w.version = ""
			case errors.As(err, &status) && status.Code < 500 && status.Code != http.StatusTooManyRequests:
				yield(Change[T]{}, err)
				return
			}
			w.quiet++
			// The first time at once: servers end watches as a matter of course.
			if w.quiet > 1 && pause(ctx, backoff(w.quiet)) != nil {
				return
			}
		}
	}
}

// follow lists if it must, then reads one connection to its end.
func (w *watching[T, P]) follow(ctx context.Context) error {
	selection := ListOptions{LabelSelector: w.options.LabelSelector, FieldSelector: w.options.FieldSelector}
	if w.version == "" {
		if err := w.list(ctx, selection); err != nil {
			return err
		}
	}
	query := selection.query()
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", w.version)
	response, err := w.handle.client.send(ctx, http.MethodGet, w.handle.resource.path(w.handle.namespace), query, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := json.NewDecoder(response.Body)
	for {
		var line struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := lines.Decode(&line); err != nil {
			return err
		}
		if err := w.event(line.Type, line.Object); err != nil {
			return err
		}
	}
}

func (w *watching[T, P]) event(kind string, raw json.RawMessage) error {
	if kind == "ERROR" {
		found := &StatusError{Code: 500}
		if err := json.Unmarshal(raw, &found.Status); err != nil {
			return err
		}
		if found.Status.Code != nil {
			found.Code = int(*found.Status.Code)
		}
		return found
	}
	object := new(T)
	if err := json.Unmarshal(raw, object); err != nil {
		return fmt.Errorf("an event of the watch: %w", err)
	}
	w.quiet = 0
	if version := P(object).Meta().ResourceVersion; version != "" {
		w.version = version
	}
	switch kind {
	case "BOOKMARK":
		if !w.options.Bookmarks {
			return nil
		}
	case "DELETED":
		delete(w.known, w.key(object))
	default:
		w.known[w.key(object)] = object
	}
	return w.tell(kind, object)
}

func (w *watching[T, P]) list(ctx context.Context, selection ListOptions) error {
	found := map[string]*T{}
	var order []string
	for page, err := range w.handle.Pages(ctx, selection) {
		if err != nil {
			return err
		}
		w.version = page.Metadata.ResourceVersion
		for i := range page.Items {
			key := w.key(&page.Items[i])
			found[key] = &page.Items[i]
			order = append(order, key)
		}
	}
	for key, object := range w.known {
		if found[key] == nil {
			delete(w.known, key)
			if err := w.tell("DELETED", object); err != nil {
				return err
			}
		}
	}
	for _, key := range order {
		before, object := w.known[key], found[key]
		w.known[key] = object
		kind := "ADDED"
		if before != nil {
			if P(before).Meta().ResourceVersion == P(object).Meta().ResourceVersion {
				continue
			}
			kind = "MODIFIED"
		}
		if err := w.tell(kind, object); err != nil {
			return err
		}
	}
	return nil
}

func (w *watching[T, P]) tell(kind string, object *T) error {
	if !w.yield(Change[T]{kind, object}, nil) {
		return errStop
	}
	return nil
}

// key: one object is another when it was deleted and made again under the same name.
func (w *watching[T, P]) key(object *T) string {
	meta := P(object).Meta()
	return meta.Namespace + "/" + meta.Name + "/" + meta.UID
}

// Wait waits until the object is as wanted, or ctx ends.
func (h Handle[T, P]) Wait(ctx context.Context, name string, wanted func(P) bool) (*T, error) {
	for event, err := range h.Watch(ctx, WatchOptions{FieldSelector: "metadata.name=" + name}) {
		if err != nil {
			return nil, err
		}
		if event.Type != "DELETED" && wanted(event.Object) {
			return event.Object, nil
		}
	}
	return nil, ctx.Err()
}

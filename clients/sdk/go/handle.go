package otternauts

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

const (
	jsonType  = "application/json"
	applyType = "application/apply-patch+yaml"
)

// PatchType says how a patch is meant.
type PatchType string

// The patch types. Strategic works on built-in kinds only.
const (
	MergePatch     PatchType = "application/merge-patch+json"
	JSONPatch      PatchType = "application/json-patch+json"
	StrategicPatch PatchType = "application/strategic-merge-patch+json"
)

// ListOptions selects objects; the zero value is everything.
type ListOptions struct {
	// LabelSelector is, for example, tier=front,env in (test,dev).
	LabelSelector string
	// FieldSelector is, for example, metadata.name=shop.
	FieldSelector string
	// Continue is Metadata.Continue of the page before.
	Continue string
	// Limit is a page's size, 500 when zero.
	Limit int
}

func (o ListOptions) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"labelSelector": o.LabelSelector, "fieldSelector": o.FieldSelector, "continue": o.Continue,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// List is one page of objects.
type List[T any] struct {
	// Metadata has the list's version, and Continue unless this is the last page.
	Metadata ListMeta `json:"metadata"`
	Items    []T      `json:"items"`
}

// WriteOptions are those of writes; the zero value is fine.
type WriteOptions struct {
	// FieldManager is who owns the fields that are set.
	FieldManager string
	// DryRun says what would happen and stores nothing.
	DryRun bool
	// Subresource is "status" or empty.
	Subresource string
}

func (o WriteOptions) query() url.Values {
	query := url.Values{}
	if o.FieldManager != "" {
		query.Set("fieldManager", o.FieldManager)
	}
	if o.DryRun {
		query.Set("dryRun", "All")
	}
	return query
}

// Handle is the objects of one kind in one place.
type Handle[T any, P Pointer[T]] struct {
	client    *Client
	resource  Resource[T, P]
	namespace string
}

// In is the objects of one kind in a namespace; where the client is at home when that is empty, everywhere when it is "*".
func In[T any, P Pointer[T]](client *Client, resource Resource[T, P], namespace string) Handle[T, P] {
	if namespace == "" {
		namespace = client.Namespace
	}
	if namespace == "" {
		namespace = "default"
	}
	return Handle[T, P]{client, resource, namespace}
}

func (h Handle[T, P]) send(ctx context.Context, method, path string, query url.Values, media string, body any) (*T, error) {
	out := new(T)
	if err := h.client.Request(ctx, method, path, query, media, body, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (h Handle[T, P]) typed(object P) P {
	object.setType(h.resource.APIVersion(), h.resource.Kind)
	return object
}

// Get reads one object.
func (h Handle[T, P]) Get(ctx context.Context, name string) (*T, error) {
	return h.send(ctx, http.MethodGet, h.resource.path(h.namespace, name), nil, "", nil)
}

// List reads one page.
func (h Handle[T, P]) List(ctx context.Context, options ListOptions) (*List[T], error) {
	query := options.query()
	if options.Limit == 0 {
		options.Limit = 500
	}
	query.Set("limit", strconv.Itoa(options.Limit))
	out := new(List[T])
	return out, h.client.Request(ctx, http.MethodGet, h.resource.path(h.namespace), query, "", nil, out)
}

// Pages reads every page, as one is needed.
func (h Handle[T, P]) Pages(ctx context.Context, options ListOptions) iter.Seq2[*List[T], error] {
	return func(yield func(*List[T], error) bool) {
		for {
			page, err := h.List(ctx, options)
			if !yield(page, err) || err != nil || page.Metadata.Continue == "" {
				return
			}
			options.Continue = page.Metadata.Continue
		}
	}
}

// Create makes an object.
func (h Handle[T, P]) Create(ctx context.Context, object P, options WriteOptions) (*T, error) {
	return h.send(ctx, http.MethodPost, h.resource.path(h.namespace), options.query(), jsonType, h.typed(object))
}

// Replace writes the whole object; refused with Conflict when it changed since it was read.
func (h Handle[T, P]) Replace(ctx context.Context, object P, options WriteOptions) (*T, error) {
	path := h.resource.path(h.namespace, object.Meta().Name, options.Subresource)
	return h.send(ctx, http.MethodPut, path, options.query(), jsonType, h.typed(object))
}

// Update reads, changes and writes, again when somebody else was faster.
func (h Handle[T, P]) Update(ctx context.Context, name string, change func(P) error) (*T, error) {
	for attempt := 1; ; attempt++ {
		object, err := h.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if err := change(object); err != nil {
			return nil, err
		}
		written, err := h.Replace(ctx, object, WriteOptions{})
		if !IsReason(err, "Conflict") || attempt >= attempts {
			return written, err
		}
		if err := pause(ctx, backoff(attempt)); err != nil {
			return nil, err
		}
	}
}

// Patch changes parts of an object.
func (h Handle[T, P]) Patch(ctx context.Context, name string, kind PatchType, patch any, options WriteOptions) (*T, error) {
	path := h.resource.path(h.namespace, name, options.Subresource)
	return h.send(ctx, http.MethodPatch, path, options.query(), string(kind), patch)
}

// ApplyOptions are those of server-side apply.
type ApplyOptions struct {
	// FieldManager is who wants the fields; it must be set.
	FieldManager string
	// Force takes fields from others.
	Force bool
	// DryRun says what would happen and stores nothing.
	DryRun bool
	// Subresource is "status" or empty.
	Subresource string
}

// Apply is server-side apply: it says what the manager wants. What it wanted before and leaves out now is taken away.
func (h Handle[T, P]) Apply(ctx context.Context, object P, options ApplyOptions) (*T, error) {
	query := WriteOptions{FieldManager: options.FieldManager, DryRun: options.DryRun}.query()
	query.Set("force", strconv.FormatBool(options.Force))
	path := h.resource.path(h.namespace, object.Meta().Name, options.Subresource)
	return h.send(ctx, http.MethodPatch, path, query, applyType, h.typed(object))
}

// Delete removes an object; finalizers may hold it for a while.
func (h Handle[T, P]) Delete(ctx context.Context, name string, options DeleteOptions) error {
	return h.client.Request(ctx, http.MethodDelete, h.resource.path(h.namespace, name), nil, jsonType, options, nil)
}

// DeleteAll removes every object that is selected.
func (h Handle[T, P]) DeleteAll(ctx context.Context, options ListOptions) error {
	return h.client.Request(ctx, http.MethodDelete, h.resource.path(h.namespace), options.query(), "", nil, nil)
}

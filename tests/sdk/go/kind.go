package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	otternauts "otternauts.dev/client"
)

// typed does the actions on a kind through its own types.
type typed[T any, P otternauts.Pointer[T]] struct {
	resource otternauts.Resource[T, P]
}

func (k typed[T, P]) perform(ctx context.Context, r *runner, a *action) (any, error) {
	name := "admin"
	if a.Via+a.As != "" {
		name = a.Via + a.As
	}
	client, err := r.client(name)
	if err != nil {
		return nil, err
	}
	objects := otternauts.In(client, k.resource, r.namespace)
	writing := otternauts.WriteOptions{DryRun: a.DryRun, Subresource: a.Subresource}
	selected := otternauts.ListOptions{LabelSelector: a.LabelSelector, FieldSelector: a.FieldSelector, Limit: a.Limit}
	object := P(new(T))
	if a.Body != nil {
		if err := json.Unmarshal(a.Body, object); err != nil {
			return nil, err
		}
	}
	switch a.Do {
	case "create":
		return objects.Create(ctx, object, writing)
	case "get":
		return objects.Get(ctx, a.Name)
	case "replace":
		if err := set(r.kept[a.Kept], object, a.Set); err != nil {
			return nil, err
		}
		return objects.Replace(ctx, object, writing)
	case "update":
		return objects.Update(ctx, a.Name, func(object P) error { return set(object, object, a.Set) })
	case "patch":
		return objects.Patch(ctx, a.Name, patchTypes[a.Type], a.Patch, writing)
	case "apply":
		return objects.Apply(ctx, object, otternauts.ApplyOptions{FieldManager: a.Manager, Force: a.Force})
	case "delete":
		return nil, objects.Delete(ctx, a.Name, a.Options)
	case "deleteAll":
		return nil, objects.DeleteAll(ctx, selected)
	case "wait":
		return objects.Wait(ctx, a.Name, func(object P) bool { return isTrue(object, a.Condition) })
	case "fill":
		for i := range a.Many {
			body := P(new(T))
			body.Meta().Name, body.Meta().Labels = a.Prefix+strconv.Itoa(i), a.Labels
			if _, err := objects.Create(ctx, body, writing); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case "list":
		return k.list(ctx, objects, selected)
	case "watch":
		events, err := k.events(ctx, objects, a, a.Count)
		said := make([]string, 0, len(events))
		for _, event := range events {
			said = append(said, event.Type+" "+P(event.Object).Meta().Name)
		}
		return map[string]string{"events": strings.Join(said, ", ")}, err
	case "storm":
		return k.storm(ctx, objects, a)
	case "cancel":
		return k.cancel(ctx, objects, a)
	}
	return nil, fmt.Errorf("no action %q", a.Do)
}

var patchTypes = map[string]otternauts.PatchType{
	"merge": otternauts.MergePatch, "json": otternauts.JSONPatch, "strategic": otternauts.StrategicPatch,
}

// set makes object of source with other values in some fields.
func set(source, object any, values map[string]any) error {
	document, err := plain(source)
	if err != nil {
		return err
	}
	for path, value := range values {
		place := document.(map[string]any)
		way := strings.Split(path, ".")
		for _, part := range way[:len(way)-1] {
			if place[part] == nil {
				place[part] = map[string]any{}
			}
			place = place[part].(map[string]any)
		}
		place[way[len(way)-1]] = value
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, object)
}

func isTrue(object any, condition string) bool {
	crd, ok := object.(*otternauts.CustomResourceDefinition)
	if !ok || crd.Status == nil {
		return false
	}
	for _, found := range crd.Status.Conditions {
		if found.Type == condition && found.Status == "True" {
			return true
		}
	}
	return false
}

func (k typed[T, P]) list(ctx context.Context, objects otternauts.Handle[T, P], selected otternauts.ListOptions) (any, error) {
	var names []string
	pages, version := 0, ""
	for page, err := range objects.Pages(ctx, selected) {
		if err != nil {
			return nil, err
		}
		pages++
		version = page.Metadata.ResourceVersion
		for i := range page.Items {
			names = append(names, P(&page.Items[i]).Meta().Name)
		}
	}
	return map[string]any{"names": strings.Join(names, " "), "count": len(names), "pages": pages, "resourceVersion": version}, nil
}

func (k typed[T, P]) events(ctx context.Context, objects otternauts.Handle[T, P], a *action, count int) ([]otternauts.Change[T], error) {
	var found []otternauts.Change[T]
	options := otternauts.WatchOptions{
		LabelSelector: a.LabelSelector, FieldSelector: a.FieldSelector, ResourceVersion: a.From, Bookmarks: a.Bookmarks,
	}
	for event, err := range objects.Watch(ctx, options) {
		if err != nil {
			return found, err
		}
		if found = append(found, event); len(found) == count {
			break
		}
	}
	return found, nil
}

func (k typed[T, P]) storm(ctx context.Context, objects otternauts.Handle[T, P], a *action) (any, error) {
	var events []otternauts.Change[T]
	done := make(chan error, 1)
	go func() {
		var err error
		events, err = k.events(ctx, objects, a, a.Writes)
		done <- err
	}()
	for i := range a.Writes {
		if err := k.write(ctx, objects, a, i); err != nil {
			return nil, err
		}
	}
	if err := <-done; err != nil {
		return nil, err
	}
	told := map[string]string{}
	for _, event := range events {
		meta := P(event.Object).Meta()
		if event.Type == "DELETED" {
			delete(told, meta.Name)
		} else {
			told[meta.Name] = meta.ResourceVersion
		}
	}
	left := map[string]string{}
	for page, err := range objects.Pages(ctx, otternauts.ListOptions{LabelSelector: a.LabelSelector}) {
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			meta := P(&page.Items[i]).Meta()
			left[meta.Name] = meta.ResourceVersion
		}
	}
	return map[string]any{"events": len(events), "left": len(left), "same": maps.Equal(told, left)}, nil
}

func (k typed[T, P]) write(ctx context.Context, objects otternauts.Handle[T, P], a *action, i int) error {
	name := "w" + strconv.Itoa(i%a.Names)
	var err error
	switch i / a.Names % 4 {
	case 0:
		object := P(new(T))
		object.Meta().Name, object.Meta().Labels = name, a.Labels
		_, err = objects.Create(ctx, object, otternauts.WriteOptions{})
	case 1:
		patch := map[string]any{"data": map[string]string{"turn": strconv.Itoa(i)}}
		_, err = objects.Patch(ctx, name, otternauts.MergePatch, patch, otternauts.WriteOptions{})
	case 2:
		patch := []map[string]string{{"op": "add", "path": "/data/more", "value": strconv.Itoa(i)}}
		_, err = objects.Patch(ctx, name, otternauts.JSONPatch, patch, otternauts.WriteOptions{})
	default:
		err = objects.Delete(ctx, name, otternauts.DeleteOptions{})
	}
	return err
}

func (k typed[T, P]) cancel(ctx context.Context, objects otternauts.Handle[T, P], a *action) (any, error) {
	ctx, stop := context.WithCancel(ctx)
	arrived, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		count := 0
		for _, err := range objects.Watch(ctx, otternauts.WatchOptions{LabelSelector: a.LabelSelector}) {
			if err != nil {
				ended <- err
				return
			}
			if count++; count == a.Count {
				close(arrived)
			}
		}
		ended <- nil
	}()
	select {
	case <-arrived:
	case err := <-ended:
		stop()
		return nil, fmt.Errorf("the watch ended by itself: %w", err)
	}
	stop()
	return map[string]bool{"ended": true}, <-ended
}

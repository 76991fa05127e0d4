package otternauts

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readYAML reads what a kubeconfig is written in: maps, lists and plain values of YAML in block form, or JSON. It refuses the rest.
func readYAML(text string) (map[string]any, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		var out map[string]any
		return out, json.Unmarshal([]byte(text), &out)
	}
	y := &yaml{}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \r\t")
		if trimmed := strings.TrimSpace(line); trimmed != "" && trimmed != "---" && !strings.HasPrefix(trimmed, "#") {
			y.lines = append(y.lines, line)
		}
	}
	out, err := y.mapping(0)
	if err == nil && y.at < len(y.lines) {
		err = fmt.Errorf("cannot read this YAML: %s", strings.TrimSpace(y.lines[y.at]))
	}
	return out, err
}

type yaml struct {
	lines []string
	at    int
}

// here is the current line's indent and text; -1 at the end.
func (y *yaml) here() (int, string) {
	if y.at >= len(y.lines) {
		return -1, ""
	}
	line := strings.TrimLeft(y.lines[y.at], " ")
	return len(y.lines[y.at]) - len(line), line
}

func (y *yaml) block(depth int) (any, error) {
	if _, line := y.here(); isItem(line) {
		return y.list(depth)
	}
	return y.mapping(depth)
}

func isItem(line string) bool { return line == "-" || strings.HasPrefix(line, "- ") }

func (y *yaml) list(depth int) (any, error) {
	out := []any{}
	for {
		indent, line := y.here()
		if indent != depth || !isItem(line) {
			return out, nil
		}
		rest := strings.TrimLeft(line[1:], " ")
		var item any
		var err error
		if _, _, isMap := entry(rest); isMap {
			// `- name: x` begins a map two columns in.
			inner := depth + len(line) - len(rest)
			y.lines[y.at] = strings.Repeat(" ", inner) + rest
			item, err = y.mapping(inner)
		} else if y.at++; rest == "" {
			inner, _ := y.here()
			item, err = y.block(inner)
		} else {
			item, err = scalar(rest)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
}

func (y *yaml) mapping(depth int) (map[string]any, error) {
	out := map[string]any{}
	for {
		indent, line := y.here()
		key, value, ok := entry(line)
		if indent != depth || !ok {
			return out, nil
		}
		y.at++
		var item any
		var err error
		inner, next := y.here()
		switch {
		case value != "":
			item, err = scalar(value)
		case inner > depth || inner == depth && isItem(next):
			item, err = y.block(inner)
		}
		if err != nil {
			return nil, err
		}
		out[key] = item
	}
}

// entry splits `key: value`.
func entry(line string) (key, value string, ok bool) {
	if isItem(line) {
		return "", "", false
	}
	if key, value, ok = strings.Cut(line, ": "); !ok {
		key, ok = strings.CutSuffix(line, ":")
	}
	return strings.Trim(key, `"'`), strings.TrimSpace(value), ok
}

func scalar(text string) (any, error) {
	switch {
	case text == "{}":
		return map[string]any{}, nil
	case text == "[]":
		return []any{}, nil
	case strings.HasPrefix(text, `"`):
		var out string
		return out, json.Unmarshal([]byte(text), &out)
	case strings.HasPrefix(text, "'"):
		return strings.ReplaceAll(strings.Trim(text, "'"), "''", "'"), nil
	case strings.ContainsAny(text[:1], "&*|>{[!"):
		return nil, fmt.Errorf("cannot read this YAML value: %s", text)
	case text == "true" || text == "false":
		return text == "true", nil
	}
	return text, nil
}

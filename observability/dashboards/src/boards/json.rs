//! What Grafana reads. Nothing in it depends on when or where it was made.

use super::{Board, Look, Panel, expr};
use serde_json::{Value, json};

const WIDTH: usize = 12;
const HEIGHT: usize = 8;
const SMALL: usize = 4;

/// The text of a dashboard's file.
pub fn file(board: &Board) -> String {
    let mut text = serde_json::to_string_pretty(&dashboard(board)).expect("a JSON value always encodes");
    text.push('\n');
    text
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn variable(name: &str, query: &str, all: &str) -> Value {
    json!({
        "name": name, "label": name, "type": "query", "datasource": datasource(), "query": query, "refresh": 2,
        "multi": true, "includeAll": true, "allValue": all, "sort": 1, "hide": 0,
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

fn dashboard(board: &Board) -> Value {
    let mut panels = Vec::new();
    let (mut x, mut y, mut row) = (0, 0, 0);
    for (index, panel) in board.panels.iter().enumerate() {
        let (width, height) = match panel.look {
            Look::Number => (WIDTH / 2, SMALL),
            Look::Table => (2 * WIDTH, HEIGHT),
            Look::Lines | Look::Heat => (WIDTH, HEIGHT),
        };
        if x + width > 2 * WIDTH {
            (x, y, row) = (0, y + row, 0);
        }
        panels.push(shown(panel, index + 1, &json!({"x": x, "y": y, "w": width, "h": height})));
        x += width;
        row = row.max(height);
    }
    json!({
        "uid": format!("otternauts-{}", board.uid), "title": format!("Otternauts / {}", board.title),
        "description": board.description, "tags": ["otternauts"], "schemaVersion": 39, "version": 1, "editable": true,
        "graphTooltip": 1, "refresh": "30s", "timezone": "", "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": []}, "id": null,
        "links": [{
            "type": "dashboards", "tags": ["otternauts"], "title": "Otternauts", "asDropdown": true, "includeVars": true,
            "keepTime": true, "icon": "external link", "tooltip": "", "url": "", "targetBlank": false,
        }],
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
             "hide": 0, "includeAll": false, "multi": false, "current": {}},
            variable("job", "label_values(up{job=~\"otternauts.*\"}, job)", "otternauts.*"),
            variable("instance", "label_values(otternauts_build_info, instance)", ".+"),
        ]},
        "panels": panels,
    })
}

fn shown(panel: &Panel, id: usize, place: &Value) -> Value {
    let targets: Vec<Value> =
        panel.targets.iter().enumerate().map(|(i, target)| query(panel.look, i, *target)).collect();
    let (kind, options) = match panel.look {
        Look::Lines => (
            "timeseries",
            json!({"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}),
        ),
        Look::Number => (
            "stat",
            json!({"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "graphMode": "area", "textMode": "auto"}),
        ),
        Look::Table => ("table", json!({"showHeader": true})),
        Look::Heat => (
            "heatmap",
            json!({"calculate": false, "yAxis": {"unit": panel.unit}, "color": {"mode": "scheme", "scheme": "Oranges"}}),
        ),
    };
    json!({
        "id": id, "title": panel.title, "description": panel.description, "type": kind, "gridPos": place,
        "datasource": datasource(), "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": options, "targets": targets,
    })
}

fn query(look: Look, index: usize, (text, legend): (&str, &str)) -> Value {
    let id = char::from(b'A' + u8::try_from(index).unwrap_or_default()).to_string();
    let format = match look {
        Look::Table => "table",
        Look::Heat => "heatmap",
        Look::Lines | Look::Number => "time_series",
    };
    json!({
        "refId": id, "datasource": datasource(), "expr": expr(text), "legendFormat": legend, "format": format,
        "instant": look == Look::Table, "range": look != Look::Table,
    })
}

//! A dashboard in Grafana's JSON model (version 39 of its schema).

use serde_json::{Value, json};

use super::panel::{Board, Kind, Panel};

const COLUMNS: u32 = 24;
/// Lines of the grid that a panel takes.
const HEIGHT: u32 = 8;
const STAT_HEIGHT: u32 = 4;

/// The datasource that the reader picks.
fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

pub(super) fn dashboard(board: &Board) -> Value {
    json!({
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["throughline"],
        "schemaVersion": 39,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "browser",
        "links": links(),
        "templating": { "list": variables() },
        "annotations": { "list": [alerts_as_annotations()] },
        "panels": panels(board),
    })
}

fn links() -> Value {
    json!([
        {
            "type": "dashboards", "title": "Throughline", "url": "", "targetBlank": false, "icon": "external link",
            "tooltip": "", "tags": ["throughline"], "asDropdown": true, "includeVars": true, "keepTime": true
        },
        link("Runbooks", "${runbooks}/README.md"),
        link("lens", "${lens}/"),
        link("Jaeger", "${jaeger}/search"),
        link("Console", "${console}/"),
    ])
}

/// In a tab of its own. The schema requires every field.
fn link(title: &str, url: &str) -> Value {
    json!({
        "type": "link", "title": title, "url": url, "targetBlank": true, "icon": "external link", "tooltip": "",
        "tags": [], "asDropdown": false, "includeVars": false, "keepTime": false
    })
}

fn variables() -> Value {
    let address = |name: &str, label: &str, value: &str| {
        json!({
            "type": "textbox", "name": name, "label": label, "query": value,
            "current": { "text": value, "value": value }
        })
    };
    json!([
        {
            "type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus",
            "current": { "text": "Prometheus", "value": "prometheus" }
        },
        address("runbooks", "Runbooks", "https://git.example.com/throughline/blob/main/docs/runbooks"),
        address("lens", "lens", "http://127.0.0.1:8100"),
        address("jaeger", "Jaeger", "http://127.0.0.1:16686"),
        address("console", "Console", "http://127.0.0.1:8080")
    ])
}

fn alerts_as_annotations() -> Value {
    json!({
        "name": "Alerts", "enable": true, "iconColor": "red", "datasource": datasource(),
        "target": {
            "refId": "Alerts", "expr": "max by (alertname, severity) (ALERTS{alertstate=\"firing\"})",
            "interval": "60s"
        },
        // Fields of the datasource, which the schema does not know.
        "titleFormat": "{{alertname}}", "tagKeys": "severity"
    })
}

fn panels(board: &Board) -> Vec<Value> {
    let (mut all, mut y) = (Vec::new(), 0);
    for row in board.rows {
        let id = all.len();
        all.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 }
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for shown in row.panels {
            if x + shown.width > COLUMNS {
                (x, y, height) = (0, y + height, 0);
            }
            let own = if shown.kind == Kind::Stat {
                STAT_HEIGHT
            } else {
                HEIGHT
            };
            let place = json!({ "x": x, "y": y, "w": shown.width, "h": own });
            let id = all.len();
            all.push(panel(shown, id, &place));
            x += shown.width;
            height = height.max(own);
        }
        y += height;
    }
    all
}

fn panel(panel: &Panel, id: usize, place: &Value) -> Value {
    let kind = match panel.kind {
        Kind::Lines | Kind::Stacked => "timeseries",
        Kind::Stat => "stat",
        Kind::Table => "table",
    };
    json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": datasource(),
        "targets": targets(panel),
        "links": panel_links(panel),
        "fieldConfig": { "defaults": defaults(panel), "overrides": [] },
        "options": options(panel.kind),
    })
}

fn targets(panel: &Panel) -> Vec<Value> {
    let instant = matches!(panel.kind, Kind::Table);
    let letters = 'A'..;
    let target = |(id, (expr, legend)): (char, &(&str, &str))| {
        json!({
            "refId": id.to_string(), "datasource": datasource(), "expr": expr, "legendFormat": legend,
            "instant": instant, "range": !instant, "format": if instant { "table" } else { "time_series" }
        })
    };
    letters.zip(panel.queries).map(target).collect()
}

fn panel_links(panel: &Panel) -> Vec<Value> {
    let runbook = panel.alert.map(|name| {
        let url = format!("${{runbooks}}/{name}.md");
        link(&format!("Runbook: {name}"), &url)
    });
    let traces = panel.traces.map(|search| {
        let url = format!("${{lens}}/?q={}", percent_encoded(search));
        link(&format!("Traces: {search}"), &url)
    });
    runbook.into_iter().chain(traces).collect()
}

fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn defaults(panel: &Panel) -> Value {
    let mut steps = vec![json!({ "color": "green", "value": null })];
    steps.extend(
        panel
            .red_from
            .map(|from| json!({ "color": "red", "value": from })),
    );
    let mut defaults = json!({
        "unit": panel.unit, "min": 0, "thresholds": { "mode": "absolute", "steps": steps }
    });
    let shows_limit = if panel.red_from.is_some() { "line" } else { "off" };
    let custom = match panel.kind {
        Kind::Lines => json!({ "fillOpacity": 0, "thresholdsStyle": { "mode": shows_limit } }),
        Kind::Stacked => json!({ "fillOpacity": 40, "stacking": { "mode": "normal", "group": "A" } }),
        Kind::Stat | Kind::Table => return defaults,
    };
    if let Some(fields) = defaults.as_object_mut() {
        fields.insert("custom".to_owned(), custom);
    }
    defaults
}

fn options(kind: Kind) -> Value {
    match kind {
        Kind::Lines | Kind::Stacked => json!({
            "legend": { "showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" }
        }),
        Kind::Stat => json!({
            "colorMode": "value", "graphMode": "area", "reduceOptions": { "calcs": ["lastNotNull"] },
            "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
            "showPercentChange": false, "percentChangeColorMode": "standard"
        }),
        Kind::Table => json!({ "showHeader": true, "frameIndex": 0 }),
    }
}

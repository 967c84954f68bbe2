//! The paths of the services. `http.route` is one of these templates, and a run must request each of them.
//! Paths in
//! `UNTRACED` make no spans.

use std::collections::HashMap;

use lens::{Span, SpanKind};

use super::rows::shown;
use super::{Capture, Report, Rule, applies};

const API: &str = "throughline-api";
const GATEWAY: &str = "throughline-gateway";
/// The service of the tests that shows what the product never exports.
const PARCELS: &str = "parcels";

/// Service, template, methods. A path belongs to the first template that it matches.
const ENDPOINTS: &[(&str, &str, &[&str])] = &[
    (API, "/api/orders", &["GET", "POST"]),
    (API, "/api/orders/analytics", &["GET"]),
    (API, "/api/orders/retry", &["POST"]),
    (API, "/api/orders/cancel", &["POST"]),
    (API, "/api/operations", &["GET"]),
    (API, "/api/operations/{id}", &["GET"]),
    (API, "/api/queue/pause", &["POST"]),
    (API, "/api/queue/resume", &["POST"]),
    (API, "/api/orders/{id}", &["GET", "HEAD", "DELETE"]),
    (API, "/api/orders/{id}/events", &["GET"]),
    (API, "/api/orders/{id}/history", &["GET"]),
    (API, "/api/orders/{id}/retry", &["POST"]),
    (API, "/", &["GET"]),
    (API, "/orders", &["GET"]),
    (API, "/orders/retry", &["GET", "POST"]),
    (API, "/orders/cancel", &["GET", "POST"]),
    (API, "/orders/{id}", &["GET"]),
    (API, "/orders/{id}/retry", &["GET", "POST"]),
    (API, "/orders/{id}/cancel", &["GET", "POST"]),
    (API, "/search", &["GET"]),
    (API, "/failures", &["GET"]),
    (API, "/queue", &["GET"]),
    (API, "/queue/pause", &["GET", "POST"]),
    (API, "/queue/resume", &["GET", "POST"]),
    (API, "/operations", &["GET"]),
    (API, "/operations/{id}", &["GET"]),
    (API, "/sign-in", &["GET", "POST"]),
    (API, "/sign-out", &["POST"]),
    (API, "/live/frame", &["GET"]),
    (API, "/live/overview", &["GET"]),
    (API, "/live/orders/{id}", &["GET"]),
    (API, "/live/failures", &["GET"]),
    (API, "/live/queue", &["GET"]),
    (API, "/live/operations", &["GET"]),
    (API, "/live/operations/{id}", &["GET"]),
    (GATEWAY, "/v1/payment_intents", &["GET", "POST"]),
    (GATEWAY, "/v1/payment_intents/{id}", &["GET"]),
    (GATEWAY, "/v1/payment_intents/{id}/confirm", &["POST"]),
    (GATEWAY, "/v1/payment_intents/{id}/cancel", &["POST"]),
    (GATEWAY, "/sandbox/faults", &["GET", "POST"]),
    (GATEWAY, "/sandbox/stats", &["GET"]),
    (PARCELS, "/parcels", &["POST"]),
];

/// The status codes of the api.
const STATUS_CODES: &[i64] = &[
    200, 201, 202, 204, 303, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503,
];

/// Paths that are not worth a span: health checks, icons and static files.
pub const UNTRACED: &[&str] = &[
    "/health",
    "/health/ready",
    "/favicon.ico",
    "/assets/ui.css",
    "/assets/logo.svg",
    "/assets/console.js",
    "/docs",
    "/docs/docs.js",
    "/api/openapi.json",
];

pub(super) fn check(capture: &Capture, report: &mut Report) {
    for span in capture.spans() {
        if is_untraced(span) {
            report.break_rule(Rule::Untraced, shown(span));
        }
        let route = span.attributes.get_str("http.route");
        if span.kind == SpanKind::Server && route != route_of(span) {
            let what = format!("{} has the route {route:?}", shown(span));
            report.break_rule(Rule::Route, what);
        }
    }
    for metric in &capture.metrics {
        let routes = metric.points.iter();
        for route in routes.filter_map(|point| point.attributes.get_str("http.route")) {
            if !ENDPOINTS.iter().any(|(_, template, _)| *template == route) {
                report.break_rule(Rule::Route, format!("{} has {route}", metric.name));
            }
        }
    }
    rows(capture, report);
}

/// The template of a request's path, if the service has one.
pub(super) fn route_of(span: &Span) -> Option<&'static str> {
    let path = span.attributes.get_str("url.path")?;
    let templates = ENDPOINTS.iter().filter(|(of, ..)| *of == span.service);
    templates
        .map(|(_, template, _)| *template)
        .find(|template| fits(path.trim_end_matches('/'), template.trim_end_matches('/')))
}

fn fits(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    let same = |(part, pattern): (&str, &str)| part == pattern || pattern.starts_with('{');
    path.clone().count() == template.clone().count() && path.zip(template).all(same)
}

fn is_untraced(span: &Span) -> bool {
    let of_url = span.attributes.get_str("url.full").map(path_of);
    let path = span.attributes.get_str("url.path").or(of_url);
    path.is_some_and(|path| UNTRACED.contains(&path))
}

fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let start = behind_scheme.find('/').unwrap_or(behind_scheme.len());
    let path = behind_scheme.get(start..).unwrap_or_default();
    path.split('?').next().unwrap_or_default()
}

fn rows(capture: &Capture, report: &mut Report) {
    let mut visits: HashMap<(&str, &str, &str), usize> = HashMap::new();
    let mut responses: HashMap<i64, usize> = HashMap::new();
    for span in capture.spans().filter(|span| span.kind == SpanKind::Server) {
        let text = |name| span.attributes.get_str(name).unwrap_or_default();
        let visit = (&*span.service, text("http.route"), text("http.request.method"));
        *visits.entry(visit).or_default() += 1;
        if let (API, Some(code)) = (&*span.service, applies::status_code(span)) {
            *responses.entry(code).or_default() += 1;
        }
    }
    for (service, route, methods) in ENDPOINTS {
        for method in *methods {
            let seen = visits.get(&(*service, *route, *method)).copied();
            let name = format!("{method} {route} of {service}");
            report.row("endpoints", name, seen.unwrap_or_default());
        }
    }
    for path in UNTRACED {
        let requested = capture.untraced.iter().filter(|it| it == path).count();
        report.row("requested, without a span", *path, requested);
    }
    for code in STATUS_CODES {
        let seen = responses.get(code).copied().unwrap_or_default();
        report.row("responses of the api", code.to_string(), seen);
    }
}

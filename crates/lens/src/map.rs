//! The services, the stores, queues and hosts that they call, and their calls, found in spans.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use crate::format::{milliseconds, milliseconds_or_null};
use crate::ids::SpanId;
use crate::numbers::{double_of_count, quantile};
use crate::systems;
use crate::trace::{Span, SpanKind, Trace};

/// Further systems are left out: names of hosts come from outside.
const MAX_NODES: usize = 80;

/// Who calls whom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceMap {
    /// Services first, then by kind and name.
    pub nodes: Vec<MapNode>,
    pub edges: Vec<MapEdge>,
    /// From the start of the first span to the start of the last, or the time that was searched.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// Whether there are more systems, or the search ended because it had examined as much as one may.
    pub partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// It sends spans itself.
    Service,
    /// A database or cache.
    Store,
    /// A queue of messages.
    Queue,
    /// Another host, which sends no spans.
    Host,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapNode {
    pub kind: NodeKind,
    /// `PostgreSQL`, or a name as received.
    pub name: String,
    /// The requests and messages that it handled.
    pub calls: Calls,
}

/// The calls from one node to another, as their indexes in [`ServiceMap::nodes`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapEdge {
    pub from: usize,
    pub to: usize,
    pub calls: Calls,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Calls {
    pub count: usize,
    pub errors: usize,
    pub per_second: f64,
    #[serde(rename = "p50_ms", serialize_with = "milliseconds_or_null")]
    pub p50: Option<Duration>,
    #[serde(rename = "p99_ms", serialize_with = "milliseconds_or_null")]
    pub p99: Option<Duration>,
}

/// A map while traces are added.
#[derive(Debug, Default)]
pub(crate) struct MapBuilder {
    /// Each node with its id, in order of appearance.
    ids: HashMap<(NodeKind, String), usize>,
    edges: BTreeMap<(usize, usize), Samples>,
    handled: BTreeMap<usize, Samples>,
    has_more: bool,
    first_unix_nano: Option<u64>,
    last_unix_nano: u64,
}

#[derive(Debug, Default)]
struct Samples {
    nanos: Vec<u64>,
    errors: usize,
}

impl MapBuilder {
    pub(crate) fn add(&mut self, trace: &Trace) {
        let by_id: HashMap<SpanId, &Span> = trace.spans.iter().map(|span| (span.span_id, span)).collect();
        let caller = |span: &Span| {
            let parent = by_id.get(&span.parent_span_id?)?;
            (parent.service != span.service).then_some(*parent)
        };
        // A call whose other side sends spans leads to that service, not to its host.
        let followed: HashSet<SpanId> = trace
            .spans
            .iter()
            .filter_map(caller)
            .map(|span| span.span_id)
            .collect();
        for span in &trace.spans {
            let first = self.first_unix_nano.get_or_insert(span.start_unix_nano);
            *first = span.start_unix_nano.min(*first);
            self.last_unix_nano = self.last_unix_nano.max(span.start_unix_nano);
            self.add_span(span, caller(span), followed.contains(&span.span_id));
        }
    }

    /// `between` is the time that was searched, where it is limited.
    pub(crate) fn map(self, between: Option<Duration>, is_partial: bool) -> ServiceMap {
        let first = self.first_unix_nano.unwrap_or_default();
        let of_spans = Duration::from_nanos(self.last_unix_nano.saturating_sub(first));
        let duration = between.unwrap_or(of_spans);
        let mut nodes: Vec<_> = self.ids.into_iter().collect();
        nodes.sort_unstable();
        let places: HashMap<usize, usize> = nodes
            .iter()
            .enumerate()
            .map(|(place, (_, id))| (*id, place))
            .collect();
        let place = |id: &usize| places.get(id).copied().unwrap_or_default();
        let calls = |id| self.handled.get(&id).map(|samples| samples.calls(duration));
        let edge = |(&(from, to), samples): (&(usize, usize), &Samples)| MapEdge {
            from: place(&from),
            to: place(&to),
            calls: samples.calls(duration),
        };
        ServiceMap {
            edges: self.edges.iter().map(edge).collect(),
            nodes: nodes
                .into_iter()
                .map(|((kind, name), id)| MapNode {
                    kind,
                    name,
                    calls: calls(id).unwrap_or_default(),
                })
                .collect(),
            duration,
            partial: is_partial || self.has_more,
        }
    }

    fn add_span(&mut self, span: &Span, caller: Option<&Span>, is_followed: bool) {
        let service = (NodeKind::Service, span.service.as_str());
        let queue = queue(span);
        if matches!(span.kind, SpanKind::Server | SpanKind::Consumer) {
            self.handled(service, span);
        }
        match (span.kind, &queue) {
            (SpanKind::Consumer, Some(queue)) => self.call((NodeKind::Queue, queue), service, span),
            (SpanKind::Producer, Some(queue)) => self.call(service, (NodeKind::Queue, queue), span),
            _ => {
                if let Some(caller) = caller {
                    let timed = if caller.kind == SpanKind::Client {
                        caller
                    } else {
                        span
                    };
                    self.call((NodeKind::Service, &caller.service), service, timed);
                }
                if span.kind != SpanKind::Client {
                    return;
                }
                if let Some(store) = systems::store(span) {
                    self.call(service, (NodeKind::Store, store), span);
                } else if let Some(host) = systems::host(span).filter(|_| !is_followed) {
                    self.call(service, (NodeKind::Host, host), span);
                }
            }
        }
    }

    fn call(&mut self, from: (NodeKind, &str), to: (NodeKind, &str), span: &Span) {
        if let (Some(from), Some(id)) = (self.id(from), self.id(to)) {
            self.edges.entry((from, id)).or_default().add(span);
            if to.0 != NodeKind::Service {
                self.handled.entry(id).or_default().add(span);
            }
        }
    }

    fn handled(&mut self, node: (NodeKind, &str), span: &Span) {
        if let Some(id) = self.id(node) {
            self.handled.entry(id).or_default().add(span);
        }
    }

    /// `None` if there is no place for another node.
    fn id(&mut self, (kind, name): (NodeKind, &str)) -> Option<usize> {
        let next = self.ids.len();
        let key = (kind, name.to_owned());
        if let Some(id) = self.ids.get(&key) {
            return Some(*id);
        }
        self.has_more |= next == MAX_NODES;
        (next < MAX_NODES).then(|| *self.ids.entry(key).or_insert(next))
    }
}

/// The queue of a message, by its destination, else by its system.
fn queue(span: &Span) -> Option<&str> {
    let get = |key| span.attributes.get_str(key);
    let system = get("messaging.system")?;
    Some(get("messaging.destination.name").unwrap_or(system))
}

impl Samples {
    fn add(&mut self, span: &Span) {
        self.nanos
            .push(span.end_unix_nano.saturating_sub(span.start_unix_nano));
        self.errors += usize::from(span.failed());
    }

    fn calls(&self, duration: Duration) -> Calls {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let count = sorted.len();
        let seconds = duration.as_secs_f64();
        Calls {
            count,
            errors: self.errors,
            per_second: if seconds > 0.0 {
                double_of_count(count) / seconds
            } else {
                0.0
            },
            p50: quantile(&sorted, 500),
            p99: quantile(&sorted, 990),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{attributes, span, trace_id};
    use crate::trace::Status;

    fn of(service: &str, kind: SpanKind, pairs: &[(&str, &str)], span: Span) -> Span {
        Span {
            service: service.into(),
            kind,
            attributes: attributes(pairs),
            ..span
        }
    }

    fn map(spans: Vec<Span>) -> ServiceMap {
        let mut builder = MapBuilder::default();
        builder.add(&Trace {
            trace_id: trace_id(1),
            spans,
        });
        builder.map(Some(Duration::from_secs(2)), false)
    }

    fn edges(map: &ServiceMap) -> Vec<String> {
        let name = |index: usize| &map.nodes[index].name;
        map.edges
            .iter()
            .map(|edge| format!("{} > {}", name(edge.from), name(edge.to)))
            .collect()
    }

    #[test]
    fn calls_lead_to_services_stores_queues_and_hosts() {
        use SpanKind::{Client, Consumer, Internal, Producer, Server};
        let jobs = [
            ("messaging.system", "apalis"),
            ("messaging.destination.name", "orders"),
        ];
        let map = map(vec![
            of("api", Server, &[], span(1, 0, "POST", 0..100)),
            of(
                "api",
                Client,
                &[("db.system.name", "postgresql")],
                span(2, 1, "INSERT", 10..20),
            ),
            of("api", Producer, &jobs, span(3, 1, "send", 20..30)),
            Span {
                status: Status::Error,
                ..of("worker", Consumer, &jobs, span(4, 3, "process", 40..90))
            },
            of("worker", Internal, &[], span(5, 4, "charge", 40..90)),
            of(
                "worker",
                Client,
                &[("server.address", "127.0.0.1")],
                span(6, 5, "POST", 50..70),
            ),
            of("gateway", Server, &[], span(7, 6, "POST", 55..65)),
            of(
                "worker",
                Client,
                &[("server.address", "mail.example.com")],
                span(8, 5, "POST", 50..70),
            ),
        ]);
        let mut found = edges(&map);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "api > PostgreSQL",
                "api > orders",
                "orders > worker",
                "worker > gateway",
                "worker > mail.example.com"
            ]
        );
        let names: Vec<&str> = map.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "api",
                "gateway",
                "worker",
                "PostgreSQL",
                "orders",
                "mail.example.com"
            ]
        );
        let worker = map.nodes[2].calls;
        assert_eq!((worker.count, worker.errors, worker.per_second), (1, 1, 0.5));
        // A call takes as long as its client waits.
        let gateway = map.edges.iter().find(|edge| edge.to == 1).unwrap();
        assert_eq!(gateway.calls.p99, Some(Duration::from_nanos(20)));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let call = |id: u64| {
            let host = format!("host-{id}");
            of(
                "api",
                SpanKind::Client,
                &[("server.address", &host)],
                span(id, 0, "GET", 0..1),
            )
        };
        let map = map((1..1_000).map(call).collect());
        assert_eq!(map.nodes.len(), MAX_NODES);
        assert!(map.partial);
    }
}

//! Events of `tracing`, and of the `log` crate, as masked log records. A record has an event name only where
//! the code gave the event one.

use std::fmt;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{Context, Key};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;

use super::event;
use crate::masking::{RecordLimits, masked_text};
use crate::span::current_request_id;
use crate::{exception, names};

/// The layer. Nothing is recorded in a context that suppresses telemetry, which the exporters' is.
#[derive(Debug)]
pub(super) struct Records {
    logger: SdkLogger,
    limits: RecordLimits,
}

impl Records {
    pub(super) fn new(provider: &SdkLoggerProvider, limits: RecordLimits) -> Self {
        Self {
            logger: provider.logger(""),
            limits,
        }
    }
}

impl<S: Subscriber> Layer<S> for Records {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if Context::is_current_telemetry_suppressed() {
            return;
        }
        let (level, target) = event::origin(event);
        let mut record = self.logger.create_log_record();
        record.set_target(target.clone());
        record.set_severity_number(severity(level));
        record.set_severity_text(level.as_str());
        if let Some(name) = event::name(event) {
            record.set_event_name(name);
        }
        let mut fields = Fields {
            record: &mut record,
            limits: self.limits,
            target: &target,
            attributes: 0,
            has_type: false,
            has_message: false,
        };
        event.record(&mut fields);
        if let Some(id) = current_request_id() {
            let masked = masked_text(names::HTTP_REQUEST_ID, &id, self.limits.value_length);
            fields.push(names::HTTP_REQUEST_ID, masked.unwrap_or_else(|| id.to_string()));
        }
        fields.complete_exception(level);
        self.logger.emit(record);
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

struct Fields<'a> {
    record: &'a mut SdkLogRecord,
    limits: RecordLimits,
    target: &'a str,
    attributes: usize,
    has_type: bool,
    has_message: bool,
}

impl Fields<'_> {
    fn text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            let masked = masked_text("", &text, None);
            self.record.set_body(masked.unwrap_or(text).into());
        } else {
            let masked = masked_text(field.name(), &text, self.limits.value_length);
            self.add(field, masked.unwrap_or(text));
        }
    }

    fn number(&mut self, field: &Field, value: impl Into<AnyValue>, masked: Option<&'static str>) {
        match masked {
            Some(masked) => self.add(field, masked),
            None => self.add(field, value),
        }
    }

    fn add(&mut self, field: &Field, value: impl Into<AnyValue>) {
        match field.name() {
            name if event::is_of_log_crate(name) => {}
            "error" | names::EXCEPTION_MESSAGE => {
                self.has_message = true;
                self.push(names::EXCEPTION_MESSAGE, value);
            }
            name if name.contains('.') => {
                self.has_type |= name == names::EXCEPTION_TYPE;
                self.push(name, value);
            }
            // A name without a namespace would mean something else in each crate.
            name => {
                let namespace = self.target.split(':').next().unwrap_or_default();
                self.push(format!("{namespace}.{name}"), value);
            }
        }
    }

    fn push(&mut self, key: impl Into<Key>, value: impl Into<AnyValue>) {
        if self.attributes < self.limits.attributes {
            self.attributes += 1;
            self.record.add_attribute(key, value);
        }
    }

    /// Adds what an error lacks. Of an error of a dependency, the type is the module that logged it.
    fn complete_exception(mut self, level: Level) {
        if !self.has_message && level == Level::ERROR {
            self.has_message = true;
            if let Some(body) = self.record.body().cloned() {
                self.push(names::EXCEPTION_MESSAGE, body);
            }
        }
        if self.has_message && !self.has_type {
            self.push(names::EXCEPTION_TYPE, self.target.to_owned());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, exception::message(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value, mask::integer(field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.text(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value, mask::float(field.name(), value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value, None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::InstrumentationScope;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::logs::LogProcessor;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Emitted(Arc<Mutex<Vec<SdkLogRecord>>>);

    impl LogProcessor for Emitted {
        fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
            self.0.lock().unwrap().push(record.clone());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
    }

    /// The records of the events that `emit` emits.
    fn records(limits: RecordLimits, emit: impl FnOnce()) -> Vec<SdkLogRecord> {
        let emitted = Emitted::default();
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(emitted.clone())
            .build();
        let subscriber = tracing_subscriber::registry().with(Records::new(&provider, limits));
        tracing::subscriber::with_default(subscriber, emit);
        emitted.0.lock().unwrap().clone()
    }

    const NO_LIMITS: RecordLimits = RecordLimits {
        attributes: usize::MAX,
        value_length: None,
    };

    /// The attributes of the only record, as `name=value`.
    fn attributes(limits: RecordLimits, emit: impl FnOnce()) -> Vec<String> {
        let records = records(limits, emit);
        assert_eq!(records.len(), 1);
        let shown = |(key, value): &(Key, AnyValue)| format!("{key}={value:?}");
        records[0].attributes_iter().map(shown).collect()
    }

    #[test]
    fn no_secret_survives_in_any_field_of_a_log_record() {
        let records = records(NO_LIMITS, || {
            tracing::warn!(
                a.text = "call +49 170 1234567",
                a.debug = ?("joe@example.com", 7),
                a.card = 4_111_111_111_111_111_i64,
                a.float = 4_111_111_111_111_111_f64,
                a.password = "hunter2",
                a.pin = true,
                "joe@example.com pays"
            );
        });
        let shown = format!("{records:?}");
        for secret in ["1234567", "joe@", "4111", "hunter2"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn a_record_has_an_event_name_only_if_the_event_was_given_one() {
        let records = records(NO_LIMITS, || {
            tracing::info!(parcel.id = 7, "parcel created");
            tracing::warn!(name: "parcel.lost", { parcel.id = 7 }, "parcel lost");
        });
        assert_eq!(records[0].event_name(), None);
        assert_eq!(records[1].event_name(), Some("parcel.lost"));
    }

    #[test]
    fn an_attribute_is_in_a_namespace() {
        let shown = attributes(NO_LIMITS, || {
            tracing::info!(target: "shop::carts", { order.id = 7, pause = 3 }, "waits");
        });
        assert_eq!(shown, ["order.id=Int(7)", "shop.pause=Int(3)"]);
    }

    #[test]
    fn each_error_has_a_type_and_a_message() {
        let shown = attributes(NO_LIMITS, || tracing::error!(target: "shop::carts", "no disk"));
        let [message, kind] = [names::EXCEPTION_MESSAGE, names::EXCEPTION_TYPE];
        let text = |name, value| format!("{name}=String(Owned({value:?}))");
        assert_eq!(shown, [text(message, "no disk"), text(kind, "shop::carts")]);

        let error = "x".parse::<i64>().unwrap_err();
        let shown = attributes(NO_LIMITS, || {
            tracing::warn!(target: "shop::carts", %error, "no number");
        });
        let cause = "invalid digit found in string";
        assert_eq!(shown, [text(message, cause), text(kind, "shop::carts")]);

        let shown = attributes(NO_LIMITS, || crate::log_error!(error, "no number"));
        let of_error = text(kind, "core::num::error::ParseIntError");
        assert_eq!(shown, [of_error, text(message, cause)]);
    }

    #[test]
    fn attributes_beyond_the_limit_are_dropped_and_long_texts_are_cut() {
        let at_most = |attributes| {
            let limits = RecordLimits {
                attributes,
                value_length: Some(4),
            };
            let emit = || tracing::info!(a.a = 1, a.b = 2, a.c = "größer", "order was completed");
            records(limits, emit)[0].attributes_iter().count()
        };
        assert_eq!([0, 2, 3, 4].map(at_most), [0, 2, 3, 3]);
        let limits = RecordLimits {
            value_length: Some(4),
            ..NO_LIMITS
        };
        let shown = attributes(limits, || tracing::info!(a.c = "größer", "completed"));
        assert!(
            shown[0].contains("größ") && !shown[0].contains("größe"),
            "{shown:?}"
        );
    }

    #[test]
    fn nothing_is_recorded_while_telemetry_is_suppressed() {
        let recorded = records(NO_LIMITS, || {
            let _exporting = Context::enter_telemetry_suppressed_scope();
            tracing::error!("the collector is unreachable");
        });
        assert!(recorded.is_empty());
    }
}

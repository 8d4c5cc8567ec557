//! Log lines as JSON objects, one per line, flat: what the spans around an event know is told beside the event.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes `timestamp`, `level`, `target`, `message`, the event's fields, those of its spans (`correlation_id` among
/// them), and the name of the innermost `span`. Where a name occurs twice, the inner one counts.
pub(super) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), now().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        event.record(&mut Fields(&mut line));
        for span in context.event_scope().into_iter().flatten() {
            add(&mut line, "span", span.name().into());
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                add_all(&mut line, &fields.fields);
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn now() -> String {
    let mut time = String::new();
    // Writing to a string cannot fail; an empty time would be better than no line.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    time
}

/// The fields of a span, which are kept as the text of a JSON object.
fn add_all(line: &mut Map<String, Value>, fields: &str) {
    let fields: Map<String, Value> = serde_json::from_str(fields).unwrap_or_default();
    for (name, value) in fields {
        add(line, &name, value);
    }
}

fn add(line: &mut Map<String, Value>, name: &str, value: Value) {
    line.entry(name).or_insert(value);
}

/// Takes in the fields of an event.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        add(self.0, field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        add(self.0, field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        add(self.0, field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        add(self.0, field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        add(self.0, field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        add(self.0, field.name(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lines").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let written = lines.0.lock().expect("lines").clone();
        serde_json::from_slice(&written).expect("one JSON object")
    }

    #[test]
    fn fields_of_spans_and_event_are_beside_each_other() {
        let line = logged(|| {
            let _request = tracing::info_span!("request", correlation_id = "c-1", name = "outer").entered();
            let _command = tracing::info_span!("command", name = "shop.create").entered();
            tracing::warn!(attempt = 2, late = true, "trying \"again\"");
        });
        assert_eq!(line["message"], "trying \"again\"");
        assert_eq!((&line["level"], &line["attempt"]), (&"WARN".into(), &2.into()));
        assert_eq!(line["late"], true);
        assert_eq!(line["correlation_id"], "c-1");
        assert_eq!((&line["span"], &line["name"]), (&"command".into(), &"shop.create".into()));
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }

    #[test]
    fn an_event_outside_spans_has_none() {
        let line = logged(|| tracing::info!(error = %std::fmt::Error, "failed"));
        assert_eq!(line.get("span"), None);
        assert_eq!(line["error"], std::fmt::Error.to_string());
        assert!(line["target"].as_str().is_some_and(|target| target.starts_with("potter::")));
    }
}

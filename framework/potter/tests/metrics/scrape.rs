//! Prometheus' text format, read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::page::Described;

/// What `/metrics` has said.
pub struct Scraped {
    kinds: BTreeMap<String, String>,
    series: Vec<Series>,
}

struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scraped {
    pub fn read(text: &str) -> Self {
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(series).collect();
        Self { kinds, series }
    }

    /// The value of the one series with these labels; `None` if there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |series: &&Series| {
            let label = |(key, value): &(&str, &str)| series.labels.get(*key).is_some_and(|it| it == value);
            series.name == name && labels.iter().all(label)
        };
        let mut found = self.series.iter().filter(has);
        let value = found.next()?.value;
        assert!(found.next().is_none(), "{name} with {labels:?} is one series");
        Some(value)
    }

    /// Every metric with its kind and its labels, which are the same for each of its series.
    pub fn described(&self) -> Described {
        let describe = |(name, kind): (&String, &String)| {
            let mut labels: Vec<_> = self.of(name).map(|series| own_labels(kind, series)).collect();
            labels.dedup();
            assert_eq!(labels.len(), 1, "each series of {name} has the same labels");
            (name.clone(), (kind.clone(), labels.remove(0)))
        };
        self.kinds.iter().map(describe).collect()
    }

    /// Histograms are in seconds: what is measured can't have taken longer than the test, each time.
    pub fn check_seconds(&self, longest: Duration) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            assert!(name.ends_with("_seconds"), "{name} says its unit");
            let sum = |of: &str| self.of(name).filter(|it| it.name == format!("{name}_{of}")).map(|it| it.value).sum();
            let (sum, count): (f64, f64) = (sum("sum"), sum("count"));
            assert!(sum > 0.0 && sum < count * longest.as_secs_f64(), "{name}: {count} times, {sum} s");
        }
    }

    /// The series of a metric, those of a histogram's parts included.
    fn of<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = &'a Series> {
        let is = move |series: &&Series| {
            series.name.strip_prefix(metric).is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        self.series.iter().filter(is)
    }
}

fn own_labels(kind: &str, series: &Series) -> BTreeSet<String> {
    series.labels.keys().filter(|label| kind != "histogram" || *label != "le").cloned().collect()
}

/// `name{label="value",…} value`; no value of a label in these tests has a comma in it.
fn series(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("a brace").split(',').filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (key, value) = label.split_once('=').expect("a label");
        (key.to_owned(), value.trim_matches('"').to_owned())
    };
    Series { name: name.to_owned(), labels: labels.map(label).collect(), value: value.parse().expect("a number") }
}

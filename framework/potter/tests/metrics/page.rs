//! `docs/reference/metrics.md`, read.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../docs/reference/metrics.md");

/// What a metric is: its kind, and the labels that each of its series has.
pub type Described = BTreeMap<String, (String, BTreeSet<String>)>;

/// What the page says that there is.
pub fn described() -> Described {
    let mut described = Described::new();
    let mut usual_labels = true;
    for row in PAGE.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _] = cells[..] else { panic!("four columns: {row}") };
        if name == "metric" {
            usual_labels = labels == "further labels";
        } else if !name.starts_with('-') {
            let mut all: BTreeSet<_> = quoted(labels).collect();
            if usual_labels && !labels.ends_with("no others") {
                all.extend(["module".to_owned(), "name".to_owned()]);
            }
            let name = quoted(name).next().expect("the name of a metric");
            assert!(described.insert(name, (kind.to_owned(), all)).is_none(), "it is there once: {row}");
        }
    }
    described
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

//! A strict reader of Prometheus' text format 0.0.4: whatever a scraper might stumble over fails here.

use std::collections::BTreeMap;

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page {
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    kind: String,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Page {
    /// Reads a page, and checks everything that the format promises.
    pub(super) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut page = Self::default();
        let mut lines = text.lines();
        let mut current = String::new();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(!help.trim().is_empty(), "no help: {line}");
                let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
                let kind = kind.unwrap_or_else(|| panic!("no type behind: {line}")).to_owned();
                assert!(["counter", "gauge", "histogram"].contains(&kind.as_str()), "{name} is a {kind}");
                assert!(is_name(name), "{name:?}");
                let family = Family { kind, samples: BTreeMap::new() };
                assert!(page.families.insert(name.to_owned(), family).is_none(), "{name} is there twice");
                current = name.to_owned();
                continue;
            }
            let (name, labels, value) = sample(line);
            let family = page.families.get_mut(&current).unwrap_or_else(|| panic!("no head: {line}"));
            let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} below {current}"));
            let known: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(known.contains(&suffix), "{line} below a {} {current}", family.kind);
            assert!(family.kind == "gauge" || value >= 0.0, "{line}");
            assert!(family.samples.insert((suffix.to_owned(), labels), value).is_none(), "twice: {line}");
        }
        for (name, family) in &page.families {
            assert!(!family.samples.is_empty(), "{name} has no samples");
            if family.kind == "histogram" {
                family.check_histogram(name);
            }
        }
        page
    }

    /// The sum of the samples of a counter, a gauge, or a histogram's `_count` or `_sum`, that have these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (family, suffix) = ["_count", "_sum"]
            .iter()
            .find_map(|suffix| Some((self.families.get(name.strip_suffix(suffix)?)?, *suffix)))
            .or_else(|| Some((self.families.get(name)?, "")))
            .unzip();
        let (Some(family), Some(suffix)) = (family, suffix) else { return 0.0 };
        let has = |found: &Labels| labels.iter().all(|(name, value)| found.get(*name).is_some_and(|found| found == value));
        family.samples.iter().filter(|((kind, found), _)| kind == suffix && has(found)).map(|(_, value)| value).sum()
    }

    /// The names of all families.
    pub(super) fn names(&self) -> Vec<&str> {
        self.families.keys().map(String::as_str).collect()
    }

    /// The names of the labels of a family's samples; all have the same.
    pub(super) fn labels(&self, name: &str) -> Vec<&str> {
        let family = self.families.get(name).unwrap_or_else(|| panic!("no {name}"));
        let mut sets = family.samples.keys().map(|(_, labels)| labels.keys().map(String::as_str).filter(|name| *name != "le").collect());
        let first: Vec<&str> = sets.next().unwrap_or_default();
        assert!(sets.all(|other: Vec<&str>| other == first), "{name} has samples with other labels");
        first
    }
}

impl Family {
    fn check_histogram(&self, name: &str) {
        let of = |suffix: &str| self.samples.iter().filter(move |((kind, _), _)| kind == suffix).collect::<Vec<_>>();
        assert_eq!(of("_count").len(), of("_sum").len(), "{name}");
        for ((_, labels), count) in of("_count") {
            let mut buckets = Vec::new();
            for ((_, with_bound), value) in of("_bucket") {
                let mut rest = with_bound.clone();
                let bound = rest.remove("le").unwrap_or_else(|| panic!("{name} has a bucket without bound"));
                if rest == *labels {
                    let bound: f64 =
                        if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or_else(|_| panic!("{name} {bound}")) };
                    buckets.push((bound, *value));
                }
            }
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name}{labels:?} shrinks");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name}{labels:?}");
            let sum = self.samples.get(&("_sum".to_owned(), labels.clone())).copied();
            // Each value is at least as large as the bound below its bucket.
            let bounds = buckets.iter().zip(buckets.iter().skip(1));
            let least: f64 = bounds.map(|(below, at)| (at.1 - below.1) * below.0).sum();
            assert!(sum.is_some_and(|sum| sum >= least), "{name}{labels:?} sums to {sum:?}, at least {least}");
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line:?}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line:?}");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line:?}"));
            assert!(is_name(label), "{line:?}");
            let (value, behind) = quoted(behind, line);
            assert!(labels.insert(label.to_owned(), value).is_none(), "label twice: {line:?}");
            match behind.split_at(1) {
                (",", behind) => rest = behind,
                ("}", behind) => {
                    rest = behind;
                    break;
                }
                _ => panic!("no end of labels: {line:?}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("no number: {line:?}")))
}

/// The text up to the closing quote, and what is behind it.
fn quoted<'a>(text: &'a str, line: &str) -> (String, &'a str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => panic!("bad escape: {line:?}"),
            },
            c => value.push(c),
        }
    }
    panic!("no end of a value: {line:?}")
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::cache::index::tests::contents;
use crate::cache::tests::WIDGETS;
use apiserver_meta::options::ListOptions;
use apiserver_meta::selector::{FieldSelector, LabelSelector};
use apiserver_meta::{ObjectFilter, ObjectKey};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMESPACES: [&str; 4] = ["ns", "ns-x", "ns.y", "ns2"];
const LABELS: [&str; 19] = [
    "",
    "",
    "app=a",
    "app==b",
    "app=",
    "app=none",
    "app in (a,b)",
    "app in (,b,c)",
    "app",
    "!app",
    "app!=a",
    "app notin (a,b)",
    "n>3",
    "n<2,app=b",
    "id=o7",
    "id in (o1,o3,o5,o9)",
    "id",
    "app=a,app=b",
    "none",
];
const FIELDS: [&str; 9] = [
    "",
    "",
    "spec.color=red",
    "spec.color!=red",
    "spec.color=",
    "spec.color=none",
    "metadata.name=o7",
    "metadata.name!=o7",
    "metadata.name=o3,spec.color=red",
];

/// What happens to an object: which one it is, and its labels and its color unless it is deleted.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    namespace: usize,
    name: usize,
    item: Option<(BTreeMap<&'static str, String>, &'static str)>,
}

impl Happening {
    pub(crate) fn key(&self) -> ObjectKey {
        ObjectKey::new(NAMESPACES[self.namespace], format!("o{}", self.name))
    }

    /// The object behind it.
    pub(crate) fn item(&self, revision: u64) -> Option<Arc<Item>> {
        let (labels, color) = self.item.as_ref()?;
        let labels = labels.iter().map(|(key, value)| (Arc::from(*key), Arc::from(value.as_str()))).collect();
        Some(Arc::new(Item {
            path: self.key().to_string().into(),
            revision,
            labels,
            fields: [Arc::from(*color)].into(),
            ..Item::default()
        }))
    }
}

pub(crate) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let app = prop_oneof![Just(None), Just(Some("a")), Just(Some("a")), Just(Some("b")), Just(Some(""))];
    let color = prop_oneof![3 => Just("red"), 1 => Just("blue"), 1 => Just("")];
    let content = (app, proptest::option::of(0_usize..6), any::<bool>(), color);
    let one = (0..NAMESPACES.len(), 0_usize..40, proptest::option::weighted(0.8, content));
    let happening = one.prop_map(|(namespace, name, content)| {
        let item = content.map(|(app, n, has_id, color)| {
            let labels =
                [("app", app.map(str::to_owned)), ("id", has_id.then(|| format!("o{name}"))), ("n", n.map(|n: usize| n.to_string()))];
            (labels.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(), color)
        });
        Happening { namespace, name, item }
    });
    proptest::collection::vec(happening, 0..400)
}

/// The objects at several times while all of this happens.
pub(crate) fn snapshots(happenings: &[Happening]) -> Vec<Objects> {
    let (mut objects, mut snapshots) = (Objects::default(), Vec::new());
    for (revision, happening) in happenings.iter().enumerate() {
        let path = happening.key().to_string();
        match happening.item(revision as u64) {
            Some(item) => {
                drop(objects.insert(&Path::from(path), &item));
            }
            None => drop(objects.remove(&path)),
        }
        if revision % 100 == 50 {
            snapshots.push(objects.clone());
        }
    }
    snapshots.push(objects);
    snapshots
}

pub(crate) fn options() -> impl Strategy<Value = (&'static str, ListOptions)> {
    let namespace = prop_oneof![2 => Just(""), 1 => proptest::sample::select(&NAMESPACES[..])];
    let selectors = (proptest::sample::select(&LABELS[..]), proptest::sample::select(&FIELDS[..]));
    (namespace, selectors).prop_map(|(namespace, (labels, fields))| {
        let (labels, fields) = (LabelSelector::parse(labels).unwrap(), FieldSelector::parse(fields).unwrap());
        (namespace, ListOptions { labels, fields, ..ListOptions::default() })
    })
}

fn filter(namespace: &str, options: &ListOptions) -> Filter {
    Filter::new(&WIDGETS, namespace, options, &ObjectFilter::All)
}

/// The values of an item that are looked up.
fn terms(item: &Item) -> Vec<Term> {
    let labels = item.labels.iter().map(|(key, value)| Term::Label(key.clone(), value.clone()));
    let fields = item.fields.iter().enumerate().filter(|(_, value)| !value.is_empty());
    labels.chain(fields.map(|(field, value)| Term::Field(field, value.clone()))).collect()
}

/// Every object in turn, as if there were no index.
pub(crate) fn scan<'a>(objects: &'a Objects, filter: &Filter, start: &str) -> Vec<&'a Path> {
    let all = objects.by_path.iter().filter(|(path, _)| &***path >= start);
    all.filter(|(path, item)| filter.spans(path) && filter.shows(item)).map(|(path, _)| path).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// At every time, from every place on, the candidates are all that a scan finds; and each condition is met by all of them.
    #[test]
    fn what_is_found_is_what_a_scan_finds(
        happenings in happenings(),
        asked in proptest::collection::vec(options(), 12),
        start in prop_oneof![Just(String::new()), "ns(-x|.y|2)?/o[0-9]{1,2}", "n[a-z]"],
    ) {
        for objects in snapshots(&happenings) {
            for (namespace, options) in &asked {
                let filter = filter(namespace, options);
                let candidates: Vec<_> = objects.candidates(&filter, &start).collect();
                let shown = candidates.iter().filter(|(path, item)| filter.spans(path) && filter.shows(item));
                let found: Vec<&Path> = shown.map(|(path, _)| *path).collect();
                prop_assert_eq!(&found, &scan(&objects, &filter, &start), "{} {:?}", namespace, options);
                for condition in filter.conditions() {
                    prop_assert!(found.iter().all(|path| condition.is_met_by(&objects.by_path[*path])), "{:?}", condition);
                    let Some(meeting) = objects.meeting(condition, &start) else { continue };
                    let met = objects.by_path.iter().filter(|(path, item)| ***path >= *start && condition.is_met_by(item));
                    prop_assert_eq!(meeting.collect::<Vec<_>>(), met.map(|(path, _)| path).collect::<Vec<_>>(), "{:?}", condition);
                }
            }
        }
    }

    /// Whatever came and went, the index and the counts are those of the objects that are there.
    #[test]
    fn nothing_is_left_of_what_has_gone(happenings in happenings()) {
        for objects in snapshots(&happenings) {
            let total = objects.len();
            let mut values: Vec<Term> = Vec::new();
            for (term, count, listed) in contents(&objects.index) {
                let having: Vec<Path> = objects.by_path.iter().filter(|(_, item)| term.is_of(item)).map(|(path, _)| path.clone()).collect();
                prop_assert!(count > 0 && count == having.len(), "{:?} {}", term, count);
                // What is not listed is common: a scan costs no more than a small multiple of what it finds.
                prop_assert!(listed.is_some() || 16 * count >= total, "{:?}: {} of {}", term, count, total);
                prop_assert!(listed.is_none_or(|listed| listed == having), "{:?}", term);
                values.push(term);
            }
            let all = objects.values().flat_map(|item| terms(item)).collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(values, all.into_iter().collect::<Vec<_>>());
            for extent in NAMESPACES.map(|namespace| Extent::Namespace(namespace.into())).into_iter().chain([Extent::All, Extent::Nothing]) {
                let filter = match &extent {
                    Extent::Namespace(namespace) => filter(namespace, &ListOptions::default()),
                    _ => filter("", &ListOptions::default()),
                };
                let count = if extent == Extent::Nothing { 0 } else { scan(&objects, &filter, "").len() };
                prop_assert_eq!(objects.count(&extent), count);
            }
        }
    }
}

/// Objects of which every other one is even, every hundredth is rare and each has an id.
fn many(count: usize) -> Objects {
    let item = |n: usize| {
        let mut labels: Vec<(Arc<str>, Arc<str>)> = vec![("id".into(), n.to_string().into())];
        labels.push(("parity".into(), if n.is_multiple_of(2) { "even" } else { "odd" }.into()));
        labels.extend(n.is_multiple_of(100).then(|| ("rare".into(), "yes".into())));
        Arc::new(Item { path: format!("ns/o{n:06}").into(), labels: labels.into(), ..Item::default() })
    };
    (0..count).map(|n| (Path::from(format!("ns/o{n:06}")), item(n))).collect()
}

#[test]
fn what_few_objects_have_is_found_without_looking_at_others() {
    let objects = many(3000);
    let looked_at = |selector: &str| {
        let options = ListOptions { labels: LabelSelector::parse(selector).unwrap(), ..ListOptions::default() };
        ["", "ns"].map(|namespace| objects.candidates(&filter(namespace, &options), "").count())
    };
    for (selector, most) in [
        ("none=x", 0),
        ("id=none", 0),
        ("id=77", 1),
        ("id in (77,78,none)", 2),
        ("rare", 30),
        ("rare,parity=even", 30),
        ("parity=even,rare,id!=100", 30),
        ("parity=even,id=77", 1),
        ("parity", 3000),
        ("parity!=even", 3000),
    ] {
        assert_eq!(looked_at(selector), [most; 2], "{selector}");
    }
}

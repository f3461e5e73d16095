#![allow(clippy::unwrap_used)]

use super::*;
use crate::cache::objects::Objects;
use crate::cache::objects::tests::{happenings, options, scan, snapshots};
use crate::cache::tests::WIDGETS;
use apiserver_meta::testing::cost;
use proptest::prelude::*;

/// The first page of so many objects.
fn first(namespace: &str, options: &ListOptions, limit: usize) -> Page {
    let filter = Arc::new(Filter::new(&WIDGETS, namespace, options, &ObjectFilter::All));
    let start = filter.prefix().to_owned();
    Page { shown: Shown::Fresh(ResourceVersion::Any), start, filter, limit, left: None, goes_on: false }
}

/// The page that a token leads to.
fn next(page: &Page, token: &str) -> Page {
    let Continue { start, left, .. } = Continue::decode(token, page.filter.prefix()).unwrap();
    Page { shown: Shown::Exactly(1), filter: Arc::clone(&page.filter), start, left, goes_on: true, ..*page }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Page by page a list shows what a scan finds, and says of each page how many objects follow as counting them would.
    #[test]
    fn pages_are_a_scan_and_count_what_follows(
        happenings in happenings(),
        asked in proptest::collection::vec((options(), 1_usize..9), 6),
    ) {
        for objects in snapshots(&happenings) {
            let snapshot = Snapshot { revision: 1, objects, ..Snapshot::default() };
            for ((namespace, options), limit) in &asked {
                let mut page = first(namespace, options, *limit);
                let all = scan(&snapshot.objects, &page.filter, "");
                let mut rest = all.iter();
                loop {
                    let (list, _) = page.of(&snapshot);
                    let names: Vec<String> = list.items.iter().map(|item| item.key().to_string()).collect();
                    let expected: Vec<&str> = rest.by_ref().take(*limit).map(|path| &***path).collect();
                    prop_assert_eq!(names, expected, "{} {:?}", namespace, options);
                    let follow = rest.len() as u64;
                    prop_assert_eq!(list.remaining, (follow > 0 && page.filter.is_plain()).then_some(follow));
                    prop_assert_eq!(list.continue_token.is_some(), follow > 0);
                    let Some(token) = list.continue_token else { break };
                    // Without what the token says it is counted.
                    let counted = Page { left: None, ..next(&page, &token) };
                    page = next(&page, &token);
                    prop_assert_eq!(counted.of(&snapshot).0.remaining, page.of(&snapshot).0.remaining);
                }
            }
        }
    }
}

/// The processor time of the first page of 100 objects in a namespace of so many, and of the page behind it.
fn cost_of_pages(count: usize) -> std::time::Duration {
    let item = |n: usize| Arc::new(Item { path: format!("ns/o{n:06}").into(), ..Item::default() });
    let objects: Objects = (0..count).map(|n| (crate::keys::Path::from(format!("ns/o{n:06}")), item(n))).collect();
    let snapshot = Snapshot { revision: 1, objects, ..Snapshot::default() };
    let start = cost::of_thread();
    for _ in 0..20 {
        let page = first("ns", &ListOptions::default(), 100);
        let (list, _) = page.of(&snapshot);
        assert_eq!(list.remaining, Some(count as u64 - 100));
        let (list, _) = next(&page, &list.continue_token.unwrap()).of(&snapshot);
        assert_eq!(list.remaining, Some(count as u64 - 200));
    }
    cost::of_thread() - start
}

#[test]
fn a_page_costs_the_same_however_large_the_collection() {
    let (small, large) = (cost_of_pages(300), cost_of_pages(30_000));
    assert!(large < small * 6, "{small:?}, {large:?}");
}

#![allow(clippy::unwrap_used)]

use super::queue::tests::{drained, is_closed};
use super::shelf::Shelf;
use super::*;
use crate::cache::objects::tests::{Happening, happenings, options};
use crate::cache::tests::WIDGETS;
use crate::item::Item;
use apiserver_meta::ObjectFilter;
use apiserver_meta::options::ListOptions;
use apiserver_meta::selector::LabelSelector;
use apiserver_meta::testing::cost;
use proptest::prelude::*;
use std::sync::Mutex;
use std::task::{Context, Wake, Waker};

/// The events that these happenings are, each with the collection behind it.
fn events(happenings: &[Happening]) -> Vec<(Arc<Event>, Objects)> {
    let mut objects = Objects::default();
    let mut events = Vec::new();
    for (revision, happening) in happenings.iter().enumerate() {
        let (revision, path) = (revision as Revision, happening.key().to_string());
        let current = happening.item(revision);
        let previous = match &current {
            Some(item) => objects.insert(&path.as_str().into(), item),
            None => objects.remove(&path),
        };
        events.push((Arc::new(Event::new(revision, path.into(), previous, current)), objects.clone()));
    }
    events
}

/// What a watcher was sent.
fn heard(queue: &mut Receiver<Delivery>) -> Vec<(Revision, EventKind)> {
    let kinds = drained(queue).into_iter().map(|delivery| match delivery {
        Delivery::Event { event, kind, .. } => (event.revision, kind),
        other => panic!("{other:?}"),
    });
    kinds.collect()
}

fn add(hub: &mut Hub, namespace: &str, options: &ListOptions, capacity: usize) -> (WatcherId, Arc<Filter>, Receiver<Delivery>) {
    let filter = Arc::new(Filter::new(&WIDGETS, namespace, options, &ObjectFilter::All));
    let (id, queue) = hub.add(Arc::clone(&filter), 0, capacity);
    (id, filter, queue)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Each watcher is sent what it would be if it were tried for every event, and watchers that leave leave nothing behind.
    #[test]
    fn watchers_that_are_found_are_sent_what_trying_each_would_send(
        happenings in happenings(),
        asked in proptest::collection::vec(options(), 24),
    ) {
        let (mut hub, events) = (Hub::default(), events(&happenings));
        let mut watchers: Vec<_> = asked.iter().map(|(namespace, options)| add(&mut hub, namespace, options, 1000)).collect();
        let (before, behind) = events.split_at(events.len() / 2);
        let publish = |hub: &mut Hub, events: &[(Arc<Event>, Objects)], watchers: &mut Vec<(WatcherId, Arc<Filter>, Receiver<Delivery>)>| {
            events.iter().for_each(|(event, after)| hub.publish(event, event.revision, after, &mut Wakes::default()));
            for (_, filter, queue) in watchers {
                let tried = events.iter().filter(|(event, _)| filter.spans(&event.path));
                let expected: Vec<_> = tried.filter_map(|(event, _)| Some((event.revision, filter.classify(event)?))).collect();
                prop_assert_eq!(heard(queue), expected, "{:?}", filter);
            }
            Ok(())
        };
        publish(&mut hub, before, &mut watchers)?;
        for (id, filter, _) in watchers.drain(..12) {
            hub.remove(id, &filter.extent);
        }
        prop_assert_eq!(hub.len(), 12);
        publish(&mut hub, behind, &mut watchers)?;
        hub.clear();
        prop_assert_eq!(format!("{:?}", hub.all), format!("{:?}", Shelf::default()));
        prop_assert!(hub.namespaces.is_empty() && hub.objects.is_empty());
    }

    /// A queue that is full or closed ends its watcher's membership, however it was found.
    #[test]
    fn watchers_that_are_found_can_be_overrun(happenings in happenings(), asked in proptest::collection::vec(options(), 24)) {
        let (mut hub, events) = (Hub::default(), events(&happenings));
        let mut watchers: Vec<_> = asked.iter().map(|(namespace, options)| add(&mut hub, namespace, options, 3)).collect();
        events.iter().for_each(|(event, after)| hub.publish(event, event.revision, after, &mut Wakes::default()));
        for (_, filter, queue) in &mut watchers {
            let tried = events.iter().filter(|(event, _)| filter.spans(&event.path));
            let expected: Vec<_> = tried.filter_map(|(event, _)| Some((event.revision, filter.classify(event)?))).collect();
            prop_assert_eq!(heard(queue), &expected[..expected.len().min(3)]);
            prop_assert_eq!(is_closed(queue), expected.len() > 3, "{:?}", filter);
        }
    }
}

/// Notes its number when it is woken.
struct Noting(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn the_watchers_of_a_connection_are_woken_one_after_the_other_when_all_have_the_event() {
    let (mut hub, woken) = (Hub::default(), Arc::new(Mutex::new(Vec::new())));
    let filter = Arc::new(Filter::new(&WIDGETS, "", &ListOptions::default(), &ObjectFilter::All));
    let mut queues: Vec<_> = [7, 8, 7, 8].map(|connection| hub.add(Arc::clone(&filter), connection, 1000).1).into();
    for (number, queue) in queues.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Noting(number, Arc::clone(&woken))));
        assert!(queue.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    }
    let mut wakes = Wakes::default();
    let item = Arc::new(Item { path: "ns/a".into(), ..Item::default() });
    hub.publish(&Arc::new(Event::new(1, "ns/a".into(), None, Some(item))), 1, &Objects::default(), &mut wakes);
    assert!(woken.lock().unwrap().is_empty());
    drop(wakes);
    assert_eq!(*woken.lock().unwrap(), [0, 2, 1, 3]);
    assert_eq!(queues.iter_mut().map(heard).collect::<Vec<_>>(), vec![vec![(1, EventKind::Added)]; 4]);
}

/// The processor time of events that concern one of so many watchers.
fn cost_of_events(watchers: usize) -> std::time::Duration {
    let mut hub = Hub::default();
    let selector = |n: usize| ListOptions { labels: LabelSelector::parse(&format!("id=o{n}")).unwrap(), ..ListOptions::default() };
    let watchers: Vec<_> = (0..watchers).map(|n| add(&mut hub, ["", "ns"][n % 2], &selector(n), 1000)).collect();
    let item = Arc::new(Item { path: "ns/a".into(), labels: [("id".into(), "o7".into())].into(), ..Item::default() });
    let event = Arc::new(Event::new(1, "ns/a".into(), None, Some(item)));
    let start = cost::of_thread();
    (0..500).for_each(|position| hub.publish(&event, position, &Objects::default(), &mut Wakes::default()));
    let taken = cost::of_thread() - start;
    let sent = watchers.into_iter().map(|(_, _, mut queue)| heard(&mut queue).len()).collect::<Vec<_>>();
    assert_eq!((sent[7], sent.iter().sum::<usize>()), (500, 500));
    taken
}

#[test]
fn an_event_costs_the_same_however_many_watch_something_else() {
    let (few, many) = (cost_of_events(10), cost_of_events(5000));
    assert!(many < few * 6, "{few:?}, {many:?}");
}

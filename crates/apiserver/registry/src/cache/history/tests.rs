#![allow(clippy::unwrap_used)]

use super::*;
use crate::Item;
use std::time::Duration;

const BOUNDS: Bounds = Bounds { age: Duration::from_secs(300), events: 4, bytes: 5000 };

/// A change of an object that has so many bytes before and after.
fn event(revision: Revision, name: &str, size: usize) -> Arc<Event> {
    let item = Arc::new(Item { path: format!("ns/{name}").into(), revision, bytes: vec![b' '; size].into(), ..Item::default() });
    Arc::new(Event::new(revision, format!("ns/{name}").into(), Some(Arc::clone(&item)), Some(item)))
}

fn revisions(history: &History, position: Position) -> Option<Vec<Revision>> {
    history.from(position).map(|events| events.map(|event| event.revision).collect())
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_number_is_forgotten() {
    let mut history = History::new(BOUNDS, 0);
    for revision in 11..=16 {
        history.push(event(revision, "a", 1));
    }
    assert_eq!(history.floor(), 12);
    let table = [(11, false), (12, true), (14, true), (16, true), (99, true)];
    for (revision, covered) in table {
        assert_eq!(history.covers(revision), covered, "{revision}");
    }
    assert_eq!(revisions(&history, history.behind(13)), Some(vec![14, 15, 16]));
    assert_eq!(revisions(&history, history.behind(16)), Some(vec![]));
    assert_eq!(revisions(&history, 1), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_bytes_is_forgotten() {
    let mut history = History::new(BOUNDS, 0);
    for revision in 1..=3 {
        history.push(event(revision, "a", 1500));
    }
    assert_eq!(history.floor(), 1, "an object is counted once, where it was replaced");
    history.push(event(4, "a", 5000));
    assert_eq!((history.floor(), history.end()), (4, START + 4));
    assert_eq!(history.bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_forgotten() {
    let mut history = History::new(BOUNDS, 5);
    history.push(event(6, "a", 1));
    tokio::time::advance(Duration::from_secs(200)).await;
    history.push(event(7, "a", 1));
    tokio::time::advance(Duration::from_secs(101)).await;
    history.trim();
    assert_eq!(history.floor(), 6);
    tokio::time::advance(Duration::from_secs(300)).await;
    history.trim();
    assert_eq!((history.floor(), history.covers(7)), (7, true));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_no_old_position_is_known() {
    let mut history = History::new(BOUNDS, 0);
    history.push(event(1, "a", 1));
    let end = history.end();
    history.restart(30);
    assert_eq!(revisions(&history, end), None);
    assert_eq!(revisions(&history, history.behind(30)), Some(vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_was_before_comes_in_front() {
    let before = |revisions: &[Revision]| revisions.iter().map(|revision| event(*revision, "a", 1)).collect();
    let mut history = History::new(BOUNDS, 8);
    history.push(event(9, "a", 1));
    history.push(event(10, "a", 1));
    let reader = history.behind(9);
    history.prepend(before(&[6, 7]), 5);
    assert_eq!((history.floor(), history.covers(5), history.covers(4)), (5, true, false));
    assert_eq!(revisions(&history, history.behind(5)), Some(vec![6, 7, 9, 10]));
    assert_eq!(revisions(&history, reader), Some(vec![10]), "a place in it stays what it was");
    // What is over the bounds are the oldest.
    history.push(event(11, "a", 1));
    assert_eq!((history.floor(), revisions(&history, history.behind(6))), (6, Some(vec![7, 9, 10, 11])));
    let mut history = History::new(BOUNDS, 8);
    history.push(event(9, "a", 1));
    history.prepend(before(&[2, 3, 4, 5, 6]), 1);
    assert_eq!((history.floor(), revisions(&history, history.behind(3))), (3, Some(vec![4, 5, 6, 9])));
    let mut history = History::new(BOUNDS, 8);
    history.prepend(VecDeque::new(), 3);
    assert_eq!((history.floor(), history.behind(3)), (3, history.end()));
}

#[test]
fn undo_gives_the_state_before() {
    let (old, new) = (event(3, "a", 1).current.clone().unwrap(), event(7, "a", 2).current.clone().unwrap());
    let mut objects = Objects::default();
    objects.insert(&"ns/a".into(), &old);
    let before = objects.clone();
    objects.insert(&"ns/a".into(), &new);
    objects.insert(&"ns/b".into(), &new);
    let events = [
        Event::new(8, "ns/c".into(), Some(Arc::clone(&old)), None),
        Event::new(7, "ns/b".into(), None, Some(Arc::clone(&new))),
        Event::new(7, "ns/a".into(), Some(old), Some(new)),
    ];
    let undone = undo(objects, &events.map(Arc::new));
    assert_eq!(undone.get("ns/a"), before.get("ns/a"));
    assert!(undone.get("ns/b").is_none() && undone.get("ns/c").is_some());
}

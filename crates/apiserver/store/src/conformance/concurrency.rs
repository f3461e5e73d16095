//! Many at once: the outcome must be that of some order, and the revisions say which.

use super::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of many creates of one key exactly one succeeds, and the others see its value.
pub async fn concurrent_creates_have_one_winner(store: Arc<dyn Store>) {
    for round in 0..10 {
        let name = format!("pods/ns/{round}");
        let attempts = (0..16).map(|number| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move { store.put(&key(&name), bytes(number.to_string()), Expect::Absent).await })
        });
        let results = futures::future::try_join_all(attempts).await.unwrap();
        let winner = read(&*store, &name).await.unwrap();
        let won = results.iter().filter(|result| matches!(result, Ok(revision) if *revision == winner.revision)).count();
        assert_eq!(won, 1);
        for lost in results.into_iter().filter(|result| result.is_err()) {
            assert_eq!(conflict(lost), Some(winner.clone()));
        }
    }
}

/// Compare-and-swap loses no increment.
pub async fn concurrent_increments_add_up(store: Arc<dyn Store>) {
    add(&*store, "pods/ns/counter", "0").await;
    let writers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                let mut current = read(&*store, "pods/ns/counter").await.unwrap();
                loop {
                    let count: u64 = std::str::from_utf8(&current.value).unwrap().parse().unwrap();
                    let next = bytes((count + 1).to_string());
                    match store.put(&key("pods/ns/counter"), next, Expect::Revision(current.revision)).await {
                        Ok(_) => break,
                        refused => current = conflict(refused).expect("nobody deletes"),
                    }
                }
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(read(&*store, "pods/ns/counter").await.unwrap().value, "200");
}

/// A range shows one moment: of two keys written in turn, the second is never ahead of the first.
pub async fn range_is_one_moment(store: Arc<dyn Store>) {
    const ROUNDS: u64 = 300;
    let mut revisions = [add(&*store, "pods/ns/a", "0").await, add(&*store, "pods/ns/b", "0").await];
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut last, mut newest) = (0, 0);
            while last < ROUNDS {
                let found = range(&*store, "pods/").await;
                assert!(found.revision >= newest, "revisions of reads go back");
                newest = found.revision;
                let values: Vec<u64> = found.entries.iter().map(|e| std::str::from_utf8(&e.value).unwrap().parse().unwrap()).collect();
                assert!(values[0] == values[1] || values[0] == values[1] + 1, "{values:?} is no moment");
                assert!(values[1] >= last);
                last = values[1];
            }
        }
    });
    for round in 1..=ROUNDS {
        for (name, revision) in ["pods/ns/a", "pods/ns/b"].into_iter().zip(&mut revisions) {
            *revision = replace(&*store, name, round.to_string(), *revision).await;
        }
    }
    tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
}

type State = BTreeMap<String, (Revision, Vec<u8>)>;

/// One random write with a right or wrong expectation. The answer must be the model's; tells what changed.
async fn random_write(store: &dyn Store, dice: &mut Dice, state: &mut State) -> Option<Revision> {
    let name = format!("pods/{}/{}", dice.below(3), dice.below(6));
    let current = state.get(&name).cloned();
    let stale = || current.as_ref().map_or(1, |(revision, _)| revision - 1);
    let value = vec![dice.below(256) as u8; dice.below(50) as usize];
    let (result, want) = match (dice.below(10), &current) {
        (0..=3, _) => (store.put(&key(&name), bytes(&value), Expect::Absent).await, current.is_none()),
        (4, _) => (store.put(&key(&name), bytes(&value), Expect::Revision(stale())).await, false),
        (5, _) => (store.delete(&key(&name), stale()).await, false),
        (6..=7, Some((revision, _))) => {
            let result = store.delete(&key(&name), *revision).await;
            if result.is_ok() {
                state.remove(&name);
                return result.ok();
            }
            (result, true)
        }
        (_, Some((revision, _))) => (store.put(&key(&name), bytes(&value), Expect::Revision(*revision)).await, true),
        (_, None) => (store.delete(&key(&name), 1).await, false),
    };
    if want {
        let revision = result.expect("the model allows it");
        state.insert(name, (revision, value));
        return Some(revision);
    }
    assert_eq!(conflict(result), current.map(|(revision, value)| entry(&name, value, revision)));
    None
}

fn model_range(state: &State, prefix: &str) -> Vec<Entry> {
    state.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, (revision, value))| entry(name, value, *revision)).collect()
}

/// Random writes against a map: every answer, every read, every old state that is not compacted.
pub async fn random_writes_match_a_map(store: Arc<dyn Store>) {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let mut state: State = model_of(&range(&*store, "pods/").await);
        let mut past: Vec<(Revision, State)> = Vec::new();
        for _ in 0..200 {
            if let Some(revision) = random_write(&*store, &mut dice, &mut state).await {
                past.push((revision, state.clone()));
            }
            let name = format!("pods/{}/{}", dice.below(3), dice.below(6));
            let want = state.get(&name).map(|(revision, value)| entry(&name, value, *revision));
            assert_eq!(read(&*store, &name).await, want, "seed {seed}");
            let prefix = format!("pods/{}/", dice.below(3));
            assert_eq!(range(&*store, &prefix).await.entries, model_range(&state, &prefix), "seed {seed}");
        }
        for (at, state) in &past {
            assert_eq!(range_at(&*store, "pods/", *at).await.unwrap().entries, model_range(state, "pods/"), "seed {seed} at {at}");
        }
        let middle = past[past.len() / 2].0;
        store.compact(middle).await.unwrap();
        for (at, state) in &past {
            let found = range_at(&*store, "pods/", *at).await;
            if *at < middle {
                assert_compacted(&found);
            } else {
                assert_eq!(found.unwrap().entries, model_range(state, "pods/"), "seed {seed} at {at} after compaction");
            }
        }
    }
}

fn model_of(response: &RangeResponse) -> State {
    response.entries.iter().map(|entry| (entry.key.to_string(), (entry.revision, entry.value.to_vec()))).collect()
}

/// A write that was answered with success.
#[derive(Clone, Debug)]
struct Done {
    name: String,
    expect: Expect,
    value: Option<Vec<u8>>,
}

/// Concurrent random writers: ordered by revision, all successes replay without contradiction onto a map, give the
/// final state, and are exactly what a watch told, live and again from history.
pub async fn concurrent_writers_are_linearizable(store: Arc<dyn Store>) {
    let start = store.revision().await.unwrap();
    let mut live = store.watch("pods/", start).await.unwrap();
    let writers = (0..12).map(|seed| tokio::spawn(write_at_random(store.clone(), Dice(1000 + seed))));
    let mut history = BTreeMap::new();
    for done in futures::future::try_join_all(writers).await.unwrap() {
        for (revision, done) in done {
            assert!(history.insert(revision, done).is_none(), "revision {revision} was given out twice");
        }
    }
    let mut state = State::new();
    for (revision, done) in &history {
        let current = state.get(&done.name).map(|(revision, _)| *revision);
        let held = match done.expect {
            Expect::Absent => current.is_none(),
            Expect::Revision(expected) => current == Some(expected),
        };
        assert!(held, "{done:?} succeeded at {revision} where {current:?} was current");
        match &done.value {
            Some(value) => state.insert(done.name.clone(), (*revision, value.clone())),
            None => state.remove(&done.name),
        };
    }
    assert_eq!(range(&*store, "pods/").await.entries, model_range(&state, "pods/"));
    let want: Vec<_> = history.iter().map(|(revision, done)| (*revision, done.name.as_str(), done.value.as_deref())).collect();
    assert_eq!(brief(&events(&mut live, want.len()).await), want, "told live");
    let mut again = store.watch("pods/", start).await.unwrap();
    assert_eq!(brief(&events(&mut again, want.len()).await), want, "told from history");
}

async fn write_at_random(store: Arc<dyn Store>, mut dice: Dice) -> Vec<(Revision, Done)> {
    let mut successes = Vec::new();
    for _ in 0..60 {
        let name = format!("pods/ns/{}", dice.below(5));
        let current = read(&*store, &name).await;
        let value = (dice.below(4) > 0).then(|| vec![dice.below(256) as u8; 20]);
        let expect = current.map_or(Expect::Absent, |found| Expect::Revision(found.revision));
        let result = match (&value, expect) {
            (Some(value), _) => store.put(&key(&name), bytes(value), expect).await,
            (None, Expect::Revision(revision)) => store.delete(&key(&name), revision).await,
            (None, Expect::Absent) => continue,
        };
        match result {
            Ok(revision) => successes.push((revision, Done { name, expect, value })),
            Err(WriteError::Conflict(_)) => {}
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }
    successes
}

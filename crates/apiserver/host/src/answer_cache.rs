//! Answers of the host cluster that hold for a while.
//!
//! However many ask the same at the same time, the cluster is asked once. A failure is told to those who wait for it and
//! to nobody after them. Whoever asks a great many things pushes out what was asked before, and nobody is left without a place.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// What a question is remembered by: a digest, so that no secret is kept.
pub(crate) type Question = [u8; 32];

/// Answers, at most so many, each for a while.
#[derive(Debug)]
pub(crate) struct AnswerCache<A> {
    holds: Duration,
    /// Of one generation.
    capacity: usize,
    generations: Mutex<Generations<A>>,
}

/// When the new one is full it becomes the old one, and the old one is forgotten. What is asked again is new again.
#[derive(Debug)]
struct Generations<A> {
    new: HashMap<Question, Slot<A>>,
    old: HashMap<Question, Slot<A>>,
}

type Slot<A> = Arc<OnceCell<(Instant, Result<A, String>)>>;

impl<A: Clone> AnswerCache<A> {
    /// Answers hold for this time; at most as many as the capacity are kept.
    pub(crate) fn new(holds: Duration, capacity: usize) -> Self {
        let generations = Generations { new: HashMap::new(), old: HashMap::new() };
        Self { holds, capacity: (capacity / 2).max(1), generations: Mutex::new(generations) }
    }

    /// The answer that is known, or the one that `ask` finds.
    ///
    /// # Errors
    /// What `ask` failed with, for this caller or for one that asked the same at the same time.
    pub(crate) async fn answer<F: Future<Output = Result<A, String>>>(
        &self,
        question: Question,
        ask: impl FnOnce() -> F,
    ) -> Result<A, String> {
        let slot = self.slot(question);
        let (_, answer) = slot.get_or_init(|| async { (Instant::now(), ask().await) }).await;
        if answer.is_err() {
            self.forget(&question, &slot);
        }
        answer.clone()
    }

    /// The slot of a question; a new one when there is none, or its answer is too old. It is young from when it was asked.
    fn slot(&self, question: Question) -> Slot<A> {
        let mut generations = self.generations();
        if let Some(slot) = generations.new.get(&question).filter(|slot| self.is_young(slot)) {
            return Arc::clone(slot);
        }
        let slot = generations.old.remove(&question).filter(|slot| self.is_young(slot)).unwrap_or_default();
        if generations.new.len() >= self.capacity && !generations.new.contains_key(&question) {
            generations.old = std::mem::take(&mut generations.new);
        }
        generations.new.insert(question, Arc::clone(&slot));
        slot
    }

    fn is_young(&self, slot: &Slot<A>) -> bool {
        slot.get().is_none_or(|(asked, _)| asked.elapsed() < self.holds)
    }

    fn forget(&self, question: &Question, failed: &Slot<A>) {
        let mut generations = self.generations();
        let Generations { new, old } = &mut *generations;
        for slots in [new, old] {
            if slots.get(question).is_some_and(|slot| Arc::ptr_eq(slot, failed)) {
                slots.remove(question);
            }
        }
    }

    fn generations(&self) -> MutexGuard<'_, Generations<A>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_while_and_a_failure_does_not() {
        let memory = AnswerCache::new(Duration::from_secs(10), 4);
        let asked = AtomicUsize::new(0);
        let ask = |question: u8, answer: Result<u8, String>| {
            memory.answer([question; 32], || {
                asked.fetch_add(1, Ordering::Relaxed);
                async { answer }
            })
        };
        assert_eq!(ask(1, Err("down".into())).await, Err("down".into()));
        assert_eq!(ask(1, Ok(1)).await, Ok(1));
        assert_eq!(ask(1, Ok(2)).await, Ok(1));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(ask(1, Ok(5)).await, Ok(5), "it is too old");
        for question in 2..=200 {
            assert_eq!(ask(question, Ok(question)).await, Ok(question));
            assert_eq!(ask(question, Ok(0)).await, Ok(question), "there is always a place");
            assert_eq!(ask(1, Ok(0)).await, Ok(5), "what is asked again stays");
        }
        assert_eq!(ask(2, Ok(0)).await, Ok(0), "what was not asked for long is gone");
        let generations = memory.generations();
        assert!(generations.new.len() + generations.old.len() <= 4);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_get_one_answer() {
        let memory = AnswerCache::new(Duration::from_secs(10), 2);
        for answer in [Err("down".to_owned()), Ok(1)] {
            let asked = AtomicUsize::new(0);
            let one = || {
                memory.answer([0; 32], || async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    answer.clone()
                })
            };
            let answers = futures::future::join_all([one(), one(), one()]).await;
            assert_eq!(answers, vec![answer.clone(); 3]);
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_and_goes_away_leaves_the_question_to_the_next() {
        let memory = AnswerCache::new(Duration::from_secs(10), 2);
        let never = memory.answer([0; 32], std::future::pending::<Result<u8, String>>);
        assert!(tokio::time::timeout(Duration::from_secs(1), never).await.is_err());
        assert_eq!(memory.answer([0; 32], || async { Ok(1) }).await, Ok(1));
    }
}

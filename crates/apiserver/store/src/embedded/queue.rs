//! The queue in front of the writer. It wakes the writer when there is as much as that waits for, and not for every write: to wake
//! a thread costs more than to queue a write.

use super::writer::Job;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A new queue, and its end.
pub(super) fn queue() -> (Sender, Receiver) {
    let queue = Arc::new(Queue { state: Mutex::default(), arrived: Condvar::new() });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

/// The side of those who ask for something.
#[derive(Debug)]
pub(super) struct Sender(Arc<Queue>);

/// The side of the writer. When it is dropped, so is what is queued, and nothing more is.
pub(super) struct Receiver(Arc<Queue>);

/// The writer has ended.
#[derive(Debug)]
pub(super) struct Ended;

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many jobs the writer waits for; 0: it does not wait.
    wanted: usize,
    has_ended: bool,
}

impl State {
    /// Whether there are so many jobs, or one that is not to wait for others.
    fn has(&self, count: usize) -> bool {
        self.jobs.len() >= count || self.jobs.iter().any(|job| !matches!(job, Job::Write(_)))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Queues a job.
    pub(super) fn send(&self, job: Job) -> Result<(), Ended> {
        let mut state = self.0.lock();
        if state.has_ended {
            return Err(Ended);
        }
        state.jobs.push_back(job);
        if state.wanted > 0 && state.has(state.wanted) {
            state.wanted = 0;
            self.0.arrived.notify_one();
        }
        Ok(())
    }
}

impl Receiver {
    /// The next job, if one comes within this time.
    pub(super) fn next(&self, patience: Duration) -> Option<Job> {
        self.wait_for(1, Instant::now() + patience).jobs.pop_front()
    }

    /// The next job, if there is one.
    pub(super) fn try_next(&self) -> Option<Job> {
        self.0.lock().jobs.pop_front()
    }

    /// Waits until there are so many jobs, or one that is no write; but not longer than this.
    pub(super) fn gather(&self, count: usize, until: Instant) {
        drop(self.wait_for(count, until));
    }

    fn wait_for(&self, count: usize, until: Instant) -> MutexGuard<'_, State> {
        let mut state = self.0.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.has(count) || left.is_zero() {
                return state;
            }
            state.wanted = count;
            (state, _) = self.0.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state.wanted = 0;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let jobs = {
            let mut state = self.0.lock();
            state.has_ended = true;
            std::mem::take(&mut state.jobs)
        };
        drop(jobs);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::writer::Write;
    use super::*;
    use crate::{Expect, Key};
    use tokio::sync::{Semaphore, oneshot};

    const LONG: Duration = Duration::from_secs(60);

    fn write(number: usize) -> Job {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (reply, _) = oneshot::channel();
        Job::Write(Write { key: Key::new(number.to_string()), value: None, expect: Expect::Absent, guards: Vec::new(), reply, room })
    }

    fn key(job: Option<Job>) -> Option<String> {
        match job? {
            Job::Write(write) => Some(write.key.to_string()),
            _ => None,
        }
    }

    #[test]
    fn jobs_come_in_order_and_nothing_comes_of_an_empty_queue() {
        let (sender, receiver) = queue();
        assert!(receiver.next(Duration::from_millis(1)).is_none() && receiver.try_next().is_none());
        (1..=3).for_each(|number| sender.send(write(number)).unwrap());
        let taken = [receiver.next(LONG), receiver.try_next(), receiver.next(Duration::ZERO), receiver.try_next()];
        assert_eq!(taken.map(key), [Some("1".into()), Some("2".into()), Some("3".into()), None]);
    }

    #[test]
    fn the_writer_is_woken_by_as_many_writes_as_it_waits_for() {
        let (sender, receiver) = queue();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                receiver.gather(3, Instant::now() + LONG);
                std::iter::from_fn(|| receiver.try_next()).count()
            });
            for number in 0..3 {
                while receiver.0.lock().wanted == 0 {
                    std::thread::yield_now();
                }
                assert!(!waiting.is_finished(), "with {number} of three");
                sender.send(write(number)).unwrap();
            }
            assert_eq!(waiting.join().unwrap(), 3);
        });
    }

    #[test]
    fn the_writer_waits_no_longer_than_it_may_nor_for_writes_when_there_is_something_else() {
        let (sender, receiver) = queue();
        sender.send(write(1)).unwrap();
        let begun = Instant::now();
        receiver.gather(2, begun + Duration::from_millis(20));
        assert!(begun.elapsed() >= Duration::from_millis(20));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| receiver.gather(3, Instant::now() + LONG));
            while receiver.0.lock().wanted == 0 {
                std::thread::yield_now();
            }
            sender.send(Job::Stop).unwrap();
            waiting.join().unwrap();
        });
        assert!(begun.elapsed() < LONG);
        receiver.gather(3, Instant::now() + LONG);
    }

    #[test]
    fn who_waits_for_an_answer_is_told_when_the_writer_ends() {
        let (sender, receiver) = queue();
        let (reply, answer) = oneshot::channel();
        sender.send(Job::Compact { revision: 1, reply }).unwrap();
        drop(receiver);
        assert!(answer.blocking_recv().is_err());
        assert!(sender.send(Job::Stop).is_err());
    }
}

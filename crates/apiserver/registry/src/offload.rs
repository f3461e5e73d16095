//! Work that grows with a body: aside of the threads that wait for sockets, and no more of it at a time than there are cores.
//!
//! Small work, which nearly all is, runs where it is: to move it would cost more than to do it. What is known beforehand is
//! how many bytes will be looked at, and that is what decides.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::ready;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// Up to how many bytes work is light: a fraction of a millisecond, so that it may be done even where sockets are waited for.
pub const LIGHT: usize = 16 * 1024;

/// From how many bytes on work is heavy: some milliseconds of it.
const HEAVY: usize = 64 * 1024;

/// One turn for each core. Whoever has one waits for nothing, so that each turn ends.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(cores())));

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many KiB of heavy requests there may be at a time: decoded, a body can take thirty times its length, and those that
/// wait for a turn have theirs already.
const ALL_ROOM: usize = 8 * 1024;

static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ALL_ROOM)));

/// Room for a request, until this is dropped.
pub type Room = Option<OwnedSemaphorePermit>;

/// Waits for room for a request that has so many bytes in memory, before they are decoded. A request asks once.
pub async fn room(bytes: usize) -> Room {
    if bytes < HEAVY {
        return None;
    }
    let wanted = (bytes / 1024).min(ALL_ROOM);
    // It is never closed.
    Arc::clone(&ROOM).acquire_many_owned(u32::try_from(wanted).unwrap_or(u32::MAX)).await.ok()
}

/// Does work that looks at so many bytes.
pub async fn compute<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < HEAVY {
        return work();
    }
    // The turns are never closed.
    let _turn = TURNS.acquire().await;
    aside(work)
}

/// Waits for something that computes between its waits, and looks at so many bytes then. A turn is taken for each step
/// and given back while it waits.
pub async fn in_steps<F: Future>(bytes: usize, future: F) -> F::Output {
    if bytes < HEAVY {
        return future.await;
    }
    let mut turns = PollSemaphore::new(Arc::clone(&TURNS));
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _turn = ready!(turns.poll_acquire(cx));
        aside(|| future.as_mut().poll(cx))
    })
    .await
}

/// Hands what else this thread would do to another one meanwhile, where there are others.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    /// A runtime of one thread, which heavy work would keep: what else there is to do is done before that work ends.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn heavy_work_keeps_nothing_else_from_being_done() {
        static DONE: AtomicBool = AtomicBool::new(false);
        let wait_for_the_other = || {
            while !DONE.swap(false, Ordering::AcqRel) {
                thread::sleep(Duration::from_millis(1));
            }
        };
        for in_steps in [false, true] {
            let heavy = tokio::spawn(async move {
                match in_steps {
                    true => super::in_steps(HEAVY, async move { wait_for_the_other() }).await,
                    false => compute(HEAVY, wait_for_the_other).await,
                }
            });
            tokio::spawn(async { DONE.store(true, Ordering::Release) }).await.unwrap();
            heavy.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_heavy_work_runs_at_a_time_than_there_are_cores() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let step = || {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
        };
        let cores = cores();
        let tasks: Vec<_> = (0..4 * cores)
            .map(|_| {
                tokio::spawn(in_steps(HEAVY, async move {
                    for _ in 0..5 {
                        step();
                        tokio::task::yield_now().await;
                    }
                    // A turn is not kept while waiting: everybody gets here.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let most = MOST.load(Ordering::SeqCst);
        assert!((1..=cores).contains(&most), "{most} at a time on {cores} cores");
    }

    #[tokio::test]
    async fn as_many_heavy_requests_are_in_memory_as_there_is_room_for() {
        assert!(room(HEAVY - 1).await.is_none(), "small ones need none");
        let whole = room(usize::MAX).await.unwrap();
        assert_eq!(whole.num_permits(), ALL_ROOM);
        let another = tokio::spawn(room(HEAVY));
        let context = apiserver_meta::RequestContext::new(
            Arc::default(),
            apiserver_meta::Principal::default(),
            std::time::Instant::now(),
            "audit".into(),
        )
        .keeping(whole);
        // What goes on without the client has a copy.
        let copy = context.clone();
        drop(context);
        tokio::task::yield_now().await;
        assert!(!another.is_finished());
        drop(copy);
        assert_eq!(another.await.unwrap().unwrap().num_permits(), HEAVY / 1024);
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_heavy_work_itself() {
        assert_eq!(compute(HEAVY, || 1).await, 1);
        assert_eq!(in_steps(HEAVY, async { 2 }).await, 2);
    }
}

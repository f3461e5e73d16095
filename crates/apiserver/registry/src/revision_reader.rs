//! The store's current revision, asked for on behalf of many readers at once (singleflight).

use apiserver_store::{Revision, Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::SetOnce;

type Answer = Result<Revision, Arc<StoreError>>;

/// Asks the store for its revision on behalf of many readers at once.
///
/// One question is under way at a time. A reader that arrives meanwhile waits for the next one: the one under way may have
/// begun before the reader's own last write was acknowledged. Nobody waits for others to come: a reader alone asks at once, and
/// a question that others gather for is asked as soon as the one before it is answered.
#[derive(Debug)]
pub(crate) struct RevisionReader {
    store: Arc<dyn Store>,
    turns: Arc<Turns>,
}

/// Whose turn it is to ask.
#[derive(Debug, Default)]
struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether a question is under way.
    is_asking: bool,
    /// The next question, while it can still be joined.
    next: Option<Arc<Question>>,
}

/// A question that readers gather for.
#[derive(Debug, Default)]
struct Question(SetOnce<Answer>);

impl RevisionReader {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, turns: Arc::default() }
    }

    /// A revision that is not older than any write acknowledged before this call.
    pub(crate) async fn current(&self) -> Answer {
        match self.join() {
            Some(question) => question.0.wait().await.clone(),
            // Without another reader in the way there is nothing to share.
            None => {
                let _turn = ReaderTurn(self);
                self.store.revision().await.map_err(Arc::new)
            }
        }
    }

    /// Takes the turn to ask, or waits with others for the next one.
    fn join(&self) -> Option<Arc<Question>> {
        let mut state = self.turns.lock();
        if state.is_asking {
            return Some(Arc::clone(state.next.get_or_insert_default()));
        }
        state.is_asking = true;
        None
    }
}

/// The turn of a reader that asks for itself. Whoever has come meanwhile is served by a task, so that no reader depends on
/// another one, which may leave.
struct ReaderTurn<'a>(&'a RevisionReader);

impl Drop for ReaderTurn<'_> {
    fn drop(&mut self) {
        let Self(RevisionReader { store, turns }) = self;
        if !turns.pass_on() {
            return;
        }
        let asked = ask(Arc::clone(store), TaskTurn { turns: Arc::clone(turns), question: None, is_over: false });
        // Without a runtime nobody is left to ask.
        let _ = Handle::try_current().map(|runtime| runtime.spawn(asked));
    }
}

/// The turn of the task that asks for those who have gathered.
struct TaskTurn {
    turns: Arc<Turns>,
    /// The question under way.
    question: Option<Arc<Question>>,
    /// Everything is answered, and the turn given back.
    is_over: bool,
}

impl Drop for TaskTurn {
    /// A task that ends before its time, with its runtime or in a panic, leaves nobody waiting.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let next = {
            let mut state = self.turns.lock();
            state.is_asking = false;
            state.next.take()
        };
        for question in self.question.take().into_iter().chain(next) {
            let _ = question.0.set(Err(Arc::new(StoreError::Unavailable("the question for the revision was lost".into()))));
        }
    }
}

/// Asks one question after the other, for as long as readers gather.
async fn ask(store: Arc<dyn Store>, mut turn: TaskTurn) {
    loop {
        // Those who were answered just now go on, and who has sent a request meanwhile is heard: the next question serves more
        // readers. It is no pause: where nothing else is to be done, it is asked at once.
        tokio::task::yield_now().await;
        let Some(question) = turn.turns.take_next() else { break };
        turn.question = Some(Arc::clone(&question));
        let answer = store.revision().await.map_err(Arc::new);
        // Nobody else sets it.
        let _ = question.0.set(answer);
        turn.question = None;
    }
    turn.is_over = true;
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody waits for the next question, and has to be asked for. If not, the turn is given back.
    fn pass_on(&self) -> bool {
        let mut state = self.lock();
        state.is_asking = state.next.is_some();
        state.is_asking
    }

    /// The next question, which nobody joins any more; if there is none, the turn is given back.
    fn take_next(&self) -> Option<Arc<Question>> {
        let mut state = self.lock();
        let next = state.next.take();
        state.is_asking = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests;

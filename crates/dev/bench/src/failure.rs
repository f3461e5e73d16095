//! How the program ends early: with one line, and with its servers ended.
//!
//! A failure is a panic, so that it unwinds and the servers are dropped. The first one is printed; others follow from it.

use std::sync::Once;
use tokio::task::JoinHandle;

/// Makes the first panic of the program a line on standard error.
pub(crate) fn print_first() {
    static FIRST: Once = Once::new();
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        FIRST.call_once(|| eprintln!("vci-bench: {} ({place})", text.unwrap_or("failed")));
    }));
}

/// Ends the program with this line.
#[track_caller]
pub(crate) fn fail(line: &str) -> ! {
    panic!("{line}")
}

/// Waits for tasks; a failure of one is the caller's.
pub(crate) async fn all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    match futures::future::try_join_all(tasks).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

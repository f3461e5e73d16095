//! Logs: one event a line, to standard error.

use std::io::{IsTerminal as _, stderr};
pub use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

/// Tells the operator why the server does not start: one line on standard error, whatever the level of logs.
pub fn complain(format: Format, line: &str) {
    match format {
        Format::Text => eprintln!("{}: {line}", program()),
        Format::Json => {
            let timestamp = jiff::Timestamp::now();
            eprintln!("{}", serde_json::json!({ "timestamp": timestamp.to_string(), "level": "ERROR", "message": line }));
        }
    }
}

/// The name by which the program was called.
fn program() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from).unwrap_or_default();
    path.file_name().map_or_else(|| "apiserver".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Sends events of this level and above to standard error: those of the library, and of crates whose names begin with one of
/// `own`. To be called once, early; a second call changes nothing.
pub fn init(format: Format, level: LevelFilter, own: &[&str]) {
    // The libraries below speak of every connection and frame: only what they warn of concerns an operator.
    let quiet = level.min(LevelFilter::WARN);
    let own = std::iter::once("apiserver").chain(own.iter().copied());
    let targets = own.fold(Targets::new().with_default(quiet), |targets, name| targets.with_target(name, level));
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = match format {
        Format::Text => layer.with_ansi(stderr().is_terminal()).with_target(false).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    // An embedding program or test may have its own.
    if tracing_subscriber::registry().with(layer.with_filter(targets)).try_init().is_ok() {
        // A panic is an event like others, on one line.
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task has panicked")));
    }
}

//! What the server holds in memory, between the steps.

use crate::step::{Run, Until};
use crate::watchers::Watchers;

/// How many lists of everything are asked for at once.
const BURST: usize = 16;
/// What the target allows besides the objects, in MiB.
const ALLOWANCE: f64 = 20.0;

/// Figures in MiB.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) idle: f64,
    pub(crate) loaded: f64,
    /// The JSON of all objects.
    pub(crate) stored: f64,
    pub(crate) after_burst: f64,
    pub(crate) peak: f64,
    pub(crate) watchers: usize,
    /// Of all watchers together.
    pub(crate) watching: f64,
}

impl Memory {
    /// Many lists of everything at once, and what stays of them.
    pub(crate) async fn burst(&mut self, run: &Run<'_>) {
        run.calls(BURST, Until::Count(BURST), |api, _| api.list("", crate::client::JSON)).await;
        run.settle().await;
        (self.after_burst, self.peak) = (run.target.process.resident(), run.target.process.peak());
    }

    /// Opens watches for the fan-out.
    pub(crate) async fn watch(&mut self, run: &Run<'_>) -> Watchers {
        run.settle().await;
        let before = run.target.process.resident();
        let connectors = vec![run.target.connector.clone(); run.args.watchers];
        let watchers = Watchers::open(run.target, &connectors, 1, 0).await;
        run.settle().await;
        (self.watchers, self.watching) = (run.args.watchers, run.target.process.resident() - before);
        watchers
    }

    pub(crate) fn print(&self) {
        let Self { idle, loaded, stored, after_burst, peak, watchers, watching } = self;
        println!("\n| memory | MiB |\n|---|---|");
        println!("| resident idle | {idle:.1} |");
        println!("| resident loaded | {loaded:.1} |");
        println!("| JSON of all objects | {stored:.1} |");
        println!("| (loaded - {ALLOWANCE:.0}) / JSON | {:.2} |", (loaded - ALLOWANCE) / stored);
        println!("| resident after {BURST} lists of all at once | {after_burst:.1} |");
        println!("| at the most (VmHWM) | {peak:.1} |");
        println!("| an idle watcher, of {watchers} with a connection each (KiB) | {:.1} |", watching * 1024.0 / *watchers as f64);
    }
}

//! Many informers that begin at once, as they do when the server has started again: each wants everything, then what changes.

use crate::client::JSON;
use crate::failure::{all, fail};
use crate::figures::{at, ms};
use crate::target::Target;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Instant;

const QUERY: &str = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
/// The annotation of the bookmark behind the last object.
const END: &[u8] = b"k8s.io/initial-events-end";
/// More than that bookmark has. Nothing follows it while nothing changes.
const BOOKMARK: usize = 512;

/// Prints how long it takes until all of them are up to date, and what that costs.
pub(crate) async fn run(target: &Target, informers: usize) {
    let process = target.process;
    process.reset_peak();
    let (before, cpu, start) = (process.resident(), process.cpu(), Instant::now());
    let tasks = (0..informers).map(|_| {
        let (connector, api) = (target.connector.clone(), Arc::clone(&target.api));
        tokio::spawn(async move {
            let mut connection = connector.connect().await;
            let mut body = connection.open(api.list(QUERY, JSON)).await;
            let (mut end, mut bytes) = (Vec::new(), 0);
            while !end.windows(END.len()).any(|window| window == END) {
                let Some(Ok(frame)) = body.frame().await else { fail("an informer's watch ended before its first bookmark") };
                let Ok(data) = frame.into_data() else { continue };
                bytes += data.len();
                end.extend_from_slice(&data[data.len().saturating_sub(BOOKMARK)..]);
                end.drain(..end.len().saturating_sub(BOOKMARK));
            }
            // It goes on while others begin.
            (start.elapsed(), bytes, connection, body)
        })
    });
    let done = all(tasks).await;
    let (cpu, peak) = (process.cpu() - cpu, process.peak());
    let mut times: Vec<_> = done.iter().map(|(time, ..)| *time).collect();
    times.sort_unstable();
    let bytes: usize = done.iter().map(|(_, bytes, ..)| bytes).sum();
    println!("| {informers} informers at once: the median has everything (ms) | {:.0} |", ms(at(&times, 0.5)));
    println!("| all have everything (ms) | {:.0} |", ms(at(&times, 1.0)));
    println!("| what they read (MB) | {:.1} |", bytes as f64 / 1e6);
    println!("| server CPU for an informer (ms) | {:.3} |", cpu.total() / informers as f64);
    println!("| of it in the kernel | {:.3} |", cpu.system / informers as f64);
    println!("| resident before (MiB) | {before:.1} |");
    println!("| at the most above that (MiB) | {:.1} |", peak - before);
}

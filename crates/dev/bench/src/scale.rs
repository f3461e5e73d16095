//! A few changes for very many watches: what each event costs the server, and how late it is.

use crate::args::{Args, FanOut};
use crate::client::{Connector, Http};
use crate::figures::{Figures, at};
use crate::peer;
use crate::process::{Cpu, Process};
use crate::server::Launch;
use crate::step::{Run, Until};
use crate::target::Target;
use crate::watchers::Watchers;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How many objects there are, which change in turn.
const OBJECTS: usize = 100;
/// How many addresses the clients have, as if they came from several nodes: a server may bound the connections of one address.
const ADDRESSES: usize = 8;

/// Measures every store, and the peer.
pub(crate) async fn run(args: &Args, fan_out: FanOut) {
    let peer = args.peer.target(args.http);
    for &store in &args.stores {
        for http in [Http::Two, Http::One] {
            let launch = Launch::new(args, store, Vec::new());
            let (server, _) = launch.start().await;
            measure(args, fan_out, &server.target(), http).await;
        }
    }
    if let Some(target) = &peer {
        for http in [Http::Two, Http::One] {
            peer::clear(target).await;
            measure(args, fan_out, target, http).await;
        }
    }
}

/// Measures one server with one version of HTTP.
async fn measure(args: &Args, fan_out: FanOut, target: &Target, http: Http) {
    let (connections, on_each) = match http {
        Http::Two => (fan_out.connections, fan_out.watchers.div_ceil(fan_out.connections)),
        Http::One => (fan_out.watchers, 1),
    };
    let watchers = connections * on_each;
    println!("\n## {}: {watchers} watchers on {connections} connections, HTTP/{http}\n\n| fan-out | |\n|---|---|", target.name);
    let run = Run { args, target, objects: OBJECTS, figures: &mut Figures::default() };
    run.calls(args.clients, Until::Count(OBJECTS), |api, i| api.create(i)).await;
    run.settle().await;
    let before = target.process.resident();
    let connectors: Vec<Connector> = (0..connections).map(|i| one_of_many_clients(&target.connector.speaking(http), i)).collect();
    let open = Watchers::open(target, &connectors, on_each, fan_out.changes).await;
    run.settle().await;
    let watching = target.process.resident();
    let busy = Busy::since_now(target.process);
    send_changes(target, &open, fan_out).await;
    open.arrivals.as_many_as_come(fan_out.changes * watchers).await;
    busy.print(fan_out.changes * watchers);
    print_arrivals(&open, fan_out, watchers);
    drop(open);
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    println!("| resident before (MiB) | {before:.1} |");
    println!("| resident with idle watchers (MiB) | {watching:.1} |");
    println!("| an idle watcher (KiB) | {:.1} |", (watching - before) * 1024.0 / watchers as f64);
    println!("| resident after they are gone (MiB) | {:.1} |", target.process.resident());
}

/// A connector of one of several addresses of this machine.
fn one_of_many_clients(connector: &Connector, i: usize) -> Connector {
    if !connector.is_local() {
        return connector.clone();
    }
    connector.at_source(Ipv4Addr::new(127, 0, 0, (2 + i % ADDRESSES) as u8))
}

/// Sends the changes one by one at an even pace, whether they have arrived or not.
async fn send_changes(target: &Target, watchers: &Watchers, fan_out: FanOut) {
    let mut connection = target.connector.connect().await;
    let mut pace = tokio::time::interval(Duration::from_secs_f64(fan_out.pace));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for change in 0..fan_out.changes {
        pace.tick().await;
        let call = target.api.merge_patch(change % OBJECTS);
        watchers.arrivals.sending(change);
        connection.send(call).await;
    }
}

fn print_arrivals(watchers: &Watchers, fan_out: FanOut, count: usize) {
    let (latencies, delivered, want) = (watchers.arrivals.latencies(), watchers.arrivals.delivered(), fan_out.changes * count);
    println!("| changes | {} |", fan_out.changes);
    println!("| seconds between them | {} |", fan_out.pace);
    println!("| events expected | {want} |");
    println!("| events lost | {} |", want.saturating_sub(delivered));
    println!("| events too many | {} |", delivered.saturating_sub(want));
    if !latencies.is_empty() {
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            println!("| from the write to the event, {name} (ms) | {:.2} |", f64::from(at(&latencies, share)) / 1e3);
        }
    }
}

/// The CPU that the server and this program take.
struct Busy {
    server: Process,
    start: Instant,
    before: [Cpu; 2],
}

impl Busy {
    fn since_now(server: Process) -> Self {
        Self { server, start: Instant::now(), before: [server.cpu(), Process::own().cpu()] }
    }

    fn print(&self, events: usize) {
        let (server, own) = (self.server.cpu() - self.before[0], Process::own().cpu() - self.before[1]);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = |cpu: Cpu| cpu.total() / 10.0 / self.start.elapsed().as_secs_f64() / cores as f64;
        println!("| server CPU for an event of one watcher (ms) | {:.5} |", server.total() / events as f64);
        println!("| of it in the kernel | {:.5} |", server.system / events as f64);
        println!("| share of all cores that the server has (%) | {:.1} |", share(server));
        println!("| share of all cores that the clients have (%) | {:.1} |", share(own));
    }
}

//! What the server costs: operations per second, latency, CPU per operation, memory, time to be ready.
//!
//! Starts a server of its own for every store and size, talks to it over TLS as any client would, and reads the
//! server's CPU time from the kernel. The load and the server share the machine, so operations per second say
//! less than CPU per operation. Nothing here passes or fails, but a server that is lost or refuses a request ends it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command-line program that ends at the first surprise")]

mod api;
mod client;
mod etcd;
mod failure;
mod fan_out;
mod figures;
mod informers;
mod memory;
mod peer;
mod process;
mod proxy;
mod reads;
mod restart;
mod scale;
mod server;
mod step;
mod watchers;
mod writes;

use api::Api;
use clap::{Parser, ValueEnum};
use client::Http;
use fan_out::Writers;
use figures::{Figures, ms};
use memory::Memory;
use peer::Peer;
use scale::FanOut;
use server::{Launch, Server};
use std::path::PathBuf;
use std::sync::Arc;
use step::{Run, Target};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The server's binary; default: beside this one.
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// Which stores to measure.
    #[arg(long, global = true, value_enum, value_delimiter = ',', default_values = ["embedded", "etcd"])]
    stores: Vec<Store>,
    /// The etcd binary; default: $VCI_TEST_CACHE/bin/etcd-3.6, or the one on the path.
    #[arg(long, global = true)]
    etcd: Option<PathBuf>,
    /// How many objects there are, one run after the other.
    #[arg(long, value_delimiter = ',', default_value = "3000")]
    sizes: Vec<usize>,
    /// How many connections send requests at a time.
    #[arg(long, global = true, default_value_t = 8)]
    clients: usize,
    /// How many watches are open during the fan-out.
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// How many informers begin at once after the restart.
    #[arg(long, default_value_t = 500)]
    informers: usize,
    /// Seconds of each step that reads. The other steps write a fixed number of objects, so that runs leave the same behind.
    #[arg(long, global = true, default_value_t = 3.0)]
    seconds: f64,
    /// The version of HTTP.
    #[arg(long, global = true, value_enum, default_value = "1.1")]
    http: Http,
    #[command(flatten)]
    peer: Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    Embedded,
    Etcd,
}

/// What is measured instead of the server by itself.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// A GET through kube-apiserver and past it.
    Proxy,
    /// What changes cost, and how late they are, when very many watch.
    FanOut(FanOut),
}

#[tokio::main]
async fn main() {
    failure::print_first();
    process::raise_open_files();
    let args = Args::parse();
    let work = async {
        match args.what {
            Some(What::Proxy) => proxy::run(&args).await,
            Some(What::FanOut(fan_out)) => scale::run(&args, fan_out).await,
            None => run(&args).await,
        }
    };
    // Without this its servers would stay when it is told to end.
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let terminated = async {
        terminate.recv().await;
        failure::fail("terminated")
    };
    tokio::select! {
        () = work => {}
        () = terminated => {}
    }
}

/// Everything, but what has a command of its own.
async fn run(args: &Args) {
    let (peer, mut figures) = (args.peer.target(args.http), Figures::default());
    for &objects in &args.sizes {
        for &store in &args.stores {
            measure_store(args, store, objects, &mut figures).await;
        }
        if let Some(peer) = &peer {
            peer::measure(args, peer, objects, &mut figures).await;
        }
    }
    figures.print();
}

/// Everything about our server on one store at one size.
async fn measure_store(args: &Args, store: Store, objects: usize, figures: &mut Figures) {
    let launch = Launch::new(args, store, Vec::new());
    // The first start makes certificates and the store; what a restart takes is what an operator sees.
    let (first, first_ready) = launch.start().await;
    drop(first);
    let (server, ready) = launch.start().await;
    println!("\n## {}: {objects} objects, {} clients, HTTP/{}\n", launch.name, args.clients, args.http);
    println!("first start: ready after {:.0} ms\n", ms(first_ready));
    steps(args, &target(&launch, &server), objects, figures).await;
    restart::run(args, &launch, server, ready).await;
}

/// The steps that apply to every server.
async fn steps(args: &Args, target: &Target, objects: usize, figures: &mut Figures) {
    let mut run = Run { args, target, objects, figures };
    run.settle().await;
    let mut memory = Memory { idle: target.process.resident(), ..Memory::default() };
    figures::print_head();
    writes::create(&mut run).await;
    run.settle().await;
    memory.loaded = target.process.resident();
    memory.stored = reads::run(&mut run).await as f64 / f64::from(1 << 20);
    memory.burst(&run).await;
    writes::change_and_delete(&mut run).await;
    let writers = Writers::new(&run).await;
    let watchers = memory.watch(&run).await;
    fan_out::run(&mut run, writers, &watchers).await;
    memory.print();
}

fn target(launch: &Launch, server: &Server) -> Target {
    let (name, connector) = (launch.name.clone(), server.connector.clone());
    Target { name, process: server.process(), connector, api: Arc::new(Api::ours()) }
}

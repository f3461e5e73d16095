//! What the server costs: operations per second, latency, CPU per operation, memory, time to be ready.
//!
//! Starts a server of its own for every store and size, talks to it over TLS as any client would, and reads the
//! server's CPU time from the kernel. The load and the server share the machine, so operations per second say
//! less than CPU per operation. Nothing here passes or fails, but a server that is lost or refuses a request ends it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command-line program that ends at the first surprise")]

mod api;
mod args;
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
mod target;
mod watchers;
mod writes;

use args::{Args, Store, What};
use clap::Parser;
use fan_out::Writers;
use figures::{Figures, ms};
use memory::Memory;
use server::Launch;
use step::Run;
use target::Target;
use tokio::signal::unix::{SignalKind, signal};

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
            measure_peer(args, peer, objects, &mut figures).await;
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
    steps(args, &server.target(), objects, figures).await;
    restart::run(args.informers, &launch, server, ready).await;
}

/// Everything about another server at one size.
async fn measure_peer(args: &Args, peer: &Target, objects: usize, figures: &mut Figures) {
    println!("\n## {}: {objects} objects, {} clients, HTTP/{}\n", peer.name, args.clients, args.http);
    peer::clear(peer).await;
    steps(args, peer, objects, figures).await;
    println!("\n| informers | |\n|---|---|");
    informers::run(peer, args.informers).await;
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

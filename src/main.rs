//! The binary: parse, wire, run.

mod cli;
mod store;

use cli::Declined;
use std::io::Write as _;
use std::process::ExitCode;
use vci_server::{Prepared, Ready, Signals, Stopped, logging};

/// The exit status of a server that was not started, because something the operator said cannot be followed.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(serve) => run(&serve),
        Err(Declined::Help(text)) => say(&text),
        Err(Declined::Error(line)) => refuse(&line),
    }
}

fn run(args: &cli::Serve) -> ExitCode {
    logging::init(args.logging_format(), args.log_level);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error.to_string()),
    };
    let ended = runtime.block_on(serve(args));
    // What is left is told to end, but nobody waits for it: everything that had to be waited for has ended.
    runtime.shutdown_background();
    match ended {
        Ok(Stopped::Drained) => ExitCode::SUCCESS,
        Ok(Stopped::AtOnce) => ExitCode::FAILURE,
        Err(line) => refuse(&line),
    }
}

async fn serve(args: &cli::Serve) -> Result<Stopped, String> {
    let resources = vci_management::resources();
    let signals = Signals::of_process().map_err(|error| error.to_string())?;
    let prepared = Prepared::new(args.config(), resources).map_err(|error| error.to_string())?;
    let store = store::open(&args.store()).await?;
    prepared.run(store, signals, announce).await.map_err(|error| error.to_string())
}

fn announce(ready: &Ready) {
    let mut text = format!("serving on {}\n", ready.url);
    if let Some(kubeconfig) = &ready.kubeconfig {
        text.push_str(&format!("next: kubectl --kubeconfig {} get virtualclusterinstances\n", kubeconfig.display()));
    }
    say(&text);
}

fn say(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// Tells why, in one line; an empty one was told before.
fn refuse(line: &str) -> ExitCode {
    if line.is_empty() {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    eprintln!("vci-apiserver: {line}");
    ExitCode::from(BAD_CONFIGURATION)
}

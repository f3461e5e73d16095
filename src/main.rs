//! The binary: parse, wire, run.

mod certificate;
mod cli;
mod controller;
mod render;
mod store;

use apiserver_server::{ApiServer, Ready, Signals, Stopped, logging, run_process};
use cli::{Command, ParseError};
use controller::InServer;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use vci_gateway::Gateway;
use vci_tenancy::Tenancy;

/// With glibc's allocator a write costs a quarter more, and what a burst of watches took is not given back; musl's makes a list cost
/// three times as much. How it is set is in `.cargo/config.toml`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit status of a server that was not started, because something the operator said cannot be followed.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Command::Serve(serve)) => run(&serve),
        Ok(Command::Controller(args)) => controller::run(&args),
        Ok(Command::Certificate(certificate)) => certificate::run(&certificate),
        Ok(Command::Render(render)) => render::run(&render),
        Err(ParseError::Help(text)) => say(&text),
        Err(ParseError::Error(line)) => refuse(&line),
    }
}

fn run(args: &cli::Serve) -> ExitCode {
    logging::init(args.log.format(), args.log.log_level, &["vci_"]);
    run_process(args.log.format(), serve(args))
}

/// Why nothing is served: one line for the operator.
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

async fn serve(args: &cli::Serve) -> Result<Stopped, Refused> {
    let resources = vci_management::resources();
    let kinds: Vec<_> = resources.iter().map(|resource| (resource.descriptor().group, resource.descriptor().plural)).collect();
    let signals = Signals::of_process()?;
    let tenancy = Arc::new(Tenancy::new(args.tenancy(), &resources)?);
    let server = ApiServer::builder(args.config()).resources(resources).extension(Arc::<Tenancy>::clone(&tenancy));
    let mut server = server.extension(Arc::new(Gateway::new(args.gateway()).await?));
    if let (true, Some(host)) = (args.runs_controller, args.host_cluster()) {
        let controller = InServer::new(host, &args.controller, args.project_namespace_prefix()).await;
        server = server.extension(Arc::new(controller.map_err(Refused)?));
    }
    let prepared = server.prepare().await?;
    let told = |line: &str| logging::complain(args.log.format(), line);
    let store = store::StoreOptions::new(args.store(), args.encryption(), kinds).await?;
    prepared.run(store.open(told), signals, |ready| announce(ready, &tenancy)).await
}

fn announce(ready: &Ready, tenancy: &Tenancy) {
    let mut text = format!("serving on {}\n", ready.url);
    if let Some(kubeconfig) = tenancy.kubeconfig() {
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

/// Tells why, in one line.
fn refuse(line: &str) -> ExitCode {
    logging::complain(logging::Format::Text, line);
    ExitCode::from(BAD_CONFIGURATION)
}

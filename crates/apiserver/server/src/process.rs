//! A server as the whole of a process: from `main` to the exit status.

use crate::logging::{self, Format};
use crate::{Stopped, open_files};
use std::fmt::Display;
use std::process::ExitCode;

/// The exit status of a server that was not started, because something that the operator said cannot be followed.
const BAD_CONFIGURATION: u8 = 2;

/// Runs a server on a runtime of its own, with as many open files as the system allows. The exit status is 0 when it has drained, 1
/// when it was told twice to stop, and 2 when it did not start; then the reason is one line on standard error.
pub fn run_process<E: Display>(format: Format, server: impl Future<Output = Result<Stopped, E>>) -> ExitCode {
    open_files::raise_limit();
    let refused = |line: &str| {
        logging::complain(format, line);
        ExitCode::from(BAD_CONFIGURATION)
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refused(&error.to_string()),
    };
    let ended = runtime.block_on(server);
    // What is left is told to end, but nobody waits for it: everything that had to be waited for has ended.
    runtime.shutdown_background();
    match ended {
        Ok(Stopped::Drained) => ExitCode::SUCCESS,
        Ok(Stopped::AtOnce) => ExitCode::FAILURE,
        Err(error) => refused(&error.to_string()),
    }
}

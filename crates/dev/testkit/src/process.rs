//! A child process that cannot outlive its owner.

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, ExitStatus};

use crate::wait_for;

/// A running child, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display())))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the child can be waited for")
    }

    /// Sends a signal; to a process that is gone it does nothing.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        let _ = kill_process(pid, signal);
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn end(mut self) -> ExitStatus {
        wait_for("a child process to end", || std::future::ready(self.exited().is_some())).await;
        self.exited().expect("it has ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

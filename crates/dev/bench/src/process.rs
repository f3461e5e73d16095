//! What the kernel says of a process: its CPU time and its memory.

use crate::failure::fail;
use rustix::process::{Resource, getrlimit, setrlimit};

/// A running process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// This program.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu(self) -> Cpu {
        let stat = self.read("stat");
        // The fields behind the command name, which may hold anything, are counted from its closing bracket.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ms = |field: &str| field.parse::<f64>().unwrap() * 10.0;
        Cpu { user: ms(fields[11]), system: ms(fields[12]) }
    }

    /// Its resident memory in MiB.
    pub(crate) fn resident(self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most that its resident memory has been, in MiB.
    pub(crate) fn peak(self) -> f64 {
        self.memory("VmHWM:")
    }

    /// Makes the peak what is resident now, where the kernel lets us; else it stays what it was.
    pub(crate) fn reset_peak(self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }

    fn memory(self, field: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let line = line.unwrap_or_else(|| fail(&format!("the server (process {}) is gone", self.0)));
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn read(self, file: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.0));
        text.unwrap_or_else(|error| fail(&format!("the server (process {}) is gone: {error}", self.0)))
    }
}

/// Processor time in milliseconds: in the program, and in the kernel on its behalf.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: (self.user - before.user).max(0.0), system: (self.system - before.system).max(0.0) }
    }
}

/// Lets this program open as many files as it may: every connection is one.
pub(crate) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

//! Programs in other languages, and programs of other people: found in the cache, spoken to in lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::process::Process;
use crate::{PATIENCE, lacking};

/// A file that `tests/run` keeps in `$VCI_TEST_CACHE` (by default `~/.cache/vci-apiserver`), such as `bin/client-go`. Where it
/// is missing, the running test is marked as [`lacking`] it.
pub fn cached(path: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("VCI_TEST_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache/vci-apiserver")))?;
    let file = cache.join(path);
    if file.is_file() {
        return Some(file);
    }
    lacking(&file.display().to_string());
    None
}

/// A running program that answers in lines; killed when dropped.
#[derive(Debug)]
pub struct Program {
    process: Process,
    lines: mpsc::UnboundedReceiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Program {
    /// Runs it.
    pub fn spawn(command: &mut Command) -> Self {
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (said, lines) = mpsc::unbounded_channel();
        let stdout = process.child().stdout.take().expect("a pipe");
        read_lines(stdout, move |line| drop(said.send(line)));
        let errors = Arc::<Mutex<String>>::default();
        let kept = Arc::clone(&errors);
        read_lines(process.child().stderr.take().expect("a pipe"), move |line| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(&line);
            kept.push('\n');
        });
        Self { process, lines, errors }
    }

    /// Its next line on standard output; panics with what it says on standard error when none comes.
    pub async fn line(&mut self) -> String {
        self.line_within(PATIENCE).await
    }

    /// The same, of a program that takes its time.
    pub async fn line_within(&mut self, time: Duration) -> String {
        let line = timeout(time, self.lines.recv()).await.ok().flatten();
        line.unwrap_or_else(|| panic!("the program says nothing, ended: {:?}\n{}", self.process.exited(), self.errors()))
    }

    /// Writes a line to its standard input and gives its next one.
    pub async fn ask(&mut self, question: &str) -> String {
        self.write(question);
        self.line().await
    }

    /// Writes a line to its standard input.
    pub fn write(&mut self, line: &str) {
        let input = self.process.child().stdin.as_mut().expect("a pipe");
        writeln!(input, "{line}").unwrap_or_else(|error| panic!("the program does not listen: {error}"));
    }

    /// Ends its standard input and waits until it has ended by itself.
    pub fn finish(&mut self) {
        drop(self.process.child().stdin.take());
        self.process.child().wait().expect("the child can be waited for");
    }

    /// All it has said on standard error.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read_lines(pipe: impl Read + Send + 'static, on_line: impl Fn(String) + Send + 'static) {
    std::thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).for_each(on_line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_line_by_line() {
        let script = "echo ready; while read line; do echo \"$line!\"; echo told >&2; done";
        let mut program = Program::spawn(Command::new("sh").arg("-c").arg(script));
        assert_eq!(program.line().await, "ready");
        assert_eq!(program.ask("one").await, "one!");
        assert_eq!(program.ask("two").await, "two!");
        crate::wait_for("standard error", async || program.errors().lines().count() == 2).await;
    }
}

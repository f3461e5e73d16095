//! What ends and wipes the things that nobody drops: those in a `static`, and everything when the tests are killed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads what to clean up until its standard input ends, which is when the tests end, however they end.
const SCRIPT: &str = r#"
trap "" INT TERM HUP
pids=
while read -r what value; do
  case $what in
    pid) pids="$pids $value" ;;
    folder) set -- "$@" "$value" ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
rm -rf "$@"
"#;

/// A process that outlives this one by the moment that cleaning up takes. To be kept in a `static`, as the things that it keeps an
/// eye on are; dropped, it cleans up at once.
#[derive(Debug)]
pub struct Keeper(Mutex<Child>);

impl Keeper {
    /// With nothing to clean up yet.
    pub fn start() -> Self {
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(Mutex::new(command.spawn().expect("sh runs")))
    }

    /// Kill this process at the end.
    pub fn kill_at_the_end(&self, pid: u32) {
        self.tell("pid", &pid.to_string());
    }

    /// Remove this folder at the end.
    pub fn wipe_at_the_end(&self, folder: &Path) {
        self.tell("folder", folder.to_str().expect("a path in UTF-8"));
    }

    fn tell(&self, what: &str, value: &str) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let input = child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{what} {value}").expect("the keeper listens");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_and_wipes_when_its_owner_is_gone() {
        let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        let folder = tempfile::tempdir().expect("a folder").keep();
        std::fs::write(folder.join("file"), "").expect("a file");
        let keeper = Keeper::start();
        keeper.kill_at_the_end(sleeper.id());
        keeper.wipe_at_the_end(&folder);
        drop(keeper);
        assert!(!sleeper.wait().expect("it ended").success());
        assert!(!folder.exists());
    }
}

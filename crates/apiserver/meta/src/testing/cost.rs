//! Processor time that work takes. Time on the clock is refused: others may be using the machine.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// The processor time that this thread has used.
pub fn of_thread() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// The processor time that all threads of this process have used.
pub fn of_process() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// Measures how much more than ten times the cost ten times the work has, on this thread: about 1 for what grows with its
/// length, 10 for what grows with its square.
pub fn growth(mut work: impl FnMut(usize), few: usize) -> f64 {
    let start = of_thread();
    (0..10).for_each(|_| work(few));
    let middle = of_thread();
    work(10 * few);
    (of_thread() - middle).div_duration_f64(middle - start)
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

//! How values are distributed, counted so that a request waits for nothing: a few additions, no lock, no floating point.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Into which parts values are sorted.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The upper bound of each part, in whole units; a bound belongs to its part.
    bounds: &'static [u64],
    /// How many units make one of what the page shows.
    scale: f64,
}

impl Shape {
    /// Times, with bounds in nanoseconds, shown in seconds.
    pub(crate) const fn seconds(bounds: &'static [u64]) -> Self {
        Self { bounds, scale: 1e9 }
    }

    /// Sizes in bytes.
    pub(crate) const fn bytes(bounds: &'static [u64]) -> Self {
        Self { bounds, scale: 1.0 }
    }
}

/// Values, sorted into parts.
#[derive(Debug)]
pub(crate) struct Histogram {
    shape: &'static Shape,
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Without any values.
    pub(crate) fn new(shape: &'static Shape) -> Self {
        Self { shape, counts: (0..=shape.bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// One more time.
    pub(crate) fn time(&self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// One more value, in whole units.
    pub(crate) fn add(&self, value: u64) {
        // Most requests are quick and most objects small: the index is nearly always among the first.
        let index = self.shape.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.shape.bounds.len());
        if let Some(count) = self.counts.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Returns the counts so far.
    pub(crate) fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { shape: self.shape, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// The counts of a histogram at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    shape: &'static Shape,
    /// How many values each part has; the last is above all bounds.
    pub(crate) counts: Vec<u64>,
    sum: u64,
}

impl Distribution {
    /// Counts that somebody else kept; `sum` in whole units.
    pub(crate) fn of(shape: &'static Shape, counts: &[u64], sum: u64) -> Self {
        Self { shape, counts: counts.to_vec(), sum }
    }

    /// The bounds as the page shows them.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = f64> {
        self.shape.bounds.iter().map(|bound| *bound as f64 / self.shape.scale)
    }

    /// The sum of all values as the page shows it.
    pub(crate) fn sum(&self) -> f64 {
        self.sum as f64 / self.shape.scale
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

//! The tables: a row for each operation as it is measured, and in the end how costs grow and compare.

use crate::process::Cpu;
use std::time::Duration;

/// What one step has measured.
pub(crate) struct Measured {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Cpu,
    /// How many operations the CPU is shared by.
    pub(crate) operations: usize,
}

/// The head of a table of operations.
pub(crate) fn print_head() {
    println!("| operation | per second | p50 ms | p99 ms | server CPU ms per operation | of it in the kernel |");
    println!("|---|---|---|---|---|---|");
}

/// One line of it.
pub(crate) fn print_row(name: &str, measured: &mut Measured) {
    let Measured { latencies, elapsed, cpu, operations } = measured;
    latencies.sort_unstable();
    let count = *operations as f64;
    let (rate, all, kernel) = (count / elapsed.as_secs_f64(), cpu.total() / count, cpu.system / count);
    println!("| {name} | {rate:.0} | {:.2} | {:.2} | {all:.4} | {kernel:.4} |", ms(at(latencies, 0.5)), ms(at(latencies, 0.99)));
}

/// Of sorted values the one below which this share of them is.
pub(crate) fn at<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The CPU of every operation, of every server, at every size.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

struct Figure {
    target: String,
    objects: usize,
    operation: String,
    cpu: f64,
}

impl Figures {
    /// Prints a row and keeps it. The note stands behind the operation.
    pub(crate) fn row(&mut self, target: &str, objects: usize, operation: &str, note: &str, measured: &mut Measured) {
        print_row(&format!("{operation}{note}"), measured);
        let cpu = measured.cpu.total() / measured.operations as f64;
        self.0.push(Figure { target: target.into(), objects, operation: operation.into(), cpu });
    }

    /// For each server a table of operations by sizes, then for each size one of operations by servers.
    pub(crate) fn print(&self) {
        let distinct = |values: Vec<String>| {
            values.into_iter().fold(Vec::new(), |mut all: Vec<String>, value| {
                if !all.contains(&value) {
                    all.push(value);
                }
                all
            })
        };
        let targets = distinct(self.0.iter().map(|figure| figure.target.clone()).collect());
        let sizes = distinct(self.0.iter().map(|figure| figure.objects.to_string()).collect());
        let operations = distinct(self.0.iter().map(|figure| figure.operation.clone()).collect());
        let cpu = |target: &str, size: &str, operation: &str| {
            let figure = self.0.iter().find(|f| f.target == target && f.objects.to_string() == size && f.operation == operation);
            figure.map_or_else(String::new, |figure| format!("{:.4}", figure.cpu))
        };
        for target in &targets {
            println!("\n### {target}: CPU ms per operation by objects\n");
            print_table(&sizes, &operations, |operation, size| cpu(target, size, operation));
        }
        for size in sizes.iter().filter(|_| targets.len() > 1) {
            println!("\n### {size} objects: CPU ms per operation by server\n");
            print_table(&targets, &operations, |operation, target| cpu(target, size, operation));
        }
    }
}

fn print_table(columns: &[String], rows: &[String], cell: impl Fn(&str, &str) -> String) {
    println!("| operation | {} |", columns.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|column| cell(row, column)).collect();
        println!("| {row} | {} |", cells.join(" | "));
    }
}

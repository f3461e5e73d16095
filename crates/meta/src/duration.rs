//! Durations as Go writes them, and Kubernetes with it: in query parameters and flags.

use std::time::Duration;

/// Go's `time.ParseDuration`: `1h2m3.5s`, `300ms`, `0`. A negative one is no time at all.
pub fn parse(text: &str) -> Option<Duration> {
    let (negative, text) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..number_end].parse().ok()?;
        rest = &rest[number_end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number * unit(&rest[..unit_end])?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() || seconds > 1e9 {
        return None;
    }
    Some(if negative { Duration::ZERO } else { Duration::from_secs_f64(seconds) })
}

/// Seconds.
fn unit(name: &str) -> Option<f64> {
    match name {
        "ns" => Some(1e-9),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("3s", Some(3000)),
            ("1m30s", Some(90_000)),
            ("300ms", Some(300)),
            ("1.5h", Some(5_400_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("-2s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5x", None),
            ("1..5s", None),
            ("never", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}

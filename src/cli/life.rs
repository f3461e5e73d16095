//! The flags of load, time and the end. They are upstream's.

use apiserver_server::{Config, DrainMode, InFlight, Shutdown};
use clap::Args;
use std::time::Duration;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load, time, and the end")]
pub(super) struct Life {
    /// Reads under way at a time, watches not counted; 0: any number. Of the places that are free one user may have as many again.
    #[arg(long, env = "VCI_MAX_REQUESTS_INFLIGHT", value_name = "COUNT", default_value_t = 400)]
    max_requests_inflight: usize,
    /// Writes under way at a time; 0: any number.
    #[arg(long, env = "VCI_MAX_MUTATING_REQUESTS_INFLIGHT", value_name = "COUNT", default_value_t = 200)]
    max_mutating_requests_inflight: usize,
    /// Time for a request that is not a watch, such as 1m30s; a write has at most 34s of it.
    #[arg(long, env = "VCI_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "1m", value_parser = some_time)]
    request_timeout: Duration,
    /// Seconds that a watch lasts at least, if its client does not say how long; at most it is twice that.
    #[arg(long, env = "VCI_MIN_REQUEST_TIMEOUT", value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    min_request_timeout: u64,
    /// How long everything is still answered after SIGTERM, while /readyz says no: longer than balancers need to take note.
    #[arg(long, env = "VCI_SHUTDOWN_DELAY_DURATION", value_name = "DURATION", default_value = "0s", value_parser = time)]
    shutdown_delay_duration: Duration,
    /// After that, and until the last requests have ended, tell new ones to try again (429), instead of not listening any more.
    #[arg(long, env = "VCI_SHUTDOWN_SEND_RETRY_AFTER")]
    shutdown_send_retry_after: bool,
    /// Over this time watches are told to end, at an even rate; 0s: all at once.
    #[arg(long, env = "VCI_SHUTDOWN_WATCH_TERMINATION_GRACE_PERIOD", value_name = "DURATION", default_value = "0s", value_parser = time)]
    shutdown_watch_termination_grace_period: Duration,
}

impl Life {
    /// The same configuration with what the flags say.
    pub(super) fn apply(&self, mut config: Config) -> Config {
        config.limits.reads = in_flight(self.max_requests_inflight);
        config.limits.writes = in_flight(self.max_mutating_requests_inflight);
        config.limits.request_timeout = self.request_timeout;
        config.limits.min_watch = Duration::from_secs(self.min_request_timeout);
        config.connections.request_timeout = self.request_timeout;
        config.connections.drain_timeout = self.request_timeout;
        config.connections.watch_grace = self.shutdown_watch_termination_grace_period;
        let drain_mode = if self.shutdown_send_retry_after { DrainMode::SendRetryAfter } else { DrainMode::CloseListener };
        config.shutdown = Shutdown { delay: self.shutdown_delay_duration, drain_mode };
        config
    }
}

fn in_flight(count: usize) -> InFlight {
    if count == 0 { InFlight::Unlimited } else { InFlight::AtMost(count) }
}

/// A duration as Go writes it.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    let positive = (!text.starts_with('-')).then(|| apiserver_meta::duration::parse(text)).flatten();
    positive.ok_or("must be a duration such as 300ms, 30s or 1h15m")
}

/// A duration that is not zero.
fn some_time(text: &str) -> Result<Duration, &'static str> {
    time(text).and_then(|time| if time.is_zero() { Err("must be longer than nothing") } else { Ok(time) })
}

/// A duration of a second or more.
pub(super) fn seconds(text: &str) -> Result<Duration, &'static str> {
    time(text).and_then(|time| if time.as_secs() == 0 { Err("must be a second or more") } else { Ok(time) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::cli::tests::parse_serve;
    use apiserver_server::{Config, DrainMode, InFlight, Shutdown};
    use std::time::Duration;

    #[test]
    fn without_flags_everything_has_its_standard() {
        let (config, standard) = (parse_serve(&[]).unwrap().config(), Config::standard("./data", "0"));
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", standard.limits));
        assert_eq!(format!("{:?}", config.connections), format!("{:?}", standard.connections));
        assert_eq!(config.shutdown, standard.shutdown);
    }

    #[test]
    fn flags_reach_the_configuration() {
        let args = "--max-requests-inflight 0 --max-mutating-requests-inflight 7 --request-timeout 1m30s --min-request-timeout 5 \
            --shutdown-delay-duration 70s --shutdown-send-retry-after --shutdown-watch-termination-grace-period 500ms";
        let config = parse_serve(&args.split_whitespace().collect::<Vec<_>>()).unwrap().config();
        assert_eq!((config.limits.reads, config.limits.writes), (InFlight::Unlimited, InFlight::AtMost(7)));
        assert_eq!((config.limits.request_timeout, config.limits.min_watch), (Duration::from_secs(90), Duration::from_secs(5)));
        assert_eq!(
            (config.connections.drain_timeout, config.connections.request_timeout),
            (Duration::from_secs(90), Duration::from_secs(90))
        );
        let keys = |args: &[&str]| parse_serve(args).unwrap().tenancy().access_key_max_ttl;
        assert_eq!((keys(&[]), keys(&["--access-key-max-ttl", "720h"])), (None, Some(Duration::from_secs(720 * 3600))));
        assert_eq!(config.connections.watch_grace, Duration::from_millis(500));
        assert_eq!(config.shutdown, Shutdown { delay: Duration::from_secs(70), drain_mode: DrainMode::SendRetryAfter });
    }

    #[test]
    fn durations_that_are_none_are_refused() {
        for flag in [
            "--request-timeout=0s",
            "--request-timeout=5",
            "--shutdown-delay-duration=-1s",
            "--access-key-max-ttl=500ms",
            "--etcd-compaction-interval=often",
        ] {
            assert!(parse_serve(&[flag, "--etcd-servers", "http://a"]).is_err(), "{flag}");
        }
    }
}

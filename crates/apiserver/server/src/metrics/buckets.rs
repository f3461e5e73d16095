//! Upstream's bounds, so that dashboards and alerts made for kube-apiserver find the parts that they ask for
//! (`k8s.io/apiserver`: endpoints/metrics, endpoints/handlers/metrics, endpoints/filters, storage/etcd3/metrics,
//! storage/cacher/metrics, admission/metrics).

use super::histogram::Shape;
use apiserver_registry::WAIT_BOUNDS;

const MILLIS: u64 = 1_000_000;
const SECONDS: u64 = 1_000_000_000;

/// The times of requests. Each metric has the part of them that it needs.
const TIMES: &[u64] = &[
    5 * MILLIS,
    25 * MILLIS,
    50 * MILLIS,
    100 * MILLIS,
    200 * MILLIS,
    400 * MILLIS,
    600 * MILLIS,
    800 * MILLIS,
    SECONDS,
    1250 * MILLIS,
    1500 * MILLIS,
    2 * SECONDS,
    3 * SECONDS,
    4 * SECONDS,
    5 * SECONDS,
    6 * SECONDS,
    8 * SECONDS,
    10 * SECONDS,
    15 * SECONDS,
    20 * SECONDS,
    30 * SECONDS,
    45 * SECONDS,
    60 * SECONDS,
    90 * SECONDS,
    120 * SECONDS,
    180 * SECONDS,
    300 * SECONDS,
];
/// Of these, those below 50 ms.
const QUICK: usize = 2;
/// Of these, those up to a minute.
const MINUTE: usize = 23;

/// `apiserver_request_duration_seconds`, `etcd_request_duration_seconds`.
pub(crate) static REQUEST: Shape = Shape::seconds(TIMES.split_at(MINUTE).0);

/// `apiserver_request_sli_duration_seconds`.
pub(crate) static SLI: Shape = Shape::seconds(TIMES.split_at(MINUTE).0.split_at(QUICK).1);

/// `apiserver_watch_list_duration_seconds`.
pub(crate) static WATCH_LIST: Shape = Shape::seconds(TIMES.split_at(QUICK).1);

/// `apiserver_watch_cache_read_wait_seconds`: the bounds by which the caches count.
pub(crate) static READ_WAIT: Shape = Shape::seconds(&READ_WAITS);

const READ_WAITS: [u64; WAIT_BOUNDS.len()] = {
    let mut nanos = [0; WAIT_BOUNDS.len()];
    let mut index = 0;
    while index < nanos.len() {
        nanos[index] = WAIT_BOUNDS[index].as_millis() as u64 * MILLIS;
        index += 1;
    }
    nanos
};

/// `authentication_duration_seconds`, `authorization_duration_seconds`: from 1 ms on each twice the one before.
pub(crate) static CALLER: Shape = Shape::seconds(&steps::<15>(MILLIS, Step::Times(2)));

/// `apiserver_admission_controller_admission_duration_seconds` and its like.
pub(crate) static ADMISSION: Shape = Shape::seconds(&[5 * MILLIS, 25 * MILLIS, 100 * MILLIS, 500 * MILLIS, SECONDS, 2500 * MILLIS]);

/// `apiserver_response_sizes`: from 1 KB to 1 GB.
pub(crate) static RESPONSE: Shape = Shape::bytes(&steps::<7>(1000, Step::Times(10)));

/// `apiserver_watch_events_sizes`: from 1 KiB to 128 KiB.
pub(crate) static EVENT: Shape = Shape::bytes(&steps::<8>(1024, Step::Times(2)));

/// `apiserver_request_body_size_bytes`: up to what a request may have.
pub(crate) static BODY: Shape = Shape::bytes(&steps::<31>(50_000, Step::Plus(100_000)));

#[derive(Clone, Copy)]
enum Step {
    Times(u64),
    Plus(u64),
}

const fn steps<const N: usize>(first: u64, step: Step) -> [u64; N] {
    let mut bounds = [first; N];
    let mut index = 1;
    while index < N {
        bounds[index] = match step {
            Step::Times(factor) => bounds[index - 1] * factor,
            Step::Plus(width) => bounds[index - 1] + width,
        };
        index += 1;
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::*;

    #[test]
    fn first_and_last_bounds_are_upstreams() {
        let cases: [(&'static Shape, usize, f64, f64); 9] = [
            (&REQUEST, 23, 0.005, 60.0),
            (&SLI, 21, 0.05, 60.0),
            (&WATCH_LIST, 25, 0.05, 300.0),
            (&READ_WAIT, 13, 0.005, 3.0),
            (&CALLER, 15, 0.001, 16.384),
            (&ADMISSION, 6, 0.005, 2.5),
            (&RESPONSE, 7, 1e3, 1e9),
            (&EVENT, 8, 1024.0, 131_072.0),
            (&BODY, 31, 5e4, 3.05e6),
        ];
        for (shape, count, first, last) in cases {
            let bounds: Vec<f64> = Histogram::new(shape).read().bounds().collect();
            assert_eq!((bounds.len(), bounds.first(), bounds.last()), (count, Some(&first), Some(&last)));
            assert!(bounds.is_sorted());
        }
    }
}

//! Connection limits: of the process, of one client address, and of the file descriptors that the process may open.
//!
//! A new connection that exceeds a limit replaces the one that has been idle longest: first among those that never carried
//! an authenticated request (unfinished handshakes are among them), then among the others. Connections in use are never
//! closed for a new one: the new one waits, or is closed when it is its own address that holds too many.

use super::activity::Activity;
use crate::open_files;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often it is looked again for a connection that has become idle.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The open connections and their limits.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    max: usize,
    max_of_address: usize,
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    activity: Arc<Activity>,
    leave: CancellationToken,
}

/// A connection's share of the limit, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    limit: Arc<ConnectionLimit>,
    id: u64,
    /// The connection is to make room.
    pub(super) leave: CancellationToken,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limit.open().remove(self.id);
        self.limit.left.notify_one();
    }
}

impl ConnectionLimit {
    /// At most `max` connections, fewer when the process may not open as many files; at most half of them from one address.
    pub(super) fn new(max: usize) -> Arc<Self> {
        let max = max.min(open_files::for_connections());
        Arc::new(Self { max, max_of_address: max.div_ceil(2), open: Mutex::default(), left: Notify::new() })
    }

    /// Admits a new connection as soon as there is room; `None` when its address has too many in use.
    pub(super) async fn enter(self: &Arc<Self>, address: IpAddr, activity: &Arc<Activity>) -> Option<Slot> {
        loop {
            match self.try_enter(address, activity) {
                Ok(slot) => return Some(slot),
                Err(Full::Address) => return None,
                Err(Full::All) => drop(tokio::time::timeout(LOOK_AGAIN, self.left.notified()).await),
            }
        }
    }

    /// Closes an idle connection. Returns whether there was one.
    pub(super) fn make_room(&self) -> bool {
        self.open().evict(|_| true)
    }

    fn try_enter(self: &Arc<Self>, address: IpAddr, activity: &Arc<Activity>) -> Result<Slot, Full> {
        let mut open = self.open();
        let own = open.by_address.get(&address).copied().unwrap_or(0);
        if own >= self.max_of_address && !open.evict(|entry| entry.address == address) {
            return Err(Full::Address);
        }
        if open.all.len() >= self.max && !open.evict(|_| true) {
            return Err(Full::All);
        }
        let leave = CancellationToken::new();
        let id = open.next;
        open.next += 1;
        *open.by_address.entry(address).or_default() += 1;
        open.all.insert(id, Entry { address, activity: Arc::clone(activity), leave: leave.clone() });
        Ok(Slot { limit: Arc::clone(self), id, leave })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no room.
enum Full {
    All,
    Address,
}

impl Open {
    /// Tells an idle connection to close, in the order that the module head gives.
    fn evict(&mut self, among: impl Fn(&Entry) -> bool) -> bool {
        let idle = self.all.iter().filter(|(_, entry)| among(entry));
        let idle = idle.filter_map(|(id, entry)| Some((entry.activity.is_authenticated(), entry.activity.idle_since()?, *id)));
        let Some((.., id)) = idle.min() else { return false };
        if let Some(entry) = self.remove(id) {
            entry.leave.cancel();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        match self.by_address.get_mut(&entry.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_address.remove(&entry.address)),
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn connection() -> Arc<Activity> {
        Arc::default()
    }

    async fn enter(limit: &Arc<ConnectionLimit>, address: IpAddr, activity: &Arc<Activity>) -> Slot {
        // Each is idle a little longer than the next.
        tokio::time::advance(Duration::from_millis(1)).await;
        limit.enter(address, activity).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_never_authenticated_goes_first_and_of_them_the_one_that_is_idle_longest() {
        let limit = ConnectionLimit::new(4);
        let (known, busy, silent) = (connection(), connection(), connection());
        known.authenticated();
        let [known, _busy, first] =
            [enter(&limit, HERE, &known).await, enter(&limit, HERE, &busy).await, enter(&limit, THERE, &silent).await];
        let _request = busy.begin(None);
        let second = enter(&limit, THERE, &connection()).await;
        let third = enter(&limit, THERE, &connection()).await;
        let left = [&known, &first, &second, &third].map(|slot| slot.leave.is_cancelled());
        assert_eq!(left, [false, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_at_most_half() {
        let limit = ConnectionLimit::new(4);
        let busy = [connection(), connection()];
        let _requests = busy.each_ref().map(|activity| activity.begin(None));
        let slots = [enter(&limit, HERE, &busy[0]).await, enter(&limit, HERE, &busy[1]).await];
        assert!(limit.enter(HERE, &connection()).await.is_none(), "nothing of this address is idle");
        let other = enter(&limit, THERE, &connection()).await;
        assert!(!slots.iter().chain([&other]).any(|slot| slot.leave.is_cancelled()));
        drop(slots);
        assert!(limit.enter(HERE, &connection()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_in_use_a_newcomer_waits_for_one_to_end() {
        let limit = ConnectionLimit::new(2);
        let busy = [connection(), connection()];
        let _requests = busy.each_ref().map(|activity| activity.begin(None));
        let _first = enter(&limit, HERE, &busy[0]).await;
        let second = enter(&limit, THERE, &busy[1]).await;
        let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
        let waits = tokio::time::timeout(Duration::from_secs(60), limit.enter(other, &connection())).await;
        assert!(waits.is_err() && !limit.make_room());
        drop(second);
        assert!(limit.enter(other, &connection()).await.is_some());
    }

    #[test]
    fn nothing_is_left_behind() {
        let limit = ConnectionLimit::new(4);
        let slots = [HERE, THERE].map(|address| limit.try_enter(address, &connection()).ok().unwrap());
        drop(slots);
        assert!(limit.open().all.is_empty() && limit.open().by_address.is_empty());
    }
}

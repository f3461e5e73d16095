//! Which etcds tell a watch's progress truthfully.

use apiserver_store::ProgressSupport;

/// etcd's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// `3.5.13`, `3.6.0-rc.1`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let release = text.split(['-', '+']).next()?;
        let mut numbers = release.split('.').map(|number| number.parse().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// Before 3.4.31 and 3.5.13 the answer to a progress request could overtake events (etcd issue 15220).
    pub(crate) fn progress_support(self) -> ProgressSupport {
        let Self { major, minor, patch } = self;
        let fixed = match (major, minor) {
            (3, 4) => patch >= 31,
            (3, 5) => patch >= 13,
            newer => newer >= (3, 6),
        };
        if fixed { ProgressSupport::Reliable } else { ProgressSupport::Unreliable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_by_version() {
        for (text, reliable) in [
            ("3.3.27", Some(false)),
            ("3.4.23", Some(false)),
            ("3.4.30", Some(false)),
            ("3.4.31", Some(true)),
            ("3.5.0", Some(false)),
            ("3.5.12", Some(false)),
            ("3.5.13", Some(true)),
            ("3.6.0-rc.1", Some(true)),
            ("3.6.16", Some(true)),
            ("4.0.0", Some(true)),
            ("2.3.8", Some(false)),
            ("not_decided", None),
            ("3.5", None),
            ("", None),
        ] {
            let support = Version::parse(text).map(|version| version.progress_support() == ProgressSupport::Reliable);
            assert_eq!(support, reliable, "{text}");
        }
    }
}

//! Browsers that may look into backups, which have what a machine's owner alone can read. That somebody has signed in is not
//! enough for it, so that a session that was stolen is not worth the machine: it takes another code, from a terminal on the
//! machine itself, which no session can ask for, and holds for an hour.

use std::time::{Duration, Instant};

use freehold_ports::Source;
use http::HeaderMap;

use super::{SESSIONS_MAX, Sessions, SetupCode, TypedCode, push, take};
use crate::Problem;

/// How long a session may look into backups.
const READING_LASTS: Duration = Duration::from_hours(1);

impl Sessions {
    /// A new code with which one session may look into backups, good within `lasts`.
    pub fn issue_reading_code(&self, lasts: Duration) -> SetupCode {
        let mut state = self.state();
        let (code, made) = state.code(&self.letters, lasts);
        push(&mut state.reading_codes, code);
        made
    }

    /// Lets the session that the request carries look into backups for an hour.
    ///
    /// # Errors
    /// [`Problem::refused`] if there is no session, the code is wrong, used or lapsed, or too many of that source wait.
    pub async fn open_backups(
        &self,
        source: Source,
        headers: &HeaderMap,
        typed: &TypedCode,
    ) -> Result<(), Problem> {
        let opened = || self.open_backups_at(headers, typed, Instant::now());
        self.guessed(source, typed, opened).await
    }

    fn open_backups_at(&self, headers: &HeaderMap, typed: &TypedCode, now: Instant) -> Result<(), Problem> {
        let reader = self.token(headers).filter(|_| self.admits(headers)).ok_or_else(wrong)?;
        let mut state = self.state();
        if !take(&mut state.reading_codes, typed, now) {
            return Err(wrong());
        }
        state.readers.retain(|_, until| *until > now);
        if state.readers.len() >= SESSIONS_MAX {
            let first = state.readers.iter().min_by_key(|(_, until)| **until).map(|(hash, _)| *hash);
            first.and_then(|hash| state.readers.remove(&hash));
        }
        state.readers.insert(reader, now + READING_LASTS);
        Ok(())
    }

    /// Whether a request with these headers comes from somebody who may look into backups.
    pub fn reads_backups(&self, headers: &HeaderMap) -> bool {
        self.reads_backups_at(headers, Instant::now())
    }

    pub(super) fn reads_backups_at(&self, headers: &HeaderMap, now: Instant) -> bool {
        let until = self.token(headers).and_then(|hash| self.state().readers.get(&hash).copied());
        until.is_some_and(|until| until > now) && self.admits(headers)
    }
}

fn wrong() -> Problem {
    Problem::refused(
        "this code does not open the backups",
        "it is mistyped, was used before, or has lapsed; the one with which you signed in is another one",
        Some("freehold console --backups    (prints a new one, on the machine itself)"),
    )
}

//! A moment as a dump has it.

use core::fmt::{self, Display};
use core::time::Duration;

/// A moment by the wall clock, as the time since 1970-01-01 in UTC. Displayed as RFC 3339 has it, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utc(pub Duration);

const SECONDS_OF_DAY: u64 = 24 * 60 * 60;
/// Days of 400 years: the calendar repeats after them.
const DAYS_OF_ERA: u64 = 146_097;
/// Days from the first of March in the year 0 to the first of January 1970.
const DAYS_BEFORE: u64 = 719_468;
/// The last year that RFC 3339 can write.
const LAST_YEAR: u64 = 9999;

/// Year, month and day of a day that is counted from 1970-01-01.
///
/// The year is taken to begin in March, so that the day that is not always there is its last
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Of months that begin in March: five have 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * era + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

impl Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0.as_secs(), self.0.subsec_millis());
        let days = seconds / SECONDS_OF_DAY;
        // A clock may say anything.
        if days > (LAST_YEAR + 1) * 366 {
            return f.write_str("unknown");
        }
        let (year, month, day) = date(days);
        if year > LAST_YEAR {
            return f.write_str("unknown");
        }
        let second = seconds % SECONDS_OF_DAY;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{ms:03}Z", second % 60)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    fn utc(seconds: u64, ms: u64) -> std::string::String {
        Utc(Duration::from_secs(seconds) + Duration::from_millis(ms)).to_string()
    }

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        assert_eq!(utc(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(utc(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(utc(4_107_542_399, 1), "2100-02-28T23:59:59.001Z");
        assert_eq!(utc(4_107_542_400, 0), "2100-03-01T00:00:00.000Z", "no leap day in 2100");
        assert_eq!(utc(253_402_300_799, 0), "9999-12-31T23:59:59.000Z");
        assert_eq!(utc(253_402_300_800, 0), "unknown");
        assert_eq!(utc(u64::MAX - 1, 0), "unknown");
    }
}

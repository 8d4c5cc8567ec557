//! Points in time and lengths of time, with the text forms that CEL reads and writes.
//!
//! Both are whole seconds and nanoseconds with the nanoseconds in `0..1_000_000_000`, so that the derived order is
//! the order in time, also before 1970 and below zero.

use std::time::SystemTime;

use super::Error;

const NANOS: i128 = 1_000_000_000;

/// Nanoseconds since 1970 or since nothing, split so that it fits where a [`super::Value`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Nanos {
    seconds: i64,
    nanos: u32,
}

impl Nanos {
    /// Beyond the range of 64 bit seconds the nearest end is as good as any: no valid time is there.
    fn from_total(total: i128) -> Self {
        let seconds = total.div_euclid(NANOS);
        Self {
            seconds: i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX }),
            nanos: u32::try_from(total.rem_euclid(NANOS)).expect("a remainder of 10^9 fits"),
        }
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }
}

/// A length of time, negative ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Duration(Nanos);

impl Duration {
    /// The fields of `google.protobuf.Duration`, whose nanoseconds have the sign of the seconds.
    pub(crate) fn new(seconds: i64, nanos: i32) -> Self {
        Self(Nanos::from_total(i128::from(seconds) * NANOS + i128::from(nanos)))
    }

    /// Reads `1h30m`, `-1.5s`, `20ms`, …: numbers with the units h, m, s, ms, us and ns.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(format!("`{text}` is not a duration such as `1h30m` or `1.5s`"));
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::new(0, 0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0_i128;
        while !rest.is_empty() {
            let (amount, after) = decimal(rest).ok_or_else(invalid)?;
            let (unit, after) = unit(after).ok_or_else(invalid)?;
            total = amount.checked_mul(unit).and_then(|n| total.checked_add(n / NANOS)).ok_or_else(invalid)?;
            rest = after;
        }
        Ok(Self(Nanos::from_total(if negative { -total } else { total })))
    }

    /// Whole units of `nanos` nanoseconds, towards zero.
    pub(crate) fn whole(self, nanos: i64) -> i64 {
        i64::try_from(self.0.total() / i128::from(nanos)).unwrap_or(i64::MAX)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self(Nanos::from_total(self.0.total() + other.0.total()))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self(Nanos::from_total(self.0.total() - other.0.total()))
    }
}

/// As protobuf's JSON: seconds with as many decimals as there are, `1.5s`.
impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.0.total();
        let sign = if total < 0 { "-" } else { "" };
        let total = total.unsigned_abs();
        write!(f, "{sign}{}{}s", total / NANOS.unsigned_abs(), Decimals(total % NANOS.unsigned_abs()))
    }
}

/// A number such as `12.5`, in units of 10^-9.
fn decimal(text: &str) -> Option<(i128, &str)> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole * NANOS + nanos(fraction)?, rest))
}

/// The digits behind a decimal point as a count of 10^-9; what is finer is cut off.
fn nanos(digits: &str) -> Option<i128> {
    let kept = digits.get(..9).unwrap_or(digits);
    format!("{kept:0<9}").parse().ok()
}

fn unit(text: &str) -> Option<(i128, &str)> {
    // Longest first: `ms` is not minutes.
    [("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", NANOS), ("m", 60 * NANOS), ("h", 3600 * NANOS)]
        .into_iter()
        .find_map(|(name, nanos)| Some((nanos, text.strip_prefix(name)?)))
}

/// `.5` for half a second, nothing for none.
struct Decimals(u128);

impl std::fmt::Display for Decimals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            nanos => write!(f, ".{}", format!("{nanos:09}").trim_end_matches('0')),
        }
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(Nanos);

impl Timestamp {
    /// The fields of `google.protobuf.Timestamp`.
    pub(crate) fn new(seconds: i64, nanos: i32) -> Self {
        Self(Nanos::from_total(i128::from(seconds) * NANOS + i128::from(nanos)))
    }

    pub(crate) fn at(time: SystemTime) -> Self {
        let total = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |nanos| -nanos),
        };
        Self(Nanos::from_total(total))
    }

    /// Reads RFC 3339, `2026-01-31T10:00:00.5+02:00`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        parse_rfc3339(text).ok_or_else(|| Error::new(format!("`{text}` is not an RFC 3339 time")))
    }

    pub(crate) fn seconds(self) -> i64 {
        self.0.seconds
    }

    pub(crate) fn plus(self, length: Duration) -> Self {
        Self(Nanos::from_total(self.0.total() + length.0.total()))
    }

    pub(crate) fn minus(self, length: Duration) -> Self {
        Self(Nanos::from_total(self.0.total() - length.0.total()))
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration(Nanos::from_total(self.0.total() - earlier.0.total()))
    }

    /// The calendar's view, in UTC or at an offset such as `+02:00`. Names of time zones would need their database.
    pub(crate) fn calendar(self, zone: Option<&str>) -> Result<Calendar, Error> {
        let offset = match zone {
            None | Some("UTC" | "Z" | "") => 0,
            Some(zone) => offset_seconds(zone).ok_or_else(|| {
                Error::new(format!("time zone `{zone}` is not known: only UTC and offsets such as `+02:00` are"))
            })?,
        };
        Ok(Calendar::of(self.0.seconds.saturating_add(offset), self.0.nanos))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let it = Calendar::of(self.0.seconds, self.0.nanos);
        write!(f, "{:04}-{:02}-{:02}T", it.year, it.month, it.day)?;
        write!(f, "{:02}:{:02}:{:02}{}Z", it.hour, it.minute, it.second, Decimals(u128::from(it.nanos)))
    }
}

/// A point in time as people write it. Months and days count from 1.
pub(crate) struct Calendar {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// Days since 1 January.
    pub(crate) day_of_year: i64,
    /// Days since Sunday.
    pub(crate) day_of_week: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) nanos: u32,
}

impl Calendar {
    fn of(seconds: i64, nanos: u32) -> Self {
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            day_of_year: days - days_since_1970(year, 1, 1),
            // 1 January 1970 was a Thursday.
            day_of_week: (days + 4).rem_euclid(7),
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            nanos,
        }
    }
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse, `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let number = |range: std::ops::Range<usize>| digits(date_time.get(range)?);
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let separated = separators.iter().all(|&(at, byte)| date_time.as_bytes()[at] == byte);
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let days = days_since_1970(year, month, day);
    let exists = (1..=12).contains(&month) && date(days) == (year, month, day) && year > 0;
    if !separated || !matches!(date_time.as_bytes()[10], b'T' | b't') || !exists {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    let nanos = i32::try_from(nanos(fraction)?).ok().filter(|_| !fraction.is_empty())?;
    let offset = match zone {
        "Z" | "z" => 0,
        zone => offset_seconds(zone).filter(|_| zone.starts_with(['+', '-']))?,
    };
    Some(Timestamp::new(days * 86_400 + hour * 3600 + minute * 60 + second - offset, nanos))
}

/// Reads `+02:00`; CEL lets the plus away.
fn offset_seconds(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => (1, zone),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// ASCII digits only: `parse` alone would take a sign as well.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, written) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59.250Z", 1_709_251_199, "2024-02-29T23:59:59.25Z"),
            ("1969-12-31T23:59:59.5Z", -1, "1969-12-31T23:59:59.5Z"),
            ("2020-01-01T01:30:00+01:30", 1_577_836_800, "2020-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, "9999-12-31T23:59:59.999999999Z"),
        ] {
            let time = Timestamp::parse(text).expect(text);
            assert_eq!((time.seconds(), time.to_string().as_str()), (seconds, written), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2020-01-01",
            "2020-02-30T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-13-01T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+1:00x",
            "+020-01-01T00:00:00Z",
            "2020-01-01T00:00:0éZ",
            "2020-01-01T00:00:0002:00",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, written) in [
            ("90s", "90s"),
            ("1h30m", "5400s"),
            ("1.5s", "1.5s"),
            ("-1ms", "-0.001s"),
            ("1us2ns", "0.000001002s"),
            ("0", "0s"),
            (".5s", "0.5s"),
            ("+2s", "2s"),
        ] {
            assert_eq!(Duration::parse(text).expect(text).to_string(), written);
        }
        for text in ["", "5", "s", "1x", "-", "1s2", "1s0", "99999999999999999999999h"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn protobuf_lets_nanoseconds_have_any_sign() {
        assert_eq!(Duration::new(-1, -500_000_000).to_string(), "-1.5s");
        assert!(Duration::new(-1, -500_000_000) < Duration::new(-1, 0));
        assert_eq!(Duration::new(-1, -500_000_000).whole(1_000_000_000), -1);
        assert_eq!(Timestamp::new(i64::MAX, i32::MAX).seconds(), i64::MAX);
    }
}

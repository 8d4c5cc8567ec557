//! How proto values become column values.
//!
//! Text compares byte by byte and numbers as numbers in every store, so each conversion keeps the order of the
//! proto values, with one exception: a `uint64` or `fixed64` above `i64::MAX` is kept as its two's complement.
//! Equality is right for those too; ranges and order treat them as negative.

use prost_types::{Duration, Timestamp};

use crate::read_model::Value;

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value.cast_signed())
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Real(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_owned())
    }
}

impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        Self::Bytes(value.clone())
    }
}

/// RFC 3339 in UTC with nine digits of nanoseconds.
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Text(rfc3339(value))
    }
}

impl From<&Timestamp> for Value {
    fn from(value: &Timestamp) -> Self {
        Self::Text(rfc3339(*value))
    }
}

/// Nanoseconds; a duration of more than 292 years counts as one of 292.
impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        let nanos = i128::from(value.seconds) * 1_000_000_000 + i128::from(value.nanos);
        let clamped = nanos.clamp(i64::MIN.into(), i64::MAX.into());
        Self::Integer(i64::try_from(clamped).expect("clamped to the range of i64"))
    }
}

impl From<&Duration> for Value {
    fn from(value: &Duration) -> Self {
        Self::from(*value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Writes a timestamp in RFC 3339, UTC, always with nine digits of nanoseconds, so that text order is time order.
///
/// A time before year 1 or after year 9999, which isn't a valid `Timestamp`, counts as the first or last valid one.
///
/// ```
/// use potter_core::prost_types::Timestamp;
/// let noon = Timestamp { seconds: 1_767_182_400, nanos: 5 };
/// assert_eq!(potter_core::value::rfc3339(noon), "2025-12-31T12:00:00.000000005Z");
/// ```
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    let seconds = time.seconds.clamp(FIRST, LAST);
    let nanos = time.nanos.clamp(0, 999_999_999);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Year, month and day of a number of days since 1970, in the proleptic Gregorian calendar.
///
/// Howard Hinnant's algorithm: years are counted from March, so that the leap day comes last.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn known_times_are_written_as_the_calendar_says() {
        assert_eq!(rfc3339(at(0, 0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(at(951_782_400, 1)), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(rfc3339(at(-1, 999_999_999)), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(at(i64::MIN, 0)), "0001-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(at(i64::MAX, 0)), "9999-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn large_unsigned_numbers_stay_distinct() {
        assert_ne!(Value::from(u64::MAX), Value::from(i64::MAX));
        assert_ne!(Value::from(u64::MAX), Value::from(u64::MAX - 1));
    }

    #[test]
    fn durations_never_overflow() {
        let endless = Duration { seconds: i64::MAX, nanos: 0 };
        assert_eq!(Value::from(endless), Value::Integer(i64::MAX));
        assert_eq!(Value::from(Duration { seconds: -1, nanos: -1 }), Value::Integer(-1_000_000_001));
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(
            a in (-62_135_596_800_i64..=253_402_300_799, 0_i32..1_000_000_000),
            b in (-62_135_596_800_i64..=253_402_300_799, 0_i32..1_000_000_000),
        ) {
            let written = rfc3339(at(a.0, a.1)).cmp(&rfc3339(at(b.0, b.1)));
            prop_assert_eq!(written, a.cmp(&b));
        }

        #[test]
        fn the_same_time_as_the_protobuf_library_writes(seconds in -62_135_596_800_i64..=253_402_300_799) {
            let time = at(seconds, 1);
            prop_assert_eq!(rfc3339(time), time.to_string());
        }
    }
}

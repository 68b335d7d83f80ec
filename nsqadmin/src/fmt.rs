//! Numbers as people read them (console spec 7).

use std::time::Duration;

/// `9,999,999`, above that `12.3 M` and `4.56 G`.
pub(crate) fn count(value: i64) -> String {
    let size = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    match size {
        0..=9_999_999 => format!("{sign}{}", with_commas(size)),
        10_000_000..=999_999_999 => format!("{sign}{} M", three_digits(size, 1_000_000)),
        _ => format!("{sign}{} G", three_digits(size, 1_000_000_000)),
    }
}

/// `0.42/s`, `130/s`, `1.25 k/s`; what is less than one in 200 s is `0/s`.
pub(crate) fn rate(value: f64) -> String {
    match value {
        v if v < 0.005 => "0/s".to_owned(),
        v if v < 0.9995 => format!("{v:.2}/s"),
        v if v < 9.995 => format!("{v:.2}/s"),
        v if v < 99.95 => format!("{v:.1}/s"),
        v if v < 999.5 => format!("{v:.0}/s"),
        v if v < 999_500.0 => format!("{} k/s", significant(v / 1e3)),
        v => format!("{} M/s", significant(v / 1e6)),
    }
}

/// `512 B`, `1.2 KiB`, `4.1 GiB`.
#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut size = value as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if size < 99.95 {
        format!("{size:.1} {name}")
    } else {
        format!("{size:.0} {name}")
    }
}

/// `850 µs`, `4.2 ms`, `1.5 s`, and longer ones as [`seconds`].
pub(crate) fn duration(value: Duration) -> String {
    let micros = value.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", value.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{} ms", value.as_millis()),
        1_000_000..10_000_000 => format!("{:.1} s", value.as_secs_f64()),
        _ => seconds(i64::try_from(value.as_secs()).unwrap_or(i64::MAX)),
    }
}

/// `5 s`, `4 min`, `2 h 10 min`, `12 d`.
pub(crate) fn seconds(value: i64) -> String {
    match value.max(0) {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min", s / 60),
        s @ 3_600..86_400 if s % 3_600 < 60 => format!("{} h", s / 3_600),
        s @ 3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d", s / 86_400),
    }
}

/// RFC 3339 in UTC of Unix seconds, such as `2026-11-26T03:12:00Z`.
pub(crate) fn utc(unix: i64) -> String {
    let (days, of_day) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // days since 0000-03-01, in eras of 400 years, so that the leap day is the last of a year
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `03:12` in UTC.
pub(crate) fn clock(unix: i64) -> String {
    let of_day = unix.rem_euclid(86_400);
    format!("{:02}:{:02}", of_day / 3_600, of_day / 60 % 60)
}

fn significant(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn with_commas(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn three_digits(value: u64, unit: u64) -> String {
    let (whole, below) = (value / unit, value % unit);
    match whole {
        0..=9 => format!("{whole}.{:02}", below * 100 / unit),
        10..=99 => format!("{whole}.{}", below * 10 / unit),
        _ => with_commas(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Console spec 11.
    #[test]
    fn ui_145_numbers_have_the_formats_of_the_table() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (9_999_999, "9,999,999"),
            (12_345_678, "12.3 M"),
            (345_000_000, "345 M"),
            (4_560_000_000, "4.56 G"),
            (-1_000, "-1,000"),
            (i64::MIN, "-9,223,372,036 G"),
        ] {
            assert_eq!(count(value), text);
        }
        for (value, text) in [
            (0.0, "0/s"),
            (0.004, "0/s"),
            (0.42, "0.42/s"),
            (1.0, "1.00/s"),
            (9.996, "10.0/s"),
            (130.2, "130/s"),
            (1_250.0, "1.25 k/s"),
            (999_999.0, "1.00 M/s"),
        ] {
            assert_eq!(rate(value), text);
        }
        for (value, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1_229, "1.2 KiB"),
            (4_402_341_478, "4.1 GiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        for (micros, text) in [
            (0, "0 µs"),
            (850, "850 µs"),
            (4_200, "4.2 ms"),
            (42_000, "42 ms"),
            (1_500_000, "1.5 s"),
            (240_000_000, "4 min"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        for (value, text) in [
            (-1, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_200, "2 h"),
            (7_800, "2 h 10 min"),
            (86_400 * 12 + 5, "12 d"),
        ] {
            assert_eq!(seconds(value), text);
        }
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_662_720, "2026-11-26T03:12:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(unix), text);
        }
    }
}

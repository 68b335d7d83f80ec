//! Durations as Go writes and reads them: `1m0s`, `250ms`, `1.5h`, `-3us`.

use std::fmt::Write as _;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Reads a duration: an optional sign, then one or more decimal numbers each with a unit of `ns` `us` `µs` `ms`
/// `s` `m` `h`, or a bare `0`. The result is in nanoseconds.
///
/// # Errors
/// The text is not a duration, or does not fit 64 bits. The error text is Go's.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let nanos =
            unit_nanos(unit).ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let part = scale(number, nanos).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = tail;
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(if negative { -total } else { total })
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // both code points that are printed as a micro sign
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// `number` (digits with at most one point) times `unit`; what is below one nanosecond is cut off.
fn scale(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // one hour has 3.6e12 nanoseconds, so the digits after the 18th cannot change the result
    let fraction = &fraction[..fraction.len().min(18)];
    let (below, power) = fraction.bytes().fold((0_u128, 1_u128), |(value, power), digit| {
        (value * 10 + u128::from(digit - b'0'), power * 10)
    });
    let unit = u128::from(unit);
    u64::try_from(whole.checked_mul(unit)?.checked_add(below * unit / power)?).ok()
}

/// Writes a duration of `nanos` nanoseconds as Go prints it: `1m0s`, `1.5s`, `250ms`, `0s`.
#[must_use]
pub fn print(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    match size {
        0 => "0s".to_owned(),
        1..MICROSECOND => format!("{sign}{size}ns"),
        MICROSECOND..MILLISECOND => format!("{sign}{}µs", decimal(size, MICROSECOND)),
        MILLISECOND..SECOND => format!("{sign}{}ms", decimal(size, MILLISECOND)),
        _ => {
            let mut text = String::from(sign);
            if size >= HOUR {
                let _ = write!(text, "{}h", size / HOUR);
            }
            if size >= MINUTE {
                let _ = write!(text, "{}m", size % HOUR / MINUTE);
            }
            text.push_str(&decimal(size % MINUTE, SECOND));
            text.push('s');
            text
        }
    }
}

/// `value / unit` without trailing zeros after the point.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, below) = (value / unit, value % unit);
    if below == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let text = format!("{whole}.{below:0width$}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, nanos, printed) in [
            ("0", 0, "0s"),
            ("60s", 60_000_000_000, "1m0s"),
            ("1h", 3_600_000_000_000, "1h0m0s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            (".5s", 500_000_000, "500ms"),
            ("250ms", 250_000_000, "250ms"),
            ("1.25ms", 1_250_000, "1.25ms"),
            ("-3us", -3_000, "-3µs"),
            ("3µs", 3_000, "3µs"),
            ("+7ns", 7, "7ns"),
            ("2.0000000001s", 2_000_000_000, "2s"),
            ("0.1234567891234567891s", 123_456_789, "123.456789ms"),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
            assert_eq!(print(nanos), printed, "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "-",
            "5",
            "5x",
            "s",
            "1..2s",
            "1s2",
            ".s",
            "9999999999h",
            "1 s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! Moments that somebody types, and a histogram of moments. Pure.

use nsq_http_api::messages::Bucket;

/// Unix seconds of `2026-11-27T01:00:00Z`, of the same without seconds, or of an integer; none for anything else.
pub(in super::super) fn second_of(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(second) = text.parse::<i64>() {
        return Some(second);
    }
    let (date, time) = text.strip_suffix('Z')?.split_once(['T', ' '])?;
    let numbers = |text: &str, by| -> Option<Vec<i64>> {
        text.split(by)
            .map(|part| part.parse::<u32>().ok().map(i64::from))
            .collect()
    };
    let (&[year, month, day], time) = (numbers(date, '-')?.as_slice(), numbers(time, ':')?) else {
        return None;
    };
    let (hour, minute, second) = match *time.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !fits || year > 9999 {
        return None;
    }
    // days since 1970, with years that begin in March
    let year = year - i64::from(month <= 2);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Histograms of several nodes, each with its own edges, as one of `parts` equal parts. What lies in a bucket of a node counts where
/// the middle of it is, so that nothing is lost. `spans` are the first and the last moment of each node with its buckets.
pub(super) fn together(spans: &[(i64, i64, Vec<Bucket>)], parts: usize) -> Vec<Bucket> {
    let full = || {
        spans
            .iter()
            .filter(|(_, _, buckets)| buckets.iter().any(|bucket| bucket.count > 0))
    };
    let first = full().map(|(first, ..)| *first).min().unwrap_or(0);
    let last = full().map(|(_, last, _)| *last).max().unwrap_or(0);
    if full().next().is_none() || parts == 0 {
        return Vec::new();
    }
    let width = i128::from(last.saturating_sub(first)).max(1);
    let count = i128::try_from(parts).unwrap_or(1);
    let edge = |part: i128| {
        let at = i128::from(first) + width * part / count;
        i64::try_from(at).unwrap_or(last)
    };
    let mut all: Vec<Bucket> = (1..=count)
        .map(|part| Bucket {
            to: edge(part),
            count: 0,
        })
        .collect();
    for (from, _, buckets) in full() {
        let mut from = *from;
        for bucket in buckets {
            let middle = i128::midpoint(i128::from(from), i128::from(bucket.to));
            let at = (middle - i128::from(first)) * count / width;
            let at = usize::try_from(at.clamp(0, count - 1)).unwrap_or(0);
            if let Some(own) = all.get_mut(at) {
                own.count = own.count.saturating_add(bucket.count);
            }
            from = bucket.to;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::fmt;
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        for second in [0, 951_782_399, 951_782_400, 1_795_662_720, 253_402_300_799] {
            assert_eq!(second_of(&fmt::utc(second)), Some(second));
        }
        assert_eq!(second_of("2026-11-26 03:12Z"), Some(1_795_662_720));
        assert_eq!(second_of(" 1795662720 "), Some(1_795_662_720));
        for wrong in [
            "",
            "soon",
            "2026-11-26",
            "2026-13-01T00:00Z",
            "2026-11-26T24:00Z",
            "2026-11-26T03:12",
            "+-1",
            "1-2-3-4T1:2Z",
        ] {
            assert_eq!(second_of(wrong), None, "{wrong}");
        }
    }

    fn bucket(to: i64, count: u64) -> Bucket {
        Bucket { to, count }
    }

    #[test]
    fn histograms_of_nodes_become_one_with_common_edges() {
        let a = (0, 100, vec![bucket(50, 3), bucket(100, 1)]);
        let b = (100, 200, vec![bucket(150, 2), bucket(200, 4)]);
        let both = together(&[a, b], 4);
        assert_eq!(
            both,
            [bucket(50, 3), bucket(100, 1), bucket(150, 2), bucket(200, 4)]
        );
        assert_eq!(together(&[(0, 0, vec![])], 4), []);
        // all at one moment
        let one: u64 = together(&[(7, 7, vec![bucket(7, 5)])], 4)
            .iter()
            .map(|bucket| bucket.count)
            .sum();
        assert_eq!(one, 5);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_any_text_has_an_answer(
            nodes in prop::collection::vec((any::<i64>(), any::<i64>(), prop::collection::vec((any::<i64>(), 0_u64..1000), 0..5)), 0..4),
            text in ".{0,30}",
        ) {
            let _ = second_of(&text);
            let nodes: Vec<_> = nodes
                .into_iter()
                .map(|(first, last, all)| (first, last, all.into_iter().map(|(to, count)| bucket(to, count)).collect::<Vec<_>>()))
                .collect();
            let wanted: u64 = nodes.iter().flat_map(|(_, _, all)| all).map(|bucket| bucket.count).sum();
            let got: u64 = together(&nodes, 24).iter().map(|bucket| bucket.count).sum();
            prop_assert_eq!(got, wanted);
        }
    }
}

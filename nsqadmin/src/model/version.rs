//! Which nodes run an older version than the newest one seen.

use super::Node;

/// Sets `out_of_date` on every node whose version is lower than the highest (nsqadmin spec 7.1).
pub(crate) fn mark_out_of_date(nodes: &mut [Node]) {
    let Some(highest) = nodes.iter().map(|node| parse(&node.version)).max() else {
        return;
    };
    for node in nodes {
        node.out_of_date = parse(&node.version) < highest;
    }
}

/// Major, minor, patch, and whether it is a release (a pre-release comes before its release); unparsable is 0.0.0.
fn parse(text: &str) -> (u64, u64, u64, bool, String) {
    let zero = (0, 0, 0, true, String::new());
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut parts = numbers.split('.').map(str::parse::<u64>);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => {
            (major, minor, patch, pre.is_empty(), pre.to_owned())
        }
        _ => zero,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_are_ordered() {
        assert!(parse("1.2.1") < parse("1.3.0"));
        assert!(parse("1.3.0-alpha") < parse("1.3.0"));
        assert!(parse("1.10.0") > parse("1.9.9"));
        assert!(parse("nonsense") < parse("0.0.1"));
    }
}

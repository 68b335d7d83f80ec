//! What a browser sends with a form: pairs of names and values, or parts if there is a file among them.

use bytes::Bytes;
use nsq_service::http::{BodyError, Failure, Query, Request, StatusCode};

/// Parts of a form; the console's own has nine.
const MAX_PARTS: usize = 64;

/// The fields of a form; of what is given several times each value counts.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, Bytes)>);

impl Form {
    /// Reads at most `cap` bytes.
    ///
    /// # Errors
    /// 413 for more, 400 for what is no form.
    pub(super) async fn read(request: &mut Request, cap: u64) -> Result<Self, Failure> {
        let invalid = || Failure::bad_request("INVALID_BODY");
        let bytes = request.body.read(cap).await.map_err(|error| match error {
            BodyError::TooLarge(_) => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_BIG"),
            BodyError::Stalled(_) | BodyError::Broken(_) => invalid(),
        })?;
        let kind = request.header("content-type").unwrap_or_default();
        if let Some(boundary) = boundary(kind) {
            return parts(&bytes, boundary).map(Self).ok_or_else(invalid);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid())?;
        let pairs = Query::parse(text)?.into_pairs().into_iter();
        Ok(Self(
            pairs.map(|(name, value)| (name, Bytes::from(value))).collect(),
        ))
    }

    /// The first value; empty for none, and for what is no text.
    pub(super) fn get(&self, name: &str) -> &str {
        let bytes = self.bytes(name).map_or(&[][..], |bytes| bytes);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let values = self.0.iter().filter(move |(own, _)| own == name);
        values.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// What separates the parts, if there are parts.
fn boundary(content_type: &str) -> Option<&str> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let mut parameters = rest.split(';').map(str::trim);
    let value = parameters.find_map(|parameter| parameter.strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    // 70 is the limit of RFC 2046
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts with their names; none if it is cut off or has no form.
fn parts(bytes: &Bytes, boundary: &str) -> Option<Vec<(String, Bytes)>> {
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut at = find(bytes, first.as_bytes(), 0)? + first.len();
    let mut all = Vec::new();
    loop {
        let rest = bytes.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(all);
        }
        if all.len() == MAX_PARTS || !rest.starts_with(b"\r\n") {
            return None;
        }
        // a head has at least one line, so its end is not the line end that was just seen
        let head_end = find(bytes, b"\r\n\r\n", at + 2)?;
        let head = std::str::from_utf8(bytes.get(at + 2..head_end)?).ok()?;
        let end = find(bytes, next.as_bytes(), head_end + 2)?;
        // a part without a body has the line end of the boundary for that of its head
        let value = bytes.slice((head_end + 4).min(end.max(head_end + 4))..end.max(head_end + 4));
        all.push((name_of(head)?.to_owned(), value));
        at = end + next.len();
    }
}

/// The `name` in the head of a part.
fn name_of(head: &str) -> Option<&str> {
    let line = head.split("\r\n").find(|line| {
        line.get(..20)
            .is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
    })?;
    line.split(';')
        .map(str::trim)
        .find_map(|parameter| parameter.strip_prefix("name=\"")?.strip_suffix('"'))
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_come_out_byte_by_byte() {
        let text = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--x\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"q\"\r\nContent-Type: a/b\r\n\r\n\0\r\n\r\n--x--\r\n";
        let all = parts(&Bytes::from(text), "x").unwrap();
        let expected = [("a", &b"1\r\n2"[..]), ("f", b"\0\r\n")];
        for ((name, value), (own, bytes)) in all.iter().zip(expected) {
            assert_eq!((name.as_str(), &value[..]), (own, bytes));
        }
        assert_eq!(all.len(), 2);
        let empty = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--x--";
        assert_eq!(
            parts(&Bytes::from(empty), "x").unwrap(),
            [("a".to_owned(), Bytes::new())]
        );
        for cut in ["", "--x", "--x\r\n", "--x\r\na: b\r\n\r\n", &text[..60]] {
            assert_eq!(parts(&Bytes::from(cut.to_owned()), "x"), None, "{cut}");
        }
    }

    #[test]
    fn a_boundary_stands_in_the_content_type() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("multipart/form-data; charset=x; boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("application/x-www-form-urlencoded", None),
        ] {
            assert_eq!(boundary(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(prop::sample::select(b"-x\r\n:name=\"Content-Disposition; ".to_vec()), 0..200)) {
            let _ = parts(&Bytes::from(bytes), "x");
        }
    }
}

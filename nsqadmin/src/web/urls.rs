//! Where pages are. Names from outside become one segment each.

use nsq_service::http::encode_component;

/// The overview.
pub(super) fn home(base_path: &str) -> String {
    if base_path.is_empty() {
        "/".to_owned()
    } else {
        base_path.to_owned()
    }
}

/// The page of these segments.
pub(super) fn below(base_path: &str, segments: &[&str]) -> String {
    let mut url = base_path.to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(&encode_component(segment));
    }
    url
}

//! The files of `static/`, embedded (read from disk in debug builds).

use std::sync::Arc;

use nsq_service::http::header::CACHE_CONTROL;
use nsq_service::http::{Failure, Reply, Request};
use rust_embed::RustEmbed;

use super::headers;
use crate::Shared;

#[derive(RustEmbed)]
#[folder = "static"]
struct Static;

/// Characters of a file's hash in its URL: enough to tell two releases apart.
const HASH_CHARS: usize = 12;

/// `GET /static/:asset[?v=<hash>]`. With its present hash in the URL a file may be kept for ever.
pub(crate) async fn asset(_: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let name = request.param("asset");
    let (Some(file), Some(content_type)) = (Static::get(name), content_type(name)) else {
        return Err(Failure::not_found("NOT_FOUND"));
    };
    let is_current = request.query()?.get("v") == Some(&hash_of(&file));
    let cache = if is_current {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let reply = Reply::content(content_type, file.data.into_owned()).header(CACHE_CONTROL, cache);
    Ok(headers::common(reply))
}

/// The URL of a file below the base path.
pub(super) fn url(base_path: &str, name: &str) -> String {
    let hash = Static::get(name).map(|file| hash_of(&file)).unwrap_or_default();
    format!("{base_path}/static/{name}?v={hash}")
}

fn hash_of(file: &rust_embed::EmbeddedFile) -> String {
    let hex = file
        .metadata
        .sha256_hash()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    hex.chars().take(HASH_CHARS).collect()
}

fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

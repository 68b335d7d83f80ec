//! The files of `static/`, embedded (read from disk in debug builds).

use std::path::Path;
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

/// Longest file of `--dev-static-dir`.
const MAX_FILE: u64 = 1 << 20;

/// `GET /static/:asset[?v=<hash>]`. With its present hash in the URL a file may be kept for ever; those of `--dev-static-dir` never.
pub(crate) async fn asset(shared: Arc<Shared>, request: Request) -> Result<Reply, Failure> {
    let name = request.param("asset");
    if let Some(folder) = &shared.static_dir {
        return developed(folder, name).await;
    }
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

/// A file of the folder of somebody who works on it.
async fn developed(folder: &Path, name: &str) -> Result<Reply, Failure> {
    let missing = || Failure::not_found("NOT_FOUND");
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let content_type = content_type(name)
        .filter(|_| name.chars().all(is_name))
        .ok_or_else(missing)?;
    let path = folder.join(name);
    let is_file = |own: &std::fs::Metadata| own.is_file() && own.len() <= MAX_FILE;
    if !tokio::fs::metadata(&path).await.as_ref().is_ok_and(is_file) {
        return Err(missing());
    }
    let bytes = tokio::fs::read(&path).await.map_err(|_| missing())?;
    let reply = Reply::content(content_type, bytes).header(CACHE_CONTROL, "no-cache");
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

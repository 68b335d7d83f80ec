//! Files of certificates and keys, and what stands in a certificate.
#![allow(
    clippy::disallowed_methods,
    reason = "small files, read with a cap when a program starts and when they change"
)]

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Largest file that is read.
const MAX_BYTES: u64 = 4 << 20;

/// What tells one content of a file from another: device, inode, size, time of change. Symlinks are followed.
pub(super) type Stamp = Vec<Option<(u64, u64, u64, i64, i64)>>;

/// Stamps of some files; none for one that cannot be looked at.
pub(super) fn stamps(files: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
        ))
    };
    files.iter().map(of).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("open {}: {}", path.display(), os_text(&error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{} is larger than {MAX_BYTES} bytes", path.display()));
    }
    Ok(bytes)
}

/// Go's words for the errors that a wrong path gives.
fn os_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The certificates of a PEM file, at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!(
            "{}: failed to find any PEM data in certificate input",
            path.display()
        ));
    }
    Ok(chain)
}

/// The private key of a PEM file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Roots of a CA file, or those of the system.
pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return Ok(roots);
    };
    let (added, _) = roots.add_parsable_certificates(chain(path)?);
    if added == 0 {
        return Err(format!(
            "failed to append certificate to pool from {}",
            path.display()
        ));
    }
    Ok(roots)
}

/// Common name of a certificate's subject; empty if it has none or cannot be read.
pub(super) fn common_name(der: &[u8]) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return String::new();
    };
    let name = certificate.subject().iter_common_name().next();
    name.and_then(|name| name.as_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// Unix time at which a certificate ends; none if it cannot be read.
pub(super) fn expiry(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

//! The TLS side of outgoing requests: which servers are trusted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::crypto::ring;

use super::certificates::{self, Stamp};
use super::{MinVersion, Reload};

/// Trusts the roots of a CA file, or those of the system.
///
/// A CA file is looked at with each request, which costs one system call: so a new one is in force at once, and where nothing
/// is asked over https nothing ticks. The roots of the system are read with the first request and kept.
#[derive(Debug)]
pub struct ClientTls {
    root_ca: Option<PathBuf>,
    min_version: MinVersion,
    current: Mutex<Current>,
    loaded: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Current {
    config: Option<Arc<ClientConfig>>,
    stamp: Stamp,
}

impl ClientTls {
    /// Reads the CA file if there is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(root_ca: Option<PathBuf>, min_version: MinVersion) -> Result<Arc<Self>, String> {
        let tls = Self {
            root_ca,
            min_version,
            current: Mutex::default(),
            loaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        if tls.root_ca.is_some() {
            let stamp = tls.stamp();
            let config = Some(tls.read()?);
            *tls.current.lock() = Current { config, stamp };
        }
        Ok(Arc::new(tls))
    }

    /// For the next request. A changed CA file is in force from here on; if it cannot be read, the old roots are.
    ///
    /// # Errors
    /// The roots of the system cannot be used.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let (config, reload) = self.look()?;
        match (reload, &self.root_ca) {
            (Reload::Failed(why), _) => tracing::error!("TLS: the old CA stays - {why}"),
            (Reload::Loaded, Some(file)) => tracing::info!("TLS: new CA {}", file.display()),
            (Reload::Loaded | Reload::Unchanged, _) => {}
        }
        Ok(config)
    }

    fn look(&self) -> Result<(Arc<ClientConfig>, Reload), String> {
        let mut current = self.current.lock();
        let stamp = self.stamp();
        let old = match &current.config {
            None => {
                let config = self.read()?;
                current.config = Some(Arc::clone(&config));
                return Ok((config, Reload::Unchanged));
            }
            Some(old) if current.stamp == stamp => return Ok((Arc::clone(old), Reload::Unchanged)),
            Some(old) => Arc::clone(old),
        };
        current.stamp = stamp;
        match self.read() {
            Ok(config) => {
                current.config = Some(Arc::clone(&config));
                self.loaded.fetch_add(1, Relaxed);
                Ok((config, Reload::Loaded))
            }
            Err(why) => {
                self.failed.fetch_add(1, Relaxed);
                Ok((old, Reload::Failed(why)))
            }
        }
    }

    fn stamp(&self) -> Stamp {
        certificates::stamps(self.root_ca.as_slice())
    }

    fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = certificates::roots(self.root_ca.as_deref())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.min_version.versions())
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// Changed CA files since the start that were taken, and that were not.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.loaded.load(Relaxed), self.failed.load(Relaxed))
    }
}

//! The TLS side of listeners: one configuration at a time, replaced when its files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::TlsAcceptor;

use super::certificates::{self, Stamp};
use super::{ClientAuth, MinVersion};
use crate::tasks::Tasks;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// What the TLS side of a program is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// PEM file of the certificate and those that lead to its root.
    pub cert: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// PEM file of the roots that clients are verified against; `None` is the system's.
    pub root_ca: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
}

impl Settings {
    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.cert.clone(), self.key.clone()];
        files.extend(self.root_ca.clone());
        files
    }

    /// The configuration, and when its certificate ends.
    fn load(&self) -> Result<(Arc<ServerConfig>, i64), String> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        // A CA file that cannot be read is told even where no client is asked for a certificate.
        if let Some(file) = &self.root_ca {
            certificates::roots(Some(file))?;
        }
        let verifier = self.client_auth.verifier(&provider, self.root_ca.as_deref())?;
        let chain = certificates::chain(&self.cert)?;
        let expiry = chain
            .first()
            .and_then(|leaf| certificates::expiry(leaf))
            .unwrap_or(0);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(self.min_version.versions())
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, certificates::key(&self.key)?)
            .map_err(|error| error.to_string())?;
        // No session is kept for clients that come back: tickets would have to be shared and rotated for little.
        config.send_tls13_tickets = 0;
        Ok((Arc::new(config), expiry))
    }
}

/// How a look at the files ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing changed.
    Unchanged,
    /// New handshakes use the new files.
    Loaded,
    /// The old ones stay in force; why.
    Failed(String),
}

/// The TLS side of a program's listeners.
#[derive(Debug)]
pub struct ServerTls {
    settings: Settings,
    current: RwLock<Arc<ServerConfig>>,
    stamp: Mutex<Stamp>,
    /// Unix seconds.
    expiry: AtomicI64,
    loaded: AtomicU64,
    failed: AtomicU64,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub fn load(settings: Settings) -> Result<Arc<Self>, String> {
        let stamp = certificates::stamps(&settings.files());
        let (config, expiry) = settings.load()?;
        Ok(Arc::new(Self {
            current: RwLock::new(config),
            stamp: Mutex::new(stamp),
            expiry: AtomicI64::new(expiry),
            loaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            settings,
        }))
    }

    /// For the next handshake.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read()))
    }

    /// Looks at the files, and loads them if they are not those that were loaded last. A set that does not load is tried
    /// again when it changes.
    pub fn look(&self) -> Reload {
        let stamp = certificates::stamps(&self.settings.files());
        if *self.stamp.lock() == stamp {
            return Reload::Unchanged;
        }
        *self.stamp.lock() = stamp;
        match self.settings.load() {
            Ok((config, expiry)) => {
                *self.current.write() = config;
                self.expiry.store(expiry, Relaxed);
                self.loaded.fetch_add(1, Relaxed);
                Reload::Loaded
            }
            Err(why) => {
                self.failed.fetch_add(1, Relaxed);
                Reload::Failed(why)
            }
        }
    }

    /// Looks at the files from time to time until the program stops.
    pub async fn watch(self: Arc<Self>, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = tasks.stopping() => return,
            }
            match self.look() {
                Reload::Unchanged => {}
                Reload::Loaded => {
                    tracing::info!("TLS: new certificate {}", self.settings.cert.display());
                }
                Reload::Failed(why) => tracing::error!("TLS: the old certificate stays - {why}"),
            }
        }
    }

    /// When the certificate in force ends, in Unix seconds.
    #[must_use]
    pub fn expiry(&self) -> i64 {
        self.expiry.load(Relaxed)
    }

    /// Changed sets of files since the start that were taken, and that were not.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.loaded.load(Relaxed), self.failed.load(Relaxed))
    }
}

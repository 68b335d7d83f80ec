//! How servers are verified.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;

/// Where the TLS configuration comes from. Cheap to clone. It is asked for at each request over https and never otherwise, so
/// that files can be read late and replaced.
#[derive(Clone)]
pub struct Tls(Arc<Source>);

type Source = dyn Fn() -> Result<Arc<ClientConfig>, String> + Send + Sync;

impl Tls {
    /// Asks `source`, which says why if there is none.
    pub fn new(source: impl Fn() -> Result<Arc<ClientConfig>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The configuration in force now.
    ///
    /// # Errors
    /// Why there is none.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        (self.0)()
    }
}

impl From<Arc<ClientConfig>> for Tls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new(move || Ok(Arc::clone(&config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

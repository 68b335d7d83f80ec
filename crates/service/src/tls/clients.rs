//! Which client certificates are let in.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificates;

/// What is asked of clients (nsqd spec 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// Some certificate, whoever signed it.
    Require,
    /// A certificate of the CA.
    RequireVerify,
}

impl ClientAuth {
    /// Reads the policy: any text but two is no policy.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "require" => Self::Require,
            "require-verify" => Self::RequireVerify,
            _ => Self::None,
        }
    }

    pub(super) fn verifier(
        self,
        provider: &Arc<CryptoProvider>,
        root_ca: Option<&Path>,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        Ok(match self {
            Self::None => WebPkiClientVerifier::no_client_auth(),
            Self::Require => Arc::new(AnyCertificate(provider.signature_verification_algorithms)),
            Self::RequireVerify => {
                let roots = Arc::new(certificates::roots(root_ca)?);
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
                    .build()
                    .map_err(|error| error.to_string())?
            }
        })
    }
}

/// Takes any certificate whose key the client has.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

//! Whom TLS believes: Mozilla's roots, and those of a file. Of resolvers, and of the web servers of [`crate::hints`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// ALPN of HTTP/2 (RFC 9113 §3.1). DNS over TLS needs none (RFC 7858), and servers that know others refuse what they do not know.
const ALPN_H2: &[u8] = b"h2";
/// A bundle of all public authorities is a quarter of that.
const MAX_PEM: u64 = 4 << 20;

/// Certificate authorities, and what is made of them once. Sessions are resumed by those who share one.
#[derive(Clone, Debug)]
pub struct TlsRoots {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) https: Arc<ClientConfig>,
}

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}: {why}", path.display())]
    Pem { path: PathBuf, why: String },
}

impl TlsRoots {
    /// Mozilla's roots, as they were when this was built.
    pub fn public() -> &'static TlsRoots {
        static PUBLIC: OnceLock<TlsRoots> = OnceLock::new();
        PUBLIC.get_or_init(|| TlsRoots::of(mozilla()))
    }

    /// Those, and the certificates in the PEM file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is larger than 4 MB, or has no certificate that can be a root.
    pub fn with_file(path: &Path) -> Result<TlsRoots, BadRoots> {
        let bad = |why: String| BadRoots::Pem {
            path: path.to_owned(),
            why,
        };
        let unreadable = |error| BadRoots::Read {
            path: path.to_owned(),
            error,
        };
        if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_PEM {
            return Err(bad("it is too large for a file of certificates (4 MB)".to_owned()));
        }
        let pem = std::fs::read(path).map_err(unreadable)?;
        let mut roots = mozilla();
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| bad(format!("no PEM: {error}")))?;
            let added = roots.add(certificate);
            added.map_err(|error| bad(format!("a certificate in it is no root: {error}")))?;
            found += 1;
        }
        match found {
            0 => Err(bad("there is no certificate in it (PEM)".to_owned())),
            _ => Ok(TlsRoots::of(roots)),
        }
    }

    /// For protocols that need no ALPN: DNS over TLS, and HTTP/1.1.
    pub fn plain(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    fn of(roots: RootCertStore) -> TlsRoots {
        // `ring` is said here, because with two providers in one program rustls takes none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        #[allow(clippy::expect_used)] // the two constants above, not an input
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut https = tls.clone();
        https.alpn_protocols = vec![ALPN_H2.to_vec()];
        // Sessions of the one are none of the other.
        https.resumption = rustls::client::Resumption::in_memory_sessions(256);
        TlsRoots {
            tls: Arc::new(tls),
            https: Arc::new(https),
        }
    }
}

fn mozilla() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            TlsRoots::with_file(&path).unwrap_err().to_string()
        };
        assert!(refused("empty", "").ends_with("empty: there is no certificate in it (PEM)"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused("broken", broken).contains("broken: a certificate in it is no root: "));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(refused("cut", cut).contains("cut: no PEM: "));
        let absent = TlsRoots::with_file(Path::new("/nonexistent/ca.pem")).unwrap_err();
        assert!(
            absent.to_string().starts_with("/nonexistent/ca.pem: "),
            "{absent}"
        );
    }
}

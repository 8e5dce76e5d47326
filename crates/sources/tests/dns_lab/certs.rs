//! Certificates for tests, made by openssl(1): an authority of our own, and one server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use netfault_sources::dns::transport::tls::TlsRoots;
use tempfile::TempDir;

/// What the certificate of the lab's servers is for, besides 127.0.0.1.
pub const NAME: &str = "dns.example.com";

pub struct Certs {
    dir: TempDir,
}

impl Certs {
    pub fn make() -> Certs {
        let certs = Certs {
            dir: tempfile::tempdir().unwrap(),
        };
        let key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ];
        let san = format!("subjectAltName=DNS:{NAME},IP:127.0.0.1");
        let ca = [
            "-subj", "/CN=lab", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem",
        ];
        let constraints = ["-addext", "basicConstraints=critical,CA:TRUE"];
        certs.openssl(&[&["req", "-x509"], &key[..], &ca[..], &constraints[..]].concat());
        let leaf = [
            "-subj",
            "/CN=server",
            "-addext",
            &san,
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ];
        certs.openssl(&[&["req", "-new"], &key[..], &leaf[..]].concat());
        let sign = [
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
        ];
        let out = [
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-days",
            "30",
            "-out",
            "server.pem",
        ];
        certs.openssl(&[&out[..], &sign[..]].concat());
        certs
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl")
            .args(args)
            .current_dir(self.dir.path())
            .output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {args:?}: {said}");
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// What a user gives as a file.
    pub fn roots(&self) -> Option<Arc<TlsRoots>> {
        Some(Arc::new(TlsRoots::with_file(Path::new(&self.ca())).unwrap()))
    }
}

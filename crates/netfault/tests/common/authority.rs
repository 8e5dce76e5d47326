//! An authority of our own for TLS.

use std::path::Path;

/// A private authority in `dir`: `ca.pem`, and `cert.pem` with `key.pem` for `host`.
pub fn authority(dir: &Path, host: &str) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = || rcgen::KeyPair::generate().expect("a key");
    let ca = rcgen::CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let own = key();
    let leaf = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("an address");
    let leaf = leaf.signed_by(&own, &ca).expect("a certificate");
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("cert.pem", leaf.pem()),
        ("key.pem", own.serialize_pem()),
    ] {
        std::fs::write(dir.join(name), text).expect("a file");
    }
}

//! How two ends that share a token prove it to each other without sending it.
//!
//! ```text
//! request: HMAC-SHA256(token, "netfault-request-v1" method target caller time nonce SHA-256(body))
//! answer:  HMAC-SHA256(token, "netfault-answer-v1" status time nonce-of-the-request SHA-256(body))
//! ```
//!
//! Parts are separated by line feeds, which none of them can contain. The answer is bound to the nonce, so an old one
//! cannot be played to a new request.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use netfault_model::Time;
use sha2::{Digest, Sha256};

/// Who is calling.
pub const CALLER: &str = "netfault-caller";
/// Microseconds since 1970, by the clock of the one who signs.
pub const TIME: &str = "netfault-time";
/// 32 hexadecimal digits, new for each request.
pub const NONCE: &str = "netfault-nonce";
/// `v1=` and 64 hexadecimal digits.
pub const SIGNATURE: &str = "netfault-signature";

/// A secret that two ends share.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    pub fn new(text: &str) -> Self {
        Token(text.into())
    }

    /// Compared in constant time.
    pub fn is(&self, given: &str) -> bool {
        let tag = |text: &str| mac(self, &["netfault-token-v1", text]);
        tag(given).verify(&tag(&self.0).finalize().into_bytes()).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Makes a request unlike every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce(u128);

impl Nonce {
    pub fn random() -> Self {
        Nonce(rand::random())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = digits.then(|| u128::from_str_radix(text, 16).ok());
        value.flatten().map(Nonce)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// When, and which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub time: Time,
    pub nonce: Nonce,
}

/// What a request signs, besides its body. The target is path and query.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub caller: &'a str,
    pub stamp: Stamp,
}

/// The value of [`SIGNATURE`] for a request.
pub fn request(token: &Token, asked: &Asked, body: &[u8]) -> String {
    shown(request_mac(token, asked, body))
}

/// Whether `signature` is that of this request, in constant time.
pub fn is_request(token: &Token, asked: &Asked, body: &[u8], signature: &str) -> bool {
    is(request_mac(token, asked, body), signature)
}

/// The value of [`SIGNATURE`] for the answer to the request with `stamp.nonce`, given at `stamp.time`.
pub fn answer(token: &Token, status: u16, stamp: Stamp, body: &[u8]) -> String {
    shown(answer_mac(token, status, stamp, body))
}

/// Whether `signature` is that of this answer, in constant time.
pub fn is_answer(token: &Token, status: u16, stamp: Stamp, body: &[u8], signature: &str) -> bool {
    is(answer_mac(token, status, stamp, body), signature)
}

fn request_mac(token: &Token, asked: &Asked, body: &[u8]) -> Hmac<Sha256> {
    let (time, nonce) = (
        asked.stamp.time.micros().to_string(),
        asked.stamp.nonce.to_string(),
    );
    let digest = hex(&Sha256::digest(body));
    let parts = [
        "netfault-request-v1",
        asked.method,
        asked.target,
        asked.caller,
        &time,
        &nonce,
        &digest,
    ];
    mac(token, &parts)
}

fn answer_mac(token: &Token, status: u16, stamp: Stamp, body: &[u8]) -> Hmac<Sha256> {
    let (status, time) = (status.to_string(), stamp.time.micros().to_string());
    let (nonce, digest) = (stamp.nonce.to_string(), hex(&Sha256::digest(body)));
    mac(token, &["netfault-answer-v1", &status, &time, &nonce, &digest])
}

fn mac(token: &Token, parts: &[&str]) -> Hmac<Sha256> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token.0.as_bytes()) else {
        unreachable!("HMAC takes a key of any length (RFC 2104 section 2)")
    };
    mac.update(parts.join("\n").as_bytes());
    mac
}

fn shown(mac: Hmac<Sha256>) -> String {
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

fn is(mac: Hmac<Sha256>, signature: &str) -> bool {
    let digits = signature.strip_prefix("v1=").and_then(unhex);
    digits.is_some_and(|tag| mac.verify_slice(&tag).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            time: Time::from_secs(1_700_000_000),
            nonce: Nonce::parse("000102030405060708090a0b0c0d0e0f").unwrap(),
        }
    }

    fn asked(target: &str) -> Asked<'_> {
        Asked {
            method: "POST",
            target,
            caller: "ams1",
            stamp: stamp(),
        }
    }

    /// From openssl: `printf 'netfault-request-v1\nPOST\n/x\nams1\n1700000000000000\n0001…0f\n%s' "$(printf '{}' | sha256sum)"
    /// | openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn the_signature_is_what_openssl_says() {
        assert_eq!(
            request(&Token::new("Jefe"), &asked("/x"), b"{}"),
            "v1=e3ed11631190db0d789a75facbeb13a34a555c9a9990f1bde2ed0b033e7d252a"
        );
    }

    #[test]
    fn every_part_is_signed() {
        let token = Token::new("0123456789abcdef");
        let signature = request(&token, &asked("/x?seq=1"), b"body");
        assert!(is_request(&token, &asked("/x?seq=1"), b"body", &signature));
        assert!(!is_request(&token, &asked("/x?seq=2"), b"body", &signature));
        assert!(!is_request(&token, &asked("/x?seq=1"), b"Body", &signature));
        assert!(!is_request(
            &Token::new("0123456789abcdeg"),
            &asked("/x?seq=1"),
            b"body",
            &signature
        ));
        let other = Asked {
            caller: "ams2",
            ..asked("/x?seq=1")
        };
        assert!(!is_request(&token, &other, b"body", &signature));
        let later = Stamp {
            time: Time::from_secs(1_700_000_001),
            ..stamp()
        };
        let other = Asked {
            stamp: later,
            ..asked("/x?seq=1")
        };
        assert!(!is_request(&token, &other, b"body", &signature));
    }

    #[test]
    fn an_answer_belongs_to_one_request_and_one_status() {
        let token = Token::new("0123456789abcdef");
        let signature = answer(&token, 200, stamp(), b"{}");
        assert!(is_answer(&token, 200, stamp(), b"{}", &signature));
        assert!(!is_answer(&token, 409, stamp(), b"{}", &signature));
        let other = Stamp {
            nonce: Nonce::random(),
            ..stamp()
        };
        assert!(!is_answer(&token, 200, other, b"{}", &signature));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let token = Token::new("0123456789abcdef");
        let long = format!("v1={}", "é".repeat(32));
        for text in ["", "v1=", "v1=00", "v2=00", long.as_str()] {
            assert!(!is_request(&token, &asked("/x"), b"", text), "{text}");
        }
        for text in [
            "",
            "00",
            "g00102030405060708090a0b0c0d0e0f",
            "+00102030405060708090a0b0c0d0e0f",
        ] {
            assert_eq!(Nonce::parse(text), None, "{text}");
        }
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeF"));
        assert_eq!(format!("{token:?}"), "***");
    }
}

//! The optional API key.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A key that clients must show. Comparing takes the same time whatever they show: digests of equal length are compared, in
/// constant time.
#[derive(Clone)]
pub struct ApiKey([u8; 32]);

impl ApiKey {
    /// From the key itself, which is not kept.
    pub fn new(key: &str) -> Self {
        Self(digest(key.as_bytes()))
    }

    /// Whether a client showed the key.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(&digest(shown)).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_matches_and_it_is_never_shown() {
        let key = ApiKey::new("secret");
        assert!(key.matches(b"secret"));
        for other in [&b""[..], b"Secret", b"secret ", b"secre"] {
            assert!(!key.matches(other));
        }
        assert_eq!(format!("{key:?}"), "ApiKey");
    }
}

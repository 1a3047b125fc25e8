use super::*;

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::from_bytes([0xab; 32]);
    assert_eq!(format!("{secret:?}"), "Secret(..)");
}

#[test]
fn purposes_give_different_secrets() {
    let secret = Secret::from_bytes([1; 32]);
    assert_ne!(secret.derive("freehold 2026 test a"), secret.derive("freehold 2026 test b"));
    assert_eq!(secret.derive("freehold 2026 test a"), secret.derive("freehold 2026 test a"));
    assert_ne!(secret.derive("freehold 2026 test a"), secret);
}

use super::*;

#[test]
fn plain_is_what_b3sum_prints() {
    let hash = Hasher::plain().update(b"").finish();
    assert_eq!(hex::encode(hash), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

#[test]
fn domains_separate_and_pieces_run_together() {
    assert_ne!(digest("freehold 2026 test a", b"x"), digest("freehold 2026 test b", b"x"));
    assert_ne!(digest("freehold 2026 test a", b"x"), Hasher::plain().update(b"x").finish());
    let pieces = Hasher::new("freehold 2026 test a").update(b"on").update(b"e").finish();
    assert_eq!(pieces, digest("freehold 2026 test a", b"one"));
}

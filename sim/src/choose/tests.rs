use super::*;

#[test]
fn every_possibility_comes_once() {
    let mut choose = Exhaustive::default();
    let mut seen = Vec::new();
    while choose.advance() {
        let first = choose.below(3);
        // The second decision is there only after some first ones.
        let second = if first == 1 { 0 } else { choose.weigh(&[1, 0, 7]) };
        seen.push((first, second));
    }
    assert_eq!(seen, [(0, 0), (0, 2), (1, 0), (2, 0), (2, 2)]);
}

#[test]
fn weights_are_kept() {
    let mut choose = Seeded::new(7);
    let mut counts = [0_u32; 3];
    for _ in 0..1000 {
        counts[choose.weigh(&[3, 0, 1])] += 1;
    }
    assert_eq!(counts[1], 0);
    assert!(counts[0] > 2 * counts[2] && counts[2] > 150, "{counts:?}");
}

#[test]
fn bytes_run_out() {
    let mut choose = Bytes::new(&[7, 2]);
    assert_eq!((choose.below(5), choose.is_spent(), choose.below(5), choose.is_spent()), (2, false, 2, true));
    assert_eq!(choose.below(5), 0);
}

//! Encodings.

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::scalar;
use crate::{Component, decode, encode_all};

/// By definition, without an encoding.
fn compared(one: &Value, other: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        _ => 4,
    };
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Number(one), Value::Number(other)) => {
            let whole =
                |n: &serde_json::Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
            match (whole(one), whole(other)) {
                (Some(one), Some(other)) => one.cmp(&other),
                // An integer beside a double that is nearest to it differs by what is lost.
                (Some(whole), None) => mixed(whole, other.as_f64().unwrap()),
                (None, Some(whole)) => mixed(whole, one.as_f64().unwrap()).reverse(),
                (None, None) => one.as_f64().unwrap().partial_cmp(&other.as_f64().unwrap()).unwrap(),
            }
        }
        _ => rank(one).cmp(&rank(other)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is whole, and of few digits")]
fn mixed(whole: i128, double: f64) -> Ordering {
    if double >= 1e30 {
        return Ordering::Less;
    }
    if double <= -1e30 {
        return Ordering::Greater;
    }
    let floor = double.floor();
    whole.cmp(&(floor as i128)).then(if floor < double { Ordering::Less } else { Ordering::Equal })
}

proptest! {
    #[test]
    fn bytes_are_in_the_order_of_the_values(one in scalar(), other in scalar()) {
        prop_assert_eq!(encode_all([Some(&one)]).cmp(&encode_all([Some(&other)])), compared(&one, &other));
    }

    #[test]
    fn several_are_compared_one_after_the_other(
        one in prop::collection::vec(scalar(), 3), other in prop::collection::vec(scalar(), 3),
    ) {
        let by_parts = one.iter().zip(&other).map(|(a, b)| compared(a, b)).find(|o| o.is_ne());
        let bytes = |all: &[Value]| encode_all(all.iter().map(Some));
        prop_assert_eq!(bytes(&one).cmp(&bytes(&other)), by_parts.unwrap_or(Ordering::Equal));
    }

    #[test]
    fn what_was_encoded_is_read_back(all in prop::collection::vec(scalar(), 0..4)) {
        let bytes = encode_all(all.iter().map(Some));
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(read.len(), all.len());
        for (value, read) in all.iter().zip(read) {
            let Component::Scalar(read) = read else { panic!("a scalar was read as something else") };
            prop_assert_eq!(compared(value, &read), Ordering::Equal);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_the_only_spelling(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(read) = decode(&bytes) {
            let array = json!([]);
            let values = read.iter().map(|component| match component {
                Component::Scalar(value) => Some(value),
                Component::Other => Some(&array),
            });
            prop_assert_eq!(encode_all(values), bytes);
        }
    }
}

#[test]
fn integers_that_share_a_double_keep_their_order() {
    let near = [u64::MAX - 2, u64::MAX - 1, u64::MAX].map(Value::from);
    let bytes: Vec<_> = near.iter().map(|value| encode_all([Some(value)])).collect();
    assert!(bytes.is_sorted_by(|a, b| a < b));
    let one = |value: Value| encode_all([Some(&value)]);
    assert_eq!(one(json!(1)), one(json!(1.0)));
    assert_eq!(one(json!(0)), one(json!(-0.0)));
    assert!(one(json!(i64::MIN)) < one(json!(i64::MIN + 1)));
}

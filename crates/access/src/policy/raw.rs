//! A policy as JSON has it. A member that is not known, or that is there twice, is an error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct RawPolicy {
    pub(super) version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    pub(super) statement: Many<RawStatement>,
}

#[derive(Deserialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub(super) fn allows(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct RawStatement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principal: Option<RawPrincipals>,
    pub(super) not_principal: Option<RawPrincipals>,
    pub(super) action: Option<Many<String>>,
    pub(super) not_action: Option<Many<String>>,
    pub(super) resource: Option<Many<String>>,
    pub(super) not_resource: Option<Many<String>>,
    pub(super) condition: Option<Pairs<Pairs<Many<Value>>>>,
}

/// One or a list of them.
pub(super) struct Many<T>(Vec<T>);

impl<T> Many<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Many<T>, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| Many(vec![one]))
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Many<T>, E> {
                T::deserialize(de::value::BoolDeserializer::new(flag)).map(|one| Many(vec![one]))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Many<T>, E> {
                T::deserialize(de::value::I64Deserializer::new(number)).map(|one| Many(vec![one]))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Many<T>, E> {
                T::deserialize(de::value::U64Deserializer::new(number)).map(|one| Many(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Many(vec![one]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Many<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Many(all))
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

/// An object's members in their order, none of them twice.
pub(super) struct Pairs<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if pairs.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format_args!("{name:?} is there twice")));
                    }
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Members(PhantomData))
    }
}

/// `"*"`, or lists by their kind.
pub(super) struct RawPrincipals(Vec<(String, String)>);

impl RawPrincipals {
    /// Kinds and texts.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

impl<'de> Deserialize<'de> for RawPrincipals {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Principals;
        impl<'de> Visitor<'de> for Principals {
            type Value = RawPrincipals;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\" or an object such as {\"AWS\": \"...\"}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawPrincipals, E> {
                match text {
                    "*" => Ok(RawPrincipals(vec![("AWS".to_owned(), text.to_owned())])),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawPrincipals, A::Error> {
                let from = de::value::MapAccessDeserializer::new(map);
                let kinds = Pairs::<Many<String>>::deserialize(from)?.0.into_iter();
                let pairs =
                    kinds.flat_map(|(kind, texts)| texts.0.into_iter().map(move |text| (kind.clone(), text)));
                Ok(RawPrincipals(pairs.collect()))
            }
        }
        from.deserialize_any(Principals)
    }
}

/// A value of a condition; JSON's own booleans and numbers are common.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Number(i64),
}

impl Value {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

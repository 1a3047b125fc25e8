//! Nodes as people see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BackendStatus, NodePlace, Problem};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word people use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Problem;

            fn from_str(text: &str) -> Result<Self, $crate::Problem> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|one| one.as_str()).collect();
                    $crate::Problem::invalid(
                        format!("unknown {} {text:?}", $what),
                        format!("known are: {}", known.join(", ")),
                        None::<String>,
                    )
                })
            }
        }
    };
}

pub(crate) use words;

words! {
    /// What a node does for its realm.
    Role, "role" {
        /// Holds sealed objects.
        Storage = "storage",
        /// Runs services.
        Compute = "compute",
        /// Serves S3 and published services.
        Gateway = "gateway",
        /// Carries traffic of nodes that cannot reach each other.
        Relay = "relay",
        /// Attests history.
        Witness = "witness",
        /// Holds keys that others need while nobody is there.
        Secrets = "secrets",
    }
}

impl Role {
    /// Those that a machine can be invited for: nothing runs services yet.
    pub const OFFERED: &[Self] = &[Self::Storage, Self::Gateway, Self::Relay, Self::Witness, Self::Secrets];
}

words! {
    /// How packets reach a node.
    Path, "path" {
        /// Without a third machine.
        Direct = "direct",
        /// Through a relay of the realm.
        Relay = "relay",
    }
}

words! {
    /// What the realm log says of a node.
    Standing, "standing" {
        /// In the realm with all its roles.
        Member = "member",
        /// Its rights are taken away until an admin lifts the suspension.
        Suspended = "suspended",
        /// Its key was used on two machines: nothing gives it rights again.
        Burned = "burned",
        /// Guardians are bringing it back: until that takes effect it reads, and changes nothing.
        Visitor = "visitor",
    }
}

/// A node of the realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its id in hex.
    pub id: String,
    /// The name people gave it.
    pub name: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// Whether there is a connection now; `true` for the node that answers.
    pub connected: bool,
    /// How packets reach it; `null` without a connection and for the node that answers.
    pub path: Option<Path>,
    /// How long ago it was last heard, in milliseconds; `null` if never.
    pub last_heard_ms: Option<u64>,
    /// What the realm log says of it.
    pub standing: Standing,
    /// Whether an admin's device is on the same machine: there the realm's people decide.
    pub admin: bool,
    /// The backend that it is, if the node that answers hosts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Box<BackendStatus>>,
    /// Where it stands, and how much it is to do.
    #[serde(default)]
    pub place: NodePlace,
}

impl NodeStatus {
    /// The first characters of its id, as lists show it.
    pub fn short_id(&self) -> &str {
        self.id.get(..8).unwrap_or(&self.id)
    }
}

/// The node that somebody means: by name, id, or the first four characters or more of an id.
///
/// # Errors
/// A [`Problem`] if there is none, or if it may be several: those are named.
pub fn node_named<'a>(nodes: &'a [NodeStatus], typed: &str) -> Result<&'a NodeStatus, Problem> {
    // Whoever is called as another one's id is not that one.
    if let Some(whole) = nodes.iter().find(|node| node.id == typed) {
        return Ok(whole);
    }
    let meant: Vec<&NodeStatus> = nodes
        .iter()
        .filter(|node| node.name == typed || (typed.len() >= 4 && node.id.starts_with(typed)))
        .collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => Err(Problem::not_found(
            format!("there is no node {typed}"),
            "the realm knows none of that name or id",
            Some("freehold node list"),
        )),
        many => {
            let each = many.iter().map(|node| format!("{} ({})", node.name, node.short_id()));
            Err(Problem::invalid(
                format!("{typed} may mean several nodes"),
                each.collect::<Vec<_>>().join(", "),
                Some("give the id instead of the name"),
            ))
        }
    }
}

/// A new name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    /// Shown to the realm's people only.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, name: &str) -> NodeStatus {
        NodeStatus {
            id: id.repeat(8),
            name: name.to_owned(),
            roles: Vec::new(),
            connected: false,
            path: None,
            last_heard_ms: None,
            standing: Standing::Member,
            admin: false,
            backend: None,
            place: NodePlace::default(),
        }
    }

    #[test]
    fn a_node_is_meant_by_name_or_id_and_never_by_chance() {
        let all = [node("84cff153", "desk"), node("a1b2c3d4", "desk"), node("abcd0000", "84cff1")];
        assert_eq!(node_named(&all, "a1b2").unwrap().name, "desk");
        assert_eq!(node_named(&all, &all[0].id).unwrap().id, all[0].id);
        let called = [node("84cff153", "desk"), node("a1b2c3d4", &"84cff153".repeat(8))];
        assert_eq!(node_named(&called, &called[0].id).unwrap().name, "desk", "a whole id comes first");
        for (typed, says) in [
            ("desk", "desk (84cff153), desk (a1b2c3d4)"),
            ("84cff1", "desk (84cff153), 84cff1 (abcd0000)"),
            ("a1b", "the realm knows none of that name or id"),
        ] {
            assert_eq!(node_named(&all, typed).unwrap_err().why, says);
        }
    }
}

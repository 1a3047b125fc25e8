//! What a member or a node may do. No role implies another.

use std::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

macro_rules! roles {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $konst:ident = $bit:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u16);

        impl $name {
            /// No role at all.
            pub const NONE: Self = Self(0);
            $($(#[$bit_doc])* pub const $konst: Self = Self(1 << $bit);)*

            const KNOWN: &'static [(Self, &'static str)] = &[$((Self::$konst, $label)),*];

            /// Both sets together.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Whether every role of `other` is in this set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether there is no role in this set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The set of one role, by its name.
            pub fn named(name: &str) -> Option<Self> {
                Self::KNOWN.iter().find(|(_, label)| *label == name).map(|(role, _)| *role)
            }

            /// The names of the roles in this set.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::KNOWN.iter().filter(move |(role, _)| self.contains(*role)).map(|(_, label)| *label)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names: Vec<_> = self.names().collect();
                f.write_str(if names.is_empty() { "none" } else { "" })?;
                f.write_str(&names.join(", "))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.u16(self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let bits = d.u16()?;
                let known = Self::KNOWN.iter().fold(0, |all, (role, _)| all | role.0);
                if bits & !known == 0 { Ok(Self(bits)) } else { Err(decode::Error::message("unknown role")) }
            }
        }
    };
}

roles! {
    /// Roles of a member of the realm.
    MemberRoles {
        /// Decides, with a majority of the other admins, who belongs to the realm.
        ADMIN = 0, "admin";
        /// Runs things: buckets, services.
        OPERATOR = 1, "operator";
        /// Reads the log.
        AUDITOR = 2, "auditor";
        /// Uses what the realm offers.
        MEMBER = 3, "member";
        /// Uses the little that is offered to guests.
        GUEST = 4, "guest";
    }
}

roles! {
    /// Roles of a node.
    NodeRoles {
        /// Keeps sealed blobs.
        STORAGE = 0, "storage";
        /// Runs services.
        COMPUTE = 1, "compute";
        /// Answers clients (S3, HTTPS) and so holds bucket keys.
        GATEWAY = 2, "gateway";
        /// Helps others to reach each other.
        RELAY = 3, "relay";
        /// May sign checkpoints if the admins delegated it.
        WITNESS = 4, "witness";
        /// Holds secrets of the realm; takes a majority of admins to give.
        SECRETS = 5, "secrets";
    }
}

//! Tables of cases over all of it, and laws.

mod laws;
mod lists;
mod others;
mod policies;

use freehold_wire::Millis;

use crate::{
    Account, Acl, Action, Asked, Context, Decision, Documents, Ownership, Policy, Principal,
    PublicAccessBlock, Rights, decide,
};

/// What the tests are about: a bucket `photos` that the service `main` of the realm's owner made.
struct Scene {
    policy: Option<Policy>,
    acl: Option<Acl>,
    object_acl: Option<Acl>,
    block: PublicAccessBlock,
    ownership: Ownership,
    rights: Rights,
    context: Context,
}

impl Scene {
    fn new() -> Self {
        Self {
            policy: None,
            acl: None,
            object_acl: None,
            block: PublicAccessBlock::default(),
            ownership: Ownership::default(),
            rights: Rights::all(),
            context: Context::default(),
        }
    }

    fn with_policy(text: &str) -> Self {
        Self { policy: Some(Policy::read(text.as_bytes()).unwrap()), ..Self::new() }
    }

    fn decide(&self, who: &Principal, action: &str, key: Option<&str>) -> Decision {
        let asked = Asked {
            who,
            rights: &self.rights,
            action: Action::named(action).unwrap(),
            bucket: "photos",
            key,
            context: &self.context,
            now: Millis(1000),
        };
        let documents = Documents {
            owner: &main(),
            policy: self.policy.as_ref(),
            acl: self.acl.as_ref(),
            object_acl: self.object_acl.as_ref(),
            block: self.block,
            ownership: self.ownership,
        };
        decide(&asked, &documents)
    }

    fn allows(&self, who: &Principal, action: &str, key: Option<&str>) -> bool {
        self.decide(who, action, key) == Decision::Allowed
    }
}

fn main() -> Principal {
    Principal::Service(Account::Realm, "main".parse().unwrap())
}

fn alt() -> Principal {
    Principal::Service(Account::Realm, "alt".parse().unwrap())
}

fn person() -> Principal {
    Principal::Account(Account::Person(freehold_wire::PersonId::from_bytes([7; 32])))
}

/// One statement.
fn statement(effect: &str, principal: &str, action: &str, resource: &str, condition: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(",\"Condition\":{condition}") };
    format!(
        "{{\"Effect\":\"{effect}\",\"Principal\":{principal},\"Action\":\"{action}\",\
         \"Resource\":\"arn:aws:s3:::{resource}\"{condition}}}"
    )
}

fn policy(statements: &[String]) -> String {
    format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","))
}

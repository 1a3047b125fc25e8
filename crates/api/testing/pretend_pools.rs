//! The pools that the pretended family is in.

use async_trait::async_trait;
use freehold_api::{
    NewPool, PoolChange, PoolControl, PoolHanded, PoolPapers, PoolStatus, PoolToJoin, PoolToSign, Problem,
};
use serde_json::json;

use super::{HOUR_MS, Pretend, now_ms};

fn unmade<T>() -> Result<T, Problem> {
    Err(Problem::unreachable("nothing was done", "this node is pretended", None::<&str>))
}

/// One of three, of which one leaves and a fourth would come in.
fn elm() -> PoolStatus {
    let member = |name: &str, id: &str, gives: u64, uses: u64, place: &str| {
        json!({ "realm": id.repeat(32), "name": name, "is_me": name == "smith", "gives": gives * 1_000_000_000,
            "uses": uses * 1_000_000_000, "place": place, "shared_out": gives * 500_000_000, "has": uses * 1_000_000_000,
            "said_two_things": false })
    };
    let mut lee = member("lee", "1e", 300, 100, "");
    lee["leaves_ms"] = json!(now_ms() + 20 * 24 * HOUR_MS);
    let balance = |keeps: u64, told: u64, uses: u64| {
        json!({ "keeps": keeps * 1_000_000_000, "keeps_as_told": told * 1_000_000_000,
        "uses_now": uses * 1_000_000_000, "heard_ms": now_ms() - HOUR_MS })
    };
    let (mut smith, mut jones) =
        (member("smith", "7d", 600, 300, "berlin"), member("jones", "5d", 600, 300, "paris"));
    smith["balance"] = balance(120, 120, 90);
    jones["balance"] = balance(200, 90, 140);
    let lends = |lender: &str, borrower: &str, gb: u64, known: &serde_json::Value| {
        let mut lends = json!({ "lender": lender, "borrower": borrower, "bytes": gb * 1_000_000_000 });
        lends.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
        lends
    };
    let all = json!({
        "id": "e1".repeat(32), "name": "elm", "begun": true, "rules": { "decide": "majority", "notice_days": 30,
            "wind_down_days": 30 },
        "members": [smith, jones, lee],
        "waiting": [member("miller", "aa", 100, 50, "rome")],
        "lending": [lends("smith", "jones", 250, &json!({ "granted": 250_000_000_000_u64 })),
            lends("jones", "smith", 300, &json!({ "granted": 0, "trouble": "no machine of theirs answers" })),
            lends("lee", "jones", 50, &json!({}))],
        "proposals": [{ "id": "c4".repeat(32), "says": ["miller comes in: gives 100 GB, may use 50 GB"],
            "signed": ["jones"], "missing": [], "more": 1, "is_mine_to_sign": true }],
        "by_hand": ["lee"],
        "next": ["freehold pool sign elm"],
    });
    serde_json::from_value(all).unwrap()
}

#[async_trait]
impl PoolControl for Pretend {
    async fn pools(&self) -> Result<Vec<PoolStatus>, Problem> {
        Ok(if self.world().grants.is_empty() { Vec::new() } else { vec![elm()] })
    }

    async fn new_pool(&self, _: NewPool, _: bool) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn join_pool(&self, _: PoolToJoin, _: bool) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn take_pool_papers(&self, _: PoolPapers) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn pool_papers(&self, _: &str) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn sign_pool(&self, _: PoolToSign, _: bool) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn change_pool(&self, _: &str, _: PoolChange, _: bool) -> Result<PoolHanded, Problem> {
        unmade()
    }

    async fn leave_pool(&self, _: &str, _: bool) -> Result<Option<PoolHanded>, Problem> {
        unmade()
    }
}

//! Joining a realm with an invitation.

use std::collections::BTreeSet;

use freehold_api::{Problem, words};
use freehold_crypt::{Algorithm, SigningKey};
use freehold_disk::LogStore;
use freehold_realm::audit::Export;
use freehold_realm::body::InvitationRedeem;
use freehold_realm::{Clock, InsertError, Op, OpSet, draft, fold};
use freehold_wire::{Millis, Name, OpId, RealmId};

use crate::clock;
use crate::door::Request;
use crate::home::Home;
use crate::identity::{FreshKeys, Identity};
use crate::invitation::{Contact, Invitation};
use crate::knock::{Refusal, Visit};
use crate::log::keep_matured;
use crate::problem::{identity_problem, store_problem};
use crate::vacant::Vacant;

const WHAT: &str = "this machine did not join";
const NO: Refusal = Refusal {
    why: "the node refused: the invitation may be used, lapsed or withdrawn",
    next: "ask for a new one: freehold invite",
};

/// Joins: afterwards the home holds a node of the realm.
///
/// # Errors
/// A [`Problem`]; the home then holds no node.
pub async fn join(home: &Home, text: &str, name: &str) -> Result<(), Problem> {
    let invitation = Invitation::from_text(text).map_err(|error| {
        Problem::invalid(
            WHAT,
            format!("the invitation cannot be read: {error}"),
            Some("copy all of it, from FREEHOLD-INVITE: to the end"),
        )
    })?;
    if invitation.expires < clock::wall() {
        return Err(Problem::refused(
            WHAT,
            format!("the invitation lapsed {} ago", words::span(clock::wall().since(invitation.expires).0)),
            Some("ask for a new one: freehold invite    (or see that this machine's clock is right)"),
        ));
    }
    let name = Name::new(name).map_err(|error| {
        Problem::invalid(WHAT, format!("the name cannot be used: {error}"), Some("choose another --name"))
    })?;
    let vacant = Vacant::take(home)?;
    let keys = FreshKeys::draw();
    let key = SigningKey::from_seed(Algorithm::Ed25519, &invitation.key_seed);
    let seed = keys.keys().node_seed;
    let visit = Visit::begin(&seed, &invitation.contacts, vec![&key], WHAT, NO).await?;
    let outcome = redeem(&visit, &invitation, &keys, &key, name).await;
    visit.end().await;
    let (heard, is_device) = outcome?;
    vacant.clear()?;
    settle(&vacant, invitation.realm, &keys, is_device, &heard, invitation.contacts)
}

async fn redeem(
    visit: &Visit<'_>,
    invitation: &Invitation,
    keys: &FreshKeys,
    key: &SigningKey,
    name: Name,
) -> Result<(Heard, bool), Problem> {
    let log = visit.fetch(Request::Log).await?;
    let (mut set, matured) = read_log(&log, invitation.realm)?;
    let (op, is_device) = redemption(&set, &matured, keys, key)?;
    let id = op.id();
    let op = visit.ask_in(&Request::Redeem(op.to_bytes(), name)).await?;
    if op.id() != id {
        return Err(Problem::refused(WHAT, "the node let in somebody else", Some(NO.next)));
    }
    set.insert(op).map_err(|e| Problem::bug(WHAT, e.to_string(), None::<&str>))?;
    Ok((Heard { ops: set.iter().cloned().collect(), matured }, is_device))
}

/// Takes an invitation up by its one-time key; tells whether that makes the machine a device as well.
pub(crate) fn redemption(
    set: &OpSet,
    matured: &BTreeSet<OpId>,
    keys: &FreshKeys,
    key: &SigningKey,
) -> Result<(Op, bool), Problem> {
    let now = clock::wall();
    let folded = fold(set, &Clock { now, matured: matured.clone() });
    let device = draft::invited_device(&folded.state, key, &keys.device(), keys.device_box().public());
    let is_device = device.is_some();
    let mine = keys.keys();
    let body = InvitationRedeem { node: mine.node.verifying(), box_key: mine.box_secret().public(), device };
    let mut op = draft(set, &folded.state, key, body, now).map_err(|e| {
        Problem::refused(WHAT, e.to_string(), Some("ask for a new invitation: freehold invite"))
    })?;
    op.add_signature(&mine.node);
    Ok((op, is_device))
}

/// A realm's log as the node told it that lets this one in.
pub(crate) struct Heard {
    pub(crate) ops: Vec<Op>,
    /// Recoveries that have waited long enough there: this node must not wait again.
    pub(crate) matured: BTreeSet<OpId>,
}

/// Reads a realm's log that came from a node, and which recoveries have matured there; its
/// signatures are checked, and that it is this realm's.
pub(crate) fn read_log(bytes: &[u8], realm: RealmId) -> Result<(OpSet, BTreeSet<OpId>), Problem> {
    let bad = |why: String| {
        Problem::refused(WHAT, format!("the realm's log that came is not right: {why}"), Some("try again"))
    };
    let export = Export::decode(bytes).map_err(|e| bad(e.to_string()))?;
    if export.realm != realm {
        return Err(bad("it is another realm's".to_owned()));
    }
    let matured = export.matured.clone();
    let (set, unbelievable) = export.into_set();
    // What this set merely does not keep is no reason not to join.
    let forged =
        |error: &&InsertError| matches!(error, InsertError::Verify { .. } | InsertError::OtherRealm { .. });
    match unbelievable.iter().find(forged) {
        Some(error) => Err(bad(error.to_string())),
        None => Ok((set, matured)),
    }
}

/// Writes a node that has been let in; the identity last.
pub(crate) fn settle(
    vacant: &Vacant,
    realm: RealmId,
    keys: &FreshKeys,
    is_device: bool,
    heard: &Heard,
    contacts: Vec<Contact>,
) -> Result<(), Problem> {
    let home = vacant.home();
    keys.write(home, is_device).map_err(|e| identity_problem(&e))?;
    let log = LogStore::open(&home.log()).map_err(|e| store_problem(&e))?;
    let now: Millis = clock::wall();
    log.append(heard.ops.iter().map(|op| (op.id(), op.to_bytes())).collect(), now)
        .map_err(|e| store_problem(&e))?;
    keep_matured(&log, &heard.matured).map_err(|e| store_problem(&e))?;
    Identity { realm, phrases_left_in: None, first_contacts: contacts }
        .write(home)
        .map_err(|e| identity_problem(&e))
}

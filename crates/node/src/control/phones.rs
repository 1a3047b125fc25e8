//! Phones let in: from what somebody wishes to what the log says, and what the phone is told.

use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::BASE64;
use freehold_api::{NewPhone, PhoneControl, PhoneSettings, Problem};
use freehold_crypt::{BoxPublic, Entropy as _};
use freehold_disk::OsEntropy;
use freehold_reach::{Party, address};
use freehold_realm::body::PhoneAdd;
use freehold_realm::{State, network_of};
use freehold_seal::{DirectoryRow, PhoneDoor};
use freehold_wire::{Bounded, Millis, Name, NodeId, PersonId, PhoneId};

use super::Answers;
use super::net::make;
use super::realm::{name_of, not_like_an_id};
use crate::clock;
use crate::entitled::person_of;
use crate::log::By;
use crate::net::called;
use crate::net::called::{Called, Sort, Thing};
use crate::net::phones::doors;
use crate::shared::Shared;

const NOT_LET_IN: &str = "no phone was let in";

#[async_trait]
impl PhoneControl for Answers {
    async fn add_phone(&self, wish: NewPhone, dry_run: bool) -> Result<Option<PhoneSettings>, Problem> {
        let add = move |shared: Arc<Shared>| async move { add(&shared, &wish, dry_run).await };
        self.0.to_the_end(add).await
    }
}

async fn add(shared: &Shared, wish: &NewPhone, dry_run: bool) -> Result<Option<PhoneSettings>, Problem> {
    let view = shared.log.view();
    let called = called(shared, view.state());
    let name = phone_name(&called, &wish.name)?;
    let key = key_of(&wish.key)?;
    let person = match &wish.person {
        Some(typed) => called.person(typed)?,
        None => person_of(&view, &shared.me()).ok_or_else(nobody)?,
    };
    if wish.until_ms.is_some_and(|until| Millis(until) <= clock::wall()) {
        return Err(Problem::invalid(NOT_LET_IN, "it would end before it begins", Some("--until 90d")));
    }
    let (gateway, door) = gateway(&called, &doors(shared, view.state()), wish.gateway.as_deref())?;
    let phone = PhoneId::from_bytes(*OsEntropy.secret().expose());
    let body = PhoneAdd {
        phone,
        key,
        person,
        // One: others of the realm would answer by the first of several, wherever the phone is.
        gateways: Bounded::fill(&mut [gateway].into_iter()),
        until: wish.until_ms.map(Millis),
    };
    shared.log.would_take(body.clone(), By::Device).await?;
    let settings = settings(view.state(), &called, (phone, &name), (gateway, &door))?;
    if dry_run {
        return Ok(None);
    }
    say(shared, body, phone, name, person).await?;
    Ok(Some(settings))
}

/// Says it in the log, and the name in the directory if this machine is believed about names.
async fn say(
    shared: &Shared,
    body: PhoneAdd,
    phone: PhoneId,
    name: Name,
    person: PersonId,
) -> Result<(), Problem> {
    if shared.is_keeper() {
        let rows = (DirectoryRow::PhoneName(phone, Some(name)), DirectoryRow::PhoneName(phone, None));
        return make(shared, body.into(), By::Device, rows).await;
    }
    tracing::info!(%phone, %person, "a phone without a name: this machine is not believed about names");
    shared.log.say(body, By::Device).await.map(drop)
}

fn phone_name(called: &Called, typed: &str) -> Result<Name, Problem> {
    let name = not_like_an_id(name_of(typed)?)?;
    if called.has_name(Sort::Phone, name.as_str()) {
        return Err(Problem::conflict(
            NOT_LET_IN,
            format!("a phone is called {} already", name.as_str()),
            Some("choose another name; see freehold net phone list"),
        ));
    }
    Ok(name)
}

/// A key that means somebody: with a few, anybody could be the phone.
fn key_of(text: &str) -> Result<BoxPublic, Problem> {
    let bytes = BASE64.decode(text.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = bytes.map(BoxPublic::from_bytes);
    key.filter(|key| key.seal(b"", b"", &mut OsEntropy).is_ok()).ok_or_else(|| {
        Problem::invalid(NOT_LET_IN, "its key is no WireGuard key: 32 bytes in base64", None::<&str>)
    })
}

fn nobody() -> Problem {
    Problem::refused(
        NOT_LET_IN,
        "this machine acts for nobody, so it cannot say whose it is to be",
        Some("type it on a machine of yours, or as an admin say whose: --person NAME"),
    )
}

/// The gateway that is to serve it.
fn gateway(
    called: &Called,
    doors: &[(NodeId, PhoneDoor)],
    typed: Option<&str>,
) -> Result<(NodeId, PhoneDoor), Problem> {
    let how = "on a gateway: freehold up --phone-listen 0.0.0.0:51820 --phone-endpoint NAME:51820";
    if let Some(typed) = typed {
        let node = called.node(typed)?;
        return doors.iter().find(|(door, _)| *door == node).cloned().ok_or_else(|| {
            Problem::refused(
                NOT_LET_IN,
                format!("{} takes no phones in", called.name(Thing::Node(node))),
                Some(how),
            )
        });
    }
    match doors {
        [one] => Ok(one.clone()),
        [] => Err(Problem::refused(NOT_LET_IN, "no gateway of the realm takes phones in", Some(how))),
        several => {
            let names: Vec<String> =
                several.iter().map(|(node, _)| called.shown(Thing::Node(*node))).collect();
            Err(Problem::invalid(
                NOT_LET_IN,
                format!("several gateways take phones in: {}", names.join(", ")),
                Some("say which one: --gateway NAME"),
            ))
        }
    }
}

fn settings(
    state: &State,
    called: &Called,
    (phone, name): (PhoneId, &Name),
    (gateway, door): (NodeId, &PhoneDoor),
) -> Result<PhoneSettings, Problem> {
    let none = std::collections::BTreeMap::new();
    let net = freehold_reach::Net::of(state, gateway, &none, clock::wall());
    let (dns, _) = net.addresses(Party::Node(gateway)).ok_or_else(|| {
        Problem::refused(NOT_LET_IN, "its gateway has no rights in the realm", Some("freehold node list"))
    })?;
    Ok(PhoneSettings {
        id: phone.to_string(),
        name: name.as_str().to_owned(),
        address: address::of_phone(&state.realm, &phone).to_string(),
        dns: dns.to_string(),
        networks: vec![network_of(&state.realm).to_string()],
        zone: called.zone().to_owned(),
        gateway: called.name(Thing::Node(gateway)),
        gateway_key: BASE64.encode(door.key.as_bytes()),
        endpoint: door.endpoint.as_str().to_owned(),
    })
}

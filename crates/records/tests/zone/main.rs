//! Records in a real name server (BIND), put there by updates and by a program.

#![cfg(test)]

mod bind;

use std::net::IpAddr;
use std::time::Duration;

use freehold_records::{Family, Hook, Places, Records, RecordsError};

use crate::bind::{Bind, SECRET};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn an_address_takes_the_place_of_the_one_before(zone: &Bind, to: &dyn Places, name: &str) {
    assert_eq!(zone.says(name, "A"), Vec::<String>::new());
    to.replace(name, address("192.0.2.1")).await.unwrap();
    to.replace(name, address("2001:db8::1")).await.unwrap();
    to.replace(name, address("192.0.2.2")).await.unwrap();
    assert_eq!(zone.says(name, "A"), ["192.0.2.2"]);
    assert_eq!(zone.says(name, "AAAA"), ["2001:db8::1"]);
    to.clear(name, Family::V4).await.unwrap();
    assert_eq!(zone.says(name, "A"), Vec::<String>::new());
    assert_eq!(zone.says(name, "AAAA"), ["2001:db8::1"]);
    // What is gone may go again.
    to.clear(name, Family::V4).await.unwrap();
}

async fn texts_stand_beside_each_other(zone: &Bind, to: &dyn Records, name: &str) {
    to.add(name, "one").await.unwrap();
    to.add(name, "two").await.unwrap();
    to.remove(name, "one").await.unwrap();
    assert_eq!(zone.says(name, "TXT"), ["\"two\""]);
    to.remove(name, "two").await.unwrap();
}

#[tokio::test]
async fn by_updates() {
    let zone = Bind::start();
    let update = zone.update(SECRET);
    an_address_takes_the_place_of_the_one_before(&zone, &update, "home.dyn.test").await;
    texts_stand_beside_each_other(&zone, &update, "_acme-challenge.dyn.test").await;
    assert_eq!(zone.says("ns.dyn.test", "A"), ["127.0.0.1"]);
}

#[tokio::test]
async fn by_a_program() {
    let zone = Bind::start();
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook { program: zone.program(folder.path()), within: Duration::from_secs(30) };
    an_address_takes_the_place_of_the_one_before(&zone, &hook, "home.dyn.test").await;
    texts_stand_beside_each_other(&zone, &hook, "_acme-challenge.dyn.test").await;
}

#[tokio::test]
async fn what_the_server_does_not_do_is_told() {
    let zone = Bind::start();
    let update = zone.update(SECRET);
    let one = address("192.0.2.1");
    // A server passes over an address beside an alias, and says that all is well.
    let beside = update.replace("alias.dyn.test", one).await;
    assert!(matches!(beside, Err(RecordsError::Alias(_))), "{beside:?}");
    let elsewhere = update.replace("home.other.test", one).await;
    assert!(matches!(elsewhere, Err(RecordsError::Refused { .. })), "{elsewhere:?}");
    let forbidden = update.replace("dyn.test", one).await;
    assert!(matches!(forbidden, Err(RecordsError::Refused { .. })), "{forbidden:?}");
    let wrong = zone.update(&[1; 32]).replace("home.dyn.test", one).await;
    assert!(matches!(wrong, Err(RecordsError::Refused { .. })), "{wrong:?}");
    assert_eq!(zone.says("home.dyn.test", "A"), Vec::<String>::new());
    let said = wrong.unwrap_err().to_string();
    assert!(said.contains("does it let this key change the zone?"), "{said}");
}

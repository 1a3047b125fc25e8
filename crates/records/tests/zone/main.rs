//! Records in a real name server (BIND), put there by updates and by a program.

#![cfg(test)]

mod bind;
mod provider;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use freehold_records::due::Lasting;
use freehold_records::{Family, Follower, Hook, Places, Provider, Records, RecordsError, Standing};
use freehold_wire::Millis;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::bind::{Bind, SECRET};

const LONG: Duration = Duration::from_secs(30);

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

fn account(provider: &provider::Provider) -> Provider {
    let password = Zeroizing::new("geheim".to_owned());
    Provider::new(&format!("http://{}/nic/update?system=dyndns", provider.at), "ann", password, LONG).unwrap()
}

fn clock() -> Millis {
    Millis(u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap())
}

/// A name that follows what the test says of this machine.
struct Following {
    own: watch::Sender<Vec<IpAddr>>,
    standing: watch::Receiver<Standing>,
    run: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
}

impl Following {
    fn start(places: Arc<dyn Places>) -> Self {
        let families = Family::ALL.to_vec();
        let follower = Follower { name: "home.dyn.test".to_owned(), families, places, clock };
        let (own, addresses) = watch::channel(Vec::new());
        let (say, standing) = watch::channel(Standing::default());
        let stop = CancellationToken::new();
        let told = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "it is stopped, and waited for")]
        let run = tokio::spawn(async move { follower.run(addresses, &say, &told).await });
        Self { own, standing, run, stop }
    }

    fn is_at(&self, all: &[&str]) {
        self.own.send_replace(all.iter().map(|at| address(at)).collect());
    }

    async fn until(&mut self, holds: impl FnMut(&Standing) -> bool) -> Standing {
        let last = self.standing.clone();
        let waited = timeout(LONG, self.standing.wait_for(holds)).await;
        waited.unwrap_or_else(|_| panic!("it stands like this: {:?}", last.borrow())).unwrap().clone()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG, self.run).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_name_follows_and_nothing_private_is_told() {
    let zone = Bind::start();
    let mut following = Following::start(Arc::new(zone.update(SECRET)));
    following.is_at(&["192.168.1.7", "203.0.113.7", "fd12::1", "fe80::1"]);
    following.until(|now| now.v4.said == Some(address("203.0.113.7"))).await;
    assert_eq!(zone.says("home.dyn.test", "A"), ["203.0.113.7"]);
    assert_eq!(zone.says("home.dyn.test", "AAAA"), Vec::<String>::new());
    following.is_at(&["192.168.1.7", "198.51.100.4", "2001:db8::7"]);
    following.until(|now| now.v6.said.is_some()).await;
    let now = following.until(|now| now.v4.said == Some(address("198.51.100.4"))).await;
    assert_eq!((now.v4.trouble, now.v6.trouble), (None, None));
    assert_eq!(zone.says("home.dyn.test", "A"), ["198.51.100.4"]);
    assert_eq!(zone.says("home.dyn.test", "AAAA"), ["2001:db8::7"]);
    following.stop().await;
}

#[tokio::test]
async fn a_provider_is_asked_as_it_wants_to_be_and_believed_by_its_word() {
    let provider = provider::Provider::start(&["good 203.0.113.7", "nochg", "911", "<html>"], "abuse").await;
    let account = account(&provider);
    account.replace("home.dyn.test", address("203.0.113.7")).await.unwrap();
    account.replace("home.dyn.test", address("2001:db8::7")).await.unwrap();
    for lasting in [Lasting::Long, Lasting::No, Lasting::ForGood] {
        let error = account.replace("home.dyn.test", address("203.0.113.7")).await.unwrap_err();
        assert_eq!(error.lasting(), lasting, "{error}");
        assert!(!error.to_string().contains("geheim"));
    }
    let asked = provider.asked();
    let first = "GET /nic/update?system=dyndns&hostname=home.dyn.test&myip=203.0.113.7 HTTP/1.1\r\n";
    assert!(asked[0].starts_with(first), "{}", asked[0]);
    assert!(asked[0].to_lowercase().contains("authorization: basic yw5uomdlagvpbq=="), "{}", asked[0]);
    assert!(asked[0].contains("Freehold - freehold - "), "{}", asked[0]);
    assert!(asked[1].contains("&myipv6=2001%3Adb8%3A%3A7 "), "{}", asked[1]);
    assert!(!account.clears());
}

/// What a provider answers with to who may not come back.
#[tokio::test]
async fn who_is_shut_out_does_not_ask_again_whatever_its_address() {
    for word in ["badauth", "abuse", "nohost"] {
        let provider = provider::Provider::start(&[word], "good").await;
        let mut following = Following::start(Arc::new(account(&provider)));
        following.is_at(&["203.0.113.7"]);
        following.until(|now| now.v4.stopped).await;
        following.is_at(&["198.51.100.4", "2001:db8::7"]);
        // Both stand as long, and the other family comes after.
        let now = following.until(|now| now.v6.said.is_some()).await;
        assert_eq!((now.v4.said, now.v4.failures), (None, 1));
        assert_eq!(provider.asked().len(), 2, "{:?}", provider.asked());
        following.stop().await;
    }
}

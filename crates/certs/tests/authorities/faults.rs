use std::sync::Arc;

use freehold_certs::{Acme, AcmeError, Method, Signer, Wanted};
use zeroize::Zeroizing;

use crate::around::{Bind, House, Pebble, Work, folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_seen_hears_why_and_is_not_asked_again_at_once() {
    let (bind, house) = (Bind::start(), House::open());
    // Nothing listens where the authority looks.
    let pebble = Pebble::start(bind.at, (1, 1), &[], "");
    let (_dir, keep) = folder();
    let acme = |shelf| Acme::new(pebble.settings(), Arc::clone(&keep), shelf, None);
    let wanted = Wanted { names: vec!["lost.acme.test".to_owned()], signer: Signer::Public(Method::Http) };
    let mut work = Work::begin(&keep, &house, acme(Arc::clone(&house.shelf)), vec![wanted.clone()]);
    let first = work.until(|all| all.first().is_some_and(|one| one.failures > 0)).await;
    let error = first[0].error.clone().unwrap();
    assert!(error.contains("lost.acme.test") && error.contains("port 80"), "{error}");
    assert!(house.shelf.text("lost.acme.test", "any").is_none());
    drop(work);
    // A restart is no excuse.
    let mut work = Work::begin(&keep, &house, acme(Arc::clone(&house.shelf)), vec![wanted]);
    let second = work.until(|all| !all.is_empty()).await;
    assert_eq!(second, first);
}

/// Half of all nonces are refused, answers come late, and what was proved need not be proved again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_with_faults_gives_a_certificate_in_the_end() {
    let (bind, house) = (Bind::start(), House::open());
    let faults = [
        ("PEBBLE_WFE_NONCEREJECT", "50"),
        ("PEBBLE_AUTHZREUSE", "50"),
        ("PEBBLE_VA_NOSLEEP", "0"),
        ("PEBBLE_VA_SLEEPTIME", "1"),
    ];
    let pebble = Pebble::start(bind.at, house.ports(), &faults, "");
    let (_dir, keep) = folder();
    let acme = Acme::new(pebble.settings(), Arc::clone(&keep), Arc::clone(&house.shelf), None);
    for method in [Method::Http, Method::TlsAlpn] {
        let mut tries = 0;
        let bundle = loop {
            tries += 1;
            match acme.obtain(&["faulty.acme.test".to_owned()], method, None).await {
                Ok(bundle) => break bundle,
                Err(AcmeError::Ask { source, .. }) if tries < 50 => println!("{source}"),
                Err(error) => panic!("{error:?}"),
            }
        };
        house.shelf.fill([&bundle]);
        assert!(house.is_trusted("faulty.acme.test", &pebble.root()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_forgets_its_accounts_gets_another() {
    let (bind, house) = (Bind::start(), House::open());
    let mut pebble = Pebble::start(bind.at, house.ports(), &[("PEBBLE_WFE_NONCEREJECT", "0")], "");
    let (_dir, keep) = folder();
    let acme = Acme::new(pebble.settings(), Arc::clone(&keep), Arc::clone(&house.shelf), None);
    let names = ["kept.acme.test".to_owned()];
    let first = acme.obtain(&names, Method::Http, None).await.unwrap();
    pebble.restart();
    let refused = acme.obtain(&names, Method::Http, Some(&first)).await;
    assert!(matches!(refused, Err(AcmeError::Ask { .. })), "{refused:?}");
    acme.obtain(&names, Method::Http, Some(&first)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_and_accounts_elsewhere_are_as_the_authority_wants_them() {
    let (bind, house) = (Bind::start(), House::open());
    let key = b"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let external = ", \"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {\"kid-1\": \
                    \"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\"}";
    let pebble = Pebble::start(bind.at, house.ports(), &[("PEBBLE_WFE_NONCEREJECT", "0")], external);
    let (_dir, keep) = folder();
    let names = ["ours.acme.test".to_owned()];
    let obtain = async |change: &dyn Fn(&mut freehold_certs::AcmeSettings)| {
        let mut settings = pebble.settings();
        change(&mut settings);
        let acme = Acme::new(settings, Arc::clone(&keep), Arc::clone(&house.shelf), None);
        acme.obtain(&names, Method::Http, None).await
    };
    assert!(matches!(obtain(&|settings| settings.agreed = false).await, Err(AcmeError::NotAgreed(_))));
    assert!(matches!(obtain(&|_| {}).await, Err(AcmeError::Ask { .. })));
    let secret = data_encoding::BASE64URL_NOPAD.decode(key).unwrap();
    let binding = |settings: &mut freehold_certs::AcmeSettings| {
        settings.external = Some(("kid-1".to_owned(), Zeroizing::new(secret.clone())));
    };
    assert!(obtain(&binding).await.is_ok());
    // An account that was made needs nothing more.
    assert!(obtain(&|settings| settings.agreed = false).await.is_ok());
}

use std::sync::Arc;

use freehold_certs::{Acme, AcmeError, Hook, Method, Records, RecordsError, Signer, Wanted};

use crate::around::{Bind, House, LONG, Pebble, Work, ZONE, folder};

fn wanted(name: &str, method: Method) -> Wanted {
    Wanted { names: vec![name.to_owned()], signer: Signer::Public(method) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_come_through_the_door_and_are_there_after_a_restart() {
    let (bind, house) = (Bind::start(), House::open());
    // One nonce of seven is refused.
    let pebble = Pebble::start(bind.at, house.ports(), &[("PEBBLE_WFE_NONCEREJECT", "15")], "");
    let (_dir, keep) = folder();
    let acme = |shelf| Acme::new(pebble.settings(), Arc::clone(&keep), shelf, Some(bind.records()));
    let all = vec![
        wanted("http.acme.test", Method::Http),
        wanted("alpn.acme.test", Method::TlsAlpn),
        wanted("dns.acme.test", Method::Dns),
    ];
    let mut work = Work::begin(&keep, &house, acme(Arc::clone(&house.shelf)), all.clone());
    let first = work.until(|all| all.len() == 3 && all.iter().all(|one| one.until.is_some())).await;
    let root = pebble.root();
    for one in &all {
        assert!(house.is_trusted(&one.names[0], &root), "{one:?}");
    }
    assert!(!house.is_trusted("other.acme.test", &root));
    // What is wanted no longer is served no longer.
    work.wanted.send_replace(all[..2].to_vec());
    work.until(|all| all.len() == 2).await;
    assert!(!house.is_trusted("dns.acme.test", &root));
    drop(work);

    let again = House::open();
    let mut work = Work::begin(&keep, &again, acme(Arc::clone(&again.shelf)), all);
    let second = work.until(|all| all.len() == 3).await;
    assert_eq!(second, first, "nothing was asked for again");
    assert!(again.is_trusted("alpn.acme.test", &root));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_for_all_below_is_proved_in_the_zone_and_the_zone_is_as_before() {
    let (bind, house) = (Bind::start(), House::open());
    let pebble = Pebble::start(bind.at, house.ports(), &[], "");
    let (dir, keep) = folder();
    let names = vec![format!("*.{ZONE}"), ZONE.to_owned()];
    let program = bind.program(dir.path());
    let hook: Arc<dyn Records> = Arc::new(Hook { program, within: LONG });
    for records in [bind.records(), hook] {
        let acme = Acme::new(pebble.settings(), Arc::clone(&keep), Arc::clone(&house.shelf), Some(records));
        let bundle = acme.obtain(&names, Method::Dns, None).await.unwrap();
        house.shelf.fill([&bundle]);
        assert!(house.is_trusted("anything.acme.test", &pebble.root()));
        assert_eq!(bind.texts(&format!("_acme-challenge.{ZONE}")), Vec::<String>::new());
    }
    let acme = Acme::new(pebble.settings(), Arc::clone(&keep), Arc::clone(&house.shelf), None);
    let refused = acme.obtain(&[format!("*.new.{ZONE}")], Method::Http, None).await;
    assert!(matches!(refused, Err(AcmeError::NoMethod { .. })), "{refused:?}");
    let refused = acme.obtain(&[format!("new.{ZONE}")], Method::Dns, None).await;
    assert!(matches!(refused, Err(AcmeError::NoRecords(_))), "{refused:?}");
}

#[tokio::test]
async fn a_record_is_put_and_taken_by_who_has_the_key() {
    let bind = Bind::start();
    let name = format!("_acme-challenge.x.{ZONE}");
    let records = bind.records();
    records.add(&name, "one").await.unwrap();
    records.add(&name, "two").await.unwrap();
    let mut texts = bind.texts(&name);
    texts.sort();
    assert_eq!(texts, ["\"one\"", "\"two\""]);
    records.remove(&name, "one").await.unwrap();
    assert_eq!(bind.texts(&name), ["\"two\""]);
    let stranger = bind.update(b"another secret, as long as it is").add(&name, "evil").await;
    assert!(matches!(stranger, Err(RecordsError::Refused { .. })), "{stranger:?}");
    let outside = records.add("_acme-challenge.other.example", "x").await;
    assert!(matches!(outside, Err(RecordsError::Refused { .. })), "{outside:?}");
    assert_eq!(bind.texts(&name), ["\"two\""]);
    let hook = Hook { program: "/bin/false".into(), within: LONG };
    assert!(matches!(hook.add(&name, "x").await, Err(RecordsError::Program { .. })));
    let slow = Hook { program: "/usr/bin/yes".into(), within: std::time::Duration::from_millis(50) };
    assert!(matches!(slow.add(&name, "x").await, Err(RecordsError::Late(_))));
}

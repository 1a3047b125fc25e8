use super::*;

fn key() -> String {
    ClientKey::from([7; 32]).text()
}

#[test]
fn who_is_let_in_is_what_was_written_or_nobody() {
    let text = format!(r#"{{"on":true,"ssh_port":2222,"clients":{{"ann":"{}"}}}}"#, key());
    let kept = Kept::read(text.as_bytes()).unwrap();
    let wish = kept.wish(3, "/home/onion/console.sock".into());
    assert_eq!((wish.number, wish.on, wish.clients.len()), (3, true, 1));
    assert_eq!(wish.ports[0].to, Target::Tcp("127.0.0.1:2222".parse().unwrap()));
    assert_eq!(
        wish.ports[1].to,
        Target::Socket("/home/onion/console.sock".into()),
        "never a port of this machine"
    );
    for odd in [
        text.replace("ann", "../ann"),
        text.replace(&key(), "x"),
        text.replace("2222", "0"),
        text.replace("on\"", "own\""),
        String::new(),
    ] {
        assert_eq!(Kept::read(odd.as_bytes()), None, "{odd}");
    }
}

#[tokio::test]
async fn a_file_of_others_shuts_the_door_and_nobody_is_let_in_while_it_is_off() {
    let home = tempfile::tempdir().unwrap();
    let home = Home::at(home.path());
    let onion = Onion::kept(&home);
    assert_eq!(
        health(&onion.status(), onion.unreadable.lock().unwrap().as_deref()),
        Health::Idle("nobody has switched it on: freehold net onion on".into())
    );
    if find_tor().is_ok() {
        let refused = onion.let_in(OnionClient { name: "ann".to_owned(), key: key() }).await.unwrap_err();
        assert_eq!(refused.next.as_deref(), Some("freehold net onion on"));
    }
    make_private_dir(onion.folder.path()).unwrap();
    replace(&onion.folder.path().join(FILE), b"{\"on\":true,\"clients\":{\"ann\":\"\"}}", 0o600).unwrap();
    let onion = Onion::kept(&home);
    assert!(!onion.wish.borrow().on);
    let told = health(&onion.status(), onion.unreadable.lock().unwrap().as_deref());
    assert!(matches!(told, Health::Degraded(why) if why.contains("freehold net onion on")));
}

#[test]
fn what_is_wrong_is_told_with_what_to_type() {
    let home = tempfile::tempdir().unwrap();
    let onion = Onion::kept(&Home::at(home.path()));
    onion.standing.send_modify(|standing| standing.doing = Doing::Down(freehold_onion::Trouble::NoTor));
    let told = health(&onion.status(), None);
    assert_eq!(told, Health::Degraded("there is no tor on this machine: sudo apt install tor".into()));
}

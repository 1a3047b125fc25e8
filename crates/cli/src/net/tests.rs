use super::*;

fn said() -> SaidBy {
    SaidBy {
        operation: "1b2c3d4e".repeat(8),
        kind: "RuleSet".to_owned(),
        by: "ann on desk".to_owned(),
        at_ms: 1_795_314_925_000,
    }
}

#[test]
fn an_answer_says_by_which_operation_or_what_to_type() {
    let mut told = Reach {
        from: "desk".to_owned(),
        to: "nas".to_owned(),
        port: "tcp/22".to_owned(),
        allowed: true,
        why: "the rule night lets it".to_owned(),
        said: Some(said()),
        next: None,
    };
    assert_eq!(
        reach(&told),
        "desk to nas, tcp/22: allowed\n  the rule night lets it\n  \
         RuleSet 1b2c3d4e, by ann on desk, 2026-11-22 02:35 UTC"
    );
    (told.allowed, told.said) = (false, None);
    told.next = Some("freehold net rule add NAME --from desk --to nas --port tcp/22".to_owned());
    assert!(reach(&told).starts_with("desk to nas, tcp/22: NOT allowed\n"));
    assert!(
        reach(&told).ends_with("to open it: freehold net rule add NAME --from desk --to nas --port tcp/22")
    );
}

#[test]
fn a_node_is_told_with_how_it_is_reached() {
    let mut node = NetNode {
        id: "ab".repeat(32),
        name: "nas".to_owned(),
        domain: "nas.smith.internal".to_owned(),
        address: "fd12::1".to_owned(),
        ipv4: Some("100.64.0.1".to_owned()),
        owner: Some("ann".to_owned()),
        laptop: false,
        exit: true,
        ingress: false,
        routes: vec!["192.168.1.0/24".to_owned()],
        standing: Standing::Member,
        connected: true,
        path: Some(Path::Direct),
        rtt_us: Some(1_730),
        last_heard_ms: Some(0),
        trouble: None,
        carried: None,
    };
    let lines = node_lines(&node, false);
    assert!(lines[0].ends_with("fd12::1, 100.64.0.1  connected directly, 1.7 ms"), "{lines:?}");
    assert!(lines[1].ends_with("ann's; an exit to the internet; leads to 192.168.1.0/24"), "{lines:?}");
    (node.connected, node.trouble) = (false, Some("nobody answers at its addresses".to_owned()));
    node.last_heard_ms = Some(120_000);
    let lines = node_lines(&node, false);
    assert!(lines[0].ends_with("not connected, heard 2 minutes ago: nobody answers at its addresses"));
    node.standing = Standing::Suspended;
    assert!(node_lines(&node, false)[0].ends_with("suspended, reaches nobody"));
    assert!(node_lines(&node, true)[0].ends_with("this machine"));
}

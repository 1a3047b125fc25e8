use freehold_api::{FilterChange, FilterRule, ProblemKind};
use freehold_names::{Blocked, Decision, LocalTime, Policy, PolicyParty, Suffixes};
use freehold_seal::DirectoryRow;

use super::super::lab::{Lab, NOW, node};
use super::change::Desk;
use super::*;

const SEED: [u8; 16] = [7; 16];

/// A house whose directory is what was changed so far.
struct House {
    lab: Lab,
    rows: BTreeMap<String, FilterRow>,
    files: Files,
}

impl House {
    fn new() -> Self {
        Self { lab: Lab::house(), rows: BTreeMap::new(), files: Files::default() }
    }

    fn said(&self) -> Said {
        Said::of(self.rows.iter().map(|(key, row)| (key.as_str(), row)), self.files.clone())
    }

    fn change(&mut self, change: FilterChange) -> Result<(), ProblemKind> {
        let (said, called) = (self.said(), self.lab.called());
        let made = Desk { said: &said, called: &called, now: NOW }.make(change).map_err(|problem| {
            assert!(problem.next.is_some(), "{problem:?}");
            problem.kind
        })?;
        for row in made.rows {
            // As it comes back from the directory.
            let DirectoryRow::Filter(key, row) = row else { panic!("another row") };
            match row {
                Some(row) => self.rows.insert(key.as_str().to_owned(), row),
                None => self.rows.remove(key.as_str()),
            };
        }
        self.files = made.files.unwrap_or_else(|| self.files.clone());
        Ok(())
    }

    fn must(&mut self, change: FilterChange) {
        self.change(change).unwrap();
    }

    /// What becomes of a name if the lists have one name each, `NAME.example`.
    fn decide(&self, party: &PolicyParty, name: &str, now: Millis) -> Decision {
        let compiled = Compiled::of(self.said(), Vec::new(), &[], now);
        let mut blocked = Blocked::builder(&SEED);
        for (number, list) in compiled.lists.iter().enumerate() {
            let name: freehold_names::Domain = format!("{list}.example").parse().unwrap();
            blocked
                .push(u8::try_from(number).unwrap(), freehold_names::Shape::Under, name.as_wire())
                .unwrap();
        }
        let policy = Policy::of(&compiled.setting.groups, &compiled.setting.forwards, &SEED);
        let name: freehold_names::Domain = name.parse().unwrap();
        let name = Suffixes::of(name.as_wire(), &SEED);
        freehold_names::decide(&policy, party, &name, &blocked.finish(), LocalTime::at(now, 0))
    }

    fn is_blocked(&self, party: &PolicyParty, name: &str) -> bool {
        matches!(self.decide(party, name, NOW), Decision::Block(_))
    }
}

fn add_list(name: &str, groups: &[&str]) -> FilterChange {
    FilterChange::AddList {
        name: name.to_owned(),
        source: format!("https://lists.example/{name}"),
        syntax: None,
        sha256: None,
        every_hours: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

fn set_group(group: &str, members: &[&str]) -> FilterChange {
    FilterChange::SetGroup {
        group: group.to_owned(),
        members: Some(members.iter().map(|member| (*member).to_owned()).collect()),
        lists: None,
        safe_search: None,
        no_such_name: None,
        zone: None,
    }
}

fn set_name(name: &str, group: &str, rule: Option<FilterRule>) -> FilterChange {
    FilterChange::SetName { name: name.to_owned(), group: group.to_owned(), rule }
}

#[test]
fn one_command_blocks_for_everybody_and_groups_are_by_who_asks() {
    let mut house = House::new();
    let nobody = PolicyParty::default();
    let pad = PolicyParty { node: Some(node("pad")), person: Some(house.lab.person("bo")), ..nobody };
    let phone = PolicyParty { phone: Some([9; 32]), person: Some(house.lab.person("ann")), ..nobody };
    let lan = |at: &str| PolicyParty { address: Some(at.parse().unwrap()), ..nobody };
    house.must(add_list("ads", &[]));
    for party in [nobody, pad, phone, lan("192.168.1.7"), lan("fd00::7")] {
        assert!(house.is_blocked(&party, "x.ads.example"), "{party:?}");
    }
    assert_eq!(house.change(add_list("toys", &["kids"])), Err(ProblemKind::NotFound), "who are they");
    house.must(set_group("kids", &["bo"]));
    house.must(add_list("toys", &["kids"]));
    house.must(set_group("phones", &["phones"]));
    house.must(set_group("guests", &["lan"]));
    house.must(set_group("cellar", &["192.168.7.0/24"]));
    house.must(set_name("chat.example", "cellar", Some(FilterRule::Block)));
    assert!(house.is_blocked(&pad, "toys.example") && !house.is_blocked(&pad, "ads.example"));
    assert!(house.is_blocked(&nobody, "ads.example") && !house.is_blocked(&nobody, "toys.example"));
    assert!(
        !house.is_blocked(&phone, "ads.example") && !house.is_blocked(&lan("192.168.1.7"), "ads.example")
    );
    assert!(house.is_blocked(&lan("192.168.7.9"), "chat.example"));
    // A machine is named more closely than who it belongs to.
    house.must(set_group("laptops", &["pad"]));
    assert!(!house.is_blocked(&pad, "toys.example"));
    house.must(FilterChange::RemoveGroup { group: "laptops".to_owned() });
    house.must(FilterChange::RemoveList { name: "toys".to_owned() });
    assert!(!house.is_blocked(&pad, "toys.example"));
    assert_eq!(house.said().groups["kids"].lists.len(), 0, "no group counts what is gone");
}

#[test]
fn what_is_allowed_passes_and_is_forgotten_again() {
    let mut house = House::new();
    let nobody = PolicyParty::default();
    house.must(add_list("ads", &[]));
    house.must(set_name("OK.ads.example", EVERYBODY, Some(FilterRule::Allow)));
    assert!(!house.is_blocked(&nobody, "a.ok.ads.example") && house.is_blocked(&nobody, "no.ads.example"));
    house.must(set_name("=x.ok.ads.example", EVERYBODY, Some(FilterRule::Block)));
    assert!(
        house.is_blocked(&nobody, "x.ok.ads.example") && !house.is_blocked(&nobody, "a.x.ok.ads.example")
    );
    house.must(set_name("ok.ads.example", EVERYBODY, None));
    assert_eq!(house.change(set_name("ok.ads.example", EVERYBODY, None)), Err(ProblemKind::NotFound));
    house.must(FilterChange::Pause { group: None, minutes: 10 });
    assert!(!house.is_blocked(&nobody, "ads.example"));
    let later = NOW.plus(Millis(10 * 60_000));
    assert!(matches!(house.decide(&nobody, "ads.example", later), Decision::Block(_)));
}

#[test]
fn hours_are_those_of_the_zone_that_was_named() {
    let mut house = House::new();
    let nobody = PolicyParty::default();
    let hours = FilterChange::AddHours {
        group: EVERYBODY.to_owned(),
        hours: freehold_api::FilterHours {
            days: "mon-sun".to_owned(),
            from: "21:00".to_owned(),
            to: "07:00".to_owned(),
            lists: None,
        },
    };
    house.must(hours);
    house.must(FilterChange::SetGroup {
        group: EVERYBODY.to_owned(),
        members: None,
        lists: None,
        safe_search: None,
        no_such_name: None,
        zone: Some("America/New_York".to_owned()),
    });
    // 2026-07-01 at 01:30 UTC is half past nine in the evening there, in summer; 00:30 is not nine yet.
    let late = Millis(1_782_869_400_000);
    assert_eq!(house.decide(&nobody, "a.example", late), Decision::Refuse);
    assert_eq!(house.decide(&nobody, "a.example", Millis(late.0 - 3_600_000)), Decision::Ask(0));
    // In winter clocks are an hour behind that.
    let winter = Millis(1_796_088_600_000);
    assert_eq!(house.decide(&nobody, "a.example", winter), Decision::Ask(0));
    assert_eq!(house.decide(&nobody, "a.example", Millis(winter.0 + 3_600_000)), Decision::Refuse);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_type() {
    let mut house = House::new();
    house.must(add_list("ads", &[]));
    let list = |name: &str, source: &str, sha256: Option<&str>| FilterChange::AddList {
        name: name.to_owned(),
        source: source.to_owned(),
        syntax: None,
        sha256: sha256.map(str::to_owned),
        every_hours: None,
        groups: Vec::new(),
    };
    let hours = |days: &str, from: &str| FilterChange::AddHours {
        group: EVERYBODY.to_owned(),
        hours: freehold_api::FilterHours {
            days: days.to_owned(),
            from: from.to_owned(),
            to: "7:00".to_owned(),
            lists: None,
        },
    };
    let forward = |domain: &str, server: &str| FilterChange::SetForward {
        domain: domain.to_owned(),
        servers: vec![server.to_owned()],
    };
    let record = |value: &str| FilterChange::SetRecord {
        name: "printer.home".to_owned(),
        values: vec![value.to_owned()],
    };
    for wrong in [
        list("a b", "https://lists.example/a", None),
        list("ads", "lists.example", None),
        list("ads", "https://lists.example/a", Some("beef")),
        hours("funday", "21:00"),
        hours("mon", "25:00"),
        forward("corp.example", "dns.corp.example"),
        forward("corp..example", "192.0.2.1"),
        record("nas"),
        set_name("ads example", EVERYBODY, Some(FilterRule::Block)),
        set_group("kids", &[]),
        FilterChange::Pause { group: None, minutes: u32::MAX },
        FilterChange::SetUpstreams { servers: vec!["dns.example".to_owned()] },
    ] {
        assert_eq!(house.change(wrong.clone()), Err(ProblemKind::Invalid), "{wrong:?}");
    }
    for absent in [
        set_group("kids", &["zoe"]),
        FilterChange::RemoveList { name: "toys".to_owned() },
        FilterChange::RemoveGroup { group: "kids".to_owned() },
        FilterChange::Pause { group: Some("kids".to_owned()), minutes: 5 },
    ] {
        assert_eq!(house.change(absent.clone()), Err(ProblemKind::NotFound), "{absent:?}");
    }
    for number in 1..LISTS {
        house.must(list(&format!("l{number}"), "https://lists.example/a", None));
    }
    assert_eq!(house.change(list("more", "https://lists.example/a", None)), Err(ProblemKind::Invalid));
}

#[test]
fn records_forwards_and_servers_are_what_the_resolver_goes_by() {
    let mut house = House::new();
    house.must(FilterChange::SetRecord {
        name: "Printer.Home".to_owned(),
        values: vec!["192.168.1.9".to_owned(), "TXT it prints".to_owned()],
    });
    house.must(FilterChange::SetForward {
        domain: "corp.example".to_owned(),
        servers: vec!["10.9.0.1".to_owned()],
    });
    house.must(FilterChange::SetUpstreams { servers: vec!["tls://dns.example@192.0.2.1".to_owned()] });
    let of = |house: &House, here: &[Upstream]| Compiled::of(house.said(), Vec::new(), here, NOW).setting;
    let setting = of(&house, &[]);
    assert_eq!(setting.rows.len(), 2);
    let [all, corp] = setting.upstreams.as_slice() else { panic!("{:?}", setting.upstreams) };
    assert!(all.validate && !all.inside && corp.inside && !corp.validate);
    assert_eq!(setting.forwards, [("corp.example".parse().unwrap(), 1)]);
    // What this machine was told as it was started goes before.
    let here = Upstream { servers: vec!["192.0.2.9".parse().unwrap()], ..Upstream::default() };
    assert_eq!(of(&house, std::slice::from_ref(&here)).upstreams[0], here);
    house.must(FilterChange::SetForward { domain: "corp.example".to_owned(), servers: Vec::new() });
    house.must(FilterChange::SetRecord { name: "printer.home".to_owned(), values: Vec::new() });
    let setting = of(&house, &[]);
    assert!(setting.rows.is_empty() && setting.forwards.is_empty());
}

#[test]
fn a_list_of_this_machine_alone_is_kept_in_its_home() {
    let mut house = House::new();
    house.must(FilterChange::AddList {
        name: "own".to_owned(),
        source: "/etc/own.txt".to_owned(),
        syntax: Some("domains".to_owned()),
        sha256: None,
        every_hours: None,
        groups: Vec::new(),
    });
    assert!(house.is_blocked(&PolicyParty::default(), "own.example"));
    assert!(!house.rows.contains_key("list/own"));
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("net/filter.json");
    assert_eq!(Files::kept(&at), Ok(Files::default()));
    house.files.keep(&at).unwrap();
    assert_eq!(Files::kept(&at), Ok(house.files));
    // Somebody else's hand: it is told, and not taken for none.
    freehold_disk::replace(&at, b"nonsense", 0o600).unwrap();
    assert!(Files::kept(&at).unwrap_err().contains("delete it"));
    freehold_disk::replace(&at, b"{}", 0o600).unwrap();
    std::fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(Files::kept(&at).is_err(), "others may have written it");
}

#[test]
fn a_row_that_does_not_fit_what_it_is_about_says_nothing() {
    let servers =
        FilterRow::Upstream(freehold_wire::Bounded::fill(&mut [Text::new("192.0.2.1").unwrap()].into_iter()));
    let rows = [("list/ads", &servers), ("group", &servers), ("unknown/x", &servers)];
    assert_eq!(Said::of(rows.into_iter(), Files::default()), Said::default());
}

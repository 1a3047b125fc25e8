//! The pretended realm's filter of names.

use async_trait::async_trait;
use freehold_api::{
    FilterChange, FilterControl, FilterCount, FilterExplanation, FilterForward, FilterGroup,
    FilterGroupCount, FilterHour, FilterHours, FilterKeep, FilterList, FilterQuestion, FilterRecord,
    FilterServer, FilterStats, FilterStatus, Problem,
};

use super::{HOUR_MS, Pretend, now_ms};

fn list(name: &str, rules: Option<u64>, problem: Option<&str>) -> FilterList {
    FilterList {
        name: name.to_owned(),
        source: format!("https://lists.example/{name}.txt"),
        here_only: false,
        groups: vec!["everybody".to_owned()],
        rules,
        sha256: rules.map(|_| "5e".repeat(32)),
        pinned: None,
        fetched_ms: rules.map(|_| now_ms() - 9 * HOUR_MS),
        seen_ms: rules.map(|_| now_ms() - HOUR_MS),
        problem: problem.map(str::to_owned),
        next: problem.map(|_| "open the address in a browser: the list may have moved".to_owned()),
    }
}

fn group(name: &str, members: &[&str]) -> FilterGroup {
    FilterGroup {
        name: name.to_owned(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        lists: vec!["ads".to_owned()],
        allow: Vec::new(),
        block: Vec::new(),
        hours: Vec::new(),
        zone: None,
        safe_search: false,
        no_such_name: false,
        paused_until_ms: None,
    }
}

#[async_trait]
impl FilterControl for Pretend {
    async fn filter(&self) -> Result<FilterStatus, Problem> {
        let kids = FilterGroup {
            block: vec!["chat.example".to_owned()],
            hours: vec![FilterHours {
                days: "sun,mon-thu".to_owned(),
                from: "20:30".to_owned(),
                to: "07:00".to_owned(),
                lists: None,
            }],
            zone: Some("Europe/Berlin".to_owned()),
            safe_search: true,
            paused_until_ms: Some(now_ms() + HOUR_MS / 2),
            ..group("kids", &["pad", "ben"])
        };
        let server = |server: &str, problem: Option<&str>| FilterServer {
            server: server.to_owned(),
            answered: 4120,
            failed: 3,
            problem: problem.map(str::to_owned),
        };
        Ok(FilterStatus {
            lists: vec![
                list("ads", Some(131_072), None),
                list("scams", Some(8411), Some("the server answers 404 in place of the list")),
            ],
            groups: vec![group("everybody", &["everybody"]), kids],
            records: vec![FilterRecord {
                name: "printer.home".to_owned(),
                values: vec!["A 192.168.1.9".to_owned()],
            }],
            forwards: vec![FilterForward {
                domain: "corp.example".to_owned(),
                servers: vec!["10.9.0.1".to_owned()],
            }],
            upstreams: vec![
                server("tls://dns.example@192.0.2.1", None),
                server("192.0.2.2", Some("timed out")),
            ],
            upstreams_here: false,
            statistics: FilterKeep::Full,
            blocked: 139_483,
            answers_at: vec!["127.0.0.1:5300".to_owned(), "192.168.1.2:53".to_owned()],
            troubles: Vec::new(),
        })
    }

    async fn change_filter(&self, _: FilterChange, _: bool) -> Result<FilterStatus, Problem> {
        self.filter().await
    }

    async fn renew_lists(&self) -> Result<FilterStatus, Problem> {
        self.filter().await
    }

    async fn explain_name(&self, question: FilterQuestion) -> Result<FilterExplanation, Problem> {
        let FilterQuestion { name, who } = question;
        if name.contains(' ') {
            let next = Some("freehold net filter explain ads.example --for NAME");
            return Err(Problem::invalid(
                "this name cannot be asked for",
                "a character is none of a name's",
                next,
            ));
        }
        let allowed = !name.ends_with("ads.example");
        let why = if allowed {
            "passes: nothing that counts for everybody now has it"
        } else {
            "blocked for everybody: ads.example is in the list ads"
        };
        let next = (!allowed).then(|| format!("freehold net filter allow {name} --for everybody"));
        Ok(FilterExplanation {
            name,
            who,
            group: Some("everybody".to_owned()),
            allowed,
            why: why.to_owned(),
            next,
        })
    }

    async fn filter_stats(&self) -> Result<FilterStats, Problem> {
        let hour =
            |hours_ago| FilterHour { hours_ago, asked: 812, blocked: 97, here: 640, others: 75, failed: 0 };
        let count = |name: &str, count| FilterCount { name: name.to_owned(), count };
        Ok(FilterStats {
            statistics: FilterKeep::Full,
            hours: vec![hour(1), hour(0)],
            groups: vec![FilterGroupCount { group: Some("everybody".to_owned()), asked: 1624, blocked: 194 }],
            blocked: vec![count("metrics.ads.example", 61), count("tracker.example", 44)],
            passed: vec![count("freehold.example", 210)],
        })
    }
}

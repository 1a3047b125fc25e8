//! The pretended realm's network.

use async_trait::async_trait;
use freehold_api::{
    Carried, DoorCount, Explanation, NameStanding, NetControl, NetNode, NetNodeSetting, NetPhone, NetRefused,
    NetRule, NetService, NetSetting, NetStatus, NetUse, NewRule, NewService, NodeStatus, Problem,
    PublishedService, Question, Reach, SaidBy, ShownHere, TlsEnds,
};

use super::{HOUR_MS, Pretend, now_ms};

/// A name that was certified, or could not be.
fn certified(name: &str, error: Option<&str>) -> NameStanding {
    NameStanding {
        name: name.to_owned(),
        until_ms: error.is_none().then(|| now_ms() + 60 * 24 * HOUR_MS),
        next_ms: Some(now_ms() + HOUR_MS),
        failures: if error.is_some() { 2 } else { 0 },
        error: error.map(str::to_owned),
    }
}

fn said(kind: &str) -> SaidBy {
    let at_ms = now_ms() - 30 * HOUR_MS;
    SaidBy { operation: "4e".repeat(32), kind: kind.to_owned(), by: "ann at attic".to_owned(), at_ms }
}

fn member(number: usize, node: &NodeStatus, this_node: &str) -> NetNode {
    let laptop = node.roles.is_empty();
    NetNode {
        id: node.id.clone(),
        name: node.name.clone(),
        domain: format!("{}.smith.internal", node.name.replace(['\'', ' '], "-")),
        address: format!("fd4b:91c2:770e::{number:x}"),
        ipv4: (number == 1).then(|| "100.96.0.1".to_owned()),
        owner: laptop.then(|| "ann".to_owned()),
        laptop,
        exit: number == 1,
        ingress: false,
        routes: if number == 1 { vec!["192.168.1.0/24".to_owned()] } else { Vec::new() },
        standing: node.standing,
        connected: node.connected || node.id == this_node,
        path: node.path.filter(|_| node.connected && node.id != this_node),
        rtt_us: (node.connected && node.id != this_node).then_some(18_400),
        last_heard_ms: node.last_heard_ms,
        carried: (node.connected && node.id != this_node).then_some(Carried {
            sent: 48 << 20,
            received: 3 << 30,
            refused: 4,
        }),
        trouble: None,
    }
}

fn refused() -> Vec<NetRefused> {
    let one = |from: &str, to: &str, port: &str, times, ago_ms| NetRefused {
        from: from.to_owned(),
        to: to.to_owned(),
        port: port.to_owned(),
        times,
        ago_ms,
    };
    vec![
        one("pad", "cellar", "tcp/5432", 3, 12_000),
        one("fd4b:91c2:770e:4211:91c2:770e:8a01:7b3c", "wiki", "tcp/22", 1, 4_200_000),
    ]
}

fn unmade<T>() -> Result<T, Problem> {
    Err(Problem::unreachable("nothing was done", "this node is pretended", None::<&str>))
}

#[async_trait]
impl NetControl for Pretend {
    async fn net(&self) -> Result<NetStatus, Problem> {
        let status = self.world().status.clone();
        let nodes = status.nodes.iter().enumerate();
        let nodes: Vec<NetNode> = nodes.map(|(n, node)| member(n + 1, node, &status.this_node)).collect();
        let this_node = status.this_node.clone();
        let here = |node: &NetNode| node.id == this_node;
        Ok(NetStatus {
            zone: "smith.internal".to_owned(),
            network: "fd4b:91c2:770e::/48".to_owned(),
            range: "100.96.0.0/20".to_owned(),
            guests_exit: false,
            strict: false,
            this_node: status.this_node,
            services: self.services().await?.len() as u64,
            rules: self.rules().await?.len() as u64,
            phones: self.phones().await?.len() as u64,
            uses: NetUse {
                exit: nodes.iter().find(|node| node.exit && !here(node)).map(|node| node.name.clone()),
                ..NetUse::default()
            },
            troubles: Vec::new(),
            refused: if nodes.len() > 1 { refused() } else { Vec::new() },
            mapped: Vec::new(),
            nodes,
        })
    }

    async fn set_net(&self, _: NetSetting, _: bool) -> Result<NetStatus, Problem> {
        unmade()
    }

    async fn set_net_node(&self, _: &str, _: NetNodeSetting, _: bool) -> Result<NetNode, Problem> {
        unmade()
    }

    async fn explain(&self, question: Question) -> Result<Explanation, Problem> {
        if question.to == "nobody" {
            return Err(Problem::not_found(
                "nothing is called nobody",
                "no node, service or phone of the realm has this name",
                Some("freehold net status"),
            ));
        }
        let allowed = question.to == "wiki";
        let why = if allowed { "the service wiki is open to the realm" } else { "nothing opens it" };
        let next = "freehold net rule add NAME --from pad --to cellar --port tcp/22";
        let answer = Reach {
            from: question.from,
            to: question.to,
            port: question.port.unwrap_or_else(|| "tcp/8080".to_owned()),
            allowed,
            why: why.to_owned(),
            said: allowed.then(|| said("service-set")),
            next: (!allowed).then(|| next.to_owned()),
        };
        Ok(Explanation { answers: vec![answer], notes: Vec::new() })
    }

    async fn services(&self) -> Result<Vec<NetService>, Problem> {
        if self.world().status.nodes.len() < 2 {
            return Ok(Vec::new());
        }
        Ok(vec![NetService {
            id: "7a".repeat(32),
            name: "wiki".to_owned(),
            domain: "wiki.smith.internal".to_owned(),
            address: "fd4b:91c2:770e:8000::7a".to_owned(),
            nodes: vec!["attic".to_owned()],
            ports: vec!["tcp/8080".to_owned()],
            access: vec!["realm".to_owned()],
            gateways: Vec::new(),
            sign_on: false,
            published: Some(PublishedService {
                hosts: vec!["wiki.example.org".to_owned()],
                ends: TlsEnds::Gateway,
                port: 8080,
                body_max: None,
                rate: None,
                sign_on: None,
                here: Some(ShownHere {
                    listening: vec!["[::]:443".to_owned()],
                    names: vec![
                        certified("wiki.smith.internal", None),
                        certified(
                            "wiki.example.org",
                            Some("the authority does not reach this machine at port 80"),
                        ),
                    ],
                    counted: Some(DoorCount {
                        answers: 1204,
                        errors: 3,
                        turned_away: 12,
                        ..DoorCount::default()
                    }),
                    troubles: vec!["no certificate for wiki.example.org: port 80 is not reached".to_owned()],
                }),
            }),
            said: said("service-set"),
        }])
    }

    async fn add_service(&self, _: NewService, _: bool) -> Result<Option<NetService>, Problem> {
        unmade()
    }

    async fn end_service(&self, _: &str, _: bool) -> Result<(), Problem> {
        unmade()
    }

    async fn rules(&self) -> Result<Vec<NetRule>, Problem> {
        if self.world().status.nodes.len() < 2 {
            return Ok(Vec::new());
        }
        Ok(vec![NetRule {
            id: "7b".repeat(32),
            name: "backups".to_owned(),
            from: vec!["cellar".to_owned()],
            to: vec!["attic".to_owned()],
            ports: vec!["tcp/2222".to_owned()],
            until_ms: Some(now_ms() + 20 * 24 * HOUR_MS),
            lapsed: false,
            said: said("rule-set"),
        }])
    }

    async fn add_rule(&self, _: NewRule, _: bool) -> Result<Option<NetRule>, Problem> {
        unmade()
    }

    async fn end_rule(&self, _: &str, _: bool) -> Result<(), Problem> {
        unmade()
    }

    async fn phones(&self) -> Result<Vec<NetPhone>, Problem> {
        Ok(Vec::new())
    }

    async fn end_phone(&self, _: &str, _: bool) -> Result<(), Problem> {
        unmade()
    }
}

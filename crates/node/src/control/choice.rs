//! What this machine uses of what others offer, as the API asks for it.

use async_trait::async_trait;
use freehold_api::{ChoiceControl, NetUse, NetUseSetting, Problem};
use freehold_reach::{Accepted, Net};
use freehold_wire::NodeId;

use super::Answers;
use crate::clock;
use crate::net::called;
use crate::net::called::{Called, Thing};
use crate::net::choice::Choice;
use crate::net::ways::{NO_DEVICE, meanwhile, nearby_servers, standing};
use crate::shared::Shared;

const NOT_CHANGED: &str = "nothing was chosen";
/// Everybody's networks.
const ALL: &str = "all";
/// What this machine's programs ask for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

#[async_trait]
impl ChoiceControl for Answers {
    async fn net_use(&self) -> Result<NetUse, Problem> {
        Ok(used(&self.0, &self.0.chosen.choice()))
    }

    async fn set_net_use(&self, setting: NetUseSetting, dry_run: bool) -> Result<NetUse, Problem> {
        let choice = {
            let view = self.0.log.view();
            let called = called(&self.0, view.state());
            let choice = changed(&called, self.0.me(), self.0.chosen.choice(), &setting)?;
            if setting.exit.is_some() {
                let standing = standing(view.state(), &called, self.0.me(), &choice, clock::wall());
                if let Some(barrier) = standing.barrier {
                    return Err(Problem::refused(NOT_CHANGED, barrier, Some("freehold net status")));
                }
            }
            choice
        };
        let uses_some = choice.wish.exit.is_some() || choice.wish.routes != Accepted::None;
        if uses_some && self.0.tunnel.borrow().is_none() {
            return Err(Problem::refused(
                NOT_CHANGED,
                "this machine carries no packets",
                Some("freehold status    (says why)"),
            ));
        }
        if dry_run {
            let mut now = used(&self.0, &choice);
            now.troubles.clear();
            return Ok(now);
        }
        let choose = move |shared: std::sync::Arc<Shared>| async move {
            let is_followed = shared.tunnel.borrow().is_some();
            shared.chosen.choose(choice, is_followed).await
        };
        self.0.to_the_end(choose).await?;
        Ok(used(&self.0, &self.0.chosen.choice()))
    }
}

/// What is chosen, after a change.
fn changed(called: &Called, me: NodeId, now: Choice, setting: &NetUseSetting) -> Result<Choice, Problem> {
    if *setting == NetUseSetting::default() {
        let why = "each option that is not given stays as it is, and none was";
        return Err(Problem::invalid(NOT_CHANGED, why, Some("freehold net use --help")));
    }
    let mut choice = now;
    if setting.exit.is_some() {
        choice.unread = None;
    } else if let Some(unread) = choice.unread {
        return Err(Problem::refused(NOT_CHANGED, unread, Some("freehold net use --exit none")));
    }
    match setting.exit.as_deref() {
        None => {}
        Some("") => choice.wish.exit = None,
        Some(typed) => choice.wish.exit = Some(another(called, me, typed)?),
    }
    match setting.routes.as_deref() {
        None => {}
        Some([]) => choice.wish.routes = Accepted::None,
        Some([all]) if all == ALL => choice.wish.routes = Accepted::All,
        Some(typed) => {
            let nodes = typed.iter().map(|typed| another(called, me, typed));
            choice.wish.routes = Accepted::Of(nodes.collect::<Result<_, _>>()?);
        }
    }
    choice.lan = setting.lan.unwrap_or(choice.lan);
    choice.leak = setting.leak.unwrap_or(choice.leak);
    Ok(choice)
}

fn another(called: &Called, me: NodeId, typed: &str) -> Result<NodeId, Problem> {
    let node = called.node(typed)?;
    if node != me {
        return Ok(node);
    }
    Err(Problem::invalid(
        NOT_CHANGED,
        format!("{} is this machine: it goes its own way without that", called.shown(Thing::Node(node))),
        Some("freehold net use --exit none, or another node"),
    ))
}

/// The choice in words, and how it stands.
pub(super) fn used(shared: &Shared, choice: &Choice) -> NetUse {
    let view = shared.log.view();
    let (state, now) = (view.state(), clock::wall());
    let called = called(shared, state);
    let shown = |node: &NodeId| called.shown(Thing::Node(*node));
    let net = Net::of(state, shared.me(), &std::collections::BTreeMap::new(), now);
    let networks = net.accepted(&choice.wish).iter().map(ToString::to_string).collect();
    let routes = match &choice.wish.routes {
        Accepted::None => Vec::new(),
        Accepted::All => vec![ALL.to_owned()],
        Accepted::Of(nodes) => nodes.iter().map(shown).collect(),
    };
    let standing = standing(state, &called, shared.me(), choice, now);
    let mut troubles = shared.chosen.troubles();
    if let Some(barrier) = standing.barrier
        && !troubles.iter().any(|trouble| trouble.starts_with(&barrier))
    {
        troubles.push(format!("{barrier}; {}", meanwhile(choice)));
    }
    let mut notes = standing.notes;
    let by_hand = matches!(&*shared.way.borrow(), Some(freehold_stack::Way::Stack(_)));
    if choice.wish.exit.is_some() && by_hand && !troubles.iter().any(|trouble| trouble.starts_with(NO_DEVICE))
    {
        notes.push(NO_DEVICE.to_owned());
    }
    if choice.wish.exit.is_some() {
        let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        notes.extend(nearby_servers(&text).first().map(|at| about_names(*at, choice.lan)));
    }
    NetUse {
        exit: choice.wish.exit.as_ref().map(shown),
        routes,
        networks,
        lan: choice.lan,
        leak: choice.leak,
        troubles,
        notes,
    }
}

/// Names are asked for in the network around, past the exit or in vain.
fn about_names(at: std::net::IpAddr, lan: bool) -> String {
    if lan {
        format!("{at}, in the network around, sees which names this machine asks for")
    } else {
        format!(
            "this machine asks {at}, in the network around, for names, and does not reach it through an exit"
        )
    }
}

#[cfg(test)]
mod tests {
    use freehold_reach::Wish;

    use super::*;
    use crate::net::lab::{Lab, node};

    fn setting(exit: Option<&str>, routes: Option<&[&str]>) -> NetUseSetting {
        let routes = routes.map(|all| all.iter().map(|name| (*name).to_owned()).collect());
        NetUseSetting { exit: exit.map(str::to_owned), routes, ..NetUseSetting::default() }
    }

    #[test]
    fn what_is_not_given_stays_and_this_machine_is_no_way_for_itself() {
        let called = Lab::house().called();
        let change = |now: Choice, setting| changed(&called, node("pad"), now, &setting);
        let exit = change(Choice::default(), setting(Some("door"), None)).unwrap();
        assert_eq!(exit.wish, Wish { exit: Some(node("door")), routes: Accepted::None });
        let both = change(exit.clone(), setting(None, Some(&["nas"]))).unwrap();
        assert_eq!(both.wish, Wish { exit: exit.wish.exit, routes: Accepted::Of(vec![node("nas")]) });
        let all = change(both, setting(Some(""), Some(&["all"]))).unwrap();
        assert_eq!(all.wish, Wish { exit: None, routes: Accepted::All });
        assert_eq!(change(all, setting(None, Some(&[]))).unwrap().wish, Wish::default());
        for (wrong, word) in [
            (setting(Some("pad"), None), "is this machine"),
            (setting(None, Some(&["nas", "pad"])), "is this machine"),
            (setting(Some("attic"), None), "no node attic"),
            (NetUseSetting::default(), "none was"),
        ] {
            let problem = change(Choice::default(), wrong).unwrap_err();
            assert!(format!("{problem:?}").contains(word), "{problem:?}");
        }
        let unread = || Choice { unread: Some("damaged".to_owned()), ..Choice::default() };
        assert!(change(unread(), setting(None, Some(&["nas"]))).is_err(), "it is not known through what");
        assert_eq!(change(unread(), setting(Some(""), None)).unwrap(), Choice::default());
    }
}

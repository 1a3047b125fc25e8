//! What becomes of a question: answered at once on its bytes, or once others were asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_names::answer::{self, Room};
use freehold_names::tally::Outcome;
use freehold_names::{
    Decision, Domain, Found, IN, Key, LocalTime, Owned, PolicyParty, Question, Rcode, Suffixes, Why, kind,
    leads_inside,
};
use freehold_wire::Millis;
use tokio::sync::watch;

use crate::asking::Asking;
use crate::config::{Clock, Parties};
use crate::counting::Counter;
use crate::store::{Ask, Store};
use crate::view::{Seed, View};

/// How long a blocked name is believed to be so, in seconds: a pause shows soon.
const BLOCKED: u32 = 60;
/// How long another name stands for one, in seconds.
const REWRITTEN: u32 = 300;
/// Nobody waits longer than this for others.
const GIVE_UP: Duration = Duration::from_secs(6);
/// After this an answer whose time is over is better than none (RFC 8767).
const STALE_AFTER: Duration = Duration::from_millis(1800);
/// Types that are no records but requests (RFC 6895): from TKEY to MAILA, and EDNS itself.
const META: std::ops::RangeInclusive<u16> = 249..=254;

/// How an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Datagram,
    Stream,
    Sealed,
}

impl Channel {
    fn room(self, question: &Question<'_>) -> Room {
        match self {
            Self::Datagram => Room::datagram(question),
            Self::Stream => Room::stream(),
            Self::Sealed => Room::sealed(),
        }
    }
}

/// When it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For people.
    pub(crate) at: LocalTime,
    /// For what grows old: since the start, and never backwards.
    pub(crate) age: Millis,
}

/// Who asks, how, and what holds then.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) view: &'a View,
    pub(crate) moment: Moment,
    pub(crate) party: Option<PolicyParty>,
    pub(crate) channel: Channel,
    pub(crate) counter: &'a Counter,
}

/// What becomes of a packet.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The answer is written.
    Ready,
    /// There is none to such a packet.
    Silence,
    /// Others have to be asked: [`Answering::settle`].
    Later(Box<Later>),
}

/// A question that waits for others.
#[derive(Debug)]
pub(crate) struct Later {
    packet: Vec<u8>,
    ask: Ask,
    /// The answer as far as it is ours: an alias.
    begun: Option<Vec<u8>>,
    stale: Option<Vec<u8>>,
    group: Option<usize>,
    channel: Channel,
    counter: Counter,
    outcome: Outcome,
}

/// What all that serve share.
pub(crate) struct Answering {
    pub(crate) seed: Seed,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) store: Arc<Store>,
    pub(crate) asking: Asking,
    pub(crate) parties: Parties,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
}

/// What becomes of a name for somebody, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The group they are in, by its place in the setting.
    pub group: Option<usize>,
    /// It is answered here, from rows.
    pub is_ours: bool,
    /// What becomes of it otherwise.
    pub decision: Decision,
}

impl Answering {
    /// What would become of a name now, if somebody asked.
    pub(crate) fn judge(&self, party: &PolicyParty, name: &Domain) -> Verdict {
        let view = self.view();
        let group = view.policy.group_of(party);
        let suffixes = Suffixes::of(name.as_wire(), &self.seed);
        let decision = view.policy.decide(group, &suffixes, &view.blocked, self.moment().at);
        Verdict { group, is_ours: view.zones.owns(name), decision }
    }

    /// What holds now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// When it is.
    pub(crate) fn moment(&self) -> Moment {
        let age = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { at: (self.clock)(), age: Millis(age) }
    }

    /// Who asks from there.
    pub(crate) fn party(&self, from: SocketAddr) -> Option<PolicyParty> {
        (self.parties)(SocketAddr::new(from.ip().to_canonical(), from.port()))
    }

    /// Answers a packet, if that can be done here and now.
    pub(crate) fn answer(&self, asked: &Asked<'_>, packet: &[u8], out: &mut Vec<u8>) -> Reply {
        let question = match Question::parse(packet) {
            Ok(question) => question,
            Err(unread) if answer::refuse(packet, unread, out) => return Reply::Ready,
            Err(_) => return Reply::Silence,
        };
        let Some(party) = &asked.party else {
            return end(asked, &question, Rcode::REFUSED, Some(Why::Prohibited), out);
        };
        if !question.is_internet() || META.contains(&question.kind) || question.kind == kind::OPT {
            return end(asked, &question, Rcode::REFUSED, None, out);
        }
        let case = Case { asked, packet, question, group: asked.view.policy.group_of(party) };
        match asked.view.zones.answer(&case.question, out) {
            Owned::Answered | Owned::NoSuch => case.done(Outcome::Local, None, out),
            Owned::Follow(name) => self.follow(&case, &name, out),
            Owned::NotOurs if case.question.class != IN || !case.question.recursion => {
                end(asked, &case.question, Rcode::REFUSED, None, out)
            }
            Owned::NotOurs => self.outside(&case, out),
        }
    }

    /// A name that is not ours.
    fn outside(&self, case: &Case<'_>, out: &mut Vec<u8>) -> Reply {
        let question = &case.question;
        match case.decide(&Suffixes::of(question.name, &self.seed)) {
            Decision::Ask(upstream) => self.known(case, &Key::of(question, upstream), None, out),
            Decision::Rewrite(to, upstream) => {
                let Ok(to) = to.parse::<Domain>() else {
                    return end(case.asked, question, Rcode::FAILED, None, out);
                };
                answer::alias(question, &to, REWRITTEN, None, out);
                self.behind(case, &to, upstream, Outcome::Rewritten, out)
            }
            refusal => case.refuse(refusal, out),
        }
    }

    /// An alias of ours leads to a name that is not ours; the alias is written.
    fn follow(&self, case: &Case<'_>, name: &Domain, out: &mut Vec<u8>) -> Reply {
        match case.decide(&Suffixes::of(name.as_wire(), &self.seed)) {
            Decision::Ask(upstream) => self.behind(case, name, upstream, Outcome::Local, out),
            Decision::Rewrite(to, upstream) => {
                let Ok(to) = to.parse::<Domain>() else {
                    return end(case.asked, &case.question, Rcode::FAILED, None, out);
                };
                answer::alias(&case.question, &to, REWRITTEN, None, out);
                self.behind(case, &to, upstream, Outcome::Rewritten, out)
            }
            refusal => case.refuse(refusal, out),
        }
    }

    /// What stands behind an alias that is written.
    fn behind(
        &self,
        case: &Case<'_>,
        name: &Domain,
        upstream: u16,
        outcome: Outcome,
        out: &mut Vec<u8>,
    ) -> Reply {
        let kind = case.question.kind;
        if !matches!(kind, kind::A | kind::AAAA) || !case.question.recursion {
            return case.done(outcome, None, out);
        }
        let unchecked = case.question.unchecked;
        let key = Key { name: name.as_wire(), kind, class: IN, signatures: false, unchecked, upstream };
        self.known(case, &key, Some((out.clone(), outcome)), out)
    }

    /// What others have said, or will.
    fn known(
        &self,
        case: &Case<'_>,
        key: &Key<'_>,
        begun: Option<(Vec<u8>, Outcome)>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let age = case.asked.moment.age;
        let found = self.store.find(key, age, out);
        let (begun, outcome) = begun.map_or((None, None), |(begun, outcome)| (Some(begun), Some(outcome)));
        if let Found::Fresh { renew } = found {
            if renew && let Some(ask) = Ask::of(key) {
                self.asking.renew(ask);
            }
            let whole = compose(case, key.upstream, begun, out);
            return case.done_as(whole, outcome.unwrap_or(Outcome::Cached), None, out);
        }
        let Some(ask) = Ask::of(key) else {
            return end(case.asked, &case.question, Rcode::FAILED, None, out);
        };
        let stale = (found == Found::Stale).then(|| out.clone());
        if let Some(why) = self.store.failed(&ask, age) {
            if stale.is_some() {
                let whole = compose(case, key.upstream, begun, out);
                return case.done_as(whole, outcome.unwrap_or(Outcome::Cached), Some(Why::Stale), out);
            }
            case.count(Outcome::Failed);
            return end(case.asked, &case.question, Rcode::FAILED, Some(why), out);
        }
        Reply::Later(Box::new(Later {
            packet: case.packet.to_vec(),
            ask,
            begun,
            stale,
            group: case.group,
            channel: case.asked.channel,
            counter: case.asked.counter.clone(),
            outcome: outcome.unwrap_or(Outcome::Asked),
        }))
    }

    /// The answer, once others have given theirs, or will not.
    pub(crate) async fn settle(&self, later: Later) -> Vec<u8> {
        let Later { packet, ask, begun, stale, group, channel, counter, outcome } = later;
        let upstream = ask.upstream;
        let patience = if stale.is_some() { STALE_AFTER } else { GIVE_UP };
        let told = tokio::time::timeout(patience, self.asking.ask(ask)).await;
        let mut out = Vec::new();
        // It could be read before.
        let Ok(question) = Question::parse(&packet) else { return out };
        let (view, moment) = (self.view(), self.moment());
        let asked = Asked { view: &view, moment, party: None, channel, counter: &counter };
        let case = Case { asked: &asked, packet: &packet, question, group };
        match (told.unwrap_or(Err(Why::Unreachable)), stale) {
            (Ok(answer), _) => {
                out.extend(answer.iter());
                let whole = compose(&case, upstream, begun, &mut out);
                case.done_as(whole, outcome, None, &mut out);
            }
            (Err(_), Some(stale)) => {
                out = stale;
                let whole = compose(&case, upstream, begun, &mut out);
                case.done_as(whole, Outcome::Cached, Some(Why::Stale), &mut out);
            }
            (Err(why), None) => {
                case.count(Outcome::Failed);
                end(&asked, &case.question, Rcode::FAILED, Some(why), &mut out);
            }
        }
        out
    }
}

/// A question of somebody who may ask.
struct Case<'a> {
    asked: &'a Asked<'a>,
    packet: &'a [u8],
    question: Question<'a>,
    group: Option<usize>,
}

impl Case<'_> {
    fn decide(&self, name: &Suffixes) -> Decision {
        let view = self.asked.view;
        view.policy.decide(self.group, name, &view.blocked, self.asked.moment.at)
    }

    fn count(&self, outcome: Outcome) {
        let group = self.group.unwrap_or(self.asked.view.groups);
        self.asked.counter.add(self.asked.moment.at.now, group, outcome, self.question.name);
    }

    /// Ends what is written.
    fn done(&self, outcome: Outcome, why: Option<Why>, out: &mut Vec<u8>) -> Reply {
        self.count(outcome);
        answer::finish(&self.question, self.asked.channel.room(&self.question), why, out);
        Reply::Ready
    }

    /// The same, unless what stands behind it was blocked.
    fn done_as(
        &self,
        whole: Result<(), Why>,
        outcome: Outcome,
        why: Option<Why>,
        out: &mut Vec<u8>,
    ) -> Reply {
        match whole {
            Ok(()) => self.done(outcome, why, out),
            Err(why) => self.done(Outcome::Blocked, Some(why), out),
        }
    }

    fn block(&self, lists: u32, out: &mut Vec<u8>) -> Why {
        answer::blocked(&self.question, self.asked.view.policy.sink(self.group), BLOCKED, out);
        if lists == 0 { Why::Filtered } else { Why::Blocked }
    }

    fn refuse(&self, decision: Decision, out: &mut Vec<u8>) -> Reply {
        if let Decision::Block(hit) = decision {
            let why = self.block(hit.lists, out);
            return self.done(Outcome::Blocked, Some(why), out);
        }
        self.count(Outcome::Blocked);
        end(self.asked, &self.question, Rcode::REFUSED, Some(Why::Filtered), out)
    }
}

/// Ends with a code and nothing else.
fn end(
    asked: &Asked<'_>,
    question: &Question<'_>,
    code: Rcode,
    why: Option<Why>,
    out: &mut Vec<u8>,
) -> Reply {
    answer::begin(question, code, false, out);
    answer::finish(question, asked.channel.room(question), why, out);
    Reply::Ready
}

/// Makes what others said, which stands in the buffer, the answer to this question, unless a blocked name
/// comes in behind another, or a name of the internet leads into a house; then that is answered.
fn compose(case: &Case<'_>, upstream: u16, begun: Option<Vec<u8>>, out: &mut Vec<u8>) -> Result<(), Why> {
    let view = case.asked.view;
    let is_inside = view.upstreams.get(usize::from(upstream)).is_some_and(|group| group.is_inside());
    if !is_inside && leads_inside(out) && !view.policy.allows(case.group, case.question.name) {
        case.block(0, out);
        return Err(Why::Filtered);
    }
    if let Some((_, hit)) = view.policy.hidden(case.group, out, &view.blocked, case.asked.moment.at) {
        return Err(case.block(hit.lists, out));
    }
    match begun {
        Some(mut whole) => {
            answer::append(&case.question, out, &mut whole);
            *out = whole;
        }
        None => answer::adopt(&case.question, out),
    }
    Ok(())
}

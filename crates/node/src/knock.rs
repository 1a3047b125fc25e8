//! The newcomer's side of the door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::Problem;
use freehold_crypt::{Secret, SigningKey};
use freehold_mesh::{
    Addresses, BlobSource, Config, Doorman, Gate, KnockError, Mesh, Proof, Served, Unavailable,
};
use freehold_realm::Op;
use freehold_wire::{BlobName, NodeId, from_canonical, to_canonical};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::door::{ANSWER_MAX, Answer, Request};
use crate::invitation::Contact;

/// How much later each further node is asked: the first that answers is rarely the last one, and
/// need not be bothered for nothing.
const BETWEEN: Duration = Duration::from_millis(300);
/// How long the others have to hear what one of them was told.
const OTHERS_WITHIN: Duration = Duration::from_secs(5);
/// The longest log or directory that is fetched.
const LONG_MAX: usize = 1 << 30;

/// A mesh endpoint that lets nobody in and has nothing to give.
struct Nobody;

impl Gate for Nobody {
    fn admits(&self, _: NodeId) -> bool {
        false
    }
}

#[async_trait]
impl BlobSource for Nobody {
    async fn open(&self, _: NodeId, _: BlobName, _: std::ops::Range<u64>) -> Result<Served, Unavailable> {
        Err(Unavailable::NotHere)
    }
}

#[async_trait]
impl Doorman for Nobody {
    fn admit(&self, _: &Proof) -> bool {
        false
    }

    async fn serve(&self, _: Proof, _: Bytes) -> Bytes {
        Bytes::new()
    }
}

/// A newcomer on its way in.
pub(crate) struct Visit<'a> {
    mesh: Mesh,
    contacts: &'a [Contact],
    keys: Vec<&'a SigningKey>,
    what: &'static str,
    no: Refusal,
    /// Which of the contacts answered last; none yet if it is past the end.
    answers: AtomicUsize,
}

/// What a closed door means to this visitor, who is given no reason, and what to do next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) why: &'static str,
    pub(crate) next: &'static str,
}

impl<'a> Visit<'a> {
    /// Starts an endpoint with the new node's key.
    pub(crate) async fn begin(
        node_seed: &Secret,
        contacts: &'a [Contact],
        keys: Vec<&'a SigningKey>,
        what: &'static str,
        no: Refusal,
    ) -> Result<Self, Problem> {
        let bind = ["0.0.0.0:0", "[::]:0"].iter().filter_map(|at| at.parse().ok()).collect();
        let config = Config::new(node_seed.clone(), bind);
        let nobody = Arc::new(Nobody);
        let (gate, blobs) = (Arc::clone(&nobody), Arc::clone(&nobody));
        let (mesh, _events) = Mesh::start(config, gate, blobs, nobody).await.map_err(|e| {
            Problem::refused(
                what,
                crate::problem::chain(&e),
                Some("look at this machine's network: ip address"),
            )
        })?;
        Ok(Self { mesh, contacts, keys, what, no, answers: AtomicUsize::new(usize::MAX) })
    }

    /// Asks the node that answered before, or the first of all that answers: they are asked side
    /// by side, so that one which is gone holds nobody up.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer, Problem> {
        let request = Bytes::from(to_canonical(request));
        let known = self.answers.load(Ordering::Relaxed);
        if known < self.contacts.len()
            && let Ok(answer) = self.ask_one(known, &request).await
        {
            return self.understood(&answer);
        }
        let mut asked: FuturesUnordered<_> = (0..self.contacts.len())
            .filter(|at| *at != known)
            .enumerate()
            .map(|(turn, at)| {
                let request = request.clone();
                let wait = BETWEEN.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX));
                async move {
                    tokio::time::sleep(wait).await;
                    (at, self.ask_one(at, &request).await)
                }
            })
            .collect();
        let (mut last, mut refused) = (KnockError::NoAddress, false);
        while let Some((at, outcome)) = asked.next().await {
            match outcome {
                Ok(answer) => {
                    self.answers.store(at, Ordering::Relaxed);
                    return self.understood(&answer);
                }
                // A node that merely stores opens to nobody; another one may.
                Err(KnockError::Refused) => refused = true,
                Err(error) => last = error,
            }
        }
        if refused {
            return Err(self.refused());
        }
        let why = match self.contacts.len() {
            0 | 1 => last.to_string(),
            all => format!("none of its {all} nodes answered; the last: {last}"),
        };
        Err(Problem::unreachable(
            self.what,
            why,
            Some("see that one of the realm's nodes runs and is reachable, then try again"),
        ))
    }

    /// The node that answered last.
    pub(crate) fn answering(&self) -> Option<&Contact> {
        self.contacts.get(self.answers.load(Ordering::Relaxed))
    }

    /// Has an errand done by it.
    pub(crate) async fn errand(&self, question: Bytes) -> Result<(Bytes, Bytes), Problem> {
        let failed = |error: KnockError| {
            let next = "see that your friend's machine runs and is reachable, then try again";
            Problem::unreachable(self.what, error.to_string(), Some(next))
        };
        let contact = self.answering().ok_or_else(|| self.nonsense())?;
        let at = Addresses::from_bytes(&contact.addresses).map_err(|_| self.nonsense())?;
        self.mesh.errand(&at, contact.node, question, Bytes::new()).await.map_err(failed)
    }

    /// Tells the other nodes the same, those that answer soon: each opens to who has asked itself.
    pub(crate) async fn tell_others(&self, request: &Request) {
        let request = Bytes::from(to_canonical(request));
        let known = self.answers.load(Ordering::Relaxed);
        let others = (0..self.contacts.len()).filter(|at| *at != known);
        let mut told: FuturesUnordered<_> = others.map(|at| self.ask_one(at, &request)).collect();
        let all = async { while told.next().await.is_some() {} };
        drop(tokio::time::timeout(OTHERS_WITHIN, all).await);
    }

    async fn ask_one(&self, at: usize, request: &Bytes) -> Result<Bytes, KnockError> {
        let contact = self.contacts.get(at).ok_or(KnockError::NoAddress)?;
        let at = Addresses::from_bytes(&contact.addresses).map_err(|_| KnockError::NoAddress)?;
        self.mesh.knock(&at, contact.node, &self.keys, request.clone()).await
    }

    fn understood(&self, answer: &[u8]) -> Result<Answer, Problem> {
        from_canonical(answer, ANSWER_MAX).map_err(|e| {
            Problem::refused(
                self.what,
                format!("the other node answered in words we do not know: {e}"),
                Some("use the same version of freehold on both machines"),
            )
        })
    }

    fn refused(&self) -> Problem {
        Problem::refused(self.what, self.no.why, Some(self.no.next))
    }

    /// Fetches something long, piece by piece.
    pub(crate) async fn fetch(&self, ask: impl Fn(u64) -> Request) -> Result<Vec<u8>, Problem> {
        let mut all: Vec<u8> = Vec::new();
        let mut from = usize::MAX;
        loop {
            let answer = self.ask(&ask(all.len() as u64)).await?;
            let now = self.answers.load(Ordering::Relaxed);
            if now != std::mem::replace(&mut from, now) && !all.is_empty() {
                // Another node's log is another sequence of bytes.
                all.clear();
                continue;
            }
            match answer {
                Answer::Piece(piece, total) => {
                    let before = all.len();
                    all.extend_from_slice(&piece);
                    if all.len() as u64 >= total {
                        return Ok(all);
                    }
                    if all.len() == before || all.len() > LONG_MAX {
                        return Err(self.nonsense());
                    }
                }
                other => return Err(self.not_welcome(other)),
            }
        }
    }

    /// Asks for something that is done or refused.
    pub(crate) async fn ask_to(&self, request: &Request) -> Result<(), Problem> {
        match self.ask(request).await? {
            Answer::Welcome => Ok(()),
            other => Err(self.not_welcome(other)),
        }
    }

    /// Asks to be let in: the operation as the door signed it.
    pub(crate) async fn ask_in(&self, request: &Request) -> Result<Op, Problem> {
        match self.ask(request).await? {
            Answer::LetIn(op) => Op::decode(&op).map_err(|_| self.nonsense()),
            other => Err(self.not_welcome(other)),
        }
    }

    fn not_welcome(&self, answer: Answer) -> Problem {
        match answer {
            Answer::Refused(why) => Problem::refused(self.what, why.as_str(), Some(self.no.next)),
            Answer::Piece(..) | Answer::Welcome | Answer::LetIn(_) | Answer::Rescue(_) => self.nonsense(),
        }
    }

    fn nonsense(&self) -> Problem {
        Problem::refused(self.what, "the other node's answer makes no sense", Some("try again"))
    }

    /// Ends the endpoint.
    pub(crate) async fn end(self) {
        if let Err(late) = self.mesh.shutdown(Duration::from_secs(3)).await {
            tracing::debug!(%late, "the newcomer's endpoint was slow to end");
        }
    }
}

//! Several servers as one: in order, the next one asked when one is late, and those that fail last.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, Stream, StreamExt as _, once};
use hickory_net::NetError;
use hickory_net::proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;

use super::line::Line;
use crate::config::Server;

/// A server that has not answered by then is asked no less, but another one beside it.
const LATE: Duration = Duration::from_millis(400);

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Which.
    pub server: Server,
    /// Answers that it gave.
    pub answered: u64,
    /// Questions that it did not answer, or answered late or not usably.
    pub failed: u64,
    /// What it said or did not when it failed last, if it has not answered since.
    pub problem: Option<String>,
}

/// Servers. Clones share their connections.
#[derive(Clone)]
pub(super) struct Servers {
    lines: Arc<[Line]>,
    unchecked: bool,
}

impl Servers {
    pub(super) fn new(servers: &[Server], tls: Option<&Arc<rustls::ClientConfig>>) -> Self {
        let lines = servers.iter().map(|server| Line::new(server.clone(), tls.cloned())).collect();
        Self { lines, unchecked: false }
    }

    /// The same, who are told that signatures are verified here: what they think of them helps nobody.
    pub(super) fn unchecked(&self) -> Self {
        Self { lines: Arc::clone(&self.lines), unchecked: true }
    }

    pub(super) fn states(&self) -> Vec<ServerState> {
        self.lines.iter().map(Line::state).collect()
    }

    async fn race(self, mut request: DnsRequest) -> Result<DnsResponse, NetError> {
        request.metadata.checking_disabled |= self.unchecked;
        let mut order: Vec<&Line> = self.lines.iter().collect();
        order.sort_by_key(|line| line.is_failing());
        let mut waiting = order.into_iter();
        let mut asked = FuturesUnordered::new();
        // In the order in which they were asked.
        let mut under_way: Vec<&Line> = Vec::new();
        let mut last = Err(NetError::NoConnections);
        loop {
            // One more, at first, after a failure, and when it takes long.
            if let Some(line) = waiting.next() {
                let request = request.clone();
                under_way.push(line);
                asked.push(async move { (line, line.ask(request).await) });
            }
            let next = asked.next();
            let next = if waiting.len() == 0 {
                next.await
            } else {
                match tokio::time::timeout(LATE, next).await {
                    Ok(next) => next,
                    Err(_) => continue,
                }
            };
            let Some((line, told)) = next else { return last };
            let place = under_way.iter().position(|other| std::ptr::eq(*other, line)).unwrap_or(0);
            match told {
                Ok(said) if is_usable(&said) => {
                    line.answered();
                    for late in under_way.iter().take(place) {
                        late.late();
                    }
                    return Ok(said);
                }
                Ok(said) => {
                    line.failed(format!("it answered {}", said.response_code));
                    last = Ok(said);
                }
                Err(error) => {
                    line.failed(error.to_string());
                    if last.is_err() {
                        last = Err(error);
                    }
                }
            }
            under_way.remove(place);
        }
    }
}

/// Whether it says something of the name; another server may know more than one that does not.
fn is_usable(said: &DnsResponse) -> bool {
    matches!(said.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

impl DnsHandle for Servers {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        Box::pin(once(self.clone().race(request)))
    }
}

//! A request to a service, and the head of its answer. What may be asked twice is asked again where a
//! kept connection turns out to be dead.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::body::{Ask, Come, Progress};
use crate::live::Live;
use crate::service::{Limits, Speaks, Upstream};
use crate::upstream::{Lease, NoLine, Upstreams};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("no address of the service answers")]
    NoLine(#[source] Option<NoLine>),
    #[error("the service broke the connection")]
    Broke(#[source] hyper::Error),
    #[error("the service took too long")]
    Late,
    #[error("the request's body is too large")]
    TooLarge,
    #[error("the client went away or quiet")]
    ClientGone,
}

/// The answer, and the connection that it comes by.
pub(crate) type Answer = (Response<Incoming>, Option<Lease>);

/// Who asks a service.
pub(crate) struct Errand<'a> {
    pub(crate) live: &'a Live,
    pub(crate) limits: &'a Limits,
    pub(crate) upstreams: &'a Arc<Upstreams>,
    /// Since the door opened.
    pub(crate) now: Duration,
}

enum Tried {
    Answer(Answer),
    /// Nothing of it was sent.
    Again(Request<Ask>),
    Failed(Failed),
}

impl Errand<'_> {
    /// Asks one address after the other until one takes the request.
    pub(crate) async fn send(
        &self,
        mut request: Request<Ask>,
        speaks: Speaks,
        progress: Option<&Progress>,
    ) -> Result<Answer, Failed> {
        let mut last = None;
        for (at, upstream) in self.live.order(self.now) {
            // A kept connection may be dead; a new one has only itself to blame.
            for anew in [false, true] {
                let tried = match speaks {
                    Speaks::Http1 => self.over_http1(upstream, request, anew, progress).await,
                    Speaks::H2c => self.over_h2c(upstream, request, anew, progress).await,
                };
                match tried {
                    Ok(Tried::Answer(answer)) => return Ok(answer),
                    Ok(Tried::Failed(failed)) => return Err(failed),
                    Ok(Tried::Again(unsent)) => request = unsent,
                    Err((unsent, why)) => {
                        tracing::debug!(service = %self.live.service.id, ?upstream, error = %why, "no connection");
                        request = unsent;
                        last = Some(why);
                        break;
                    }
                }
            }
            self.live.leave_out(at, self.now);
        }
        Err(Failed::NoLine(last))
    }

    /// Asks one address, which is not the service's own.
    pub(crate) async fn one(&self, upstream: &Upstream, mut request: Request<Ask>) -> Option<Answer> {
        for anew in [false, true] {
            match self.over_http1(upstream, request, anew, None).await {
                Ok(Tried::Answer(answer)) => return Some(answer),
                Ok(Tried::Again(unsent)) => request = unsent,
                Ok(Tried::Failed(_)) | Err(_) => return None,
            }
        }
        None
    }

    async fn over_http1(
        &self,
        upstream: &Upstream,
        request: Request<Ask>,
        anew: bool,
        progress: Option<&Progress>,
    ) -> Result<Tried, (Request<Ask>, NoLine)> {
        let kept = if anew { None } else { self.upstreams.idle(upstream) };
        let reused = kept.is_some();
        let mut sender = match kept {
            Some(sender) => sender,
            None => match self.upstreams.connect(upstream, self.limits.connect).await {
                Ok(sender) => sender,
                Err(why) => return Err((request, why)),
            },
        };
        let spare = if reused { again(&request) } else { None };
        let answer = self.wait(sender.try_send_request(request), progress).await;
        Ok(match answer {
            Ok(Ok(answer)) => {
                let lease = Lease::new(Arc::clone(self.upstreams), upstream.clone(), sender);
                Tried::Answer((answer, Some(lease)))
            }
            Ok(Err(mut error)) => match (error.take_message(), spare) {
                (Some(unsent), _) | (None, Some(unsent)) => Tried::Again(unsent),
                (None, None) => Tried::Failed(broke(progress, error.into_error())),
            },
            Err(failed) => Tried::Failed(failed),
        })
    }

    async fn over_h2c(
        &self,
        upstream: &Upstream,
        mut request: Request<Ask>,
        anew: bool,
        progress: Option<&Progress>,
    ) -> Result<Tried, (Request<Ask>, NoLine)> {
        let mut sender = match self.upstreams.shared(upstream, self.limits.connect, anew).await {
            Ok(sender) => sender,
            Err(why) => return Err((request, why)),
        };
        absolute(&mut request);
        let answer = self.wait(sender.try_send_request(request), progress).await;
        Ok(match answer {
            Ok(Ok(answer)) => Tried::Answer((answer, None)),
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => Tried::Again(unsent),
                None => Tried::Failed(broke(progress, error.into_error())),
            },
            Err(failed) => Tried::Failed(failed),
        })
    }

    /// Waits for as long as the body goes on, and then for the time that an answer may take.
    async fn wait<T>(
        &self,
        answer: impl Future<Output = T>,
        progress: Option<&Progress>,
    ) -> Result<T, Failed> {
        let mut answer = std::pin::pin!(answer);
        let mut before = progress.map(Progress::come);
        loop {
            if let Ok(answer) = timeout(self.limits.answer, answer.as_mut()).await {
                return Ok(answer);
            }
            let now = progress.map(Progress::come);
            if now == before {
                return Err(Failed::Late);
            }
            before = now;
        }
    }
}

/// Whose fault it is that the connection broke: the body of the request comes by it, too.
fn broke(progress: Option<&Progress>, error: hyper::Error) -> Failed {
    match progress.map(Progress::come) {
        Some(Come::TooLarge) => Failed::TooLarge,
        Some(Come::Gone) => Failed::ClientGone,
        _ => Failed::Broke(error),
    }
}

/// The same request once more, if it may come twice (RFC 9110, 9.2.2) and has no body that is gone.
fn again(request: &Request<Ask>) -> Option<Request<Ask>> {
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE];
    if !matches!(request.body(), Ask::Empty) || !harmless.contains(request.method()) {
        return None;
    }
    let mut copy = Request::new(Ask::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// HTTP/2 has the host in its line.
fn absolute(request: &mut Request<Ask>) {
    let Some(host) = request.headers_mut().remove(header::HOST) else { return };
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = http::uri::Authority::try_from(host.as_bytes()).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = http::Version::HTTP_2;
}

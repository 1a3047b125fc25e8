//! Asks a node, over its Unix socket or in the same process; both ways it is the same HTTP.

mod addresses;
mod alarm;
mod backend;
mod backup;
mod bucket_keys;
mod choice;
mod door;
mod filter;
mod forward;
mod grant;
mod kv;
mod net;
mod onion;
mod people;
mod phone;
mod pool;
mod socket;
mod zfs;

use socket::Socket;

pub use socket::NO_NODE;

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use freehold_ports::Source;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncBufReadExt as _;
use tokio_util::io::StreamReader;
use tower::ServiceExt as _;

use crate::control::pieces;
use crate::object::encode_path;
use crate::server::MODIFIED;
use crate::{
    Audit, BucketChange, BucketStatus, ByteRange, ByteStream, Card, Checkpoint, Doctor, GuardianTest,
    ImportReport, Invitation, InvitationStatus, KeyStatus, LOG_MAX, ListQuery, Listing, MadeKey, NewBucket,
    NewInvitation, NewKey, NewName, NodeSetting, NodeStatus, ObjectInfo, ObjectRead, Phrase, Problem,
    PutOptions, QuotaSetting, SessionCookie, SetupCode, Status, TypedCode, UsageStatus, VerifyEvent,
    VerifyReport,
};

/// A node that takes longer to begin its answer is as good as gone.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// And where it asks somebody else's stores for it, perhaps for everything that lies there.
const ELSEWHERE_WITHIN: Duration = Duration::from_hours(1);
/// No JSON answer is longer.
const JSON_MAX: usize = 64 * 1024 * 1024;
/// A node to ask.
#[derive(Debug, Clone)]
pub struct Client(Transport);

#[derive(Debug, Clone)]
enum Transport {
    Socket(Socket),
    Router(Router),
}

impl Client {
    /// Asks the node that listens on this Unix socket.
    pub fn over_socket(path: impl Into<PathBuf>) -> Self {
        Self(Transport::Socket(Socket::at(path.into())))
    }

    /// Asks the node whose [`router`] this is.
    ///
    /// [`router`]: crate::router
    pub fn in_process(router: Router) -> Self {
        Self(Transport::Router(router))
    }

    /// How everything is.
    pub async fn status(&self) -> Result<Status, Problem> {
        self.get("/status").await
    }

    /// Looks for what is wrong.
    pub async fn doctor(&self) -> Result<Doctor, Problem> {
        self.get("/doctor").await
    }

    /// Metrics in the text format of Prometheus.
    pub async fn metrics(&self) -> Result<String, Problem> {
        let answer = self.ask(request(Method::GET, "/metrics", Body::empty())?).await?;
        let text = collect(answer, JSON_MAX).await?;
        String::from_utf8(text.into()).map_err(|error| unreadable(&error))
    }

    /// Begins an orderly stop.
    pub async fn shut_down(&self) -> Result<(), Problem> {
        self.done(Method::POST, "/shutdown").await
    }

    /// Makes an invitation.
    pub async fn invite(&self, wish: &NewInvitation) -> Result<Invitation, Problem> {
        self.send(Method::POST, "/invitations", wish).await
    }

    /// Invitations that nobody has redeemed yet.
    pub async fn invitations(&self) -> Result<Vec<InvitationStatus>, Problem> {
        self.get("/invitations").await
    }

    /// Makes an invitation void.
    pub async fn withdraw_invitation(&self, id: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/invitations/{}", segment(id))).await
    }

    /// The realm's nodes.
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>, Problem> {
        self.get("/nodes").await
    }

    /// Takes a node's rights away.
    pub async fn suspend_node(&self, node: &str) -> Result<(), Problem> {
        self.done(Method::POST, &format!("/nodes/{}/suspend", segment(node))).await
    }

    /// Gives a suspended node its rights back.
    pub async fn lift_node(&self, node: &str) -> Result<(), Problem> {
        self.done(Method::POST, &format!("/nodes/{}/lift", segment(node))).await
    }

    /// Gives a node another name.
    pub async fn rename_node(&self, node: &str, name: &NewName) -> Result<(), Problem> {
        let request = json(Method::POST, &format!("/nodes/{}/rename", segment(node)), name)?;
        self.ask(request).await.map(drop)
    }

    /// Says where a node stands and how much it is to do.
    pub async fn set_node(&self, node: &str, setting: &NodeSetting) -> Result<NodeStatus, Problem> {
        self.send(Method::PATCH, &format!("/nodes/{}", segment(node)), setting).await
    }

    /// Ends a node.
    pub async fn remove_node(&self, node: &str, force: bool, dry_run: bool) -> Result<(), Problem> {
        let path = format!("/nodes/{}?force={force}&dry_run={dry_run}", segment(node));
        self.done(Method::DELETE, &path).await
    }

    /// What the realm and its members keep, and may keep.
    pub async fn usage(&self) -> Result<Vec<UsageStatus>, Problem> {
        self.get("/usage").await
    }

    /// Sets or lifts a quota.
    pub async fn set_quota(&self, setting: &QuotaSetting) -> Result<Vec<UsageStatus>, Problem> {
        self.send(Method::PUT, "/quotas", setting).await
    }

    /// The node's access keys.
    pub async fn keys(&self) -> Result<Vec<KeyStatus>, Problem> {
        self.get("/keys").await
    }

    /// Makes an access key.
    pub async fn create_key(&self, wish: &NewKey) -> Result<MadeKey, Problem> {
        self.send(Method::POST, "/keys", wish).await
    }

    /// Ends an access key.
    pub async fn revoke_key(&self, id: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/keys/{}", segment(id))).await
    }

    /// The realm's buckets.
    pub async fn buckets(&self) -> Result<Vec<BucketStatus>, Problem> {
        self.get("/buckets").await
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, wish: &NewBucket) -> Result<BucketStatus, Problem> {
        self.send(Method::POST, "/buckets", wish).await
    }

    /// Changes how many copies of a bucket there are to be, and where.
    pub async fn set_bucket(&self, bucket: &str, change: &BucketChange) -> Result<BucketStatus, Problem> {
        self.send(Method::PATCH, &format!("/buckets/{}", segment(bucket)), change).await
    }

    /// Deletes an empty bucket.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/buckets/{}", segment(bucket))).await
    }

    /// Fails as [`Self::delete_bucket`] would, and deletes nothing.
    pub async fn try_delete_bucket(&self, bucket: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/buckets/{}?dry_run=true", segment(bucket))).await
    }

    /// Reads every sealed object on the node; dropping the stream stops it.
    pub async fn verify_bucket(
        &self,
        bucket: &str,
        repair: bool,
    ) -> Result<BoxStream<'static, Result<VerifyEvent, Problem>>, Problem> {
        let path = format!("/buckets/{}/verify?repair={repair}", segment(bucket));
        let answer = self.ask(request(Method::POST, &path, Body::empty())?).await?;
        Ok(events(answer))
    }

    /// The same, told at its end.
    pub async fn verify_bucket_to_end(&self, bucket: &str, repair: bool) -> Result<VerifyReport, Problem> {
        let mut events = self.verify_bucket(bucket, repair).await?;
        while let Some(event) = events.next().await {
            match event? {
                VerifyEvent::Progress { .. } => {}
                VerifyEvent::Done(report) => return Ok(report),
                VerifyEvent::Failed(problem) => return Err(problem),
            }
        }
        Err(broken("the answer ended before the verification did"))
    }

    /// Lists objects.
    pub async fn list_objects(&self, bucket: &str, query: &ListQuery) -> Result<Listing, Problem> {
        let mut path = format!(
            "/buckets/{}/objects?max={}&prefix={}",
            segment(bucket),
            query.max,
            segment(&query.prefix)
        );
        for (name, value) in [("delimiter", &query.delimiter), ("after", &query.after)] {
            if let Some(value) = value {
                path.extend(["&", name, "=", &segment(value)]);
            }
        }
        self.get(&path).await
    }

    /// What is known of an object.
    pub async fn head_object(&self, bucket: &str, key: &str) -> Result<ObjectInfo, Problem> {
        let answer = self.ask(request(Method::HEAD, &object_path(bucket, key), Body::empty())?).await?;
        Ok(described(key, &answer))
    }

    /// Reads an object, or a range of it.
    pub async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<ObjectRead, Problem> {
        let mut asked = request(Method::GET, &object_path(bucket, key), Body::empty())?;
        if let Some(range) = range {
            let value = range.header().parse().map_err(|error| unreadable(&error))?;
            asked.headers_mut().insert(header::RANGE, value);
        }
        let answer = self.ask(asked).await?;
        let mut info = described(key, &answer);
        let range = match answer.headers().get(header::CONTENT_RANGE).map(|value| value.to_str()) {
            None => 0..info.size,
            Some(value) => {
                let (range, size) =
                    value.ok().and_then(content_range).ok_or_else(|| unreadable("Content-Range"))?;
                info.size = size;
                range
            }
        };
        Ok(ObjectRead { info, range, body: pieces(answer.into_body()) })
    }

    /// Writes an object.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        options: &PutOptions,
        body: ByteStream,
    ) -> Result<ObjectInfo, Problem> {
        let mut asked =
            Request::put(format!("/api/v1{}", object_path(bucket, key))).header(header::HOST, "node");
        if let Some(kind) = &options.content_type {
            asked = asked.header(header::CONTENT_TYPE, kind);
        }
        if let Some(len) = options.len {
            asked = asked.header(header::CONTENT_LENGTH, len);
        }
        if options.only_new {
            asked = asked.header(header::IF_NONE_MATCH, "*");
        }
        let asked = asked.body(Body::from_stream(body)).map_err(|error| unreadable(&error))?;
        // No time-out: the answer comes when the last byte is stored, and the sender decides when.
        read_json(checked(self.raw(asked).await?).await?).await
    }

    /// Deletes an object.
    pub async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &object_path(bucket, key)).await
    }

    /// The realm log as a file.
    pub async fn export_log(&self) -> Result<Bytes, Problem> {
        collect(self.ask(request(Method::GET, "/realm/export", Body::empty())?).await?, LOG_MAX).await
    }

    /// Takes in an exported log of the realm.
    pub async fn import_log(&self, exported: Bytes) -> Result<ImportReport, Problem> {
        read_json(self.ask(request(Method::POST, "/realm/import", Body::from(exported))?).await?).await
    }

    /// Derives the state from the log again.
    pub async fn audit(&self) -> Result<Audit, Problem> {
        self.get("/realm/audit").await
    }

    /// Stops a recovery that waits.
    pub async fn veto_recovery(&self, id: &str) -> Result<(), Problem> {
        self.done(Method::POST, &format!("/realm/recoveries/{}/veto", segment(id))).await
    }

    /// Makes the history up to now final.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        read_json(self.ask(request(Method::POST, "/realm/checkpoint", Body::empty())?).await?).await
    }

    /// The card to keep for recovery.
    pub async fn card(&self) -> Result<Card, Problem> {
        self.get("/realm/card").await
    }

    /// Tries a guardian phrase, without recovering anything.
    pub async fn test_guardian(&self, phrase: &Phrase) -> Result<GuardianTest, Problem> {
        self.send(Method::POST, "/guardians/test", phrase).await
    }

    /// Makes a new set-up code.
    pub async fn new_setup_code(&self) -> Result<SetupCode, Problem> {
        read_json(self.ask(request(Method::POST, "/setup/code", Body::empty())?).await?).await
    }

    /// Ends every session of the console.
    pub async fn sign_out_everywhere(&self) -> Result<(), Problem> {
        self.done(Method::DELETE, "/setup/sessions").await
    }

    /// Takes a set-up code for a session; the cookie goes to the browser, which is at `source`.
    pub async fn sign_in(&self, typed: &TypedCode, source: Source) -> Result<SessionCookie, Problem> {
        let mut asked = json(Method::POST, "/setup/session", typed)?;
        asked.extensions_mut().insert(source);
        let answer = self.ask(asked).await?;
        let cookie = answer.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        cookie.map(|cookie| SessionCookie(cookie.to_owned())).ok_or_else(|| unreadable("Set-Cookie"))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        read_json(self.ask(request(Method::GET, path, Body::empty())?).await?).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        wish: &impl Serialize,
    ) -> Result<T, Problem> {
        read_json(self.ask(json(method, path, wish)?).await?).await
    }

    async fn done(&self, method: Method, path: &str) -> Result<(), Problem> {
        self.ask(request(method, path, Body::empty())?).await.map(drop)
    }

    async fn ask(&self, asked: Request<Body>) -> Result<Response<Body>, Problem> {
        match tokio::time::timeout(ANSWER_WITHIN, self.raw(asked)).await {
            Ok(answer) => checked(answer?).await,
            Err(_) => Err(broken("it did not answer within a minute")),
        }
    }

    /// Of what takes as long as somebody else's store takes.
    async fn ask_patiently(&self, asked: Request<Body>) -> Result<Response<Body>, Problem> {
        match tokio::time::timeout(ELSEWHERE_WITHIN, self.raw(asked)).await {
            Ok(answer) => checked(answer?).await,
            Err(_) => Err(broken("it did not answer within an hour")),
        }
    }

    async fn raw(&self, asked: Request<Body>) -> Result<Response<Body>, Problem> {
        match &self.0 {
            Transport::Socket(socket) => socket.ask(asked).await,
            Transport::Router(router) => match router.clone().oneshot(asked).await {
                Ok(answer) => Ok(answer),
                Err(never) => match never {},
            },
        }
    }
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>, Problem> {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::HOST, "node")
        .body(body)
        .map_err(|error| unreadable(&error))
}

fn json(method: Method, path: &str, wish: &impl Serialize) -> Result<Request<Body>, Problem> {
    let body = serde_json::to_vec(wish).map_err(|error| unreadable(&error))?;
    let mut asked = request(method, path, Body::from(body))?;
    asked.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(asked)
}

/// The answer, or the problem it carries.
async fn checked(answer: Response<Body>) -> Result<Response<Body>, Problem> {
    let status = answer.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(answer);
    }
    let body = collect(answer, JSON_MAX).await?;
    Err(serde_json::from_slice(&body).unwrap_or_else(|_| Problem::from_status(status)))
}

async fn collect(answer: Response<Body>, max: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(answer.into_body(), max).collect();
    match tokio::time::timeout(ANSWER_WITHIN, body).await {
        Ok(body) => Ok(body.map_err(|error| broken(&error))?.to_bytes()),
        Err(_) => Err(broken("its answer did not come to an end within a minute")),
    }
}

async fn read_json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Problem> {
    let body = collect(answer, JSON_MAX).await?;
    serde_json::from_slice(&body).map_err(|error| unreadable(&error))
}

/// What an answer's headers tell of an object.
fn described(key: &str, answer: &Response<Body>) -> ObjectInfo {
    let text = |name: HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let number = |name| text(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    ObjectInfo {
        key: key.to_owned(),
        size: number(header::CONTENT_LENGTH),
        modified_ms: number(MODIFIED),
        etag: text(header::ETAG).unwrap_or_default().trim_matches('"').to_owned(),
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
    }
}

/// Reads `bytes first-last/size`.
fn content_range(value: &str) -> Option<(std::ops::Range<u64>, u64)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?))
}

fn object_path(bucket: &str, key: &str) -> String {
    format!("/buckets/{}/objects/{}", segment(bucket), encode_path(key))
}

/// An answer that is a JSON object a line.
fn events<T: DeserializeOwned + Send + 'static>(
    answer: Response<Body>,
) -> BoxStream<'static, Result<T, Problem>> {
    let lines = StreamReader::new(pieces(answer.into_body())).lines();
    futures::stream::try_unfold(lines, |mut lines| async move {
        let Some(line) = lines.next_line().await.map_err(|error| broken(&error))? else {
            return Ok(None);
        };
        let event = serde_json::from_str(&line).map_err(|error| unreadable(&error))?;
        Ok(Some((event, lines)))
    })
    .boxed()
}

fn segment(name: &str) -> String {
    encode_path(name).replace('/', "%2F")
}

fn broken(why: &(impl std::fmt::Display + ?Sized)) -> Problem {
    Problem::unreachable("the node does not answer", why.to_string(), Some("freehold doctor"))
}

fn unreadable(why: &(impl std::fmt::Display + ?Sized)) -> Problem {
    Problem::bug(
        "cannot make sense of what the node and this program say to each other",
        why.to_string(),
        Some("see that both are of the same version: freehold --version"),
    )
}

//! Which page answers where, and the headers that every answer carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use freehold_api::{Client, Sessions};
use http::{HeaderName, HeaderValue, header};
use tower::ServiceExt as _;

use crate::backups::look;
use crate::{
    assets, backups, buckets, fault, files, filter, gate, grants, health, home, network, nodes, realm,
};

/// Nothing from elsewhere, nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// The largest form that somebody without a session may send: a code, and an address to go on to.
const STRANGERS_FORM: usize = 8 << 10;

/// What every page stands on.
#[derive(Clone)]
pub(crate) struct Console {
    pub(crate) client: Client,
    pub(crate) sessions: Arc<Sessions>,
}

/// The console, with `api` (see [`freehold_api::router`]) behind its gate under `/api/`. To be served
/// over HTTPS, or over HTTP on loopback: browsers keep its cookie nowhere else.
pub fn router(api: Router, sessions: Arc<Sessions>) -> Router {
    let console = Console { client: Client::in_process(api.clone()), sessions: Arc::clone(&sessions) };
    let sides = Sides { api: freehold_api::guard(api, sessions), pages: pages(console) };
    // Not nested: the API's own paths stay what its document says.
    Router::new().fallback(choose).with_state(sides).layer(middleware::map_response(protect))
}

#[derive(Clone)]
struct Sides {
    api: Router,
    pages: Router,
}

async fn choose(State(sides): State<Sides>, request: Request) -> Response {
    let side = if request.uri().path().starts_with("/api/") { sides.api } else { sides.pages };
    match side.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn pages(console: Console) -> Router {
    let looked = Router::new()
        .route("/backups/look/{target}", get(look::dates))
        .route("/backups/look/{target}/find", get(look::find))
        .route("/backups/look/{target}/{snapshot}", get(look::folder))
        .route("/backups/look/{target}/{snapshot}/view", get(look::view))
        .route("/backups/look/{target}/{snapshot}/file", get(look::file))
        .layer(middleware::from_fn_with_state(console.clone(), look::gate));
    let inside = Router::new()
        .route("/", get(home::show))
        .route("/files", get(files::buckets))
        .route("/files/{bucket}", get(files::list))
        .route("/files/{bucket}/view", get(files::view))
        .route("/files/{bucket}/delete", post(files::delete))
        .route("/files/{bucket}/send", post(files::send).layer(DefaultBodyLimit::disable()))
        .route("/nodes", get(nodes::list))
        .route("/nodes/invite", get(nodes::ask_invite).post(nodes::invite))
        .route("/nodes/withdraw", post(nodes::withdraw))
        .route("/nodes/{node}", get(nodes::show))
        .route("/nodes/{node}/rename", post(nodes::rename))
        .route("/nodes/{node}/suspend", post(nodes::suspend))
        .route("/nodes/{node}/lift", post(nodes::lift))
        .route("/network", get(network::show))
        .route("/network/names", get(filter::show))
        .route("/buckets", get(buckets::list).post(buckets::create))
        .route("/buckets/{bucket}", get(buckets::show))
        .route("/buckets/{bucket}/verify", post(buckets::verify).get(buckets::back))
        .route("/buckets/{bucket}/delete", post(buckets::delete))
        .route("/backups", get(backups::show))
        .route("/backups/look", get(look::ask).post(look::open))
        .merge(looked)
        .route("/grants", get(grants::list))
        .route("/grants/{grant}", get(grants::show))
        .route("/health", get(health::show))
        .route("/realm", get(realm::show))
        // Who comes back to the answer of a form, as after a change of colours, sees its page.
        .route("/realm/guardian", post(realm::test_guardian).get(realm::back))
        .route("/realm/veto", post(realm::veto).get(realm::back))
        .route("/realm/code", post(realm::new_code).get(realm::back))
        .route("/sign-out", post(gate::sign_out))
        .route("/sign-out/everywhere", post(gate::sign_out_everywhere))
        .fallback(fault::nowhere)
        .layer(middleware::from_fn_with_state(console.clone(), gate::signed_in));
    Router::new()
        .route("/sign-in", get(gate::ask).post(gate::sign_in))
        .route("/theme", post(gate::choose_theme))
        .layer(DefaultBodyLimit::max(STRANGERS_FORM))
        .route("/assets/{name}", get(assets::serve))
        .fallback_service(inside.with_state(console.clone()))
        .with_state(console)
        .layer(middleware::from_fn(gate::our_pages_only))
        .layer(middleware::from_fn(fault::render))
}

/// What a page or the API has said itself stays.
async fn protect(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

//! The router, with its OpenAPI document made from the same lines.

mod addresses;
mod alarm;
mod backend;
mod backup;
mod bucket;
mod bucket_keys;
mod choice;
mod door;
mod extract;
mod filter;
mod forward;
mod grant;
mod key;
mod kv;
mod net;
mod node;
mod object;
mod onion;
mod people;
mod phone;
mod place;
mod pool;
mod realm;
mod setup;
mod zfs;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::control::Control;
use crate::problem::Problem;
use crate::session::Sessions;

pub(crate) use kv::{HEARD, PROBLEM, STALE, VERSION};
pub(crate) use object::MODIFIED;

/// A request body that is JSON is never longer.
const JSON_MAX: usize = 64 * 1024;
/// A code is shorter; strangers may send one.
const CODE_MAX: usize = 1024;
/// Except of a pool's papers,
const PAPERS_MAX: usize = 8 << 20;
/// and of writes to databases.
const KV_MAX: usize = 8 << 20;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Freehold",
        version = "1",
        description = "What a node answers, over its Unix socket and, with a session, to the console.",
        license(name = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "node", description = "This node"),
        (name = "realm", description = "The realm: its nodes, its log, its guardians"),
        (name = "buckets", description = "Buckets and the objects in them"),
        (name = "kv", description = "Databases: keys, documents, indexes"),
        (name = "backends", description = "Foreign object stores that this node keeps sealed objects on"),
        (name = "backup", description = "Backups of this node's files, in restic's format"),
        (name = "net", description = "The realm's network: who may reach whom, services, rules"),
        (name = "grants", description = "What this realm and others lend each other"),
        (name = "pools", description = "Realms that put shares together under rules that all have signed"),
        (name = "keys", description = "Access keys of the S3 endpoint"),
        (name = "setup", description = "Signing in to the console")
    )
)]
struct Document;

/// What every handler stands on.
#[derive(Clone)]
struct Node {
    control: Arc<dyn Control>,
    sessions: Arc<Sessions>,
}

fn parts() -> (Router<Node>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(node::status))
        .routes(routes!(node::doctor))
        .routes(routes!(node::metrics))
        .routes(routes!(node::shut_down))
        .routes(routes!(document_json))
        .routes(routes!(realm::invitations, realm::invite))
        .routes(routes!(realm::withdraw_invitation))
        .routes(routes!(realm::nodes))
        .routes(routes!(realm::suspend_node))
        .routes(routes!(realm::lift_node))
        .routes(routes!(realm::rename_node))
        .routes(routes!(place::set_node, place::remove_node))
        .routes(routes!(realm::export_log))
        .routes(routes!(realm::audit))
        .routes(routes!(realm::veto_recovery))
        .routes(routes!(realm::checkpoint))
        .routes(routes!(realm::card))
        .routes(routes!(realm::test_guardian))
        .routes(routes!(bucket::buckets, bucket::create_bucket))
        .routes(routes!(bucket::delete_bucket, place::set_bucket))
        .routes(routes!(place::usage))
        .routes(routes!(place::set_quota))
        .routes(routes!(bucket::verify_bucket))
        .routes(routes!(bucket_keys::bucket_keys))
        .routes(routes!(bucket_keys::rotate))
        .routes(routes!(bucket_keys::rewrap))
        .routes(routes!(bucket_keys::share))
        .routes(routes!(bucket_keys::unshare))
        .routes(routes!(bucket_keys::create_private))
        .routes(routes!(bucket_keys::plan_erasure, bucket_keys::erase))
        .routes(routes!(bucket_keys::plan_object_erasure))
        .routes(routes!(bucket_keys::erase_object))
        .routes(routes!(bucket_keys::erasures))
        .routes(routes!(bucket_keys::receipt))
        .routes(routes!(people::people, people::add_person))
        .routes(routes!(people::rename_person))
        .routes(routes!(people::suspend_person))
        .routes(routes!(people::resume_person))
        .routes(routes!(people::plan_person_erasure))
        .routes(routes!(people::erase_person))
        .routes(routes!(object::list_objects))
        .routes(routes!(backend::backends, backend::attach))
        .routes(routes!(backend::probe))
        .routes(routes!(backend::packs))
        .routes(routes!(backend::detach))
        .routes(routes!(key::keys, key::create_key))
        .routes(routes!(key::revoke_key))
        .routes(routes!(setup::new_code))
        .routes(routes!(setup::sign_out_everywhere))
        .layer(DefaultBodyLimit::max(JSON_MAX))
        .routes(routes!(setup::sign_in, setup::sign_out).layer(DefaultBodyLimit::max(CODE_MAX)))
        .routes(routes!(realm::import_log))
        .routes(routes!(object::get_object, object::head_object, object::put_object, object::delete_object))
        .merge(network())
        .merge(backups())
        .merge(pools())
        .merge(databases())
        .split_for_parts();
    // The router's way to say "the rest of the path" is not OpenAPI's.
    document.paths.paths =
        document.paths.paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    (router, document)
}

fn network() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(net::net, net::set_net))
        .routes(routes!(net::set_net_node))
        .routes(routes!(net::explain))
        .routes(routes!(choice::net_use, choice::set_net_use))
        .routes(routes!(net::services, net::add_service))
        .routes(routes!(net::end_service, door::change_service))
        .routes(routes!(door::certificates, door::set_certificates))
        .routes(routes!(door::realm_authority))
        .routes(routes!(net::rules, net::add_rule))
        .routes(routes!(net::end_rule))
        .routes(routes!(forward::forwards, forward::add_forward))
        .routes(routes!(forward::remove_forward))
        .routes(routes!(net::phones, phone::add_phone))
        .routes(routes!(net::end_phone))
        .routes(routes!(onion::onion, onion::set_onion))
        .routes(routes!(onion::let_in_by_onion))
        .routes(routes!(onion::remove_from_onion))
        .routes(routes!(addresses::addresses, addresses::publish_address))
        .routes(routes!(addresses::remove_address))
        .routes(routes!(grant::realm_card))
        .routes(routes!(grant::grants, grant::offer_grant))
        .routes(routes!(grant::accept_grant))
        .routes(routes!(grant::end_grant))
        .routes(routes!(filter::filter, filter::change))
        .routes(routes!(filter::renew))
        .routes(routes!(filter::explain))
        .routes(routes!(filter::statistics))
        .layer(DefaultBodyLimit::max(JSON_MAX))
}

fn backups() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(alarm::alarm_channels, alarm::add_alarm_channel))
        .routes(routes!(alarm::remove_alarm_channel))
        .routes(routes!(alarm::test_alarm_channel))
        .routes(routes!(zfs::zfs, zfs::apply_zfs))
        .routes(routes!(zfs::zfs_now))
        .routes(routes!(backup::backups, backup::add_backup))
        .routes(routes!(backup::add_backup_target))
        .routes(routes!(backup::pace_backup_target, backup::remove_backup_target))
        .routes(routes!(backup::backup_password))
        .routes(routes!(backup::remove_backup))
        .routes(routes!(backup::back_up_now))
        .routes(routes!(backup::keep_backups))
        .routes(routes!(backup::meter_backup))
        .routes(routes!(backup::accept_backup))
        .routes(routes!(backup::unprotected, backup::spare_from_backup))
        .routes(routes!(backup::backup_snapshots))
        .routes(routes!(backup::backup_entries))
        .routes(routes!(backup::seek_backup))
        .routes(routes!(backup::mount_backup))
        .routes(routes!(backup::look_into_backups))
        .routes(routes!(backup::new_reading_code))
        .routes(routes!(backup::mounted_nodes))
        .routes(routes!(backup::mounted_bytes))
        .routes(routes!(backup::restore_backup))
        .routes(routes!(backup::check_backup))
        .routes(routes!(backup::forget_backups))
        .layer(DefaultBodyLimit::max(JSON_MAX))
}

fn pools() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(pool::pools, pool::new_pool))
        .routes(routes!(pool::join_pool))
        .routes(routes!(pool::take_pool_papers))
        .routes(routes!(pool::sign_pool))
        .routes(routes!(pool::pool_papers))
        .routes(routes!(pool::change_pool, pool::leave_pool))
        .layer(DefaultBodyLimit::max(PAPERS_MAX))
}

fn databases() -> OpenApiRouter<Node> {
    OpenApiRouter::new()
        .routes(routes!(kv::databases, kv::create))
        .routes(routes!(kv::database, kv::delete))
        .routes(routes!(kv::clone_database))
        .routes(routes!(kv::hand_over))
        .routes(routes!(kv::take_over))
        .routes(routes!(kv::snapshots, kv::snapshot))
        .routes(routes!(kv::begin))
        .routes(routes!(kv::add))
        .routes(routes!(kv::commit))
        .routes(routes!(kv::abort))
        .routes(routes!(kv::let_go))
        .routes(routes!(kv::scan))
        .routes(routes!(kv::get, kv::put, kv::remove))
        .routes(routes!(kv::write))
        .routes(routes!(kv::document))
        .routes(routes!(kv::query))
        .routes(routes!(kv::add_index))
        .routes(routes!(kv::drop_index))
        .routes(routes!(kv::watch))
        .layer(DefaultBodyLimit::max(KV_MAX))
}

/// The API of a node, without a gate: for its Unix socket, and for [`Client::in_process`].
///
/// [`Client::in_process`]: crate::Client::in_process
pub fn router(control: Arc<dyn Control>, sessions: Arc<Sessions>) -> Router {
    let (router, _) = parts();
    router
        .fallback(|| async { unknown() })
        .method_not_allowed_fallback(|| async { unknown() })
        .with_state(Node { control, sessions })
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    parts().1
}

/// The OpenAPI document, as it is served.
pub fn openapi_json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| openapi().to_pretty_json().unwrap_or_default() + "\n")
}

/// The OpenAPI document
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "node",
    responses((status = 200, description = "This document", content_type = "application/json")))]
async fn document_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json())
}

fn unknown() -> Problem {
    Problem::not_found(
        "there is nothing to ask here",
        "the API has no such path or method",
        Some("freehold openapi    (prints what there is)"),
    )
}

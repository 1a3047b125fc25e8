//! The door between real clients and services: curl, a WebSocket client, browsers' HTTP/2, and whoever sends
//! bytes that no client would.

#![cfg(test)]

mod around;
mod bodies;
mod browser;
mod changes;
mod clients;
mod failures;
mod http3;
mod listens;
mod passed;
mod rights;
mod smuggling;
mod websocket;

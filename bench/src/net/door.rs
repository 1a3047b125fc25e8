//! The door beside nginx, HAProxy, Caddy and Traefik: small answers over TLS from one service behind each, asked by wrk.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Running, number_after, ours, port, said, seconds};

/// What one of them did.
struct Did {
    name: &'static str,
    rate: f64,
    each: f64,
    late: String,
    shaken: f64,
    memory: u64,
}

pub(super) fn compared() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let (cert, key) = (cert.to_string_lossy(), key.to_string_lossy());
    let made =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let names =
        ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &cert];
    said("openssl", &[&made[..], &names].concat())?;
    let behind = port()?;
    let mut service = nginx(folder, "service", &service_conf(behind))?;
    let service = Running::start("service", &mut service, folder)?.ready(folder, || is_there(behind))?;
    let mut all = Vec::new();
    for name in ["Freehold", "nginx", "HAProxy", "Caddy", "Traefik"] {
        let at = port()?;
        let begun = command(name, folder, (&cert, &key), at, behind);
        let running = begun.and_then(|mut command| Running::start(name, &mut command, folder));
        let running = running.and_then(|running| running.ready(folder, || answers(at)));
        match running.and_then(|running| measured(&running, at)) {
            Ok(did) => all.push(did),
            Err(error) => println!("{name}: {error:#}"),
        }
    }
    drop(service);
    let row = |what: &str, value: &dyn Fn(&Did) -> String| {
        let said: Vec<String> = all.iter().map(|did| format!("{} {}", did.name, value(did))).collect();
        println!("| door, small answers over TLS, {what} | {} |", said.join(", "));
    };
    row("requests a second, 64 connections", &|did| format!("{:.0}", did.rate));
    row("processor µs a request", &|did| format!("{:.1}", did.each));
    row("slowest of a hundred", &|did| did.late.clone());
    row("handshakes and a request a second", &|did| format!("{:.0}", did.shaken));
    row("resident", &|did| format!("{} MiB", did.memory));
    Ok(())
}

fn measured(running: &Running, at: u16) -> Result<Did> {
    wrk(at, 1, &[])?;
    let before = running.seconds();
    let (rate, count, late) = wrk(at, seconds(), &[])?;
    let each = (running.seconds() - before) * 1e6 / count;
    let memory = running.memory();
    let (shaken, ..) = wrk(at, seconds(), &["-H", "Connection: close"])?;
    Ok(Did { name: running.name, rate, each, late, shaken, memory })
}

/// Requests a second, how many there were, and how long the slowest of a hundred took.
fn wrk(at: u16, seconds: u32, more: &[&str]) -> Result<(f64, f64, String)> {
    let (url, seconds) = (format!("https://localhost:{at}/"), format!("-d{seconds}"));
    let said = said("wrk", &[&["-t2", "-c64", "--latency", &seconds], more, &[&url]].concat())?;
    let find = |mark: &str| number_after(&said, mark).with_context(|| format!("no {mark} in: {said}"));
    let count = said
        .lines()
        .find(|line| line.contains(" requests in "))
        .and_then(|line| line.split_whitespace().next());
    anyhow::ensure!(!said.contains("Non-2xx"), "refused: {said}");
    // A share of 99% may stand elsewhere, too.
    let late = said.lines().find_map(|line| line.trim().strip_prefix("99%")).context("no slowest")?;
    Ok((find("Requests/sec:")?.parse()?, count.context("no count")?.parse()?, late.trim().to_owned()))
}

fn is_there(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn answers(port: u16) -> bool {
    let url = format!("https://localhost:{port}/");
    said("curl", &["-sk", "--max-time", "5", "-o", "/dev/null", "--fail", &url]).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "a file of a measurement needs no fsync")]
fn put(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

fn nginx(folder: &Path, name: &str, http: &str) -> Result<Command> {
    let at = folder.display();
    let text = format!(
        "daemon off;\nworker_processes 2;\npid {at}/{name}.pid;\nerror_log {at}/{name}.error;\nevents {{}}\n\
         http {{\naccess_log off;\nkeepalive_requests 100000000;\nclient_body_temp_path {at}/{name}.1;\n\
         proxy_temp_path {at}/{name}.2;\nfastcgi_temp_path {at}/{name}.3;\nuwsgi_temp_path {at}/{name}.4;\n\
         scgi_temp_path {at}/{name}.5;\n{http}\n}}\n"
    );
    let conf = put(folder, &format!("{name}.conf"), &text)?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", &conf]);
    Ok(command)
}

fn service_conf(port: u16) -> String {
    let text = "x".repeat(64);
    format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"{text}\"; }} }}")
}

/// Each with as many threads as this machine has processors, and connections to the service that are kept.
fn command(name: &str, folder: &Path, (cert, key): (&str, &str), at: u16, behind: u16) -> Result<Command> {
    let service = format!("127.0.0.1:{behind}");
    Ok(match name {
        "Freehold" => {
            let mut door = Command::new(ours("FREEHOLD_BENCH_DOOR")?);
            door.arg(format!("127.0.0.1:{at}")).args([cert, key, "localhost", &service]);
            door
        }
        "nginx" => nginx(
            folder,
            "proxy",
            &format!(
                "upstream service {{ server {service}; keepalive 64; keepalive_requests 100000000; }}\n\
                 server {{ listen 127.0.0.1:{at} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};\n\
                 location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}"
            ),
        )?,
        "HAProxy" => {
            let both = [std::fs::read_to_string(cert)?, std::fs::read_to_string(key)?].concat();
            let pem = put(folder, "both.pem", &both)?;
            let text = format!(
                "global\n maxconn 4096\n nbthread 2\ndefaults\n mode http\n timeout client 30s\n timeout server 30s\n \
                 timeout connect 5s\nfrontend f\n bind 127.0.0.1:{at} ssl crt {pem} alpn h2,http/1.1\n \
                 default_backend b\nbackend b\n http-reuse always\n server s {service}\n"
            );
            let mut haproxy = Command::new("haproxy");
            haproxy.args(["-db", "-f", &put(folder, "haproxy.cfg", &text)?]);
            haproxy
        }
        "Caddy" => {
            let text = format!(
                "{{\n admin off\n auto_https off\n}}\nhttps://localhost:{at} {{\n tls {cert} {key}\n \
                 reverse_proxy {service}\n}}\n"
            );
            let mut caddy = Command::new("caddy");
            caddy.args(["run", "--adapter", "caddyfile", "--config", &put(folder, "Caddyfile", &text)?]);
            caddy.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            caddy
        }
        _ => {
            let text = format!(
                "http:\n  routers:\n    r:\n      rule: PathPrefix(`/`)\n      service: s\n      entryPoints: [web]\n      \
                 tls: {{}}\n  services:\n    s:\n      loadBalancer:\n        servers:\n          - url: http://{service}\n\
                 tls:\n  certificates:\n    - certFile: {cert}\n      keyFile: {key}\n"
            );
            let file = put(folder, "traefik.yml", &text)?;
            let mut traefik = Command::new("traefik");
            traefik.arg(format!("--entryPoints.web.address=127.0.0.1:{at}"));
            traefik.args(["--global.checkNewVersion=false", &format!("--providers.file.filename={file}")]);
            traefik.args(["--global.sendAnonymousUsage=false", "--log.level=ERROR"]);
            traefik
        }
    })
}

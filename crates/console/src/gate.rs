//! Signing in and out, the theme, and the gate in front of every page.

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use freehold_api::{Problem, Source, TypedCode, foreign_host, own_host, same_origin};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::fault::{Fault, status};
use crate::frame::{Frame, THEME_COOKIE, Theme, page};
use crate::routes::Console;

/// Lets through who has signed in; everybody else comes to the sign-in page and learns nothing.
pub(crate) async fn signed_in(State(console): State<Console>, request: Request, next: Next) -> Response {
    if console.sessions.admits(request.headers()) {
        return next.run(request).await;
    }
    let wanted = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let next_page = if request.method() == http::Method::GET && wanted != "/" {
        format!("/sign-in?next={}", freehold_api::encode_path(wanted))
    } else {
        "/sign-in".to_owned()
    };
    Redirect::to(&next_page).into_response()
}

/// Turns away what another site sends in our reader's name, or by a name of its own.
pub(crate) async fn our_pages_only(request: Request, next: Next) -> Response {
    if !own_host(request.uri(), request.headers(), request.extensions().get()) {
        return Fault::from(foreign_host()).into_response();
    }
    if same_origin(request.method(), request.uri(), request.headers()) {
        return next.run(request).await;
    }
    Fault::from(Problem::refused(
        "this was not asked from the console",
        "another site sent it",
        Some("open the console and try again"),
    ))
    .into_response()
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    code: String,
    next: String,
    problem: Option<Problem>,
}

pub(crate) async fn ask(theme: Theme, Query(wanted): Query<Wanted>) -> Response {
    page(&Page { frame: Frame::bare(theme), code: wanted.code, next: local(&wanted.next), problem: None })
}

pub(crate) async fn sign_in(
    State(console): State<Console>,
    theme: Theme,
    source: Option<Extension<Source>>,
    Form(wanted): Form<Wanted>,
) -> Response {
    let source = source.map_or(Source::Here, |Extension(source)| source);
    let next = local(&wanted.next);
    match console.client.sign_in(&TypedCode { code: wanted.code }, source).await {
        Ok(cookie) => {
            ([(header::SET_COOKIE, cookie.as_header().to_owned())], Redirect::to(&next)).into_response()
        }
        Err(problem) => {
            let code = status(Some(&problem));
            let again = Page { frame: Frame::bare(theme), code: String::new(), next, problem: Some(problem) };
            (code, page(&again)).into_response()
        }
    }
}

pub(crate) async fn sign_out(State(console): State<Console>, headers: HeaderMap) -> Response {
    let cookie = console.sessions.sign_out(&headers);
    ([(header::SET_COOKIE, cookie.as_header().to_owned())], Redirect::to("/sign-in")).into_response()
}

pub(crate) async fn sign_out_everywhere(State(console): State<Console>) -> Result<Response, Fault> {
    console.client.sign_out_everywhere().await?;
    Ok(Redirect::to("/sign-in").into_response())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Chosen {
    theme: Theme,
}

/// Remembers the theme, and goes back to where the choice was made.
pub(crate) async fn choose_theme(headers: HeaderMap, Form(Chosen { theme }): Form<Chosen>) -> Response {
    let cookie =
        format!("{THEME_COOKIE}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", theme.as_str());
    let from = headers.get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<http::Uri>().ok());
    let back =
        from.as_ref().and_then(|from| from.path_and_query()).map_or("/", http::uri::PathAndQuery::as_str);
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, local(back))]).into_response()
}

/// An address of ours, or the front page. Browsers leave out tabs and line breaks wherever they are,
/// and take a backslash for a slash: none of them is in an address that we made.
fn local(next: &str) -> String {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && next.starts_with('/') && !next.starts_with("//") { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        for ours in ["/", "/files", "/files/photos?prefix=a%2Fb&x=%09", "/files/%C3%BC"] {
            assert_eq!(local(ours), ours);
        }
        let theirs = [
            "",
            "//evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            "/\\evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "/\0/evil.example",
            "/\x7f/evil.example",
            "/a b",
            "/\u{fc}",
        ];
        for theirs in theirs {
            assert_eq!(local(theirs), "/", "{theirs:?}");
        }
    }
}

//! What all pages share: who the realm is, where one is, and how it looks.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse as _, Response};
use freehold_api::{Level, Status};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use crate::assets::{Assets, assets};

pub(crate) const THEME_COOKIE: &str = "freehold-theme";

/// Light, dark, or what the system says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        match pairs.filter(|(name, _)| *name == THEME_COOKIE).map(|(_, value)| value).next() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::Auto,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Theme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// The places one can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Home,
    Files,
    Nodes,
    Network,
    Buckets,
    Backups,
    Grants,
    Health,
    Realm,
    Nowhere,
}

/// A line of the navigation.
pub(crate) struct Link {
    pub(crate) place: Place,
    pub(crate) href: &'static str,
    pub(crate) name: &'static str,
    pub(crate) icon: &'static str,
}

const LINKS: [Link; 9] = [
    Link { place: Place::Home, href: "/", name: "Home", icon: "home" },
    Link { place: Place::Files, href: "/files", name: "Files", icon: "folder" },
    Link { place: Place::Nodes, href: "/nodes", name: "Nodes", icon: "node" },
    Link { place: Place::Network, href: "/network", name: "Network", icon: "network" },
    Link { place: Place::Buckets, href: "/buckets", name: "Buckets", icon: "bucket" },
    Link { place: Place::Backups, href: "/backups", name: "Backups", icon: "backup" },
    Link { place: Place::Grants, href: "/grants", name: "Grants", icon: "grant" },
    Link { place: Place::Health, href: "/health", name: "Health", icon: "pulse" },
    Link { place: Place::Realm, href: "/realm", name: "Realm", icon: "key" },
];

/// What the base template shows around a page.
pub(crate) struct Frame {
    pub(crate) theme: Theme,
    pub(crate) place: Place,
    /// Empty where nobody has signed in: a stranger learns no name.
    pub(crate) realm: String,
    pub(crate) alarms: usize,
    pub(crate) notice: &'static str,
}

impl Frame {
    pub(crate) fn new(theme: Theme, place: Place, status: &Status) -> Self {
        let alarms = status.alarms.iter().filter(|finding| finding.level == Level::Alarm).count();
        Self { theme, place, realm: status.realm.name.clone(), alarms, notice: "" }
    }

    /// For those who may not know anything.
    pub(crate) const fn bare(theme: Theme) -> Self {
        Self { theme, place: Place::Nowhere, realm: String::new(), alarms: 0, notice: "" }
    }

    #[must_use]
    pub(crate) const fn with_notice(mut self, notice: &'static str) -> Self {
        self.notice = notice;
        self
    }

    #[expect(clippy::unused_self, reason = "templates reach it through the frame")]
    pub(crate) fn assets(&self) -> &'static Assets {
        assets()
    }

    #[expect(clippy::unused_self, reason = "templates reach it through the frame")]
    pub(crate) const fn links(&self) -> &'static [Link] {
        &LINKS
    }
}

/// A page as an answer.
pub(crate) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

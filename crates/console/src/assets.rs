//! What pages load besides themselves: a style sheet, a script and an icon, in the program and named
//! by their content, so that browsers may keep them for ever.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};

struct Asset {
    url: String,
    kind: &'static str,
    content: &'static [u8],
}

pub(crate) struct Assets {
    style: Asset,
    script: Asset,
    icon: Asset,
}

pub(crate) fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| Assets {
        style: asset("console", "css", "text/css; charset=utf-8", include_bytes!("../assets/console.css")),
        script: asset(
            "console",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/console.js"),
        ),
        icon: asset("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    })
}

impl Assets {
    pub(crate) fn style(&self) -> &str {
        &self.style.url
    }

    pub(crate) fn script(&self) -> &str {
        &self.script.url
    }

    pub(crate) fn icon(&self) -> &str {
        &self.icon.url
    }
}

fn asset(name: &str, ending: &str, kind: &'static str, content: &'static [u8]) -> Asset {
    let hash = blake3::hash(content).to_hex();
    Asset { url: format!("/assets/{name}.{}.{ending}", hash.split_at(12).0), kind, content }
}

/// `GET /assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let assets = assets();
    let wanted = format!("/assets/{name}");
    let found = [&assets.style, &assets.script, &assets.icon].into_iter().find(|asset| asset.url == wanted);
    match found {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

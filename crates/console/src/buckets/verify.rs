//! Verification as a page that grows while it runs: its head at once, a line now and then, and the
//! result at the end. No script is needed for that.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Form;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use bytes::Bytes;
use freehold_api::{Damage, Problem, VerifyEvent, VerifyFinding, VerifyReport};
use futures::StreamExt as _;
use serde::Deserialize;

use super::load;
use crate::fault::Fault;
use crate::frame::{Frame, Theme};
use crate::routes::Console;
use crate::words;

/// Enough to see that it goes on, few enough to be read aloud.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Stands where the result will come.
const RESULT: &str = "<!-- result -->";

#[derive(Template)]
#[template(path = "verify.html")]
struct Page {
    frame: Frame,
    name: String,
}

#[derive(Template)]
#[template(path = "verify_result.html")]
struct Outcome {
    name: String,
    report: VerifyReport,
}

impl Outcome {
    #[expect(clippy::unused_self, reason = "a template calls it")]
    fn damage(&self, finding: &VerifyFinding) -> &'static str {
        match finding.damage {
            Damage::Missing => "was missing here",
            Damage::Cut => "was cut",
            Damage::Swapped => "was swapped for another",
            Damage::Altered => "was altered",
            Damage::NotForThisObject => "did not belong to it",
        }
    }
}

#[derive(Template)]
#[template(path = "verify_failed.html")]
struct Failed {
    problem: Problem,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    repair: Option<String>,
}

pub(crate) async fn verify(
    State(console): State<Console>,
    theme: Theme,
    Path(name): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Response, Fault> {
    let frame = load(&console, theme, &name).await?.frame;
    let events = console.client.verify_bucket(&name, wish.repair.is_some()).await?;
    let whole = Page { frame, name: name.clone() }.render().unwrap_or_default();
    let (head, tail) = whole.split_once(RESULT).unwrap_or((&whole, ""));
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let mut said = Instant::now();
    let middle = events.filter_map(move |event| {
        let line = match event {
            Ok(VerifyEvent::Progress { .. }) if said.elapsed() < LINE_EVERY => None,
            Ok(VerifyEvent::Progress { blobs, bytes }) => {
                said = Instant::now();
                Some(format!(
                    "<p>{} read, {} so far.</p>\n",
                    words::count(blobs, "part"),
                    words::bytes(bytes)
                ))
            }
            Ok(VerifyEvent::Done(report)) => Some(rendered(&Outcome { name: name.clone(), report })),
            Ok(VerifyEvent::Failed(problem)) | Err(problem) => Some(rendered(&Failed { problem })),
        };
        std::future::ready(line)
    });
    let once = |text: String| futures::stream::once(std::future::ready(text));
    let body = once(head).chain(middle).chain(once(tail)).map(|text| Ok::<_, Infallible>(Bytes::from(text)));
    Ok(Html(Body::from_stream(body)).into_response())
}

fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

//! How the parts of this node are, and what the doctor says.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use freehold_api::{Finding, Level, PlaneState, PlaneStatus, Status};

use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words::{self, Mark};

#[derive(Template)]
#[template(path = "health.html")]
struct Page {
    frame: Frame,
    status: Status,
    findings: Vec<Finding>,
    uptime: String,
}

impl Page {
    fn wrong(&self) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.level != Level::Good).collect()
    }

    fn good(&self) -> Vec<&Finding> {
        // The node's parts have a list of their own.
        let part = |finding: &Finding| self.status.planes.iter().any(|plane| finding.what == plane.name);
        self.findings.iter().filter(|finding| finding.level == Level::Good && !part(finding)).collect()
    }

    #[expect(clippy::unused_self, reason = "a template calls it")]
    fn mark(&self, plane: &PlaneStatus) -> Mark {
        match plane.state {
            PlaneState::Running => Mark { tone: "good", word: "Running" },
            PlaneState::Starting => Mark { tone: "quiet", word: "Starting" },
            PlaneState::Degraded => Mark { tone: "wait", word: "Needs a look" },
            PlaneState::Stopped => Mark { tone: "bad", word: "Stopped" },
            PlaneState::Idle => Mark { tone: "quiet", word: "Not in use" },
            PlaneState::Off => Mark { tone: "quiet", word: "Off" },
        }
    }
}

pub(crate) async fn show(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let findings = console.client.doctor().await?.findings;
    let uptime = words::span(status.uptime_ms);
    Ok(page(&Page { frame: Frame::new(theme, Place::Health, &status), status, findings, uptime }))
}

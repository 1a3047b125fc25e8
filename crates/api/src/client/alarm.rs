//! Where alarms go, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request, segment};
use crate::{AlarmChannel, NewAlarmChannel, Problem};

impl Client {
    /// Where they go.
    pub async fn alarm_channels(&self) -> Result<Vec<AlarmChannel>, Problem> {
        self.get("/alarms/channels").await
    }

    /// Has them go somewhere else, too.
    pub async fn add_alarm_channel(&self, wish: &NewAlarmChannel) -> Result<AlarmChannel, Problem> {
        self.send(Method::POST, "/alarms/channels", wish).await
    }

    /// Has them go there no longer.
    pub async fn remove_alarm_channel(&self, name: &str) -> Result<(), Problem> {
        let path = format!("/alarms/channels/{}", segment(name));
        self.ask(request(Method::DELETE, &path, Body::empty())?).await.map(drop)
    }

    /// Sends a message there that says that it is a test.
    pub async fn test_alarm_channel(&self, name: &str) -> Result<AlarmChannel, Problem> {
        let path = format!("/alarms/channels/{}/test", segment(name));
        read_json(self.ask(request(Method::POST, &path, Body::empty())?).await?).await
    }
}

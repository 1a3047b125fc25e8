//! Where alarms go, from the API to where it is kept.

use async_trait::async_trait;
use freehold_api::{AlarmChannel, AlarmControl, NewAlarmChannel, Problem};

use super::Answers;

#[async_trait]
impl AlarmControl for Answers {
    async fn alarm_channels(&self) -> Result<Vec<AlarmChannel>, Problem> {
        Ok(self.0.alarms.list())
    }

    async fn add_alarm_channel(&self, wish: NewAlarmChannel) -> Result<AlarmChannel, Problem> {
        self.0.alarms.add(wish)
    }

    async fn remove_alarm_channel(&self, name: &str) -> Result<(), Problem> {
        self.0.alarms.remove(name)
    }

    async fn test_alarm_channel(&self, name: &str) -> Result<AlarmChannel, Problem> {
        self.0.alarms.test(&self.0, name).await
    }
}

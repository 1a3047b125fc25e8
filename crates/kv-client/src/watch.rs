//! Watching what changes.

use freehold_api::Problem;
use freehold_api::kv::{KvEvent, KvEvents, KvNews};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::Database;

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl Database {
    /// What changes after a write, and every few seconds that nothing has; after the last write if none is
    /// named. It ends when the node does, or the database changes hands.
    pub async fn news(&self, after: Option<u64>) -> Result<KvEvents, Problem> {
        self.client.kv_watch(&self.name, after).await
    }

    /// What changes after a write, without end: when a connection ends it begins a new one where it was.
    pub fn watch(&self, after: u64) -> BoxStream<'static, Result<KvEvent, Problem>> {
        let begin = (self.clone(), after, None::<KvEvents>);
        let events = futures::stream::try_unfold(begin, |(database, after, open)| async move {
            let mut open = match open {
                Some(open) => open,
                None => database.news(Some(after)).await?,
            };
            match open.next().await {
                Some(Ok(KvNews::Event(event))) => {
                    let number = event.number;
                    Ok(Some((Some(event), (database, number, Some(open)))))
                }
                Some(Ok(KvNews::Heard(_))) => Ok(Some((None, (database, after, Some(open))))),
                Some(Err(problem)) => Err(problem),
                None => Ok(Some((None, (database, after, None)))),
            }
        });
        Box::pin(events.try_filter_map(|event| std::future::ready(Ok(event))))
    }
}

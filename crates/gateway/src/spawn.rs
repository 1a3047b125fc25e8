//! What HTTP/2 starts beside its connection has an owner, too.

use std::future::Future;

use tokio_util::task::TaskTracker;

#[derive(Debug, Clone)]
pub(crate) struct Spawn(TaskTracker);

impl Spawn {
    pub(crate) fn on(tasks: &TaskTracker) -> Self {
        Self(tasks.clone())
    }
}

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

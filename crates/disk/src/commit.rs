//! Group commit: one thread owns all writes to a store. Whatever arrives while a commit waits for
//! the disk goes into the next one together, so that many small writes share one fsync.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use redb::WriteTransaction;

use crate::store::Slot;
use crate::{Kind, StoreError};

/// Jobs in one commit; more would make the first ones wait long.
const BATCH: usize = 256;

/// Told when the job is durable, or that it is not.
type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs inside a transaction, or is told why there is none.
type Job = Box<dyn FnOnce(Result<&WriteTransaction, StoreError>) -> (Result<(), StoreError>, Done) + Send>;

/// The writing thread of one store; dropping it finishes what was handed in.
pub(crate) struct Committer {
    /// Without a bound: who hands a job in waits for its end anyway, and must not be held up here,
    /// because the writer may in turn be waiting for him to take a result.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Committer {
    pub(crate) fn start(path: &Path, db: Slot) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let owned = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || run(&owned, &db, &queue))
            .map_err(|error| StoreError::io("starting the writer of", path, error))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), path: path.to_owned() })
    }

    /// Hands in a job. `done` is called from the writing thread once the job's commit is durable,
    /// or has failed; it must be quick. A job that fails undoes the whole commit.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let job: Job = Box::new(move |txn| match txn.and_then(job) {
            Ok(value) => (Ok(()), Box::new(move |result| done(result.map(|()| value)))),
            Err(error) => {
                (Err(error.clone()), Box::new(move |result| done(Err(result.err().unwrap_or(error)))))
            }
        });
        let Some(jobs) = &self.jobs else { return };
        if let Err(refused) = jobs.send(job) {
            // The thread ends only when the sender is gone, or by a panic in the engine: dropping
            // the job drops `done`, and its waiter sees a closed store.
            drop(refused);
            tracing::error!(path = %self.path.display(), "the writer of the store has ended");
        }
    }

    /// Hands in a job and waits until it is durable.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = sync_channel(1);
        self.submit(job, move |result| drop(tell.send(result)));
        told.recv().unwrap_or_else(|_| Err(StoreError::Closed { path: self.path.clone() }))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the writer of the store panicked");
        }
    }
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").field("path", &self.path).finish_non_exhaustive()
    }
}

fn run(path: &Path, db: &Slot, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut done = Vec::new();
        let result = commit(path, db, std::iter::once(first).chain(queue.try_iter()).take(BATCH), &mut done);
        if result.as_ref().is_err_and(|error| matches!(error.kind(), Kind::NoSpace | Kind::Failed)) {
            // The engine does nothing more after a failed write until it is opened anew, which
            // goes back to the last commit. The next job tries that.
            db.close();
        }
        for tell in done {
            tell(result.clone());
        }
    }
}

fn commit(
    path: &Path,
    db: &Slot,
    jobs: impl Iterator<Item = Job>,
    done: &mut Vec<Done>,
) -> Result<(), StoreError> {
    let db = db.open();
    let txn =
        db.and_then(|db| db.begin_write().map_err(|error| StoreError::redb("writing", path, error.into())));
    let mut outcome = Ok(());
    for job in jobs {
        let (result, tell) = job(txn.as_ref().map_err(Clone::clone));
        done.push(tell);
        outcome = result;
        if outcome.is_err() {
            break;
        }
    }
    let txn = outcome.and(txn)?;
    txn.commit().map_err(|error| StoreError::redb("committing", path, error.into()))
}

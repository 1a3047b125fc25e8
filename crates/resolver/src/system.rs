//! Who looks names up for the programs of this machine: set to us, and put back. With systemd-resolved it
//! is told for one network link, which it forgets with the link; without, `/etc/resolv.conf` is replaced,
//! and what it was lies in our own folder until it is put back, at the end or after a crash.

mod file;
mod link;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use freehold_names::Domain;

use file::Replaced;
use link::Told;

/// What is wanted of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The link that systemd-resolved is told of; without one it is not told.
    pub link: Option<String>,
    /// Where we serve. In a file only those on port 53 count.
    pub servers: Vec<SocketAddr>,
    /// Names, with all below them, that we are asked for.
    pub domains: Vec<Domain>,
    /// What is put behind a name without a dot.
    pub search: Vec<Domain>,
    /// Whether we are asked for all other names as well. A file cannot but say so.
    pub everything: bool,
    /// The file, as a rule `/etc/resolv.conf`.
    pub file: PathBuf,
}

/// Who was asked before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// Servers, in order.
    pub servers: Vec<IpAddr>,
    /// What was put behind a name without a dot.
    pub search: Vec<String>,
}

/// Why this machine's settings stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The file cannot be read or replaced.
    #[error("setting who looks names up in {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What it was cannot be kept, so nothing was changed.
    #[error("keeping what was said of name servers in {path}: {source}")]
    Keep {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// None of our addresses can stand in the file.
    #[error("{0} can name servers on port 53 only, and we serve on none")]
    Port(PathBuf),
    /// It says what another one like us has set.
    #[error("{0} was set by another freehold, or by one of a home that is gone")]
    Another(PathBuf),
    /// systemd-resolved would not.
    #[error("systemd-resolved: {0}")]
    Resolved(String),
    /// systemd-resolved lets others say that.
    #[error("systemd-resolved does not take it from this user: {0}")]
    Denied(String),
}

impl SystemError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "sudo systemctl restart freehold    (another program has swapped the file, and the service sees \
                 the old one)"
                    .to_owned()
            }
            Self::File { path, .. } | Self::Port(path) | Self::Another(path) => {
                format!(
                    "write `nameserver ADDRESS` into {} yourself, with an address of this node",
                    path.display()
                )
            }
            Self::Keep { .. } => "look whether the disk is full".to_owned(),
            Self::Denied(_) => "sudo apt install polkitd, then `sudo freehold up --install-service` again; or \
                                --dns-system no"
                .to_owned(),
            Self::Resolved(_) => "resolvectl status    (says what it knows of the link)".to_owned(),
        }
    }
}

#[derive(Debug)]
enum How {
    Link(Told),
    File(Replaced),
}

/// This machine asks us, until it is given back.
#[derive(Debug)]
pub struct Taken {
    how: How,
    before: Before,
}

/// Lets this machine ask us.
///
/// # Errors
/// [`SystemError`]; everything is as it was then.
pub async fn take(folder: &Path, wish: &Wish) -> Result<Taken, SystemError> {
    if let Some(link) = &wish.link
        && link::is_running().await
    {
        let told = Told::tell(link, wish).await?;
        return Ok(Taken { before: link::before(), how: How::Link(told) });
    }
    let (replaced, before) = Replaced::replace(folder, wish)?;
    Ok(Taken { how: How::File(replaced), before })
}

/// Whether systemd-resolved looks names up here, and can be told.
pub async fn has_resolved() -> bool {
    link::is_running().await
}

/// Puts back what a crash left as we had set it: which file, if there was one.
///
/// # Errors
/// [`SystemError`]; the next start tries again.
pub fn mend(folder: &Path) -> Result<Option<PathBuf>, SystemError> {
    file::mend(folder)
}

impl Taken {
    /// Who was asked before.
    pub const fn before(&self) -> &Before {
        &self.before
    }

    /// Sees to it that it is still so: others write the same file, as a machine moves from network to
    /// network. Then what they wrote is the new "before", and is given back. To be called now and then.
    ///
    /// # Errors
    /// [`SystemError`]
    pub fn hold(&mut self) -> Result<Option<&Before>, SystemError> {
        let How::File(replaced) = &mut self.how else { return Ok(None) };
        let Some(before) = replaced.hold()? else { return Ok(None) };
        self.before = before;
        Ok(Some(&self.before))
    }

    /// Puts everything back as it was, unless somebody else has changed it since.
    ///
    /// # Errors
    /// [`SystemError`]; [`mend`] tries again.
    pub async fn give_back(self) -> Result<(), SystemError> {
        match self.how {
            How::Link(told) => told.take_back().await,
            How::File(replaced) => replaced.put_back(),
        }
    }
}

//! Who certifies the names that TLS ends for here: one keeper at a time, made anew when an authority is chosen or
//! the realm's own comes to be known.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use freehold_certs::{
    Acme, AcmeSettings, Authority, Hook, Keep, Keeper, Records, Shelf, Signer, Standing, Update,
    UpdateAlgorithm, UpdateKey, Wanted,
};
use freehold_seal::{PublicAuthority, ZoneServer};
use freehold_wire::Text;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use super::kept::{self, Kept};
use super::plan::Plan;
use crate::shared::Shared;
use crate::supervisor::Plane;

/// A public authority takes this long at most.
const WITHIN: Duration = Duration::from_mins(3);
/// How long records of a zone take until all its servers have them.
const SETTLE: Duration = Duration::from_secs(30);
/// A server or program that puts records into a zone takes this long at most.
const RECORD_WITHIN: Duration = Duration::from_mins(1);

/// What a keeper was made by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct By {
    zone: String,
    has_authority: bool,
    public: Option<PublicAuthority>,
    zone_key: Option<Zeroizing<Vec<u8>>>,
}

/// The keeper, and what it is told and tells.
pub(crate) struct Certificates {
    shared: Arc<Shared>,
    kept: Arc<Kept>,
    shelf: Arc<Shelf>,
    hook: Option<PathBuf>,
    by: By,
    work: Option<Work>,
}

struct Work {
    wanted: watch::Sender<Vec<Wanted>>,
    standing: watch::Receiver<Vec<Standing>>,
    _stop: DropGuard,
}

impl Certificates {
    pub(crate) fn new(shared: &Arc<Shared>, kept: Kept, hook: Option<PathBuf>) -> Self {
        Self {
            shared: Arc::clone(shared),
            kept: Arc::new(kept),
            shelf: Arc::new(Shelf::new()),
            hook,
            by: By::default(),
            work: None,
        }
    }

    pub(crate) const fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// How it stands with each name; and the names that the realm's own authority is to certify and cannot.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        self.work.as_ref().map(|work| work.standing.borrow().clone()).unwrap_or_default()
    }

    /// Whether the realm's own authority is known here.
    pub(crate) const fn has_authority(&self) -> bool {
        self.by.has_authority
    }

    /// Wants what the plan says, of whom the realm has chosen.
    pub(crate) async fn go_by(&mut self, plane: &Plane, plan: &Plan, zone: &str) {
        let public = self.shared.directory().public_authority().filter(|public| public.agreed).cloned();
        let inside = plan.wanted.iter().any(|one| one.signer == Signer::Realm);
        // It is looked for until it is found: its key may come later than word of the service.
        let known = if inside && !(self.by.has_authority && self.by.zone == zone) {
            self.authority(zone).await.map(Arc::new)
        } else {
            None
        };
        let zone_key = match public.as_ref().and_then(|public| public.update.as_ref()) {
            // What cannot be read just now is no other key: nobody is asked anew for that.
            Some(_) => match kept::read(&self.shared, kept::ZONE_KEY).await {
                Ok(key) => key,
                Err(_) => self.by.zone_key.clone(),
            },
            None => None,
        };
        let has_authority = known.is_some() || (self.by.has_authority && self.by.zone == zone);
        let by = By { zone: zone.to_owned(), has_authority, public, zone_key };
        self.kept.set_own(plan.kept_here.clone());
        // Nobody is asked who is not known yet: that would count as a failure, and be tried again much later.
        let wanted: Vec<Wanted> = (plan.wanted.iter())
            .filter(|one| one.signer != Signer::Realm || has_authority)
            .cloned()
            .collect();
        if by != self.by || self.work.is_none() {
            let authority = match known {
                None if has_authority => self.authority(zone).await.map(Arc::new),
                known => known,
            };
            if self.work.take().is_some() {
                self.forget_failures(&wanted).await;
            }
            self.by = by;
            self.begin(plane, authority, wanted);
        } else if let Some(work) = &self.work {
            work.wanted.send_if_modified(|now| {
                let is_new = *now != wanted;
                if is_new {
                    *now = wanted;
                }
                is_new
            });
        }
    }

    /// Somebody has changed what may have been wrong.
    async fn forget_failures(&self, wanted: &[Wanted]) {
        for name in wanted.iter().filter_map(|one| one.names.first()) {
            if let Err(error) = self.kept.forget(&kept::note_of(name)).await {
                tracing::warn!(%error, "what is remembered of failures stays");
            }
        }
    }

    async fn authority(&self, zone: &str) -> Option<Authority> {
        kept::authority(&self.shared, zone).await.unwrap_or_else(|problem| {
            tracing::warn!(%problem, "the realm's own authority");
            None
        })
    }

    fn begin(&mut self, plane: &Plane, authority: Option<Arc<Authority>>, wanted: Vec<Wanted>) {
        let keep: Arc<dyn Keep> = Arc::clone(&self.kept) as Arc<dyn Keep>;
        let acme = self.by.public.as_ref().and_then(|public| {
            let settings = self.settings(public)?;
            Some(Arc::new(Acme::new(
                settings,
                Arc::clone(&keep),
                Arc::clone(&self.shelf),
                self.records(public),
            )))
        });
        let keeper = Keeper::new(keep, Arc::clone(&self.shelf), authority, acme);
        let (wanted, asked) = watch::channel(wanted);
        let (told, standing) = watch::channel(Vec::new());
        let cancel = CancellationToken::new();
        // What it had begun is left: its notes say when to try again.
        plane.spawn(keeper.run(asked, told, cancel.clone()));
        self.work = Some(Work { wanted, standing, _stop: cancel.drop_guard() });
    }

    fn settings(&self, public: &PublicAuthority) -> Option<AcmeSettings> {
        let roots = match &public.roots {
            None => None,
            Some(pem) => {
                let file = self.shared.home.net().join("authority-roots.pem");
                if let Err(error) = freehold_disk::replace(&file, pem.as_str().as_bytes(), 0o600) {
                    tracing::warn!(%error, "what the public authority is known by was not written");
                    return None;
                }
                Some(file)
            }
        };
        Some(AcmeSettings {
            directory: public.directory.as_str().to_owned(),
            contact: public.contact.iter().map(Text::as_str).map(str::to_owned).collect(),
            agreed: public.agreed,
            roots,
            external: None,
            within: WITHIN,
            settle: SETTLE,
        })
    }

    /// What puts records into the zone: a program of this machine, or else the server that the realm names.
    fn records(&self, public: &PublicAuthority) -> Option<Arc<dyn Records>> {
        if let Some(program) = &self.hook {
            return Some(Arc::new(Hook { program: program.clone(), within: RECORD_WITHIN }));
        }
        let (server, secret) = (public.update.as_ref()?, self.by.zone_key.clone()?);
        match update(server, secret) {
            Ok(update) => Some(Arc::new(update)),
            Err(error) => {
                tracing::warn!(%error, "the zone is not changed");
                None
            }
        }
    }
}

/// A server of a zone, and its key.
pub(crate) fn update(server: &ZoneServer, secret: Zeroizing<Vec<u8>>) -> Result<Update, String> {
    let at =
        server.server.as_str().parse().map_err(|_| format!("{} is no address and port", server.server))?;
    let algorithm = if server.sha512 { UpdateAlgorithm::HmacSha512 } else { UpdateAlgorithm::HmacSha256 };
    let key = UpdateKey { name: server.key.as_str().to_owned(), algorithm, secret };
    Update::new(at, server.zone.as_str(), &key, RECORD_WITHIN).map_err(|error| error.to_string())
}

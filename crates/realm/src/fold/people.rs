//! What operations about people do: members, devices, guardians, suspensions, recoveries.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{KeyId, PersonId};

use crate::body::{
    Cuts, DeviceAdd, DeviceRemove, Genesis, GuardianTested, GuardiansSet, ImageKeysSet, Lift, MemberAdd,
    MemberChange, MemberRemove, Recovery, RecoveryVeto, Suspend, Target, WitnessesSet,
};
use crate::person::{CHAIN_MAX, ChainDevice, Change, Statement, read_chain};
use crate::reason::{Need, Reason, Thing};
use crate::roles::MemberRoles;
use crate::set::At;
use crate::world::{Backing, Cut, DeviceRow, Holder, InvitationRow, PersonRow};

use super::judge::Actor;
use super::run::{Effect, Run};

/// The most devices of one member.
const DEVICES_MAX: usize = 16;

fn listed(last: &Cuts) -> BTreeMap<KeyId, u64> {
    last.iter().map(|l| (l.key, l.seq)).collect()
}

impl Run<'_> {
    pub(super) fn genesis(&mut self, at: At, body: &Genesis) -> Result<(), Reason> {
        let author = self.frame.set.entry(at).map(|e| e.author);
        let (person, devices) = self.fresh_chain(&body.founder)?;
        if !author.is_some_and(|author| devices.contains_key(&author)) {
            return Err(Reason::NotAllowed(Need::OwnDevice));
        }
        self.world.guardians.push((at, body.guardians.clone()));
        self.world.directory = Some(body.directory);
        self.admit(at, person, &devices, &body.founder, MemberRoles::ADMIN);
        Ok(())
    }

    /// A chain that can be read, and whose keys nobody else uses.
    fn fresh_chain(&self, chain: &[Statement]) -> Result<(PersonId, BTreeMap<KeyId, ChainDevice>), Reason> {
        let (person, devices) = read_chain(chain).map_err(|_| Reason::Statement)?;
        if devices.is_empty() || devices.len() > DEVICES_MAX {
            return Err(Reason::Numbers);
        }
        let others = |key: &KeyId| {
            self.world.keys.get(key).is_some_and(|h| *h != Holder::Device(person) && *h != Holder::Invitation)
        };
        if devices.keys().any(others) {
            return Err(Reason::InUse(Thing::Key));
        }
        Ok((person, devices))
    }

    fn admit(
        &mut self,
        at: At,
        person: PersonId,
        devices: &BTreeMap<KeyId, ChainDevice>,
        chain: &[Statement],
        roles: MemberRoles,
    ) {
        let seniority = self.world.next_seniority;
        let row = self.world.persons.entry(person).or_insert_with(|| {
            self.world.next_seniority += 1;
            PersonRow { seniority, ..PersonRow::default() }
        });
        for (key, device) in &mut row.devices {
            if !devices.contains_key(key) {
                device.theirs.push((at, false));
            }
        }
        for (key, device) in devices {
            let row = row.devices.entry(*key).or_insert_with(|| DeviceRow {
                key: device.key,
                box_key: device.box_key,
                theirs: Vec::new(),
            });
            row.box_key = device.box_key;
            row.theirs.push((at, true));
            self.world.keys.insert(*key, Holder::Device(person));
        }
        row.chain = chain.to_vec();
        row.roles.push((at, Some(roles)));
        if roles.contains(MemberRoles::ADMIN) {
            self.world.ever_admins.insert(person);
        }
    }

    pub(super) fn member_add(&mut self, at: At, body: &MemberAdd) -> Result<(), Reason> {
        let admin = body.roles.contains(MemberRoles::ADMIN);
        let (person, devices) = self.fresh_chain(&body.chain)?;
        // What a majority decides is not undone by one who admits the same person on the side.
        let there =
            if admin { self.view(at).is_admin(&person) } else { self.whole().roles(&person).is_some() };
        if there {
            return Err(Reason::InUse(Thing::Member));
        }
        if admin {
            self.power(at)?;
        } else {
            self.admin(at)?;
        }
        self.admit(at, person, &devices, &body.chain, body.roles);
        Ok(())
    }

    pub(super) fn member_change(&mut self, at: At, body: &MemberChange) -> Result<(), Reason> {
        let (whole, view) = (self.whole(), self.view(at));
        let becomes = body.roles.contains(MemberRoles::ADMIN);
        // Nor is it undone by one who removes that person on the side.
        let removed = if becomes { view.roles(&body.person) } else { None };
        let roles = whole.roles(&body.person).or(removed).ok_or(Reason::NoSuch(Thing::Member))?;
        let was = roles.contains(MemberRoles::ADMIN) || view.is_admin(&body.person);
        if was && !becomes {
            self.not_the_last_admin(&body.person)?;
        }
        if was || becomes {
            self.power(at)?;
        } else {
            self.admin(at)?;
        }
        if let Some(row) = self.world.persons.get_mut(&body.person) {
            row.roles.push((at, Some(body.roles)));
        }
        if becomes {
            self.world.ever_admins.insert(body.person);
        } else if was {
            self.revoke(at, Target::Person(body.person), listed(&body.last), Backing::Quorum, false);
        }
        Ok(())
    }

    fn not_the_last_admin(&self, person: &PersonId) -> Result<(), Reason> {
        let whole = self.whole();
        let others = self.world.ever_admins.iter().any(|other| other != person && whole.is_admin(other));
        if others { Ok(()) } else { Err(Reason::LastAdmin) }
    }

    pub(super) fn member_remove(&mut self, at: At, body: &MemberRemove) -> Result<(), Reason> {
        let roles = self.whole().roles(&body.person).ok_or(Reason::NoSuch(Thing::Member))?;
        if roles.contains(MemberRoles::ADMIN) {
            self.not_the_last_admin(&body.person)?;
        }
        let admin = roles.contains(MemberRoles::ADMIN) || self.view(at).is_admin(&body.person);
        let backing = match self.actor(at) {
            Ok(Actor::Device(person, _)) if person == body.person && !admin => Backing::Own,
            _ => self.against(at, &body.person, false)?,
        };
        if let Some(row) = self.world.persons.get_mut(&body.person) {
            row.roles.push((at, None));
        }
        self.revoke(at, Target::Person(body.person), listed(&body.last), backing, false);
        Ok(())
    }

    /// The author, if the statement inside extends their own chain.
    fn own_statement(&self, at: At, statement: &Statement) -> Result<PersonId, Reason> {
        let Actor::Device(person, _) = self.actor(at)? else {
            return Err(Reason::NotAllowed(Need::OwnDevice));
        };
        let author = self.frame.set.entry(at).map(|e| e.op.head().author);
        if author.as_ref() != Some(statement.by()) {
            return Err(Reason::Statement);
        }
        self.extends_chain(person, statement)?;
        Ok(person)
    }

    /// The chain must stay one that another realm would believe.
    fn extends_chain(&self, person: PersonId, statement: &Statement) -> Result<(), Reason> {
        let row = self.world.persons.get(&person).ok_or(Reason::NoSuch(Thing::Member))?;
        let longer: Vec<Statement> = row.chain.iter().chain([statement]).cloned().collect();
        match read_chain(&longer) {
            Ok((of, _)) if of == person => Ok(()),
            _ => Err(Reason::Statement),
        }
    }

    fn add_device_row(&mut self, at: At, person: PersonId, statement: &Statement) -> Result<(), Reason> {
        let Change::Add { key, box_key } = statement.change() else { return Err(Reason::Statement) };
        let id = key.id();
        if self.world.keys.get(&id).is_some_and(|holder| *holder != Holder::Invitation) {
            return Err(Reason::InUse(Thing::Key));
        }
        self.has_room(person, 1)?;
        if let Some(row) = self.world.persons.get_mut(&person) {
            row.devices.insert(id, DeviceRow { key: *key, box_key: *box_key, theirs: vec![(at, true)] });
            row.chain.push(statement.clone());
        }
        self.world.keys.insert(id, Holder::Device(person));
        Ok(())
    }

    /// Whether a person may have one more device, and their chain has room for some statements more.
    fn has_room(&self, person: PersonId, statements: usize) -> Result<(), Reason> {
        let whole = self.whole();
        let Some(row) = self.world.persons.get(&person) else { return Err(Reason::NoSuch(Thing::Member)) };
        let devices = row.devices.keys().filter(|key| whole.person_of(key).is_some()).count();
        if devices >= DEVICES_MAX {
            return Err(Reason::Numbers);
        }
        if row.chain.len() + statements > CHAIN_MAX { Err(Reason::ChainFull) } else { Ok(()) }
    }

    /// Statements that the invitations of a person may still add to their chain.
    fn promised(&self, person: PersonId) -> usize {
        let open = |row: &&InvitationRow| {
            let over = row.cancelled || row.redeemed.is_some() || self.base_time > row.issue.expires;
            row.by == person && row.issue.device.is_some() && !over
        };
        self.world.invitations.values().filter(open).count()
    }

    pub(super) fn device_add(&mut self, at: At, body: &DeviceAdd) -> Result<(), Reason> {
        let person = self.own_statement(at, &body.statement)?;
        self.has_room(person, 1 + self.promised(person))?;
        self.add_device_row(at, person, &body.statement)
    }

    /// The device that an invitation brings to the person who issued it.
    pub(super) fn invited_device(
        &mut self,
        at: At,
        invitation: KeyId,
        statement: &Statement,
    ) -> Result<(), Reason> {
        let Some(row) = self.world.invitations.get(&invitation) else {
            return Err(Reason::NoSuch(Thing::Invitation));
        };
        let (by, delegate) = (row.by, row.issue.device.as_ref().ok_or(Reason::Statement)?);
        let fits = statement.prev() == Some(delegate.id())
            && statement.person() == by
            && statement.by().id() == invitation;
        if !fits {
            return Err(Reason::Statement);
        }
        self.extends_chain(by, statement)?;
        if self.whole().roles(&by).is_none() {
            return Err(Reason::NoSuch(Thing::Member));
        }
        self.add_device_row(at, by, statement)
    }

    /// Checks the statement by which an inviting person lets the invitation add a device.
    pub(super) fn delegation(
        &mut self,
        at: At,
        key: KeyId,
        statement: &Statement,
    ) -> Result<PersonId, Reason> {
        let person = self.own_statement(at, statement)?;
        let fits = matches!(statement.change(), Change::Delegate { key: delegate } if delegate.id() == key);
        if !fits {
            return Err(Reason::Statement);
        }
        // For this statement, and for the one by which the device comes in.
        self.has_room(person, 2 + self.promised(person))?;
        Ok(person)
    }

    pub(super) fn device_remove(&mut self, at: At, body: &DeviceRemove) -> Result<(), Reason> {
        let person = self.own_statement(at, &body.statement)?;
        let Change::Remove { key } = *body.statement.change() else { return Err(Reason::Statement) };
        if key == body.statement.by().id() {
            return Err(Reason::NotAllowed(Need::OwnDevice));
        }
        if self.whole().person_of(&key) != Some(person) {
            return Err(Reason::NoSuch(Thing::Device));
        }
        if let Some(row) = self.world.persons.get_mut(&person) {
            row.chain.push(body.statement.clone());
            if let Some(device) = row.devices.get_mut(&key) {
                device.theirs.push((at, false));
            }
        }
        self.revoke(at, Target::Device(key), BTreeMap::from([(key, body.last)]), Backing::Own, false);
        Ok(())
    }

    pub(super) fn suspend(&mut self, at: At, body: &Suspend) -> Result<(), Reason> {
        let backing = match body.target {
            Target::Person(person) => {
                self.whole().roles(&person).ok_or(Reason::NoSuch(Thing::Member))?;
                self.against(at, &person, true)?
            }
            Target::Device(key) => {
                let owner = self.whole().person_of(&key).ok_or(Reason::NoSuch(Thing::Device))?;
                if self.frame.set.entry(at).is_some_and(|e| e.author == key) {
                    return Err(Reason::NotAllowed(Need::OwnDevice));
                }
                match self.actor(at) {
                    Ok(Actor::Device(person, _)) if person == owner => Backing::Own,
                    _ => self.against(at, &owner, true)?,
                }
            }
            Target::Node(node) => {
                self.admin(at)?;
                self.whole().node_roles(&node).ok_or(Reason::NoSuch(Thing::Node))?;
                Backing::Lone
            }
            Target::Grant(grant) => {
                self.admin(at)?;
                self.world.grants.get(&grant).ok_or(Reason::NoSuch(Thing::Grant))?;
                Backing::Lone
            }
        };
        self.revoke(at, body.target, listed(&body.last), backing, true);
        Ok(())
    }

    pub(super) fn lift(&mut self, at: At, body: &Lift) -> Result<(), Reason> {
        let set = self.frame.set;
        let standing = self.world.cuts.get(&body.target).into_iter().flatten();
        let lifts_one = standing.filter(|cut| cut.suspension).any(|cut| set.knows(at, cut.op));
        if !lifts_one {
            return Err(Reason::NoSuch(Thing::Suspension));
        }
        self.power(at)?;
        self.effect = Some(Effect::Lift(body.target));
        Ok(())
    }

    pub(super) fn guardians_set(&mut self, at: At, body: &GuardiansSet) -> Result<(), Reason> {
        if !body.guardians.fits() {
            return Err(Reason::Numbers);
        }
        self.power(at)?;
        self.set_guardians(at, &body.guardians);
        Ok(())
    }

    fn set_guardians(&mut self, at: At, guardians: &crate::body::GuardianSet) {
        let kept: BTreeSet<KeyId> = guardians.guardians.iter().map(|g| g.key.id()).collect();
        self.world.tested.retain(|key| kept.contains(key));
        self.world.guardians.push((at, guardians.clone()));
    }

    pub(super) fn guardian_tested(&mut self, at: At, body: &GuardianTested) -> Result<(), Reason> {
        self.admin(at)?;
        if !self.guardians_signing(at, &self.whole()).contains(&body.guardian) {
            return Err(Reason::NotAllowed(Need::Guardian));
        }
        self.world.tested.insert(body.guardian);
        Ok(())
    }

    pub(super) fn recovery_veto(&mut self, at: At, body: &RecoveryVeto) -> Result<(), Reason> {
        let set = self.frame.set;
        let recovery = set.at(&body.recovery).filter(|recovery| set.knows(at, *recovery));
        if !recovery.is_some_and(|at| self.frame.candidates.get(at).is_some_and(|link| link.recovery)) {
            return Err(Reason::NoSuch(Thing::Recovery));
        }
        self.power(at)?;
        self.world.vetoed.entry(body.recovery).or_insert(at);
        Ok(())
    }

    pub(super) fn witnesses_set(&mut self, at: At, body: &WitnessesSet) -> Result<(), Reason> {
        let (n, k) = (body.nodes.len(), usize::from(body.threshold));
        let ordered = body.nodes.windows(2).all(|w| matches!(w, [a, b] if a < b));
        if !ordered || k > n || (n > 0 && k <= n / 2) {
            return Err(Reason::Numbers);
        }
        self.power(at)?;
        self.world.witnesses.push((at, body.clone()));
        Ok(())
    }

    pub(super) fn image_keys_set(&mut self, at: At, body: &ImageKeysSet) -> Result<(), Reason> {
        if usize::from(body.threshold) > body.keys.len() {
            return Err(Reason::Numbers);
        }
        self.power(at)?;
        self.world.image_keys = Some(body.clone());
        Ok(())
    }

    /// Carries out a recovery: the admins it names, and no others.
    pub(super) fn recover(&mut self, at: At, body: &Recovery) -> Result<(), Reason> {
        let chains: Result<Vec<_>, _> =
            body.admins.iter().map(|chain| self.fresh_chain(chain).map(|(p, d)| (p, d, chain))).collect();
        let chains = chains?;
        let new: BTreeSet<PersonId> = chains.iter().map(|(person, ..)| *person).collect();
        let keys: BTreeSet<KeyId> =
            chains.iter().flat_map(|(_, devices, _)| devices.keys().copied()).collect();
        let all: usize = chains.iter().map(|(_, devices, _)| devices.len()).sum();
        if new.is_empty() || new.len() != chains.len() || keys.len() != all {
            return Err(Reason::Numbers);
        }
        if body.guardians.as_ref().is_some_and(|g| !g.fits()) {
            return Err(Reason::Numbers);
        }
        let whole = self.whole();
        let gone = self.world.ever_admins.iter().filter(|p| whole.is_admin(p) && !new.contains(p));
        let gone: Vec<PersonId> = gone.copied().collect();
        let mut ended: Vec<Target> = Vec::new();
        for person in gone {
            if let Some(row) = self.world.persons.get_mut(&person) {
                row.roles.push((at, None));
            }
            ended.push(Target::Person(person));
        }
        for (person, devices, chain) in &chains {
            let gone = self.world.persons.get(person).into_iter().flat_map(|row| row.devices.keys());
            ended.extend(gone.filter(|key| !devices.contains_key(key)).map(|key| Target::Device(*key)));
            let roles = self.whole().roles(person).unwrap_or(MemberRoles::NONE).with(MemberRoles::ADMIN);
            self.admit(at, *person, devices, chain, roles);
            let mine = devices.keys().map(|key| Target::Device(*key)).chain([Target::Person(*person)]);
            for target in mine {
                let cuts = self.world.cuts.get_mut(&target).into_iter().flatten();
                cuts.filter(|cut| cut.suspension).for_each(|cut| cut.lifted.push(at));
            }
        }
        for target in ended {
            let last = BTreeMap::new();
            let cut = Cut { op: at, last, suspension: false, backing: Backing::Quorum, lifted: Vec::new() };
            self.world.cuts.entry(target).or_default().push(cut);
        }
        if let Some(guardians) = &body.guardians {
            self.set_guardians(at, guardians);
        }
        Ok(())
    }
}

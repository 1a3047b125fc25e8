//! `freehold person`.

use clap::Subcommand;
use freehold_api::words::{self, count};
use freehold_api::{
    BucketOfPerson, Client, NewName, PersonErasurePlan, PersonStatus, PersonToErase, Problem, Standing,
};

use crate::ask::show;
use crate::receipt::progress;
use crate::terminal::Terminal;

/// `freehold person`.
#[derive(Debug, Clone, Subcommand)]
pub enum PersonCommand {
    /// List the members of the realm
    List,
    /// Take somebody in who has no machine in the realm: what they do, they do with access keys
    Add {
        /// What they are called, shown to the realm's people only
        name: String,
    },
    /// Give somebody another name
    Rename {
        /// Their name, their id, or the first characters of their id
        person: String,
        /// The new name
        name: String,
    },
    /// Take somebody's rights away until they are given back: their devices, laptops, phones and access keys
    Suspend {
        /// Their name, their id, or the first characters of their id
        person: String,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Give somebody who is suspended their rights back
    Resume {
        /// Their name, their id, or the first characters of their id
        person: String,
    },
    /// Erase a person: their membership, access keys and name end, and every node destroys the keys of the buckets
    /// that are theirs alone. Nothing brings it back
    Erase {
        /// Their name, their id, or the first characters of their id
        person: String,
        /// A bucket of theirs that others may use as well, and that goes too; may be given several times
        #[arg(long, value_name = "BUCKET")]
        also_shared: Vec<String>,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) async fn person(
    terminal: Terminal,
    client: &Client,
    command: PersonCommand,
) -> Result<(), Problem> {
    match command {
        PersonCommand::List => {
            let all = client.people().await?;
            show(terminal, &all, |all| all.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        PersonCommand::Add { name } => {
            let made = client.add_person(&NewName { name }).await?;
            show(terminal, &made, |made| {
                format!(
                    "{} is a member of the realm: {}\nfreehold key create --person {}    (lets them in)",
                    made.name,
                    short(&made.id),
                    short(&made.id)
                )
            })
        }
        PersonCommand::Rename { person, name } => {
            client.rename_person(&person, &NewName { name: name.clone() }).await?;
            terminal.done(true, format!("{person} is called {name} from now on."));
            Ok(())
        }
        PersonCommand::Suspend { person, dry_run: true } => would_suspend(terminal, client, &person).await,
        PersonCommand::Suspend { person, dry_run: false } => {
            client.suspend_person(&person).await?;
            terminal.done(
                true,
                format!("{person} is suspended: freehold person resume {} lifts it.", words::typed(&person)),
            );
            Ok(())
        }
        PersonCommand::Resume { person } => {
            client.resume_person(&person).await?;
            terminal.done(true, format!("{person} has their rights back."));
            Ok(())
        }
        PersonCommand::Erase { person, also_shared, dry_run } => {
            erase(terminal, client, &person, also_shared, dry_run).await
        }
    }
}

async fn would_suspend(terminal: Terminal, client: &Client, typed: &str) -> Result<(), Problem> {
    let all = client.people().await?;
    let is_meant = |one: &&PersonStatus| one.name == typed || one.id.starts_with(typed);
    let mut meant = all.iter().filter(is_meant);
    let (Some(one), None) = (meant.next(), meant.next()) else {
        let why = format!("{typed:?} is not exactly one member of the realm");
        return Err(Problem::not_found("nobody would be suspended", why, Some("freehold person list")));
    };
    let what = match one.standing {
        Standing::Member if one.admin => {
            "would be suspended only if a majority of the admins says so: this one decides about the realm as well"
        }
        Standing::Member => {
            "would be suspended: their devices would decide nothing, their laptops and phones reach nothing, and their \
             access keys be refused; servers of theirs would go on"
        }
        _ => "is suspended already",
    };
    terminal.done(false, format!("{} ({}) {what}.", one.name, short(&one.id)));
    Ok(())
}

async fn erase(
    terminal: Terminal,
    client: &Client,
    typed: &str,
    also_shared: Vec<String>,
    dry_run: bool,
) -> Result<(), Problem> {
    let also = also_shared.iter().flat_map(|bucket| ["--also-shared".into(), words::typed(bucket)]);
    let words: Vec<_> = std::iter::once(words::typed(typed)).chain(also).collect();
    let command = format!("freehold person erase {}", words.join(" "));
    let wish = PersonToErase { also_shared };
    let plan = client.plan_person_erasure(typed, &wish).await?;
    if dry_run {
        return show(terminal, &plan, planned);
    }
    let undone = format!("{} was not erased", plan.name);
    if !plan.refused.is_empty() {
        return Err(Problem::refused(
            undone,
            plan.refused.join("; "),
            Some(format!("{command} --dry-run    (all that would go)")),
        ));
    }
    if terminal.can_ask() {
        terminal.say(planned(&plan));
    }
    terminal.is_meant(&undone, &plan.name, &command)?;
    let erased = client.erase_person(&plan.id, &wish).await?;
    show(terminal, &erased, |erased| {
        format!(
            "{} is erased, with {}.\n{}\nfreehold receipt save {} FILE    (the receipt, now or later)",
            plan.name,
            count(plan.erased.len() as u64, "bucket"),
            progress(erased),
            short(&erased.id)
        )
    })
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn line(person: &PersonStatus) -> String {
    let mut said = vec![count(person.buckets.len() as u64, "bucket"), count(person.keys, "access key")];
    if person.admin {
        said.insert(0, "admin".to_owned());
    }
    match person.standing {
        Standing::Suspended => said.push("suspended".to_owned()),
        Standing::Burned => said.push("their keys were used twice".to_owned()),
        Standing::Member | Standing::Visitor => {}
    }
    if !person.nodes.is_empty() {
        said.push(format!("on {}", person.nodes.join(", ")));
    }
    format!("{}  {}  {}", short(&person.id), person.name, said.join(", "))
}

fn bucket(bucket: &BucketOfPerson) -> String {
    let mut said =
        format!("  {}: {}, {}", bucket.name, count(bucket.objects, "object"), words::bytes(bucket.bytes));
    if !bucket.shared_by.is_empty() {
        said = format!("{said}; others may use it by {}", bucket.shared_by.join(" and "));
    }
    if bucket.kept > 0 {
        said = format!("{said}; {} must be kept", count(bucket.kept, "version"));
    }
    said
}

fn planned(plan: &PersonErasurePlan) -> String {
    let mut out = vec![format!(
        "Would erase {} ({}){}.",
        plan.name,
        short(&plan.id),
        if plan.member { "" } else { ", who is no member any more" }
    )];
    let mut part = |what: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push(what.to_owned());
            out.extend(lines);
        }
    };
    let each = |all: &[String]| all.iter().map(|one| format!("  {one}")).collect::<Vec<_>>();
    part("Buckets that are theirs alone, and those named:", plan.erased.iter().map(bucket).collect());
    part(
        "Buckets that stay, as others may use them (--also-shared BUCKET takes one too):",
        plan.stays.iter().map(bucket).collect(),
    );
    part("Access keys that end here, and what they have on other machines:", each(&plan.keys));
    part("Buckets of others whose next key they do not get:", each(&plan.shares));
    part("Phones that are shut out of the network:", each(&plan.phones));
    part("Names that are taken back:", each(&plan.names));
    part("It would be refused:", each(&plan.refused));
    out.push(format!(
        "{} would destroy the keys: {}.",
        count(plan.carried_out_by.len() as u64, "machine"),
        plan.carried_out_by.join(", ")
    ));
    out.join("\n")
}

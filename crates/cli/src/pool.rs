//! `freehold pool`: several realms put shares together under rules that all of them have signed.

pub(crate) mod args;
mod told;

use std::path::{Path, PathBuf};

use freehold_api::{
    Client, NewPool, PoolChange, PoolDecide, PoolHanded, PoolPapers, PoolRules, PoolShare, PoolStatus,
    PoolToJoin, PoolToSign, Problem,
};

use self::args::{
    ChangePoolArgs, Decide, HandArgs, JoinPoolArgs, LeavePoolArgs, NewPoolArgs, PapersCommand, PoolCommand,
    ShareArgs, SignPoolArgs,
};
use self::told::{line, proposal, whole};
use crate::ask::show;
use crate::grant::{STDIN, is_text, text_of, written};
use crate::terminal::{Terminal, qr};

const NOT_FOUNDED: &str = "no pool was founded";
const NOT_JOINED: &str = "no pool was joined";
const NOT_TAKEN: &str = "no papers were taken in";
const NOT_SIGNED: &str = "nothing was signed";
const NOT_CHANGED: &str = "nothing was proposed";
/// The longest file that can hold papers.
const PAPERS_MAX: u64 = 4 << 20;
/// A picture of more is too large for a terminal, and for a camera.
const PICTURE_MAX: usize = 1500;
const NONE: &str = "  none yet: freehold pool new NAME --give 500GiB --use 300GiB --place berlin";

pub(crate) async fn pool(terminal: Terminal, client: &Client, command: PoolCommand) -> Result<(), Problem> {
    match command {
        PoolCommand::New(wish) => found(terminal, client, wish).await,
        PoolCommand::Invite(HandArgs { pool, file }) => {
            let handed = client.pool_papers(&pool).await?;
            let how = "Whoever is to be in it types, in their realm: freehold pool join PAPERS --give 500GiB --use 300GiB";
            hand(terminal, &handed, file.as_deref(), how)
        }
        PoolCommand::Join(wish) => join(terminal, client, wish).await,
        PoolCommand::Sign(wish) => sign(terminal, client, wish).await,
        PoolCommand::Show { pool } => show(terminal, &named(&client.pools().await?, &pool)?, whole),
        PoolCommand::List => {
            let all = client.pools().await?;
            show(terminal, &all, |all| match all.as_slice() {
                [] => NONE.to_owned(),
                all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            })
        }
        PoolCommand::Change(wish) => change(terminal, client, *wish).await,
        PoolCommand::Leave(wish) => leave(terminal, client, wish).await,
        PoolCommand::Papers { command: PapersCommand::Export(HandArgs { pool, file }) } => {
            let handed = client.pool_papers(&pool).await?;
            hand(terminal, &handed, file.as_deref(), "The others type: freehold pool papers import PAPERS")
        }
        PoolCommand::Papers { command: PapersCommand::Import { papers } } => {
            let papers = papers.iter().map(|typed| text_of(NOT_TAKEN, typed, PAPERS_MAX));
            let papers = PoolPapers { papers: papers.collect::<Result<_, _>>()? };
            let handed = client.take_pool_papers(&papers).await?;
            show(terminal, &handed.pool, whole)
        }
    }
}

fn named(all: &[PoolStatus], typed: &str) -> Result<PoolStatus, Problem> {
    let is_meant =
        |pool: &&PoolStatus| pool.name == typed || (typed.len() >= 4 && pool.id.starts_with(typed));
    match all.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        several => Err(Problem::not_found(
            format!("there is no pool {typed}"),
            if several.is_empty() { "none is called so" } else { "several are called so" },
            Some("freehold pool list"),
        )),
    }
}

fn size(what: &str, typed: &str) -> Result<u64, Problem> {
    // Nothing is a number here: who only takes, or only gives, says so.
    if typed.trim() == "0" {
        return Ok(0);
    }
    let wrong = || Problem::invalid(what, format!("{typed:?} is no size"), Some("such as 50GiB or 200GB"));
    crate::quota::size(typed).ok_or_else(wrong)
}

fn days(what: &str, typed: &str) -> Result<u16, Problem> {
    let number = typed.trim().trim_end_matches(['d', 'D']);
    number
        .parse()
        .map_err(|_| Problem::invalid(what, format!("{typed:?} is no number of days"), Some("such as 30d")))
}

fn share(what: &str, typed: ShareArgs) -> Result<PoolShare, Problem> {
    let ShareArgs { give, uses, place } = typed;
    Ok(PoolShare { gives: size(what, &give)?, uses: size(what, &uses)?, place })
}

const fn decide(typed: Decide) -> PoolDecide {
    match typed {
        Decide::Majority => PoolDecide::Majority,
        Decide::All => PoolDecide::All,
    }
}

/// Shows how the pool stands, and gives out what is to be handed on.
fn hand(terminal: Terminal, handed: &PoolHanded, file: Option<&Path>, how: &str) -> Result<(), Problem> {
    let Some(papers) = &handed.papers else {
        return show(terminal, handed, |handed| format!("It would stand so:\n{}", whole(&handed.pool)));
    };
    if let Some(file) = file {
        written(file, papers)?;
    }
    show(terminal, handed, |handed| {
        let picture = terminal.is_interactive() && file.is_none() && papers.len() <= PICTURE_MAX;
        let picture = picture.then(|| qr(papers)).flatten();
        let picture = picture.map(|picture| format!("\n\n{picture}")).unwrap_or_default();
        let text = match file {
            Some(file) => format!("  the papers are in {}", file.display()),
            None => format!("{papers}{picture}"),
        };
        format!("{}\n\n{text}\n\n{how}", whole(&handed.pool))
    })
}

async fn found(terminal: Terminal, client: &Client, wish: NewPoolArgs) -> Result<(), Problem> {
    let NewPoolArgs { name, share: typed, decide: by, notice, wind_down, file, dry_run } = wish;
    let rules = PoolRules {
        decide: decide(by),
        notice_days: days(NOT_FOUNDED, &notice)?,
        wind_down_days: days(NOT_FOUNDED, &wind_down)?,
    };
    let wish = NewPool { name, share: share(NOT_FOUNDED, typed)?, rules };
    let handed = client.new_pool(&wish, dry_run).await?;
    let how =
        "Whoever is to be in it types, in their realm: freehold pool join PAPERS --give 500GiB --use 300GiB";
    hand(terminal, &handed, file.as_deref(), how)
}

async fn join(terminal: Terminal, client: &Client, wish: JoinPoolArgs) -> Result<(), Problem> {
    let JoinPoolArgs { papers, share: typed, file, dry_run } = wish;
    let papers = text_of(NOT_JOINED, &papers, PAPERS_MAX)?;
    let wish = PoolToJoin { papers, share: share(NOT_JOINED, typed)? };
    let handed = client.join_pool(&wish, dry_run).await?;
    let how = if handed.pool.begun {
        "A member types: freehold pool papers import PAPERS, then freehold pool change POOL --let-in REALM"
    } else {
        "Who founds it types, with what all have handed back: freehold pool sign PAPERS.."
    };
    hand(terminal, &handed, file.as_deref(), how)
}

/// Whether it is papers, and no pool's name.
fn is_papers(typed: &str) -> bool {
    typed == STDIN || is_text(typed) || Path::new(typed).is_file()
}

async fn sign(terminal: Terminal, client: &Client, wish: SignPoolArgs) -> Result<(), Problem> {
    let SignPoolArgs { what, charter, file, dry_run } = wish;
    let (papers, names): (Vec<String>, Vec<String>) = what.into_iter().partition(|typed| is_papers(typed));
    let mut names = names.into_iter();
    let (pool, other) = (names.next(), names.next());
    if let Some(other) = other {
        let why = format!("{other:?} is neither papers nor a file with them");
        return Err(Problem::invalid(NOT_SIGNED, why, Some("freehold pool sign POOL    (one at a time)")));
    }
    let papers = papers.iter().map(|typed| text_of(NOT_SIGNED, typed, PAPERS_MAX));
    let wish = PoolToSign { pool, papers: papers.collect::<Result<_, _>>()?, charter };
    if dry_run || terminal.can_ask() {
        let would = client.sign_pool(&wish, true).await?;
        let read = would.pool.proposals.iter().map(proposal).collect::<Vec<_>>().join("\n");
        if dry_run {
            return show(terminal, &would, |_| format!("This would be signed:\n{read}"));
        }
        terminal.say(format!(
            "This is to be signed, and binds this realm:\n{read}\n\
             Once all have signed, this machine lends and borrows by itself what follows from it."
        ));
        let said = terminal.ask("Sign it? [y/N]");
        if !said.is_some_and(|said| matches!(said.as_str(), "y" | "Y" | "yes")) {
            return Err(Problem::refused(NOT_SIGNED, "it was not agreed to", None::<&str>));
        }
    }
    let handed = client.sign_pool(&wish, false).await?;
    let how = if handed.pool.begun && handed.pool.proposals.is_empty() {
        "It counts. The others hear of it by: freehold pool papers import PAPERS"
    } else {
        "The others type: freehold pool sign PAPERS"
    };
    hand(terminal, &handed, file.as_deref(), how)
}

async fn change(terminal: Terminal, client: &Client, wish: ChangePoolArgs) -> Result<(), Problem> {
    let file: Option<PathBuf> = wish.file;
    let sized = |typed: Option<String>| typed.map(|typed| size(NOT_CHANGED, &typed)).transpose();
    let change = PoolChange {
        gives: sized(wish.give)?,
        uses: sized(wish.uses)?,
        place: wish.place,
        let_in: wish.let_in,
        out: wish.out,
        decide: wish.decide.map(decide),
        notice_days: wish.notice.map(|typed| days(NOT_CHANGED, &typed)).transpose()?,
        wind_down_days: wish.wind_down.map(|typed| days(NOT_CHANGED, &typed)).transpose()?,
        name: wish.name,
    };
    let handed = client.change_pool(&wish.pool, &change, wish.dry_run).await?;
    let how = "The others type: freehold pool sign PAPERS";
    hand(terminal, &handed, file.as_deref(), how)
}

async fn leave(terminal: Terminal, client: &Client, wish: LeavePoolArgs) -> Result<(), Problem> {
    let LeavePoolArgs { pool, file, dry_run } = wish;
    if let Some(handed) = client.leave_pool(&pool, dry_run).await? {
        let how = "The others hear of it by: freehold pool papers import PAPERS";
        return hand(terminal, &handed, file.as_deref(), how);
    }
    let what = if dry_run { "would be forgotten" } else { "are forgotten" };
    terminal.done(!dry_run, format!("This realm is not bound by {pool}: its papers {what} here."));
    Ok(())
}

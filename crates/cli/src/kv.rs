//! `freehold kv`: databases of keys and documents.

pub(crate) mod args;
mod import;

use std::io::{Read as _, Write as _};
use std::path::Path;

use freehold_api::kv::{
    KvAnswer, KvAt, KvClone, KvDatabase, KvHandOver, KvIndex, KvIndexState, KvNews, KvOp, KvPage, KvQuery,
    KvScan, KvTakeOver, KvWrite, NewKvDatabase, NewKvSnapshot, NewKvTransaction,
};
use freehold_api::{Client, Problem, words};
use freehold_kv_client::{Database, PutOptions};
use futures::StreamExt as _;

use self::args::{At, DocCommand, IndexCommand, KvCommand, Put, Scan};
use crate::ask::show;
use crate::terminal::Terminal;

pub(crate) async fn kv(terminal: Terminal, client: &Client, command: KvCommand) -> Result<(), Problem> {
    match command {
        KvCommand::Put(wish) => put(terminal, client, wish).await,
        KvCommand::Get { name, key, at } => {
            let found = Database::of(client, name).value(&key, &at.into()).await?;
            // As it is: a value is a program's, not ours to mend.
            print(&found.value)
        }
        KvCommand::Delete { name, key, transaction } => {
            let op = KvOp::Delete { key: key.clone() };
            one(terminal, client, &name, op, transaction, &format!("{} is deleted", plain(&key))).await
        }
        KvCommand::Scan(wish) => scan(terminal, client, wish).await,
        KvCommand::Write { name, file } => {
            let write: KvWrite = read_json(&text(&file)?)?;
            let done = Database::of(client, name).write(&write).await?;
            show(terminal, &done, |done| format!("Write {} is durable.", done.number))
        }
        KvCommand::Import { name, file } => import::import(terminal, client, &name, &file).await,
        KvCommand::Doc { command } => doc(terminal, client, command).await,
        KvCommand::Query { name, collection, query, snapshot, after, explain } => {
            let asked = KvQuery { query, after, explain, snapshot };
            let database = Database::of(client, name);
            let answer = database.query(&collection, &asked).await?;
            if answer.documents.is_empty() && !explain {
                nothing(terminal, &database, &collection).await?;
            }
            lines(terminal, &answer, |answer| answered(answer, explain))
        }
        KvCommand::Index { command } => index(terminal, client, command).await,
        KvCommand::Watch { name, after, count } => watch(&Database::of(client, name), after, count).await,
        command => database(terminal, client, command).await,
    }
}

async fn database(terminal: Terminal, client: &Client, command: KvCommand) -> Result<(), Problem> {
    match command {
        KvCommand::Create { name, copies, confirm } => {
            let wish = NewKvDatabase { name, copies: copies.into(), confirm: confirm.into() };
            let made = freehold_kv_client::create(client, &wish).await?;
            show(terminal, &made, described)
        }
        KvCommand::Databases => {
            let all = freehold_kv_client::databases(client).await?;
            show(terminal, &all, |all| match all.as_slice() {
                [] => "There is no database yet: freehold kv create NAME".to_owned(),
                all => all.iter().map(described).collect::<Vec<_>>().join("\n"),
            })
        }
        KvCommand::Show { name } => {
            let found = Database::of(client, &name).info().await?;
            show(terminal, &found, described)
        }
        KvCommand::Drop { name } => {
            let undone = format!("the database {name} was not deleted");
            terminal.is_meant(&undone, &name, &format!("freehold kv drop {}", words::typed(&name)))?;
            Database::of(client, &name).delete_all().await?;
            terminal.done(true, format!("The database {name} is deleted."));
            Ok(())
        }
        KvCommand::Begin { name, lasting } => {
            let wish = NewKvTransaction { lasting_ms: Some(lasting.saturating_mul(1000)) };
            let begun = Database::of(client, &name).begin(&wish).await?;
            show(terminal, begun.begun(), |begun| begun.id.clone())
        }
        KvCommand::Commit { name, transaction } => {
            let done = Database::of(client, &name).transaction_named(&transaction).commit().await?;
            show(terminal, &done, |done| format!("The transaction is durable (write {}).", done.number))
        }
        KvCommand::Abort { name, transaction } => {
            Database::of(client, &name).transaction_named(&transaction).abort().await?;
            terminal.done(true, "The transaction is over; nothing of it was written.");
            Ok(())
        }
        KvCommand::Snapshot { name, minutes, called } => {
            let lasting_ms = called.is_none().then_some(u64::from(minutes).saturating_mul(60_000));
            let held =
                Database::of(client, &name).snapshot(&NewKvSnapshot { lasting_ms, name: called }).await?;
            show(terminal, &held, |held| held.id.clone())
        }
        KvCommand::Snapshots { name } => {
            let all = Database::of(client, &name).snapshots().await?;
            let typed = words::typed(&name);
            let none =
                format!("There is no snapshot with a name yet: freehold kv snapshot {typed} --name NAME");
            let ids: Vec<String> = all.iter().map(|kept| kept.id.clone()).collect();
            show(terminal, &all, |_| if ids.is_empty() { none.clone() } else { ids.join("\n") })
        }
        KvCommand::Release { name, snapshot } => {
            Database::of(client, &name).let_go(&snapshot).await?;
            terminal.done(true, format!("The snapshot {snapshot} is let go."));
            Ok(())
        }
        KvCommand::Clone { name, to, snapshot } => {
            let made = Database::of(client, &name).clone_to(&KvClone { to, snapshot }).await?;
            show(terminal, &made, described)
        }
        KvCommand::Handover { name, node } => {
            let now = Database::of(client, &name).hand_over(&KvHandOver { to: node }).await?;
            show(terminal, &now, described)
        }
        KvCommand::Takeover { name, force } => {
            let now = Database::of(client, &name).take_over(&KvTakeOver { force }).await?;
            show(terminal, &now, described)
        }
        _ => Err(crate::up::bug("the command was not carried out", "it is none about databases")),
    }
}

impl From<At> for KvAt {
    fn from(at: At) -> Self {
        Self { snapshot: at.snapshot, transaction: at.transaction }
    }
}

async fn put(terminal: Terminal, client: &Client, wish: Put) -> Result<(), Problem> {
    let value = if wish.value == "-" { text(Path::new("-"))? } else { wish.value.into_bytes() };
    let lasting_ms = wish.lasting.map(|seconds| seconds.saturating_mul(1000));
    let what = format!("{} is put", plain(&wish.key));
    let database = Database::of(client, wish.name);
    if let Some(transaction) = wish.transaction {
        database.transaction_named(&transaction).put_lasting(&wish.key, value, lasting_ms).await?;
        terminal.done(true, format!("{what} when the transaction is committed."));
        return Ok(());
    }
    let options = PutOptions { lasting_ms, if_version: wish.if_version };
    let done = database.put_with(&wish.key, value, options).await?;
    show(terminal, &done, |done| format!("{what} (write {}).", done.number))
}

/// Carries out one operation, or leaves it to a transaction.
async fn one(
    terminal: Terminal,
    client: &Client,
    name: &str,
    op: KvOp,
    transaction: Option<String>,
    what: &str,
) -> Result<(), Problem> {
    let (database, operations) = (Database::of(client, name), vec![op]);
    if let Some(transaction) = transaction {
        database.transaction_named(&transaction).add(operations).await?;
        terminal.done(true, format!("{what} when the transaction is committed."));
        return Ok(());
    }
    let done = database.write(&KvWrite { operations, ..KvWrite::default() }).await?;
    terminal.done(true, format!("{what} (write {}).", done.number));
    Ok(())
}

/// Prints lines, and none if there is none.
fn lines<T: serde::Serialize>(
    terminal: Terminal,
    value: &T,
    text: impl Fn(&T) -> String,
) -> Result<(), Problem> {
    if !terminal.json && text(value).is_empty() { Ok(()) } else { show(terminal, value, text) }
}

/// Says beside an empty answer why it may be so.
async fn nothing(terminal: Terminal, database: &Database, collection: &str) -> Result<(), Problem> {
    if terminal.json {
        return Ok(());
    }
    let known = database.info().await?.collections;
    if known.iter().any(|known| known.name == collection) {
        terminal.say("No document was found.");
    } else {
        terminal.say(format!(
            "There is no collection {collection} yet.\n\nhint: freehold kv show {}",
            database.name()
        ));
    }
    Ok(())
}

/// A key in a line of text.
fn plain(key: &str) -> String {
    key.replace('\t', "\\t").replace('\n', "\\n")
}

async fn scan(terminal: Terminal, client: &Client, wish: Scan) -> Result<(), Problem> {
    let asked = KvScan {
        prefix: wish.prefix,
        from: wish.from,
        to: wish.to,
        after: wish.after,
        reverse: wish.reverse,
        limit: Some(wish.limit),
        snapshot: wish.at.snapshot,
        transaction: wish.at.transaction,
    };
    let page = Database::of(client, wish.name).page(&asked).await?;
    if page.items.is_empty() && !terminal.json {
        terminal.say("No key was found.");
    }
    lines(terminal, &page, listed)
}

async fn doc(terminal: Terminal, client: &Client, command: DocCommand) -> Result<(), Problem> {
    match command {
        DocCommand::Put { name, collection, id, document, lasting, transaction } => {
            let bytes = if document == "-" { text(Path::new("-"))? } else { document.into_bytes() };
            let what = format!("{} is put", plain(&id));
            let lasting_ms = lasting.map(|seconds| seconds.saturating_mul(1000));
            let op = KvOp::PutDocument { collection, id, document: read_json(&bytes)?, lasting_ms };
            one(terminal, client, &name, op, transaction, &what).await
        }
        DocCommand::Get { name, collection, id, at } => {
            let found = Database::of(client, &name).document(&collection, &id, &at.into()).await?;
            terminal.answer_json(&found);
            Ok(())
        }
        DocCommand::Delete { name, collection, id, transaction } => {
            let what = format!("{} is deleted", plain(&id));
            one(terminal, client, &name, KvOp::DeleteDocument { collection, id }, transaction, &what).await
        }
    }
}

async fn index(terminal: Terminal, client: &Client, command: IndexCommand) -> Result<(), Problem> {
    match command {
        IndexCommand::Add { name, collection, index, fields, unique, each, text, wait } => {
            let wish = KvIndex { name: index.clone(), fields, unique, each, text };
            Database::of(client, &name).add_index(&collection, &wish).await?;
            if wait {
                Database::of(client, &name).until_whole(&collection, &index).await?;
                terminal.done(true, format!("The index {index} is whole."));
            } else {
                terminal.done(
                    true,
                    format!("The index {index} is being built: freehold kv show {}", words::typed(&name)),
                );
            }
            Ok(())
        }
        IndexCommand::Drop { name, collection, index } => {
            Database::of(client, &name).drop_index(&collection, &index).await?;
            terminal.done(true, format!("The index {index} is dropped."));
            Ok(())
        }
    }
}

async fn watch(database: &Database, after: Option<u64>, count: Option<u64>) -> Result<(), Problem> {
    let mut events = database.news(after).await?;
    let mut told = 0;
    while count.is_none_or(|count| told < count) {
        let Some(news) = events.next().await else { return Ok(()) };
        let KvNews::Event(event) = news? else { continue };
        let line = serde_json::to_string(&event).unwrap_or_default() + "\n";
        print(line.as_bytes())?;
        told += 1;
    }
    Ok(())
}

fn described(database: &KvDatabase) -> String {
    let writer = match (&database.writer, database.here) {
        (_, true) => "written here".to_owned(),
        (Some(node), false) => match database.stale_ms {
            Some(stale) => format!("written by {node}, heard {} ago", words::span(stale)),
            None => format!("written by {node}, not heard since the start"),
        },
        (None, false) => "its writer is not known here yet".to_owned(),
    };
    let copies = words::count(database.copies.into(), "copy");
    let mut lines =
        vec![format!("  {:<20} {copies}, {} confirmed, {writer}", database.name, database.confirm)];
    for collection in &database.collections {
        let documents = words::count(collection.documents, "document");
        lines.push(format!("    {:<18} {documents}", collection.name));
        for index in &collection.indexes {
            let state = match index.state {
                KvIndexState::Whole => "whole".to_owned(),
                KvIndexState::Building => format!("being built, {} looked at", index.looked_at),
                KvIndexState::Failed => format!("cannot be: {}", index.why.as_deref().unwrap_or_default()),
                KvIndexState::Dropping => "being dropped".to_owned(),
            };
            let unique = match (index.index.unique, index.index.text) {
                (true, _) => "unique, ",
                (_, true) => "words, ",
                _ => "",
            };
            lines.push(format!(
                "      index {:<10} {} ({unique}{state})",
                index.index.name,
                index.index.fields.join(", ")
            ));
        }
    }
    lines.join("\n")
}

fn listed(page: &KvPage) -> String {
    let line = |item: &freehold_api::kv::KvItem| {
        let value = item.value.clone().unwrap_or_else(|| "(no text; see --json)".to_owned());
        format!("{}\t{value}", plain(&item.key))
    };
    let mut lines: Vec<String> = page.items.iter().map(line).collect();
    lines.extend(page.next.as_ref().map(|next| format!("(more: --after {next:?})")));
    lines.extend(old(page.stale_ms));
    lines.join("\n")
}

fn answered(answer: &KvAnswer, explain: bool) -> String {
    if explain {
        return answer.plan.clone();
    }
    let mut lines: Vec<String> = answer.documents.iter().map(ToString::to_string).collect();
    lines.extend(answer.next.as_ref().map(|next| format!("(more: --after {next})")));
    lines.extend(old(answer.stale_ms));
    lines.join("\n")
}

/// What is said of an answer that another node's writer may have overtaken.
fn old(stale_ms: Option<u64>) -> Option<String> {
    match stale_ms {
        Some(0) => None,
        Some(stale) => Some(format!("(the writer was heard {} ago)", words::span(stale))),
        None => Some("(the writer was not heard since this node started)".to_owned()),
    }
}

fn text(file: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)).map(drop)
    };
    read.map_err(|e| {
        Problem::invalid(format!("cannot read {}", file.display()), e.to_string(), None::<&str>)
    })?;
    Ok(bytes)
}

fn read_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|e| {
        Problem::invalid("this is not the JSON that is meant", e.to_string(), Some("freehold openapi"))
    })
}

/// A closed pipe is the reader's choice, not a failure.
#[expect(clippy::unnecessary_wraps, reason = "the last line of some commands")]
fn print(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
    Ok(())
}

//! `freehold tenant`: a member takes what is theirs from one realm to another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use freehold_api::words::{self, count};
use freehold_api::{Problem, TenantBucket, TenantMove, TenantMoved, TenantSide, TenantStage};

use crate::ask::show;
use crate::host::Host;
use crate::realm::read_file;
use crate::terminal::Terminal;

const NOT_MOVED: &str = "nothing was moved";

/// `freehold tenant`.
#[derive(Debug, Clone, Subcommand)]
pub enum TenantCommand {
    /// Move what is yours from one realm to another; run again, it goes on where it was
    Move(Box<MoveArgs>),
    /// Give a move up, as long as the old realm counts: its buckets are as they were
    Stay {
        /// The folder of the move
        folder: PathBuf,
    },
    /// Check the receipt of a move, and the list of everything if it lies beside it
    Receipt {
        /// The file, or the folder of the move
        file: PathBuf,
        /// The list; without it the file `list` beside the receipt, if there is one
        #[arg(long)]
        list: Option<PathBuf>,
    },
}

/// `freehold tenant move`.
#[expect(clippy::struct_excessive_bools, reason = "each is a word that people type")]
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// The folder of the move: made by the first run; later ones need nothing else
    pub folder: PathBuf,
    /// Address of the old realm's S3 endpoint
    #[arg(long, value_name = "URL", requires = "from_key")]
    pub from: Option<String>,
    /// File with your access key there, as `freehold key create --out` writes one
    #[arg(long, value_name = "FILE", requires = "to")]
    pub from_key: Option<PathBuf>,
    /// File with certificates for the old realm's endpoint, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub from_ca: Option<PathBuf>,
    /// Address of the new realm's S3 endpoint
    #[arg(long, value_name = "URL", requires = "to_key")]
    pub to: Option<String>,
    /// File with your access key there
    #[arg(long, value_name = "FILE", requires = "from")]
    pub to_key: Option<PathBuf>,
    /// File with certificates for the new realm's endpoint, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub to_ca: Option<PathBuf>,
    /// Only this bucket; may be given several times. Without it all that the key sees
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Vec<String>,
    /// Another name for a bucket in the new realm: OLD=NEW; may be given several times
    #[arg(long = "as", value_name = "OLD=NEW")]
    pub renamed: Vec<String>,
    /// Bring everything over and stop before the old buckets are closed: writes go on there
    #[arg(long)]
    pub only_copy: bool,
    /// You have stopped all that writes: do not close the old buckets
    #[arg(long)]
    pub nobody_writes: bool,
    /// The old realm will not answer any more: what was brought over is all there is
    #[arg(long, conflicts_with_all = ["only_copy", "dry_run"])]
    pub old_is_gone: bool,
    /// Only say what would be moved
    #[arg(long, requires = "from")]
    pub dry_run: bool,
}

pub(crate) async fn tenant(
    host: &dyn Host,
    terminal: Terminal,
    command: TenantCommand,
) -> Result<(), Problem> {
    match command {
        TenantCommand::Move(args) => {
            let wish = wish(*args)?;
            let bar = terminal.is_interactive().then(indicatif::ProgressBar::new_spinner);
            let told = |what: String| match &bar {
                Some(bar) => {
                    bar.set_message(what);
                    bar.tick();
                }
                None => terminal.say(what),
            };
            let moved = host.tenant_move(wish, &told).await;
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            show(terminal, &moved?, told_of)
        }
        TenantCommand::Stay { folder } => {
            host.tenant_stay(&absolute(&folder)?).await?;
            terminal.done(true, "The old buckets are as they were. What was copied stays in the new realm until you delete it.");
            Ok(())
        }
        TenantCommand::Receipt { file, list } => {
            let file = if file.is_dir() { file.join("receipt") } else { file };
            let beside = file.with_file_name("list");
            let list = list.or_else(|| beside.exists().then_some(beside));
            let list = list.as_deref().map(read_file).transpose()?;
            let has_list = list.is_some();
            let shown = host.tenant_receipt(&read_file(&file)?, list.as_deref())?;
            show(terminal, &shown, |shown| proof(shown, has_list))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path)
        .map_err(|error| Problem::invalid(NOT_MOVED, format!("{}: {error}", path.display()), None::<&str>))
}

fn wish(args: MoveArgs) -> Result<TenantMove, Problem> {
    let side = |endpoint: String, key: &Path, ca: Option<PathBuf>| {
        let ca = ca.as_deref().map(absolute).transpose()?;
        Ok::<_, Problem>(TenantSide { endpoint, key_file: absolute(key)?, ca })
    };
    let sides = match (args.from, args.from_key, args.to, args.to_key) {
        (Some(from), Some(from_key), Some(to), Some(to_key)) => {
            Some((side(from, &from_key, args.from_ca)?, side(to, &to_key, args.to_ca)?))
        }
        _ => None,
    };
    let pair = |text: &String| {
        let pair = text.split_once('=').filter(|(old, new)| !old.is_empty() && !new.is_empty());
        let pair = pair.map(|(old, new)| (old.to_owned(), new.to_owned()));
        pair.ok_or_else(|| {
            let why = format!("{text:?} is not two names with = between them");
            Problem::invalid(NOT_MOVED, why, Some("freehold tenant move --help"))
        })
    };
    let renamed: BTreeMap<String, String> = args.renamed.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(TenantMove {
        folder: absolute(&args.folder)?,
        sides,
        buckets: args.bucket,
        renamed,
        dry_run: args.dry_run,
        only_copy: args.only_copy,
        nobody_writes: args.nobody_writes,
        old_is_gone: args.old_is_gone,
    })
}

fn line(bucket: &TenantBucket) -> Vec<String> {
    let mut said = format!("  {}", bucket.name);
    if bucket.now != bucket.name {
        said = format!("{said}, there called {}", bucket.now);
    }
    said = format!("{said}: {}, {}", count(bucket.versions, "version"), words::bytes(bucket.bytes));
    if bucket.markers > 0 {
        said = format!("{said}, {}", count(bucket.markers, "delete marker"));
    }
    if bucket.taken {
        said = format!(
            "{said}; the new realm has a bucket of that name: it must be yours and empty, or --as {}=OTHER",
            bucket.name
        );
    }
    let mut out = vec![said];
    if !bucket.settings.is_empty() {
        out.push(format!("    set as it was: {}", bucket.settings.join(", ")));
    }
    out.extend(bucket.left.iter().map(|what| format!("    not moved: {what}")));
    out
}

fn told_of(moved: &TenantMoved) -> String {
    let mut out = vec![
        match moved.stage {
            TenantStage::Planned => "Would be moved:",
            TenantStage::Copied => {
                "Everything is in the new realm, read back and compared. Writes go on in the old one."
            }
            TenantStage::Moved => {
                "Moved. Write to the new realm from now on; the old one's buckets stay closed."
            }
        }
        .to_owned(),
    ];
    out.extend(moved.buckets.iter().flat_map(line));
    match moved.stage {
        TenantStage::Planned => {}
        TenantStage::Copied => {
            out.push(
                "The same command without --only-copy brings the differences and closes the old buckets."
                    .to_owned(),
            );
        }
        TenantStage::Moved => out.extend(what_happened(moved)),
    }
    if let Some(receipt) = &moved.receipt {
        out.push(format!("  receipt in {}", receipt.display()));
    }
    out.join("\n")
}

fn what_happened(moved: &TenantMoved) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(ms) = moved.read_only_ms {
        let (seconds, tenths) = (ms / 1000, ms % 1000 / 100);
        out.push(format!("  writes were refused for {seconds}.{tenths} s"));
    }
    if !moved.compared {
        out.push(
            "  the old realm ceased to answer before all was compared: what was written there last may be missing".to_owned(),
        );
    }
    out
}

fn proof(shown: &TenantMoved, has_list: bool) -> String {
    let mut out = vec![if has_list {
        "The receipt is genuine, and the list is the one that it was made of.".to_owned()
    } else {
        "The receipt is genuine.".to_owned()
    }];
    if let Some((from, to)) = &shown.endpoints {
        out.push(format!("  from {from} to {to}"));
    }
    if let Some(moved) = shown.moved_ms {
        out.push(format!("  the new realm counts since {}", words::date(moved)));
    }
    out.extend(what_happened(shown));
    out.extend(shown.buckets.iter().flat_map(line));
    if let Some(list) = &shown.list_sha256 {
        out.push(format!("  SHA-256 of the list: {list}"));
    }
    if let Some(key) = &shown.key {
        out.push(format!("  signed by the key of the move: {key}"));
    }
    out.push("Who moved signed it, for themselves: neither realm vouches for it.".to_owned());
    out.join("\n")
}

//! `freehold backup`: what may be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use freehold_api::{BackupKeep, Problem};

/// `freehold backup`.
#[derive(Debug, Clone, Subcommand)]
pub enum BackupCommand {
    /// Targets, the places that backups go to: add, remove
    Target {
        /// What to do.
        #[command(subcommand)]
        command: TargetCommand,
    },
    /// Back files of this machine up, or what a command prints, from now on and by itself
    Add(AddArgs),
    /// List targets and backups, and how they stand
    #[command(visible_alias = "status")]
    List,
    /// Back up now, and wait until it is done
    Now {
        /// Which backup
        name: String,
    },
    /// Change how many snapshots of a backup stay; the rest is forgotten, once a day
    Keep {
        /// Which backup
        name: String,
        /// How many.
        #[command(flatten)]
        counts: KeepArgs,
    },
    /// Say whether a backup is made over a network that costs by the byte, too
    Metered {
        /// Which backup
        name: String,
        /// go, or wait until there is another network
        #[arg(value_enum)]
        what: OnMetered,
    },
    /// Datasets of machines with ZFS, as one file declares them: apply, status, now
    Zfs {
        /// What to do with datasets.
        #[command(subcommand)]
        command: ZfsCommand,
    },
    /// Say that far less, or far more that is new, is meant to be: ends that alarm
    Accept {
        /// Which backup
        name: String,
    },
    /// List what lies in no backup, or say that it is meant so: ends that alarm
    Unprotected(UnprotectedArgs),
    /// List the snapshots on a target
    Snapshots {
        /// The target; may be left out where there is only one
        #[arg(long, value_name = "TARGET")]
        from: Option<String>,
    },
    /// List what is in a snapshot
    Ls {
        /// What to look into [default: the whole]
        path: Option<PathBuf>,
        /// From where.
        #[command(flatten)]
        from: FromArgs,
    },
    /// Look for something by its name, in all snapshots of a target
    Find {
        /// A part of the name; or, with * ? and [], the whole of it; with a slash, of the path
        pattern: String,
        /// From where.
        #[command(flatten)]
        from: FindArgs,
    },
    /// Bring back a snapshot, or something in it
    Restore(RestoreArgs),
    /// Show a backup as a folder to look into, which only reads, until Ctrl-C or `umount FOLDER`
    #[command(allow_missing_positional = true)]
    Mount(MountArgs),
    /// Look whether everything on a target can be restored
    Check {
        /// The target; may be left out where there is only one
        target: Option<String>,
        /// Read every byte, not only what is said of it
        #[arg(long)]
        read: bool,
    },
    /// Forget old snapshots on a target, and remove what no other needs
    Forget(ForgetArgs),
    /// Print the password of a target's repository, with which plain restic opens it
    Password {
        /// The target
        target: String,
        /// Write it to this new file, which only you can read, and show it nowhere
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Back something up no longer; its snapshots stay
    Remove {
        /// Which backup
        name: String,
    },
}

/// What a backup does while the network costs by the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnMetered {
    /// It is made.
    Go,
    /// It waits.
    Wait,
}

/// `freehold backup target`.
#[derive(Debug, Clone, Subcommand)]
pub enum TargetCommand {
    /// Add a target: a directory, another machine, room at a friend's, or a bucket. Makes a repository, or takes over one that is there
    Add {
        /// What to call it: small letters, digits and hyphens
        name: String,
        /// An empty directory, one that is not there yet, or one with a repository of restic's
        #[arg(required_unless_present_any = ["machine", "grant", "s3"], conflicts_with_all = ["machine", "grant", "s3"])]
        path: Option<PathBuf>,
        /// Another machine of the realm keeps it: this one adds to it, and can remove nothing
        #[arg(long, value_name = "MACHINE", conflicts_with_all = ["grant", "s3"])]
        machine: Option<String>,
        /// It lies in the room that another realm lends by this grant: this machine can remove nothing there
        #[arg(long, value_name = "GRANT", conflicts_with = "s3")]
        grant: Option<String>,
        /// What another machine, perhaps a lost one, has backed up there, to read it
        #[arg(long, value_name = "MACHINE", conflicts_with_all = ["path", "s3"])]
        of: Option<String>,
        /// A file with the password of the repository that is there, where this realm does not know it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// How fast backups go there at most, in a second, such as 500KiB or 2MiB: the line is there for others as well
        #[arg(long, value_name = "PACE")]
        pace: Option<String>,
        /// It lies in a bucket of an S3.
        #[command(flatten)]
        bucket: Box<BucketArgs>,
    },
    /// Say how fast backups go to a target at most, from the next run on
    Pace {
        /// Which target
        name: String,
        /// Bytes in a second, such as 500KiB or 2MiB; none lifts the limit
        pace: String,
    },
    /// Forget a target that no backup goes to; what lies there stays
    Remove {
        /// Which target
        name: String,
    },
}

/// A bucket of an S3 as a target.
#[derive(Debug, Clone, Args)]
pub struct BucketArgs {
    /// It lies in a bucket of an S3, whoever runs it: address of the endpoint, such as https://s3.example.org
    #[arg(long, value_name = "URL", requires = "bucket")]
    pub s3: Option<String>,
    /// The bucket there, which exists already
    #[arg(long, requires = "s3")]
    pub bucket: Option<String>,
    /// The region that requests are signed for [default: us-east-1]
    #[arg(long, requires = "s3")]
    pub region: Option<String>,
    /// What all names there begin with, so that one bucket can serve several purposes
    #[arg(long, requires = "s3")]
    pub prefix: Option<String>,
    /// The bucket is part of the host's name, not of the path
    #[arg(long, requires = "s3")]
    pub virtual_host: bool,
    /// File with the access key, as the AWS tools write it; `-` is standard input; without it it is asked for
    #[arg(long, value_name = "FILE", requires = "s3")]
    pub credentials: Option<PathBuf>,
    /// File with the certificates that vouch for the endpoint, beside those of the system
    #[arg(long, value_name = "FILE", requires = "s3")]
    pub ca: Option<PathBuf>,
    /// This machine removes nothing there: give it an access key that may not
    #[arg(long, requires = "s3")]
    pub append_only: bool,
}

/// `freehold backup add`.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct AddArgs {
    /// What to call it: small letters, digits and hyphens
    pub name: String,
    /// Directories and files
    #[arg(required_unless_present_any = ["command", "buckets", "databases", "everything"], value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A bucket of the realm, instead of paths: the newest version of each object; may be given several times
    #[arg(long = "bucket", value_name = "BUCKET", conflicts_with_all = ["paths", "command", "exclude", "git_ignore", "one_file_system"])]
    pub buckets: Vec<String>,
    /// A database of the realm, as it is at one moment, instead of paths; may be given several times
    #[arg(long = "database", value_name = "DATABASE", conflicts_with_all = ["paths", "command", "exclude", "git_ignore", "one_file_system"])]
    pub databases: Vec<String>,
    /// All buckets and databases that this machine can read, those that come later, too, and what it was told, without secrets
    #[arg(long, conflicts_with_all = ["paths", "command", "buckets", "databases", "exclude", "git_ignore", "one_file_system"])]
    pub everything: bool,
    /// A program that prints what is to be backed up, instead of paths: a dump of a database. No shell reads it
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["paths", "exclude", "git_ignore", "one_file_system"])]
    pub command: Vec<String>,
    /// What the file with what it prints is called [default: as the backup]
    #[arg(long, value_name = "FILE", requires = "command")]
    pub file: Option<String>,
    /// Where to: targets, with commas between them
    #[arg(long, required = true, value_delimiter = ',', value_name = "TARGET,...")]
    pub to: Vec<String>,
    /// How often: hour, day, week, or as 30m, 6h, 2d
    #[arg(long, default_value = "hour", value_parser = every, value_name = "TIME")]
    pub every: u64,
    /// Leave out what matches, as a line of a .gitignore does; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Leave out what a .gitignore within says
    #[arg(long)]
    pub git_ignore: bool,
    /// Stay on the file systems of the paths
    #[arg(long)]
    pub one_file_system: bool,
    /// Make it over a network that costs by the byte, too, as NetworkManager says it [default: wait for another one]
    #[arg(long)]
    pub on_metered: bool,
    /// How many snapshots stay.
    #[command(flatten)]
    pub keep: AddKeepArgs,
}

/// How many snapshots stay, as restic's and borg's options say it.
#[derive(Debug, Clone, Copy, Args)]
pub struct AddKeepArgs {
    /// Keep the newest so many snapshots, and forget the rest once a day [default: keep every one]
    #[arg(
        long = "keep-last",
        id = "keep-last",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub last: u32,
    /// Keep the newest of each of so many hours
    #[arg(
        long = "keep-hourly",
        id = "keep-hourly",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub hourly: u32,
    /// Of each of so many days
    #[arg(
        long = "keep-daily",
        id = "keep-daily",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub daily: u32,
    /// Of each of so many weeks
    #[arg(
        long = "keep-weekly",
        id = "keep-weekly",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub weekly: u32,
    /// Of each of so many months
    #[arg(
        long = "keep-monthly",
        id = "keep-monthly",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub monthly: u32,
    /// Of each of so many years
    #[arg(
        long = "keep-yearly",
        id = "keep-yearly",
        default_value_t = 0,
        hide_default_value = true,
        value_name = "COUNT"
    )]
    pub yearly: u32,
}

impl AddKeepArgs {
    pub(super) const fn keep(self) -> BackupKeep {
        BackupKeep {
            last: self.last,
            hourly: self.hourly,
            daily: self.daily,
            weekly: self.weekly,
            monthly: self.monthly,
            yearly: self.yearly,
        }
    }
}

/// `freehold backup keep`: counts, or everything.
#[derive(Debug, Clone, Copy, Args)]
pub struct KeepArgs {
    /// Forget nothing by itself
    #[arg(long)]
    pub everything: bool,
    /// The counts.
    #[command(flatten)]
    pub counts: CountArgs,
}

impl KeepArgs {
    /// What is to stay. To keep everything has to be said: who forgets a count means something else.
    pub(super) fn keep(self) -> Result<BackupKeep, Problem> {
        let CountArgs { last, hourly, daily, weekly, monthly, yearly } = self.counts;
        let keep = BackupKeep { last, hourly, daily, weekly, monthly, yearly };
        if keep.is_everything() == self.everything {
            return Ok(keep);
        }
        let why = "either counts are said, or --everything";
        let next = "freehold backup keep NAME --hourly 24 --daily 7 --weekly 5 --monthly 12";
        Err(Problem::invalid("nothing was changed", why, Some(next)))
    }
}

/// `freehold backup unprotected`.
#[derive(Debug, Clone, Args)]
pub struct UnprotectedArgs {
    /// Directories, with all below
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// A bucket of the realm; may be given several times
    #[arg(long = "bucket", value_name = "BUCKET")]
    pub buckets: Vec<String>,
    /// A database of the realm; may be given several times
    #[arg(long = "database", value_name = "DATABASE")]
    pub databases: Vec<String>,
    /// Say that these are meant to be in no backup
    #[arg(long, conflicts_with = "alarm_again")]
    pub accept: bool,
    /// Take that back
    #[arg(long)]
    pub alarm_again: bool,
}

/// From where something is looked up or comes back.
#[derive(Debug, Clone, Args)]
pub struct FromArgs {
    /// The target; may be left out where there is only one
    #[arg(long, value_name = "TARGET")]
    pub from: Option<String>,
    /// A snapshot's id, or the beginning of it, or the name of a backup for the newest of that [default: the newest]
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
}

/// Where something is looked for.
#[derive(Debug, Clone, Args)]
pub struct FindArgs {
    /// The target; may be left out where there is only one
    #[arg(long, value_name = "TARGET")]
    pub from: Option<String>,
    /// Only in this snapshot: its id, or the beginning of it, or the name of a backup for the newest of that
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
}

/// `freehold backup restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// What comes back, by its path in the snapshot [default: everything, under its whole paths]
    pub path: Option<PathBuf>,
    /// The directory that it comes back into
    #[arg(long, value_name = "DIR", required_unless_present = "in_place")]
    pub to: Option<PathBuf>,
    /// To where it was, over what is there now; what came later stays
    #[arg(long, conflicts_with = "to")]
    pub in_place: bool,
    /// Only say what would be made and overwritten, and name what would be overwritten
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run, name each path that would be made, too
    #[arg(long, requires = "dry_run")]
    pub paths: bool,
    /// From where.
    #[command(flatten)]
    pub from: FromArgs,
}

/// `freehold backup mount`.
#[derive(Debug, Clone, Args)]
pub struct MountArgs {
    /// Which backup [default: all snapshots that are on the target]
    pub name: Option<String>,
    /// The folder in which it is shown: an empty one, or one that is not there yet
    pub folder: PathBuf,
    /// The target; may be left out where there is only one
    #[arg(long, visible_alias = "target", value_name = "TARGET")]
    pub from: Option<String>,
    /// Only this snapshot: its id, or the beginning of it, or the name of a backup for the newest of that
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
}

/// `freehold backup forget`.
#[derive(Debug, Clone, Args)]
pub struct ForgetArgs {
    /// The target; may be left out where there is only one
    #[arg(long, value_name = "TARGET")]
    pub from: Option<String>,
    /// How many stay.
    #[command(flatten)]
    pub counts: CountArgs,
    /// Only say what would be forgotten
    #[arg(long)]
    pub dry_run: bool,
}

/// How many snapshots stay.
#[derive(Debug, Clone, Copy, Args)]
pub struct CountArgs {
    /// Keep the newest so many
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub last: u32,
    /// Keep the newest of each of so many hours
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub hourly: u32,
    /// Of each of so many days
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub daily: u32,
    /// Of each of so many weeks
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub weekly: u32,
    /// Of each of so many months
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub monthly: u32,
    /// Of each of so many years
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub yearly: u32,
}

/// A time as people type it, in milliseconds.
fn every(text: &str) -> Result<u64, String> {
    const MINUTE: u64 = 60_000;
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.trim() {
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "h" | "hour" | "hours" => 60 * MINUTE,
        "d" | "day" | "days" => 24 * 60 * MINUTE,
        "w" | "week" | "weeks" => 7 * 24 * 60 * MINUTE,
        _ => return Err("hour, day, week, or a number with m, h, d or w, such as 6h".to_owned()),
    };
    let number: u64 =
        if digits.is_empty() { 1 } else { digits.parse().map_err(|_| "too many".to_owned())? };
    number.checked_mul(unit).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        for (text, expected) in [
            ("hour", Some(3_600_000)),
            ("6h", Some(21_600_000)),
            ("30m", Some(1_800_000)),
            ("2 days", Some(172_800_000)),
            ("week", Some(604_800_000)),
            ("5", None),
            ("soon", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(every(text).ok(), expected, "{text}");
        }
    }
}

/// `freehold backup zfs`.
#[derive(Debug, Clone, Subcommand)]
pub enum ZfsCommand {
    /// Do from now on what a declaration says; the same file is applied on each machine that it names
    Apply {
        /// The declaration
        file: PathBuf,
        /// Only show what it comes to on this machine
        #[arg(long)]
        dry_run: bool,
    },
    /// Show each dataset at each target, and what is kept here
    Status,
    /// Take snapshots and send them now, and wait until that is done
    Now,
}

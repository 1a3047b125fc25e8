//! Backups of what a command prints, as far as they are asked for.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use freehold_api::{NewBackup, Problem};

use super::adding::NOT_BACKED_UP;

const USAGE: &str = "freehold backup add NAME --to TARGET -- PROGRAM ARGUMENT...";
/// So many words, of so many bytes together, are a command; more are a script, which belongs into a file.
const WORDS_MAX: usize = 256;
const BYTES_MAX: usize = 32 << 10;
const FILE_MAX: usize = 255;

fn refuse(why: impl Into<String>) -> Problem {
    Problem::invalid(NOT_BACKED_UP, why, Some(USAGE))
}

/// The path that the file with what is printed has in a snapshot, once it was seen that the command can be run.
pub(super) fn file(wish: &NewBackup) -> Result<PathBuf, Problem> {
    let about_files =
        !wish.paths.is_empty() || !wish.exclude.is_empty() || wish.git_ignore || wish.one_file_system;
    if about_files {
        return Err(refuse("either files are backed up or what a command prints, not both in one"));
    }
    let bytes: usize = wish.command.iter().map(String::len).sum();
    if wish.command.len() > WORDS_MAX
        || bytes > BYTES_MAX
        || wish.command.iter().any(|word| word.contains('\0'))
    {
        return Err(refuse("the command is too long, or no command: put it into a script, and name that"));
    }
    let program = wish.command.first().map(String::as_str).unwrap_or_default();
    if !can_be_run(program, env::var_os("PATH")) {
        let why = format!("{program} is no program that this node finds and can run");
        let next = "name it by its whole path, as `command -v` says it";
        return Err(Problem::not_found(NOT_BACKED_UP, why, Some(next)));
    }
    let name = wish.file.as_ref().unwrap_or(&wish.name);
    let mut parts = Path::new(name).components();
    let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_str());
    if !is_name || name.len() > FILE_MAX || name.chars().any(char::is_control) {
        return Err(refuse(format!("{name:?} is no name of a file: --file NAME, without directories")));
    }
    Ok(Path::new("/").join(name))
}

/// Whether the node would find it, and may run it.
fn can_be_run(program: &str, path: Option<OsString>) -> bool {
    let runs = |file: PathBuf| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    match program {
        "" => false,
        // A node's own directory is nobody's.
        name if name.contains('/') => name.starts_with('/') && runs(PathBuf::from(name)),
        name => path.is_some_and(|path| env::split_paths(&path).any(|dir| runs(dir.join(name)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(command: &[&str], file: Option<&str>) -> NewBackup {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        NewBackup { name: "shop".to_owned(), command, file: file.map(str::to_owned), ..NewBackup::default() }
    }

    #[test]
    fn a_command_that_can_be_run_prints_a_file_in_the_root() {
        assert_eq!(file(&wish(&["/bin/sh", "-c", "true"], None)).unwrap(), Path::new("/shop"));
        assert_eq!(file(&wish(&["sh"], Some("shop.sql"))).unwrap(), Path::new("/shop.sql"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for name in ["", ".", "..", "a/b", "/a", "a/", "a\nb", &"a".repeat(256)] {
            assert!(file(&wish(&["sh"], Some(name))).is_err(), "{name:?}");
        }
        for program in ["", "no-such-program", "./sh", "bin/sh", "/etc/passwd", "/bin"] {
            assert!(file(&wish(&[program], None)).is_err(), "{program:?}");
        }
        let both = NewBackup { paths: vec!["/etc".to_owned()], ..wish(&["sh"], None) };
        assert!(file(&both).is_err());
        assert!(file(&wish(&["sh"; 300], None)).is_err());
        assert!(file(&wish(&["sh", "a\0b"], None)).is_err());
    }
}

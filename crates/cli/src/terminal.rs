//! Where words go and come from: answers to standard output, everything else to standard error,
//! questions only if somebody sits there.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use freehold_api::{Problem, words};
use zeroize::Zeroizing;

/// Whether a JSON document stands on standard output: programs read one, so a problem that comes after
/// it goes beside it.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// The person's or program's side of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Answers are JSON.
    pub(crate) json: bool,
    /// Nothing may be asked.
    pub(crate) quiet: bool,
    /// What a command needs to find the home of this one, if that is not the usual one.
    pub(crate) home: Option<&'static str>,
}

/// The answer to a command that changes something and has nothing else to tell.
#[derive(serde::Serialize)]
struct Done {
    done: bool,
    what: String,
}

impl Terminal {
    /// Whether a question would reach a person.
    pub(crate) fn can_ask(self) -> bool {
        !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether progress and pictures of codes would be seen.
    pub(crate) fn is_interactive(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Prints a line of the answer. A closed pipe is the reader's choice, not a failure.
    pub(crate) fn answer(self, line: impl std::fmt::Display) {
        drop(writeln!(io::stdout().lock(), "{}", visible(&aimed(&line.to_string(), self.home))));
    }

    /// Prints a document for programs. A closed pipe is their choice.
    #[expect(clippy::unused_self, reason = "as for the words")]
    pub(crate) fn document(self, text: &str) {
        drop(writeln!(io::stdout().lock(), "{text}"));
    }

    /// Prints a value as JSON.
    pub(crate) fn answer_json(self, value: &impl serde::Serialize) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            ANSWERED.store(true, Ordering::Relaxed);
            self.document(&text);
        }
    }

    /// Prints a problem as JSON: the answer, if there is no other.
    pub(crate) fn problem_json(self, problem: &Problem) {
        if !ANSWERED.load(Ordering::Relaxed) {
            self.answer_json(problem);
        } else if let Ok(text) = serde_json::to_string_pretty(problem) {
            drop(writeln!(io::stderr().lock(), "{text}"));
        }
    }

    /// Says in a line what is true now, or would be.
    pub(crate) fn done(self, done: bool, what: impl std::fmt::Display) {
        if self.json {
            self.answer_json(&Done { done, what: what.to_string() });
        } else {
            self.answer(what);
        }
    }

    /// Prints a line beside the answer.
    pub(crate) fn say(self, line: impl std::fmt::Display) {
        drop(writeln!(io::stderr().lock(), "{}", visible(&aimed(&line.to_string(), self.home))));
    }

    /// Asks, and returns the line typed, without its end; nothing if there is nobody to ask.
    pub(crate) fn ask(self, question: &str) -> Option<Zeroizing<String>> {
        if !self.can_ask() {
            return None;
        }
        let mut err = io::stderr().lock();
        write!(err, "{question} ").ok()?;
        err.flush().ok()?;
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(Zeroizing::new(line.trim().to_owned()))
    }

    /// Makes sure that it is meant what nothing brings back: its name is typed again, or `-y` says so
    /// where there is nobody to ask.
    pub(crate) fn is_meant(self, undone: &str, name: &str, command: &str) -> Result<(), Problem> {
        if self.quiet {
            return Ok(());
        }
        if !self.can_ask() {
            return Err(Problem::refused(
                undone,
                "nothing brings back what goes with it, and there is nobody to ask whether it is meant",
                Some(format!("{command} -y")),
            ));
        }
        let typed = self.ask(&format!("Nothing brings back what goes with it. Type {name} to go on:"));
        if typed.is_some_and(|typed| typed.trim() == name.trim()) {
            return Ok(());
        }
        Err(Problem::refused(undone, "something else was typed", Some(command)))
    }

    /// Clears the screen and what can be scrolled back to, after something secret was shown.
    #[expect(clippy::unused_self, reason = "as for the words themselves")]
    pub(crate) fn clear(self) {
        if io::stderr().is_terminal() {
            drop(write!(io::stderr().lock(), "\x1b[2J\x1b[3J\x1b[H"));
        }
    }
}

/// How commands are told to find `home`: not at all if it is where they look.
pub(crate) fn told_home(home: &Path) -> Option<&'static str> {
    let usual = std::env::var_os("FREEHOLD_HOME").and_then(|named| std::path::absolute(named).ok());
    let usual = usual.or_else(|| crate::home(None).ok());
    if usual.as_deref() == Some(home) {
        return None;
    }
    let path = home.display().to_string();
    // Once in the life of a process.
    Some(String::leak(format!("--home {} ", words::typed(&path))))
}

/// Commands that ask the node of a home.
const OF_A_HOME: [&str; 23] = [
    "up",
    "stop",
    "status",
    "doctor",
    "metrics",
    "invite",
    "bucket",
    "object",
    "backend",
    "alarm",
    "backup",
    "kv",
    "usage",
    "quota",
    "key",
    "person",
    "pool",
    "receipt",
    "net",
    "node",
    "realm",
    "guardians",
    "console",
];

/// What stands before a command that is typed on another machine.
const ELSEWHERE: [&str; 10] = [
    "ask an ",
    "ask for ",
    "ask a member",
    "another admin",
    "a node that is well",
    "another node: ",
    "in their realm: ",
    "The others ",
    "A member types",
    "Who founds it types",
];

/// Lets the commands that a text suggests find the home they are about. What is to be typed on another
/// machine stays as it is.
fn aimed(text: &str, home: Option<&str>) -> String {
    let Some(home) = home else { return text.to_owned() };
    let elsewhere = |line: &str| ELSEWHERE.iter().any(|words| line.contains(words));
    let one = |line: &str| {
        let mut out = String::with_capacity(line.len());
        for (at, part) in line.split("freehold ").enumerate() {
            if at > 0 {
                let word = part.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
                out.push_str("freehold ");
                out.push_str(if OF_A_HOME.contains(&word) { home } else { "" });
            }
            out.push_str(part);
        }
        out
    };
    let lines = text.split('\n').map(|line| if elsewhere(line) { line.to_owned() } else { one(line) });
    lines.collect::<Vec<_>>().join("\n")
}

/// What others named cannot move the cursor or colour what follows: control characters but the line's
/// end and tabs are shown as escapes.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A QR code for a terminal: two rows of modules a line, dark on light so that every camera reads
/// it. Nothing if the text is too long for one.
pub(crate) fn qr(text: &str) -> Option<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L).ok()?;
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_about_the_home_that_was_asked() {
        let home = Some("--home /tmp/x9 ");
        for (text, aimed_at) in [
            ("freehold up", "freehold --home /tmp/x9 up"),
            (
                "freehold stop, then freehold up",
                "freehold --home /tmp/x9 stop, then freehold --home /tmp/x9 up",
            ),
            ("wait: freehold node list    (x)\nb", "wait: freehold --home /tmp/x9 node list    (x)\nb"),
        ] {
            assert_eq!(aimed(text, home), aimed_at);
            assert_eq!(aimed(text, None), text);
        }
        for kept in [
            "freehold join FREEHOLD-INVITE:abc",
            "freehold --home FOLDER join",
            "ask an admin: freehold node lift, with this node's name",
            "cannot find freehold here",
        ] {
            assert_eq!(aimed(kept, home), kept);
        }
        assert_eq!(told_home(Path::new("/srv/two words")), Some("--home '/srv/two words' "));
    }

    #[test]
    fn no_name_commands_the_terminal() {
        assert_eq!(visible("nas\u{1b}[2J\u{7}\nnext"), "nas\\u{1b}[2J\\u{7}\nnext");
    }
}

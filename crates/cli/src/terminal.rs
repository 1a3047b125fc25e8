//! Where words go and come from: answers to standard output, everything else to standard error,
//! questions only if somebody sits there.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use zeroize::Zeroizing;

/// The person's or program's side of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Answers are JSON.
    pub(crate) json: bool,
    /// Nothing may be asked.
    pub(crate) quiet: bool,
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
    #[expect(
        clippy::unused_self,
        reason = "words go through the terminal, so that a test or a console can stand in"
    )]
    pub(crate) fn answer(self, line: impl std::fmt::Display) {
        drop(writeln!(io::stdout().lock(), "{}", visible(&line.to_string())));
    }

    /// Prints a value as JSON.
    pub(crate) fn answer_json(self, value: &impl serde::Serialize) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            self.answer(text);
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
    #[expect(
        clippy::unused_self,
        reason = "words go through the terminal, so that a test or a console can stand in"
    )]
    pub(crate) fn say(self, line: impl std::fmt::Display) {
        drop(writeln!(io::stderr().lock(), "{}", visible(&line.to_string())));
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

    /// Clears the screen and what can be scrolled back to, after something secret was shown.
    #[expect(clippy::unused_self, reason = "as for the words themselves")]
    pub(crate) fn clear(self) {
        if io::stderr().is_terminal() {
            drop(write!(io::stderr().lock(), "\x1b[2J\x1b[3J\x1b[H"));
        }
    }
}

/// What others named cannot move the cursor or colour what follows: control characters but the line's
/// end are shown as escapes.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { shown.extend(c.escape_default()) } else { shown.push(c) }
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
    fn no_name_commands_the_terminal() {
        assert_eq!(visible("nas\u{1b}[2J\u{7}\nnext"), "nas\\u{1b}[2J\\u{7}\nnext");
    }
}

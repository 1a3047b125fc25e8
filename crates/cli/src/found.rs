//! What a recovery from a backend shows, and asks: that somebody signed what lies on the store does not
//! say that it is the newest.

use freehold_api::{FoundRealm, Problem, words};

use crate::terminal::Terminal;

const WHAT: &str = "the realm was not recovered";
/// What is older is to be looked at by somebody.
const OLD_MS: u64 = 24 * 3_600_000;

/// Shows what was found; an error if that is not to be taken.
pub(crate) fn agree(terminal: Terminal, found: &FoundRealm, incomplete: bool) -> Result<(), Problem> {
    terminal.say(shown(found));
    let sure = || {
        let typed = terminal.ask("Is that the realm as it was last? [y/N]")?;
        Some(["y", "yes"].contains(&typed.to_lowercase().as_str()))
    };
    judge(found, incomplete, terminal.quiet, &sure)?;
    terminal.say(
        "Taking over the backend. If the machine that ran it runs still, stop it now for good: for half a \
         minute it is asked to answer ...",
    );
    Ok(())
}

fn judge(
    found: &FoundRealm,
    incomplete: bool,
    quiet: bool,
    sure: &dyn Fn() -> Option<bool>,
) -> Result<(), Problem> {
    if !found.missing.is_empty() && !incomplete {
        return Err(Problem::corrupt(
            WHAT,
            format!("what the store gives of the realm is not whole: {}", found.missing.join("; ")),
            Some("name all stores of the backend; or take what is left: the same command with --incomplete"),
        ));
    }
    let age = age(found);
    if age >= OLD_MS && !quiet && sure() != Some(true) {
        let age = words::span(age);
        return Err(Problem::refused(
            WHAT,
            format!("what lies on the store is {age} old: the store may have given an older state back"),
            Some(
                "look at the dates and the people above; if nothing newer is known, the same command with -y",
            ),
        ));
    }
    Ok(())
}

/// How old the older of its two dates is.
fn age(found: &FoundRealm) -> u64 {
    found.now_ms.saturating_sub(found.written_ms.min(found.decided_ms))
}

fn shown(found: &FoundRealm) -> String {
    let when = |ms: u64| {
        let ago = found.now_ms.saturating_sub(ms);
        format!("{} ({} ago)", words::date(ms), words::span(ago))
    };
    let all = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "Found the realm {} as the backend {} knew it:\n  \
         last written there       {}\n  \
         last decision of admins  {}\n  \
         admins                   {}\n  \
         other members            {}\n  \
         machines                 {}\n\
         Whoever runs the store could give back an older state than the last: these dates would show it.",
        found.realm,
        found.backend,
        when(found.written_ms),
        when(found.decided_ms),
        all(&found.admins),
        all(&found.members),
        all(&found.machines),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> FoundRealm {
        FoundRealm {
            realm: "smith".to_owned(),
            backend: "offsite".to_owned(),
            written_ms: 1_795_314_925_000,
            decided_ms: 1_795_300_000_000,
            now_ms: 1_795_315_925_000,
            admins: vec!["alice".to_owned()],
            machines: vec!["laptop".to_owned(), "offsite".to_owned()],
            ..FoundRealm::default()
        }
    }

    #[test]
    fn dates_and_people_are_shown() {
        let shown = shown(&found());
        for line in
            ["2026-11-22 02:35 UTC (16 minutes ago)", "(4 hours ago)", "alice", "laptop, offsite", "none"]
        {
            assert!(shown.contains(line), "{line} in {shown}");
        }
    }

    #[test]
    fn what_is_old_or_not_whole_is_not_taken_unasked() {
        let nobody = || None;
        assert!(judge(&found(), false, false, &nobody).is_ok());
        for old in [
            FoundRealm { now_ms: found().now_ms + OLD_MS, ..found() },
            FoundRealm { decided_ms: 0, ..found() },
        ] {
            let problem = judge(&old, false, false, &nobody).unwrap_err();
            assert!(problem.why.contains(" old: "), "{problem}");
            assert!(judge(&old, false, false, &|| Some(false)).is_err());
            assert!(judge(&old, false, false, &|| Some(true)).is_ok());
            assert!(judge(&old, false, true, &nobody).is_ok());
        }
        let cut = FoundRealm { missing: vec!["half of it".to_owned()], ..found() };
        assert!(judge(&cut, false, true, &|| Some(true)).is_err());
        assert!(judge(&cut, true, false, &nobody).is_ok());
    }
}

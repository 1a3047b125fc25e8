//! Patterns in which `*` stands for any characters and `?` for one.

/// Whether a text fits a pattern.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Behind the last star: where in the pattern, and how much of the text the star has taken.
    let mut back: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                back = Some((p, t));
            }
            Some(&expected) if expected == '?' || expected == c => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, taken)) = back else { return false };
                p = after_star;
                t = taken + 1;
                back = Some((after_star, t));
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// The same, whatever the case of letters.
pub(crate) fn fits_any_case(pattern: &str, text: &str) -> bool {
    fits(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("**a", "aaaa", true),
            ("a", "aa", false),
            ("*abc???def", "abcdefabc123def", true),
            ("a*c?b", "acdcb", false),
            ("*a*b*c", "abc", true),
            ("?", "ü", true),
            ("??", "ü", false),
            ("b/*", "b/x/y", true),
            ("b/*", "b", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} and {text}");
        }
    }

    /// The definition, too slow to be used.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
            Some((c, rest)) => {
                text.split_first().is_some_and(|(t, left)| (*c == '?' || c == t) && plainly(rest, left))
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_definition_says(pattern in "[ab*?]{0,7}", text in "[ab]{0,7}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), plainly(&p, &t));
        }
    }
}

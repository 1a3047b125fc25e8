//! What a snapshot's folder is called: by when it was made, so that a list has them in order, and by its id, as other
//! commands show it. Pure.

use time::OffsetDateTime;

use crate::Root;

/// So many digits of an id are shown.
const SHORT: usize = 8;

/// The names of snapshots, in their order; each is another one as long as ids are.
pub(crate) fn names(roots: &[Root]) -> Vec<String> {
    let short: Vec<String> = roots.iter().map(|root| name(root, SHORT)).collect();
    let is_alone = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let whole = |(root, short): (&Root, &String)| {
        if is_alone(short) { short.clone() } else { name(root, root.id.len()) }
    };
    roots.iter().zip(&short).map(whole).collect()
}

fn name(root: &Root, digits: usize) -> String {
    let id = root.id.get(..digits).unwrap_or(&root.id);
    let at =
        i64::try_from(root.made_ms / 1000).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (day, time) = ((at.year(), u8::from(at.month()), at.day()), (at.hour(), at.minute(), at.second()));
    // No colons: a path with them is taken for one on another machine by rsync and scp.
    format!("{:04}-{:02}-{:02}_{:02}-{:02}-{:02}Z_{id}", day.0, day.1, day.2, time.0, time.1, time.2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root(made_ms: u64, id: &str) -> Root {
        Root { id: id.to_owned(), made_ms, tree: String::new() }
    }

    #[test]
    fn a_name_is_a_date_and_the_beginning_of_an_id() {
        let roots = [root(1_795_471_261_999, "5e5e5e5e77"), root(0, "ab")];
        assert_eq!(names(&roots), ["2026-11-23_22-01-01Z_5e5e5e5e", "1970-01-01_00-00-00Z_ab"]);
        let roots = [root(0, "5e5e5e5e77"), root(1, "5e5e5e5e78")];
        assert_eq!(names(&roots), ["1970-01-01_00-00-00Z_5e5e5e5e77", "1970-01-01_00-00-00Z_5e5e5e5e78"]);
    }

    proptest! {
        #[test]
        fn names_are_names_and_in_the_order_of_time(times in prop::collection::vec(0_u64..253_402_300_800_000, 1..20)) {
            let roots: Vec<Root> =
                times.iter().enumerate().map(|(at, made)| root(*made, &format!("{at:064x}"))).collect();
            let names = names(&roots);
            for (one, name) in roots.iter().zip(&names) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
                for (other, after) in roots.iter().zip(&names) {
                    if one.made_ms / 1000 < other.made_ms / 1000 {
                        prop_assert!(name < after);
                    }
                    prop_assert_eq!(one == other, name == after);
                }
            }
        }

        #[test]
        fn no_time_is_too_far(made: u64) {
            prop_assert_eq!(names(&[root(made, "5e5e5e5e")]).len(), 1);
        }
    }
}

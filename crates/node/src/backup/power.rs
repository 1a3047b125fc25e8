//! Where this machine has its power from, as Linux tells it.
//! <https://docs.kernel.org/power/power_supply_class.html>

use std::path::Path;

use freehold_retention::Power;

/// Where it comes from now; a machine that tells nothing is at the mains.
pub(super) fn now() -> Power {
    told(Path::new("/sys/class/power_supply"))
}

fn told(supplies: &Path) -> Power {
    let mut lowest: Option<u8> = None;
    for supply in std::fs::read_dir(supplies).into_iter().flatten().flatten() {
        let says = |name: &str| {
            let text = std::fs::read_to_string(supply.path().join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        match says("type").as_str() {
            "Mains" | "USB" if says("online") == "1" => return Power::Mains,
            // That of a mouse runs nothing else.
            "Battery" if says("scope") != "Device" => {
                if let Ok(percent) = says("capacity").parse() {
                    lowest = Some(lowest.map_or(percent, |lowest| lowest.min(percent)));
                }
            }
            _ => {}
        }
    }
    lowest.map_or(Power::Mains, Power::Battery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files of a test")]
    fn a_laptop_tells_whether_it_is_plugged_in() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(told(&dir.path().join("none")), Power::Mains);
        let say = |supply: &str, name: &str, text: &str| {
            std::fs::create_dir_all(dir.path().join(supply)).unwrap();
            std::fs::write(dir.path().join(supply).join(name), text).unwrap();
        };
        for (name, text) in [("type", "Battery\n"), ("scope", "Device\n"), ("capacity", "3\n")] {
            say("mouse", name, text);
        }
        assert_eq!(told(dir.path()), Power::Mains);
        say("BAT0", "type", "Battery\n");
        say("BAT0", "capacity", "42\n");
        assert_eq!(told(dir.path()), Power::Battery(42));
        say("AC", "type", "Mains\n");
        say("AC", "online", "1\n");
        assert_eq!(told(dir.path()), Power::Mains);
    }
}

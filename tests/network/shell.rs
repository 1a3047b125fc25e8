//! A shell on another machine, by the ssh that everybody has.

use std::process::Stdio;

use anyhow::{Result, ensure};
use freehold_harness::{Host, story, until};

use super::packets::Running;
use super::{house, in_net};

/// What comes over, in bytes: some seconds of packets, each checked by ssh's own code.
const LARGE: usize = 32 << 20;

/// Serves ssh for root with these files of keys. They have to lie in root's home, so it has a home of its own.
fn serve(host: &Host, keys: &str) -> Result<Running> {
    let script = format!(
        "mount -t tmpfs -o mode=700 none ~root; cd ~root; mkdir -m 700 .ssh; cat {keys} > .ssh/authorized_keys; \
         chmod 600 .ssh/authorized_keys; cp /etc/hostname here; \
         dropbearkey -t ed25519 -f host >/dev/null; exec dropbear -F -E -s -r host -p 22"
    );
    let mut command = host.command("unshare");
    command.args(["--mount", "sh", "-ec", &script]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn()?))
}

#[test]
fn an_admin_types_on_another_machine_and_nobody_else_does() -> Result<()> {
    story("an_admin_types_on_another_machine", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        let at = in_net(&laptop, "bob")?.address;
        for host in [&alice, &carol] {
            host.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "key"])?.good()?;
        }
        let public = |host: &Host| host.folder().join("key.pub").display().to_string();
        let _server = serve(&bob, &format!("{} {}", public(&alice), public(&carol)))?;

        let to = format!("root@{at}");
        let ssh = |host: &Host, typed: &str| {
            let quiet = ["BatchMode=yes", "StrictHostKeyChecking=accept-new", "ConnectTimeout=5"];
            let known = format!("UserKnownHostsFile={}", host.folder().join("known").display());
            let mut all = vec!["-i", "key", "-o", &known];
            all.extend(quiet.iter().flat_map(|option| ["-o", *option]));
            host.run("ssh", &[&all[..], &[&to, typed]].concat())
        };
        until(30, "the admin's laptop has a shell on bob", || ssh(&carol, "cat here")?.good())?;
        story.file("carol/large", LARGE, 1)?;
        let over = "ssh -i key -o UserKnownHostsFile=known -o BatchMode=yes";
        let there_and_back = format!("{over} {to} 'cat > large; cat large' < large | cmp - large");
        carol.run("sh", &["-c", &there_and_back])?.good()?;

        // A server is no admin's device, whoever's key is on it.
        let refused = ssh(&alice, "cat here")?;
        ensure!(refused.code == Some(255) && refused.err.contains(&at), "{refused:?}");
        Ok(())
    })
}

//! One message to a webhook, as ntfy takes it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_api::Problem;
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::problem::chain;

const WITHIN: Duration = Duration::from_secs(15);
const LONGEST: usize = 2048;

/// Whether a text may be posted there: by HTTPS, or in the open to an address of this house.
pub(super) fn fit(text: &str) -> Result<Url, Problem> {
    let unfit = |why: &str| {
        let next = "freehold alarm add NAME --webhook https://ntfy.example/TOPIC";
        Problem::invalid("alarms cannot be sent there", why, Some(next))
    };
    if text.len() > LONGEST {
        return Err(unfit("the address is too long"));
    }
    let url: Url = text.parse().map_err(|_| unfit("that is no address of the web"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(unfit("it has a user, a password or a # in it"));
    }
    let at = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    match url.scheme() {
        "https" => Ok(url),
        "http" if at.is_some_and(is_in_the_house) => Ok(url),
        "http" => Err(unfit("without HTTPS only an address of this machine or of its own network is told")),
        _ => Err(unfit("it is neither https:// nor http://")),
    }
}

fn is_in_the_house(at: IpAddr) -> bool {
    match at {
        IpAddr::V4(at) => at.is_loopback() || at.is_private(),
        IpAddr::V6(at) => at.is_loopback() || at.is_unique_local(),
    }
}

/// What is sent.
pub(super) struct Letter {
    pub(super) title: String,
    pub(super) urgent: bool,
    pub(super) text: String,
}

/// Sends it; it has arrived once the other side says so.
pub(super) async fn send(url: &Url, letter: &Letter) -> Result<(), String> {
    let asked = client(url)?
        .post(url.clone())
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Title", plain(&letter.title))
        .header("Priority", if letter.urgent { "high" } else { "default" })
        .header("Tags", if letter.urgent { "warning" } else { "white_check_mark" })
        .body(letter.text.clone());
    let answer = asked.send().await.map_err(|error| chain(&error.without_url()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(format!("it leads elsewhere ({status})")),
        status => Err(format!("it answered {status}")),
    }
}

/// What may stand in a header: names that people gave may have anything in them.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(200).collect()
}

fn client(url: &Url) -> Result<reqwest::Client, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| chain(&error))?;
    // Without TLS nobody's certificate counts, and a machine may have none that do.
    let tls = if url.scheme() == "https" {
        builder.with_platform_verifier().map_err(|error| chain(&error))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(WITHIN)
        .build();
    client.map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_https_or_the_house_is_told() {
        for good in
            ["https://ntfy.example/t", "http://127.0.0.1:80/t", "http://192.168.1.2/t", "http://[::1]/t"]
        {
            assert!(fit(good).is_ok(), "{good}");
        }
        for bad in
            ["http://ntfy.example/t", "http://1.1.1.1/", "https://me:pw@a.example/", "ftp://a/", "", "x"]
        {
            assert!(fit(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_another_header(name: String) {
            prop_assert!(plain(&name).bytes().all(|byte| (32..127).contains(&byte)));
        }
    }
}

//! Providers of names for houses whose address changes: the protocol that most of them speak (dyndns2).
//!
//! A request is `GET URL?hostname=NAME&myip=ADDRESS` with a user and a password; the answer is a word.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use zeroize::Zeroizing;

use crate::due::Lasting;
use crate::{Family, Places, RecordsError};

/// They want to know who asks, and shut out who does not say.
const AGENT: &str = concat!("Freehold - freehold - ", env!("CARGO_PKG_VERSION"));
/// More of an answer is not read.
const ANSWER_MAX: usize = 4096;

/// An account at a provider.
pub struct Provider {
    url: Url,
    user: String,
    password: Zeroizing<String>,
    within: Duration,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Provider").field(&self.host()).finish()
    }
}

impl Provider {
    /// The address that the provider names, as `https://provider.example/nic/update`, and who is known there.
    ///
    /// # Errors
    /// [`RecordsError::Url`] for anything but HTTPS, or HTTP on this machine: the password goes with each request.
    pub fn new(
        url: &str,
        user: &str,
        password: Zeroizing<String>,
        within: Duration,
    ) -> Result<Self, RecordsError> {
        // What follows may be a token.
        let unfit = || RecordsError::Url(url.chars().take_while(|c| *c != '?').take(200).collect());
        let url: Url = url.parse().map_err(|_| unfit())?;
        let here = url.host_str().is_some_and(|host| {
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|at| at.is_loopback())
        });
        let safe = url.scheme() == "https" || (url.scheme() == "http" && here);
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if safe && bare { Ok(Self { url, user: user.to_owned(), password, within }) } else { Err(unfit()) }
    }

    /// Who is asked, for people.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn client(&self) -> Result<reqwest::Client, RecordsError> {
        let failed = |error: &dyn std::error::Error| RecordsError::Tls(told(error));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| failed(&error))?;
        // Without TLS nobody's certificate counts, and a machine may have none that do.
        let tls = if self.url.scheme() == "https" {
            builder.with_platform_verifier().map_err(|error| failed(&error))?
        } else {
            builder.with_root_certificates(RootCertStore::empty())
        };
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.with_no_client_auth())
            .user_agent(AGENT)
            // Nobody else gets the password.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(self.within)
            .build()
            .map_err(|error| failed(&error))
    }

    async fn ask(&self, name: &str, address: IpAddr) -> Result<String, RecordsError> {
        let unreached = |error: reqwest::Error| RecordsError::Provider {
            host: self.host().to_owned(),
            said: told(&error.without_url()),
            lasting: Lasting::No,
        };
        let mut url = self.url.clone();
        let field = match Family::of(address) {
            Family::V4 => "myip",
            Family::V6 => "myipv6",
        };
        url.query_pairs_mut().append_pair("hostname", name).append_pair(field, &address.to_string());
        let asked = self.client()?.get(url).basic_auth(&self.user, Some(self.password.as_str()));
        let mut response = asked.send().await.map_err(unreached)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreached)? {
            body.extend(piece.iter().take(ANSWER_MAX.saturating_sub(body.len())));
            if body.len() >= ANSWER_MAX {
                break;
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        // Some say it with a status, some with the word, some with both.
        match status.as_u16() {
            401 | 403 if word(&text).is_none() => Ok("badauth".to_owned()),
            429 | 500..=599 if word(&text).is_none() => Ok("911".to_owned()),
            300..=399 => Ok(format!("it leads elsewhere ({status})")),
            _ => Ok(text),
        }
    }
}

#[async_trait]
impl Places for Provider {
    async fn replace(&self, name: &str, address: IpAddr) -> Result<(), RecordsError> {
        let text = self.ask(name, address).await?;
        judge(&text).map_err(|(said, lasting)| RecordsError::Provider {
            host: self.host().to_owned(),
            said,
            lasting,
        })
    }

    async fn clear(&self, _: &str, _: Family) -> Result<(), RecordsError> {
        Err(RecordsError::CannotClear(self.host().to_owned()))
    }

    fn clears(&self) -> bool {
        false
    }

    /// Names that nobody has asked about for a month are given up by most; asking often is abuse.
    fn refresh(&self) -> Duration {
        Duration::from_hours(25 * 24)
    }
}

/// The word that an answer begins with, if it is one of the protocol's.
fn word(text: &str) -> Option<&str> {
    const WORDS: [&str; 14] = [
        "good",
        "nochg",
        "badauth",
        "!donator",
        "notfqdn",
        "nohost",
        "numhost",
        "abuse",
        "badagent",
        "badsys",
        "dnserr",
        "911",
        "notdonator",
        "blocked",
    ];
    let first = text.split_whitespace().next()?;
    WORDS.contains(&first).then_some(first)
}

/// What an answer means, and how long.
fn judge(text: &str) -> Result<(), (String, Lasting)> {
    use Lasting::{ForGood, Long, No};
    let (why, lasting) = match word(text) {
        Some("good" | "nochg") => return Ok(()),
        Some("badauth") => ("badauth: user or password is wrong", ForGood),
        Some("!donator" | "notdonator") => ("the account does not include this", ForGood),
        Some("notfqdn") => ("notfqdn: it wants a whole name, such as home.example.org", ForGood),
        Some("nohost" | "numhost") => ("nohost: the name is not this account's", ForGood),
        Some("abuse" | "blocked") => ("abuse: it has shut the name out for too many requests", ForGood),
        Some("badagent" | "badsys") => ("badagent: it does not serve this program", ForGood),
        Some("dnserr" | "911") => ("911: it has trouble of its own", Long),
        Some(_) | None => {
            let said: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err((format!("it says {said:?}, which is no answer of the protocol"), No));
        }
    };
    Err((why.to_owned(), lasting))
}

/// With what is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_mean_what_the_protocol_says() {
        for good in ["good 203.0.113.7", "nochg 203.0.113.7\r\n", "  good"] {
            assert_eq!(judge(good), Ok(()));
        }
        let lasting = |text| judge(text).unwrap_err().1;
        for never in ["badauth", "abuse", "nohost", "notfqdn", "numhost", "!donator", "badagent"] {
            assert_eq!(lasting(never), Lasting::ForGood, "{never}");
        }
        assert_eq!((lasting("911"), lasting("dnserr")), (Lasting::Long, Lasting::Long));
        for no in ["", "goods", "<html>badauth</html>", "GOOD"] {
            assert_eq!(lasting(no), Lasting::No, "{no}");
        }
    }

    #[test]
    fn a_password_goes_nowhere_in_the_clear() {
        let new =
            |url| Provider::new(url, "ann", Zeroizing::new("secret".to_owned()), Duration::from_secs(1));
        for unfit in [
            "http://provider.example/nic/update",
            "http://192.0.2.1/",
            "ftp://127.0.0.1/",
            "nonsense",
            "https://ann:secret@provider.example/",
            "http://127.0.0.1.example.org/",
            "file:///etc/passwd",
        ] {
            assert!(matches!(new(unfit), Err(RecordsError::Url(_))), "{unfit}");
        }
        for fit in
            ["https://provider.example/nic/update", "http://127.0.0.1:8080/", "http://[::1]/nic/update"]
        {
            assert!(!format!("{:?}", new(fit).unwrap()).contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_told_in_a_line(text: String) {
            if let Err((said, _)) = judge(&text) {
                prop_assert!(said.len() < 600 && !said.contains('\n'));
            }
        }
    }
}

//! Buckets as websites: what their owners say of them. [`site`] answers those who look.

pub(crate) mod site;

use freehold_seal::Setting;
use freehold_vault::Vault;
use freehold_wire::BucketId;
use http::StatusCode;
use s3s::dto::{
    DeleteBucketWebsiteInput, DeleteBucketWebsiteOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput,
    PutBucketWebsiteInput, PutBucketWebsiteOutput, Redirect, RoutingRule, WebsiteConfiguration,
};
use s3s::xml::{Deserialize as _, Deserializer, Serialize as _, Serializer};
use s3s::{S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::refusal::custom;

/// Amazon's bound.
const RULES_MAX: usize = 50;

fn to_bytes(website: &WebsiteConfiguration) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    website.serialize(&mut Serializer::new(&mut bytes)).ok()?;
    Some(bytes)
}

fn from_bytes(bytes: &[u8]) -> Option<WebsiteConfiguration> {
    let mut from = Deserializer::new(bytes);
    let website = WebsiteConfiguration::deserialize(&mut from).ok()?;
    from.expect_eof().ok()?;
    Some(website)
}

fn website_of(vault: &Vault, bucket: &BucketId) -> Option<WebsiteConfiguration> {
    vault.settings(bucket).document(Setting::Website).and_then(from_bytes)
}

fn check(website: &WebsiteConfiguration) -> S3Result<()> {
    let rules = website.routing_rules.as_deref().unwrap_or_default();
    if let Some(all) = &website.redirect_all_requests_to {
        if website.index_document.is_some() || website.error_document.is_some() || !rules.is_empty() {
            return Err(s3_error!(
                InvalidRequest,
                "RedirectAllRequestsTo cannot be provided in conjunction with other elements."
            ));
        }
        return check_host(&all.host_name);
    }
    let Some(index) = &website.index_document else {
        return Err(s3_error!(
            InvalidArgument,
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        ));
    };
    if index.suffix.is_empty() || index.suffix.contains('/') {
        return Err(s3_error!(InvalidArgument, "The IndexDocument Suffix is not well formed"));
    }
    if website.error_document.as_ref().is_some_and(|error| error.key.is_empty()) {
        return Err(s3_error!(InvalidArgument, "The ErrorDocument Key is not well formed"));
    }
    if rules.len() > RULES_MAX {
        return Err(s3_error!(InvalidRequest, "There can be at most {} routing rules.", RULES_MAX));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &RoutingRule) -> S3Result<()> {
    let code = |text: &str| text.parse::<u16>().unwrap_or(0);
    let Redirect { host_name, http_redirect_code, protocol, replace_key_prefix_with, replace_key_with } =
        &rule.redirect;
    let says_nothing = host_name.is_none()
        && http_redirect_code.is_none()
        && protocol.is_none()
        && replace_key_prefix_with.is_none()
        && replace_key_with.is_none();
    if says_nothing || (replace_key_prefix_with.is_some() && replace_key_with.is_some()) {
        return Err(s3_error!(
            InvalidRequest,
            "A redirect names something to change, and not both ReplaceKeyPrefixWith and ReplaceKeyWith."
        ));
    }
    if http_redirect_code.as_ref().is_some_and(|text| !(301..400).contains(&code(text)) || code(text) == 304)
    {
        return Err(s3_error!(InvalidRequest, "The provided HTTP redirect code is not valid."));
    }
    if let Some(condition) = &rule.condition {
        let error = condition.http_error_code_returned_equals.as_ref();
        if error.is_none() && condition.key_prefix_equals.is_none() {
            return Err(s3_error!(InvalidRequest, "A condition names a prefix or an error."));
        }
        if error.is_some_and(|text| !(400..600).contains(&code(text))) {
            return Err(s3_error!(InvalidRequest, "The provided HTTP error code is not valid."));
        }
    }
    host_name.as_deref().map_or(Ok(()), check_host)
}

fn check_host(name: &str) -> S3Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    Err(s3_error!(InvalidRequest, "The host name of a redirect is a name or an address, and a port."))
}

impl Front {
    pub(crate) async fn set_website(
        &self,
        input: PutBucketWebsiteInput,
    ) -> S3Result<S3Response<PutBucketWebsiteOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        check(&input.website_configuration)?;
        let malformed = || s3_error!(MalformedXML, "The configuration is not well-formed.");
        let document = to_bytes(&input.website_configuration).ok_or_else(malformed)?;
        from_bytes(&document).ok_or_else(malformed)?;
        self.say(&bucket, Setting::Website, Some(document)).await?;
        Ok(S3Response::new(PutBucketWebsiteOutput::default()))
    }

    pub(crate) fn website(
        &self,
        input: &GetBucketWebsiteInput,
    ) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        let website = website_of(&self.vault, &self.bucket(&input.bucket)?);
        let website = website.ok_or_else(|| {
            custom(
                "NoSuchWebsiteConfiguration",
                StatusCode::NOT_FOUND,
                "The specified bucket does not have a website configuration",
            )
        })?;
        Ok(S3Response::new(GetBucketWebsiteOutput {
            error_document: website.error_document,
            index_document: website.index_document,
            redirect_all_requests_to: website.redirect_all_requests_to,
            routing_rules: website.routing_rules,
        }))
    }

    pub(crate) async fn end_website(
        &self,
        input: DeleteBucketWebsiteInput,
    ) -> S3Result<S3Response<DeleteBucketWebsiteOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::Website, None).await?;
        Ok(S3Response::with_status(DeleteBucketWebsiteOutput::default(), StatusCode::NO_CONTENT))
    }
}

#[cfg(test)]
mod tests {
    use s3s::dto::{Condition, ErrorDocument, IndexDocument, RedirectAllRequestsTo};

    use super::*;

    fn plain() -> WebsiteConfiguration {
        WebsiteConfiguration {
            index_document: Some(IndexDocument { suffix: "index.html".to_owned() }),
            error_document: Some(ErrorDocument { key: "oh/no.html".to_owned() }),
            redirect_all_requests_to: None,
            routing_rules: None,
        }
    }

    fn rule(error: Option<&str>, code: Option<&str>) -> RoutingRule {
        RoutingRule {
            condition: Some(Condition {
                http_error_code_returned_equals: error.map(str::to_owned),
                key_prefix_equals: Some("old/<&>".to_owned()),
            }),
            redirect: Redirect {
                http_redirect_code: code.map(str::to_owned),
                replace_key_prefix_with: Some("new/".to_owned()),
                ..Redirect::default()
            },
        }
    }

    #[test]
    fn what_is_said_is_kept_and_read_again() {
        let mut website = plain();
        website.routing_rules = Some(vec![rule(None, None), rule(Some("404"), Some("302"))]);
        assert!(check(&website).is_ok());
        let again = from_bytes(&to_bytes(&website).unwrap()).unwrap();
        assert!(again == website);
        assert!(from_bytes(b"<WebsiteConfiguration>").is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut both = plain();
        both.redirect_all_requests_to =
            Some(RedirectAllRequestsTo { host_name: "a.example".to_owned(), protocol: None });
        assert!(check(&both).is_err());
        (both.index_document, both.error_document) = (None, None);
        assert!(check(&both).is_ok());
        both.redirect_all_requests_to =
            Some(RedirectAllRequestsTo { host_name: "a/b\r\nc".to_owned(), protocol: None });
        assert!(check(&both).is_err());
        let mut slash = plain();
        slash.index_document = Some(IndexDocument { suffix: "a/b".to_owned() });
        assert!(check(&slash).is_err());
        assert!(check_rule(&rule(Some("200"), None)).is_err());
        assert!(check_rule(&rule(None, Some("304"))).is_err());
    }
}

//! Which pages of other sites may use a bucket: the rules, what is answered when a browser asks before
//! it asks, and what is added to every other answer. Rules open nothing: they only let a page read what
//! its reader may read anyway.

use freehold_seal::Setting;
use freehold_vault::Vault;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use s3s::dto::{
    CORSConfiguration, CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput,
    GetBucketCorsOutput, PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::xml::{Deserialize as _, Deserializer, Serialize as _, Serializer};
use s3s::{HttpResponse, S3Error, S3Response, S3Result, s3_error};

use crate::access::known::text;
use crate::front::Front;
use crate::refusal::custom;

const RULES_MAX: usize = 100;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

fn check(rules: &[CORSRule]) -> S3Result<()> {
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(s3_error!(MalformedXML, "A configuration has 1 to {} rules.", RULES_MAX));
    }
    for rule in rules {
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(s3_error!(MalformedXML, "A rule names at least one method and one origin."));
        }
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(s3_error!(
                InvalidRequest,
                "Found unsupported HTTP method in CORS config. Unsupported method is {}",
                method
            ));
        }
        let patterns = rule.allowed_origins.iter().chain(rule.allowed_headers.iter().flatten());
        if let Some(pattern) = patterns.into_iter().find(|pattern| pattern.matches('*').count() > 1) {
            return Err(s3_error!(InvalidRequest, "{} can not have more than one wildcard.", pattern));
        }
    }
    Ok(())
}

fn to_bytes(rules: &CORSConfiguration) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    rules.serialize(&mut Serializer::new(&mut bytes)).ok()?;
    Some(bytes)
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<CORSRule>> {
    let mut from = Deserializer::new(bytes);
    let rules = CORSConfiguration::deserialize(&mut from).ok()?;
    from.expect_eof().ok()?;
    Some(rules.cors_rules)
}

/// Whether a text fits a pattern with at most one star.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

/// What a page of another site wants to do.
#[derive(Debug, Clone)]
pub(crate) struct Crossing {
    bucket: String,
    origin: String,
    method: String,
    headers: Vec<String>,
}

impl Crossing {
    /// What a request says of that; nothing if no page of another site is behind it.
    pub(crate) fn of(bucket: &str, method: &Method, headers: &HeaderMap) -> Option<Self> {
        let origin = text(headers, header::ORIGIN.as_str())?.to_owned();
        let bucket = bucket.to_owned();
        let asked = text(headers, header::ACCESS_CONTROL_REQUEST_METHOD.as_str());
        let named = text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS.as_str()).unwrap_or_default();
        let named = named.split(',').map(|name| name.trim().to_ascii_lowercase());
        Some(Self {
            bucket,
            origin,
            method: asked.unwrap_or(method.as_str()).to_owned(),
            headers: named.filter(|name| !name.is_empty()).collect(),
        })
    }

    fn allows(&self, rule: &CORSRule) -> bool {
        let origin = rule.allowed_origins.iter().any(|pattern| fits(pattern, &self.origin));
        let method = rule.allowed_methods.contains(&self.method);
        let patterns = rule.allowed_headers.as_deref().unwrap_or_default();
        let header = |name: &String| patterns.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), name));
        origin && method && self.headers.iter().all(header)
    }

    fn rule(&self, vault: &Vault) -> Option<CORSRule> {
        let (bucket, _) = vault.bucket_named(&self.bucket)?;
        let rules = from_bytes(vault.settings(&bucket).document(Setting::Cors)?)?;
        rules.into_iter().find(|rule| self.allows(rule))
    }

    /// Says in an answer what the page may do.
    pub(crate) fn mark(&self, vault: &Vault, answer: &mut HeaderMap) -> bool {
        let Some(rule) = self.rule(vault) else { return false };
        let anyone = rule.allowed_origins.iter().any(|origin| origin == "*");
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.insert(name, value);
            }
        };
        put(header::ACCESS_CONTROL_ALLOW_ORIGIN, if anyone { "*" } else { &self.origin });
        put(header::ACCESS_CONTROL_ALLOW_METHODS, &self.method);
        if !self.headers.is_empty() {
            put(header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.join(", "));
        }
        if let Some(exposed) = rule.expose_headers.filter(|exposed| !exposed.is_empty()) {
            put(header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
        }
        if let Some(seconds) = rule.max_age_seconds {
            put(header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
        if !anyone {
            put(header::VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
        }
        true
    }
}

/// The answer to a browser that asks whether it may ask.
pub(crate) fn preflight(vault: &Vault, bucket: &str, headers: &HeaderMap) -> S3Result<HttpResponse> {
    let incomplete = || {
        s3_error!(InvalidRequest, "A preflight request names an Origin and an Access-Control-Request-Method.")
    };
    if !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(incomplete());
    }
    let crossing = Crossing::of(bucket, &Method::OPTIONS, headers).ok_or_else(incomplete)?;
    let mut answer = HttpResponse::new(s3s::Body::empty());
    if !crossing.mark(vault, answer.headers_mut()) {
        return Err(refused());
    }
    Ok(answer)
}

fn refused() -> S3Error {
    custom(
        "AccessForbidden",
        StatusCode::FORBIDDEN,
        "CORSResponse: This CORS request is not allowed. Neither a rule for this origin nor one for this method and these headers is set for the bucket.",
    )
}

impl Front {
    pub(crate) async fn set_cors(
        &self,
        input: PutBucketCorsInput,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        check(&input.cors_configuration.cors_rules)?;
        let malformed = || s3_error!(MalformedXML, "The configuration is not well-formed.");
        let document = to_bytes(&input.cors_configuration).ok_or_else(malformed)?;
        // What is kept is read again for every page.
        from_bytes(&document).ok_or_else(malformed)?;
        self.say(&bucket, Setting::Cors, Some(document)).await?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    pub(crate) fn cors(&self, input: &GetBucketCorsInput) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let cors_rules = self.vault.settings(&bucket).document(Setting::Cors).and_then(from_bytes);
        if cors_rules.is_none() {
            return Err(custom(
                "NoSuchCORSConfiguration",
                StatusCode::NOT_FOUND,
                "The CORS configuration does not exist",
            ));
        }
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules }))
    }

    pub(crate) async fn end_cors(
        &self,
        input: DeleteBucketCorsInput,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::Cors, None).await?;
        Ok(S3Response::with_status(DeleteBucketCorsOutput::default(), StatusCode::NO_CONTENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("*", "https://a", true),
            ("https://*.a", "https://x.a", true),
            ("start*end", "startend", true),
            ("start*end", "0startend", false),
            ("ab*bc", "abc", false),
            ("https://a", "https://a.b", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn rules_are_kept_and_read_again() {
        let rule = CORSRule {
            allowed_headers: Some(vec!["x-*".to_owned()]),
            allowed_methods: vec!["GET".to_owned()],
            allowed_origins: vec!["https://<a>&b".to_owned()],
            expose_headers: None,
            id: Some("one".to_owned()),
            max_age_seconds: Some(9),
        };
        let kept = to_bytes(&CORSConfiguration { cors_rules: vec![rule.clone()] }).unwrap();
        let again = from_bytes(&kept).unwrap();
        assert_eq!(again.len(), 1);
        assert!(again[0] == rule);
        assert!(from_bytes(b"<CORSConfiguration>").is_none());
    }
}

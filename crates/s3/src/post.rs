//! Uploads by HTML form (POST object): what a browser sends from a page, without a line of script.
//! `s3s` would hold the file in memory, so forms are read here.

mod policy;
mod signature;

use std::net::IpAddr;
use std::time::SystemTime;

use freehold_access::{Action, Principal, Rights};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use s3s::dto::{
    Metadata, PutObjectInput, PutObjectOutput, StreamingBlob, Tagging, Timestamp, TimestampFormat,
};
use s3s::xml::{Deserialize as _, Deserializer, SerResult, SerializeContent, Serializer};
use s3s::{Body, HttpResponse, S3Error, S3Request, S3Result, s3_error};

use crate::access::{Asker, From, JudgedBy, Wish, known};
use crate::body::PatientBody;
use crate::extras;
use crate::form::Form;
use crate::front::Front;
use crate::keys::unknown;
use crate::listing::percent;
use crate::pass::Pass;
use crate::tagging::Tags;

const OPERATION: &str = "PostObject";
const META: &str = "x-amz-meta-";
const FILE_NAME: &str = "${filename}";
/// Fields that say the same as the header of that name.
const HEADERS: [&str; 6] = [
    "cache-control",
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];
const AMZ_HEADERS: [&str; 7] = [
    "x-amz-grant-",
    "x-amz-checksum-",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-object-lock-",
    "x-amz-website-redirect-location",
];
/// Fields that are the signature's.
const SIGNING: [&str; 5] =
    ["x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date", "x-amz-security-token"];

impl Front {
    /// Takes the file of a form.
    pub(crate) async fn post(
        &self,
        head: Parts,
        bucket: String,
        body: PatientBody,
    ) -> S3Result<HttpResponse> {
        let kind = known::text(&head.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let form = Form::read(kind, body).await?;
        let ip = head.extensions.get::<From>().map(|from| from.0);
        let asker = self.form_asker(&form, ip)?;
        if form.field("bucket").is_some_and(|named| named != bucket) {
            return Err(s3_error!(AccessDenied, "The form is for another bucket than its address."));
        }
        let key = key_of(&form)?;
        let (min, max) = match form.field("policy") {
            Some(policy) => policy::check(policy, &form, &key, &bucket, SystemTime::now())?,
            None => (0, u64::MAX),
        };
        let headers = headers_of(&form)?;
        let judged = JudgedBy::now(&self.vault, &bucket);
        self.form_allowed(&asker, &bucket, &key, &head.uri, &headers).await?;
        extras::check(&headers)?;
        Pass::let_in(&head.extensions);
        let answer = Answer::of(&form, &head, &bucket, &key);
        let mut input = input_of(&form, &headers)?;
        (input.bucket, input.key) = (bucket.clone(), key);
        input.body = Some(StreamingBlob::wrap(form.file.within(min, max)));
        let mut extensions = head.extensions;
        extensions.insert(asker);
        extensions.insert(judged);
        let mut req = S3Request {
            input,
            method: head.method,
            uri: head.uri,
            headers,
            extensions,
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        self.guard.set_list(&mut req, &bucket)?;
        let done = Box::pin(self.put_of(req, None)).await?;
        answer.to(done.output)
    }

    fn form_asker(&self, form: &Form, ip: Option<IpAddr>) -> S3Result<Asker> {
        let keys = self.guard.keys.as_ref();
        let Some(id) = signature::signer(form, keys, known::now())? else {
            return Ok(Asker { who: Principal::Anonymous, rights: Rights::all(), ip });
        };
        let holder = keys.holder(&id).ok_or_else(unknown)?;
        Ok(Asker { who: holder.who, rights: holder.rights, ip })
    }

    async fn form_allowed(
        &self,
        asker: &Asker,
        bucket: &str,
        key: &str,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> S3Result<()> {
        let mut context = known::context(asker, OPERATION, uri, headers);
        if asker.who != Principal::Anonymous {
            context.add("s3:authType", "POST");
        }
        let wish = Wish {
            action: Action::of_operation(OPERATION, false),
            bucket,
            key: Some(key),
            version: None,
            context,
        };
        self.guard.may(asker, &wish).await?;
        self.guard.may_besides(asker, &wish, headers).await
    }
}

/// The name that the person's own file had may be a part of the key.
fn key_of(form: &Form) -> S3Result<String> {
    let key = form.field("key").filter(|key| !key.is_empty());
    let key =
        key.ok_or_else(|| s3_error!(InvalidArgument, "Bucket POST must contain a field named 'key'."))?;
    let name = form.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let key = key.replace(FILE_NAME, name);
    crate::object::check_key(&key)?;
    Ok(key)
}

/// The form's fields as the headers of a PUT.
fn headers_of(form: &Form) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &form.fields {
        let header = match name.as_str() {
            "acl" => "x-amz-acl",
            "tagging" => {
                if let Some(tags) = tags_of(value)? {
                    headers.insert("x-amz-tagging", tags);
                }
                continue;
            }
            name if HEADERS.contains(&name) => name,
            name if AMZ_HEADERS.iter().any(|start| name.starts_with(start)) => name,
            name if name.starts_with("x-amz-") && !name.starts_with(META) && !SIGNING.contains(&name) => {
                return Err(s3_error!(InvalidArgument, "A form cannot have a field named '{}'.", name));
            }
            _ => continue,
        };
        let pair = HeaderName::try_from(header).ok().zip(HeaderValue::try_from(value).ok());
        let (header, value) = pair.ok_or_else(|| bad_value(name))?;
        headers.insert(header, value);
    }
    Ok(headers)
}

fn bad_value(name: &str) -> S3Error {
    s3_error!(InvalidArgument, "The value of the field '{}' is not valid.", name)
}

fn tags_of(xml: &str) -> S3Result<Option<HeaderValue>> {
    let malformed = || s3_error!(MalformedXML, "The tagging of the form is not well-formed.");
    let tagging = Tagging::deserialize(&mut Deserializer::new(xml.as_bytes())).map_err(|_| malformed())?;
    let document = Tags::of_object(tagging.tag_set)?.document();
    document.map(|document| HeaderValue::from_bytes(&document).map_err(|_| malformed())).transpose()
}

fn input_of(form: &Form, headers: &HeaderMap) -> S3Result<PutObjectInput> {
    let text = |name: &str| known::text(headers, name).map(str::to_owned);
    let date = |name: &str, format: TimestampFormat| {
        let read = |text: String| Timestamp::parse(format, &text).map_err(|_| bad_value(name));
        text(name).map(read).transpose()
    };
    let user = form.fields.iter();
    let user: Metadata =
        user.filter_map(|(name, value)| Some((name.strip_prefix(META)?.to_owned(), value.clone()))).collect();
    Ok(PutObjectInput {
        cache_control: text("cache-control"),
        content_disposition: text("content-disposition"),
        content_encoding: text("content-encoding"),
        content_language: text("content-language"),
        content_type: text("content-type"),
        expires: date("expires", TimestampFormat::HttpDate)?,
        metadata: (!user.is_empty()).then_some(user),
        tagging: text("x-amz-tagging"),
        object_lock_mode: text("x-amz-object-lock-mode").map(Into::into),
        object_lock_retain_until_date: date(
            "x-amz-object-lock-retain-until-date",
            TimestampFormat::DateTime,
        )?,
        object_lock_legal_hold_status: text("x-amz-object-lock-legal-hold").map(Into::into),
        website_redirect_location: text("x-amz-website-redirect-location"),
        ..Default::default()
    })
}

/// What the browser is told, or where it is sent.
struct Answer {
    status: StatusCode,
    redirect: Option<String>,
    location: String,
    bucket: String,
    key: String,
}

impl Answer {
    fn of(form: &Form, head: &Parts, bucket: &str, key: &str) -> Self {
        let redirect = form.field("success_action_redirect").or_else(|| form.field("redirect"));
        // Amazon takes what is no address for nothing.
        let redirect = redirect.filter(|to| to.parse::<Uri>().is_ok_and(|uri| uri.scheme().is_some()));
        let status = match form.field("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        };
        let host = known::text(&head.headers, header::HOST.as_str()).unwrap_or_default();
        let path = if head.uri.path().len() > 1 { format!("{bucket}/") } else { String::new() };
        Self {
            status,
            redirect: redirect.map(str::to_owned),
            location: format!("http://{host}/{path}{}", percent(key)),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    fn to(&self, done: PutObjectOutput) -> S3Result<HttpResponse> {
        let mut response = HttpResponse::new(Body::empty());
        *response.status_mut() = self.status;
        let etag = done.e_tag.map(|etag| format!("\"{}\"", etag.value())).unwrap_or_default();
        let mut location = self.location.clone();
        if let Some(to) = &self.redirect {
            let more = if to.contains('?') { '&' } else { '?' };
            let (bucket, key, tag) = (percent(&self.bucket), percent(&self.key), percent(&etag));
            location = format!("{to}{more}bucket={bucket}&key={key}&etag={tag}");
            *response.status_mut() = StatusCode::SEE_OTHER;
        } else if self.status == StatusCode::CREATED {
            let mut xml = Vec::new();
            let mut out = Serializer::new(&mut xml);
            let told = Told { answer: self, etag: &etag };
            out.decl()
                .and_then(|()| out.content("PostResponse", &told))
                .map_err(|_| s3_error!(InternalError, "The answer could not be written."))?;
            *response.body_mut() = Body::from(xml);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        let sealed = done.server_side_encryption.map(|sealed| sealed.as_str().to_owned());
        for (name, value) in [
            (header::LOCATION, Some(location)),
            (header::ETAG, Some(etag)),
            (HeaderName::from_static("x-amz-version-id"), done.version_id),
            (HeaderName::from_static("x-amz-expiration"), done.expiration),
            (HeaderName::from_static("x-amz-server-side-encryption"), sealed),
        ] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }
}

/// What stands in the body of an answer that has one.
struct Told<'a> {
    answer: &'a Answer,
    etag: &'a str,
}

impl SerializeContent for Told<'_> {
    fn serialize_content<W: std::io::Write>(&self, out: &mut Serializer<W>) -> SerResult {
        out.content("Location", self.answer.location.as_str())?;
        out.content("Bucket", self.answer.bucket.as_str())?;
        out.content("Key", self.answer.key.as_str())?;
        out.content("ETag", self.etag)
    }
}

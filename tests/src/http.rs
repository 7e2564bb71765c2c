//! Plain HTTP questions, as a probe or a browser asks them.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// One answer, read to its end.
pub type Answer = Response<String>;

/// Asks with GET.
///
/// # Errors
/// When nobody answers, or the answer is not text.
pub async fn get(url: &str) -> anyhow::Result<Answer> {
    get_with(url, &[]).await
}

/// Asks with GET and these headers.
///
/// # Errors
/// When nobody answers, or the answer is not text.
pub async fn get_with(url: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    ask("GET", url, headers, "").await
}

/// Asks with this method, these headers and this body.
///
/// # Errors
/// When nobody answers, or the answer is not text.
pub async fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<Answer> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = request.body(Full::from(body.to_owned()))?;
    let response = client.request(request).await.with_context(|| format!("{method} {url}"))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.with_context(|| format!("body of {method} {url}"))?.to_bytes();
    Ok(Response::from_parts(parts, String::from_utf8(body.to_vec())?))
}

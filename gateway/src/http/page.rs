//! The page that a browser gets: one document, nothing loaded from anywhere, and a policy that says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chatroom_settings::Cold;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response};
use http_body_util::Full;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

const TEMPLATE: &str = include_str!("../../web/index.html");
/// Where the settings go, once.
const SETTINGS_MARK: &str = "\"{{settings}}\"";

/// The page of one room, ready to be sent.
#[derive(Clone, Debug)]
pub struct Page {
    document: Bytes,
    policy: HeaderValue,
}

/// What the page has to know of the room; its script reads it from a data block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PageSettings<'a> {
    room: &'a str,
    /// Whether the room sends a message back to its sender; the page shows it by itself otherwise.
    echo: bool,
    /// What ends each text message; the page takes it off, and the count out of it.
    online_suffix: Option<&'a str>,
}

impl Page {
    /// Renders the page of the room.
    #[must_use]
    pub fn new(cold: &Cold) -> Self {
        let settings = PageSettings {
            room: &cold.room.name,
            echo: !cold.broadcast.exclude_sender,
            online_suffix: cold.broadcast.online_suffix.as_deref(),
        };
        let settings = serde_json::to_string(&settings).expect("a struct of strings is JSON");
        // `</script>` in a name would end the block; as an escape it is the same JSON and no markup.
        let document = TEMPLATE.replacen(SETTINGS_MARK, &settings.replace('<', "\\u003c"), 1);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            fingerprint("<script>", "</script>"),
            fingerprint("<style>", "</style>"),
        );
        let policy = HeaderValue::from_str(&policy).expect("base64 and words are a good header value");
        Self { document: document.into(), policy }
    }

    /// The answer to a browser.
    #[must_use]
    pub fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.document.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(VARY, HeaderValue::from_static("accept, upgrade"));
        response
    }
}

/// The hash by which the policy lets the one script, or style, of the template pass.
fn fingerprint(open: &str, close: &str) -> String {
    let (_, rest) = TEMPLATE.split_once(open).expect("the template has one, see the test");
    let (content, _) = rest.split_once(close).expect("the template has one, see the test");
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use chatroom_settings::{Backplane, Broadcast, Drain, LogFormat, Push, RoomIdentity};
    use http_body_util::BodyExt as _;

    use super::*;

    fn cold(name: &str, online_suffix: Option<&str>) -> Cold {
        Cold {
            room: RoomIdentity { name: name.into(), namespace: "default".into(), uid: "u".into() },
            path: "/".into(),
            web_client: true,
            broadcast: Broadcast { exclude_sender: true, online_suffix: online_suffix.map(str::to_owned) },
            ping_interval_seconds: 25,
            functions: None,
            push: Push::default(),
            backplane: Backplane::Memory,
            drain: Drain { timeout_seconds: 120 },
            log_format: LogFormat::Text,
        }
    }

    async fn document(page: &Page) -> String {
        let body = page.response().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_template_has_one_script_one_style_and_one_place_for_the_settings() {
        for mark in ["<script>", "<style>", SETTINGS_MARK] {
            assert_eq!(TEMPLATE.matches(mark).count(), 1, "{mark}");
        }
    }

    #[test]
    fn the_template_loads_nothing() {
        for mark in ["src=", "@import", "url(", "http://", "https://", "style=", "onclick"] {
            assert!(!TEMPLATE.contains(mark), "{mark}");
        }
    }

    #[tokio::test]
    async fn the_page_knows_its_room() {
        let page = Page::new(&cold("lobby", Some("(===Online people:{online}===)")));
        let expected = r#"{"room":"lobby","echo":false,"onlineSuffix":"(===Online people:{online}===)"}"#;
        assert!(document(&page).await.contains(expected));
        assert!(document(&Page::new(&cold("lobby", None))).await.contains(r#""onlineSuffix":null"#));
    }

    #[tokio::test]
    async fn settings_cannot_break_out_of_their_block() {
        let page = Page::new(&cold("lobby", Some("</script><script>alert(1)</script>{online}")));
        let document = document(&page).await;
        assert!(!document.contains("<script>alert"));
        assert!(document.contains("\\u003cscript>alert"));
    }

    #[test]
    fn the_policy_allows_the_one_script_and_the_own_room_only() {
        let response = Page::new(&cold("lobby", None)).response();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
        assert!(policy.contains("connect-src 'self'"));
        assert!(!policy.contains("unsafe"));
    }
}

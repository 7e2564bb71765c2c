//! Pushes as other programs send them.

use serde_json::{Value, json};

use crate::http::{self, Answer};

/// Says something to everybody, through the plain API of the port at `base`, as in `http://127.0.0.1:8081`.
///
/// # Errors
/// When nobody answers.
pub async fn publish(base: &str, key: &str, text: &str) -> anyhow::Result<Answer> {
    http::ask("POST", &format!("{base}/publish"), &[("authorization", &format!("Bearer {key}"))], text).await
}

/// Asks something of one connection, through the plain API.
///
/// # Errors
/// When nobody answers.
pub async fn connection(base: &str, key: &str, method: &str, id: &str, text: &str) -> anyhow::Result<Answer> {
    let url = format!("{base}/connections/{id}");
    http::ask(method, &url, &[("authorization", &format!("Bearer {key}"))], text).await
}

/// Sends the `websocket` object of Tencent API Gateway to a push URL.
///
/// # Errors
/// When nobody answers.
pub async fn tencent(url: &str, websocket: &Value) -> anyhow::Result<Answer> {
    let body = json!({"websocket": websocket}).to_string();
    http::ask("POST", url, &[("content-type", "application/json")], &body).await
}

/// A text for one client, or with the ID `*` for everybody, as Tencent API Gateway takes it.
#[must_use]
pub fn data_send(id: &str, text: &str) -> Value {
    json!({"action": "data send", "secConnectionID": id, "dataType": "text", "data": text})
}

/// The log filter under which gateways say each connection's ID.
pub const FILTER_THAT_TELLS_IDS: &str = "info,chatroom_gateway::session=debug";

/// The IDs of all connections that began, out of a gateway's log, in order.
#[must_use]
pub fn ids_of(log: &str) -> Vec<String> {
    let begun = log.lines().filter(|line| line.contains("session begins"));
    let id = |line: &str| line.split(|c: char| !is_of_an_id(c)).find(|word| word.len() == 32).map(str::to_owned);
    begun.filter_map(id).collect()
}

fn is_of_an_id(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_logs_of_both_formats() {
        let id = "abcdefghijkl-mnopqrstuvwx_012345";
        let json = format!(r#"{{"level":"DEBUG","message":"session begins","connection":"{id}"}}"#);
        let text = format!("DEBUG chatroom_gateway::session::table: session begins connection={id}");
        for line in [json, text] {
            assert_eq!(ids_of(&format!("other\n{line}\nmore")), [id], "{line}");
        }
        assert_eq!(ids_of("session ended"), Vec::<String>::new());
    }
}

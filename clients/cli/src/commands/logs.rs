//! `otter logs`: lines of all tasks of a stack, through the API.

use crate::args::{Global, Logs};
use crate::connect;
use crate::exit::Code;
use crate::output;
use anyhow::Context as _;
use futures::AsyncReadExt as _;

pub async fn run(global: &Global, args: &Logs) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let uri = uri(&session.namespace, args);
    let request =
        http::Request::get(uri).body(Vec::new()).context("the stack's or the service's name cannot be asked for")?;
    let opened = session.client.request_stream(request).await;
    let opened = opened.with_context(|| format!("cannot read the log of stack {:?}", args.stack))?;
    let mut stream = std::pin::pin!(opened);
    let mut buffer = vec![0u8; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.context("the log broke off")?;
        if read == 0 {
            return Ok(Code::Ok);
        }
        // A character cut in two by the buffer is put together by the terminal: bytes are passed on as they are.
        output::data(&buffer[..read])?;
    }
}

fn uri(namespace: &str, args: &Logs) -> String {
    let mut query: Vec<String> = Vec::new();
    if let Some(service) = &args.service {
        query.push(format!("service={}", escape(service)));
    }
    for (name, on) in [("follow", args.follow), ("previous", args.previous), ("timestamps", args.timestamps)] {
        if on {
            query.push(format!("{name}=true"));
        }
    }
    query.extend(args.tail.map(|n| format!("tailLines={n}")));
    query.extend(args.since.map(|d| format!("sinceSeconds={}", d.as_secs())));
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("/apis/otternauts.dev/v1/namespaces/{}/stacks/{}/log{query}", escape(namespace), escape(&args.stack))
}

/// Percent-encodes everything but letters, digits and `-_.`.
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_was_asked_and_nothing_can_be_smuggled_in() {
        let args = Logs {
            stack: "a/../b".into(),
            service: Some("web&follow=true".into()),
            follow: true,
            tail: Some(5),
            since: Some(std::time::Duration::from_secs(60)),
            previous: false,
            timestamps: false,
        };
        assert_eq!(
            uri("ns", &args),
            "/apis/otternauts.dev/v1/namespaces/ns/stacks/a%2F..%2Fb/log?service=web%26follow%3Dtrue&follow=true&tailLines=5&sinceSeconds=60"
        );
    }
}

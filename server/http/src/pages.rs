//! The pages of metrics (row H4): the main one, the health checks, and those that somebody else fills.

use crate::answer::Answer;
use crate::call::Call;
use http::header;
use otternauts_meta::Status;
use otternauts_telemetry::names::Page;
use otternauts_telemetry::{Format, Scraped};
use std::pin::Pin;

/// Fills pages from what this room does not know: the fleet's objects, what runs on servers. Nothing is done between scrapes.
pub trait MetricsPages: Send + Sync {
    /// Adds the samples of a page; an error is the answer.
    fn fill<'a>(
        &'a self,
        page: Page,
        out: &'a mut Scraped,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;
}

/// Answers a scrape; nothing is at other paths below `/metrics`.
pub async fn answer(call: &Call, rest: &[&str]) -> Result<Answer, Status> {
    let format = Format::for_accept(call.header(header::ACCEPT).unwrap_or_default());
    let text = |text: String| Answer::text(200, text).with_header(header::CONTENT_TYPE, format.content_type());
    let page = match rest {
        [] => return Ok(text(call.parts.metrics.encode(format))),
        ["slis"] => return Ok(text(slis(call).write(format))),
        ["fleet"] => Page::Fleet,
        ["containers"] => Page::Containers,
        _ => return Ok(Answer::page_not_found()),
    };
    let Some(pages) = &call.parts.pages else { return Ok(Answer::page_not_found()) };
    let mut out = call.parts.metrics.page();
    pages.fill(page, &mut out).await?;
    Ok(text(out.write(format)))
}

/// Looks at every check once.
fn slis(call: &Call) -> Scraped {
    let healthchecks = &call.parts.metrics.healthchecks;
    for check in &call.parts.health {
        let well = (check.check)();
        for kind in if check.live { &["healthz", "livez", "readyz"][..] } else { &["readyz"] } {
            healthchecks.looked(&check.name, kind, well);
        }
    }
    for kind in ["healthz", "livez", "readyz"] {
        healthchecks.looked("ping", kind, true);
    }
    healthchecks.looked("shutdown", "readyz", !*call.parts.shutdown.borrow());
    let mut out = call.parts.metrics.page();
    healthchecks.fill(&mut out);
    out
}

//! `POST /actions/{kind}`: the only request that changes something.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Form, Path};
use tokio::time::timeout;

use super::command::Command;
use super::pages;
use super::shared::Shared;
use crate::part::Part;
use crate::system::Act;

/// How long a response waits for its action. The action goes on; the page shows how it ends.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn act(
    kind: Path<String>,
    form: Form<Vec<(String, String)>>,
    shared: Data<Shared>,
) -> HttpResponse {
    let field = |name: &str| {
        let named = form.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    if !shared.keys.signed(&field("csrf")) {
        return refuse(
            StatusCode::FORBIDDEN,
            "This form is of another run: reload the page.",
        );
    }
    let Some(command) = Command::parse(&kind, field, &shared.parts.system) else {
        return refuse(StatusCode::BAD_REQUEST, "There is no such action.");
    };
    let acting = shared.clone().into_inner();
    // On the runtime of the room: a browser that goes away does not interrupt it.
    let done = shared.runtime.spawn(async move { run(acting, command).await });
    match timeout(RESPONSE_TIMEOUT, done).await {
        Ok(Ok(Err(error))) => refuse(StatusCode::CONFLICT, &error),
        _ => {
            // A script stays where it is.
            let mut response = HttpResponse::SeeOther();
            response.insert_header((header::LOCATION, "/")).finish()
        }
    }
}

/// An error is for a person.
async fn run(shared: Arc<Shared>, command: Command) -> Result<(), String> {
    let done = match command {
        Command::Process(part, act) => process(&shared, part, act).await,
        Command::Fault(fault) => shared.parts.faults.toggle(fault).await,
        Command::Load(rate) => {
            shared.parts.load.set_rate(rate);
            Ok(())
        }
        Command::Walk(step) => shared.parts.walk.take(step).await,
    };
    shared.publish(pages::elements(&shared));
    done.map_err(|error| {
        let text = format!("{error:#}");
        shared.parts.system.journal.event(None, text.clone());
        text
    })
}

async fn process(shared: &Shared, part: Part, act: Act) -> anyhow::Result<()> {
    shared.parts.system.act(part, act).await?;
    if (part, act) == (Part::Gateway, Act::Start) {
        shared.parts.faults.apply_to_gateway().await?;
    }
    Ok(())
}

fn refuse(status: StatusCode, text: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(text.to_owned())
}

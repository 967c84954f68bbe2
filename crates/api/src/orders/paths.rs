//! The OpenAPI description of the endpoints here.

use utoipa::OpenApi;

use super::{analytics, cancel, create, events, list, read, retry};

/// Every endpoint of `/api/orders`, and every body that they take or give.
#[derive(OpenApi)]
#[openapi(paths(
    create::create,
    list::list,
    analytics::analytics,
    read::read,
    cancel::cancel,
    events::events,
    retry::retry,
))]
pub(crate) struct Orders;

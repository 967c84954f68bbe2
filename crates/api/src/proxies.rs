//! The address of a client behind the proxies in TRUSTED_PROXIES.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use settings::{Env, SettingError};
use telemetry::http::server::{ClientAddress, TrustedProxies};

const VARIABLE: &str = "TRUSTED_PROXIES";

pub(crate) fn from_env(env: &Env) -> Result<TrustedProxies, SettingError> {
    let networks = env.get(VARIABLE).unwrap_or_default();
    let takes = "networks such as 10.0.0.0/8 and fd00::/8, separated by commas";
    networks
        .parse()
        .map_err(|network: String| SettingError::bad(VARIABLE, &network, takes))
}

/// The middleware. Outside of tracing, so that spans carry the address too.
pub(crate) async fn resolve<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(proxies) = request.app_data::<Data<TrustedProxies>>() {
        proxies.resolve(&request);
    }
    next.call(request).await
}

/// The address of the request's client: by TRUSTED_PROXIES, else of the connection.
pub(crate) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let named = request.extensions().get::<ClientAddress>().map(|named| named.0);
    named.or_else(|| Some(request.peer_addr()?.ip().to_canonical()))
}

/// Whether the address is a client's own. Without TRUSTED_PROXIES, a private one may be that of a proxy, and
/// stand for many clients.
pub(crate) fn is_of_one_client(request: &HttpRequest, address: IpAddr) -> bool {
    let private = match address {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    };
    let proxies = request.app_data::<Data<TrustedProxies>>();
    match proxies.filter(|proxies| !proxies.is_empty()) {
        Some(proxies) => !proxies.trusts(address),
        None => !private,
    }
}

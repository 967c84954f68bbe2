//! The address of a client behind proxies. `Forwarded` (RFC 7239) and `X-Forwarded-For` are believed as far
//! as the networks in TRUSTED_PROXIES wrote them: from the right, up to the first address outside of these.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use settings::{Env, SettingError};
use telemetry::http::server::ClientAddress;

const VARIABLE: &str = "TRUSTED_PROXIES";

/// A network in CIDR notation; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Self { address, prefix }).ok_or(())
    }
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        // A shift by all bits is none.
        match (self.address, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let difference = network.to_bits() ^ ip.to_bits();
                difference.checked_shr(32 - self.prefix).unwrap_or_default() == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let difference = network.to_bits() ^ ip.to_bits();
                difference.checked_shr(128 - self.prefix).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

/// The proxies whose headers are believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub(crate) fn from_env(env: &Env) -> Result<Self, SettingError> {
        let text = env.get(VARIABLE).unwrap_or_default();
        let networks = text
            .split(',')
            .map(str::trim)
            .filter(|network| !network.is_empty());
        let takes = "networks such as 10.0.0.0/8 and fd00::/8, separated by commas";
        networks
            .map(|network| {
                network
                    .parse()
                    .map_err(|()| SettingError::bad(VARIABLE, network, takes))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }

    /// The client's address: the first from the right that is no trusted proxy's. A proxy writes one of the
    /// two headers and may pass on the other as the client sent it, so two that disagree are both ignored.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let forwarded = self.first_untrusted(peer, elements(headers, "forwarded").map(forwarded_for));
        let x_forwarded = self.first_untrusted(peer, elements(headers, "x-forwarded-for").map(address));
        match (forwarded, x_forwarded) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        }
    }

    /// `None` without elements. An element that cannot be read ends the search: the proxy that wrote it is
    /// all that is known.
    fn first_untrusted(
        &self,
        peer: IpAddr,
        elements: impl Iterator<Item = Option<IpAddr>>,
    ) -> Option<IpAddr> {
        let mut found = None;
        for element in elements {
            let Some(ip) = element else {
                return found.or(Some(peer));
            };
            found = Some(ip);
            if !self.trusts(ip) {
                break;
            }
        }
        found
    }
}

/// The elements of all headers with this name, the last one first.
fn elements<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let mut lines: Vec<_> = headers.get_all(name).collect();
    lines.reverse();
    lines
        .into_iter()
        // A line that is no text is one element that cannot be read.
        .flat_map(|line| line.to_str().unwrap_or("?").rsplit(','))
        .map(str::trim)
}

/// The address in `for=192.0.2.1;proto=https`; `None` for `unknown` and for obfuscated names.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(value.trim_matches('"'))
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse().ok();
    let ip = ip.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    Some(ip?.to_canonical())
}

/// The middleware. Outside of tracing, so that spans carry the address too.
pub(crate) async fn resolve<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let proxies = request.app_data::<Data<TrustedProxies>>();
    if let (Some(proxies), Some(peer)) = (proxies, request.peer_addr()) {
        let client = proxies.client(peer.ip().to_canonical(), request.headers());
        request.extensions_mut().insert(ClientAddress(client));
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        TrustedProxies::from_env(&Env::of([(VARIABLE, text)])).unwrap()
    }

    #[test]
    fn headers_are_believed_from_the_right_as_far_as_trusted_proxies_wrote_them() {
        let trusted = proxies("10.0.0.0/8, fd00::/8,192.0.2.7");
        for (peer, headers, client) in [
            (
                "203.0.113.1",
                &[("x-forwarded-for", "198.51.100.1")][..],
                "203.0.113.1",
            ),
            ("10.0.0.1", &[], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1, 198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.1, 10.2.3.4")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &[
                    ("x-forwarded-for", "198.51.100.1"),
                    ("x-forwarded-for", "192.0.2.7"),
                ],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "10.9.9.9,10.2.3.4")],
                "10.9.9.9",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.1, forged, 10.2.3.4")],
                "10.2.3.4",
            ),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.1, forged")],
                "10.0.0.1",
            ),
            ("10.0.0.1", &[("x-forwarded-for", "")], "10.0.0.1"),
            (
                "10.0.0.1",
                &[("x-forwarded-for", "198.51.100.1:4711")],
                "198.51.100.1",
            ),
            (
                "fd00::1",
                &[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")],
                "2001:db8::1",
            ),
            (
                "10.0.0.1",
                &[("forwarded", "for=1.1.1.1, For=198.51.100.1;by=10.0.0.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &[("forwarded", "for=198.51.100.1, for=unknown")],
                "10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "198.51.100.1")],
                "10.0.0.1",
            ),
            (
                "10.0.0.1",
                &[
                    ("forwarded", "for=198.51.100.1"),
                    ("x-forwarded-for", "198.51.100.1"),
                ],
                "198.51.100.1",
            ),
        ] {
            let request = headers.iter().fold(TestRequest::default(), |request, header| {
                request.append_header(*header)
            });
            let request = request.to_http_request();
            let found = trusted.client(peer.parse().unwrap(), request.headers());
            assert_eq!(found.to_string(), client, "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_network_is_an_address_with_a_prefix() {
        let trusts = |networks: &str, ip: &str| proxies(networks).trusts(ip.parse().unwrap());
        assert!(trusts("0.0.0.0/0", "203.0.113.1") && trusts("::/0", "2001:db8::1"));
        assert!(trusts("10.1.2.3/31", "10.1.2.2") && !trusts("10.1.2.3/31", "10.1.2.4"));
        assert!(!trusts("0.0.0.0/0", "::1") && !trusts("10.0.0.0/8", "11.0.0.0"));
        for bad in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "all",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}

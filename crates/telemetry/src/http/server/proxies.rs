//! The address of a client behind proxies. `Forwarded` (RFC 7239) and `X-Forwarded-For` are believed as far
//! as trusted proxies wrote them: from the right, up to the first address outside of their networks.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use super::inbound::ClientAddress;

/// The proxies whose headers are believed: networks in CIDR notation, separated by commas. An address alone
/// is a network of one.
///
/// ```
/// use throughline_telemetry::http::server::TrustedProxies;
///
/// let proxies: TrustedProxies = "10.0.0.0/8, fd00::/8".parse().unwrap();
/// assert!(proxies.trusts("10.1.2.3".parse().unwrap()));
/// assert_eq!("10.0.0.0/33".parse::<TrustedProxies>().unwrap_err(), "10.0.0.0/33");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    /// What is not a network.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text
            .split(',')
            .map(str::trim)
            .filter(|network| !network.is_empty());
        let one = |address: &str| address.parse::<IpAddr>().map(IpNet::from);
        let parse = |network: &str| network.parse().or_else(|_| one(network));
        let networks = networks.map(|network| parse(network).map_err(|_| network.to_owned()));
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is one of a trusted proxy.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The client's address: the first from the right that is no trusted proxy's. A proxy writes one of the
    /// two headers and may pass on the other as the client sent it, so two that disagree are both ignored.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
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

    /// Inserts the client's address into the request's extensions, as [`ClientAddress`], unless no proxy is
    /// trusted. Called by a middleware outside of [`Tracing`](super::Tracing), it also serves paths that are
    /// not traced.
    pub fn resolve(&self, request: &ServiceRequest) {
        if let (false, Some(peer)) = (self.is_empty(), request.peer_addr()) {
            let client = self.client(peer.ip().to_canonical(), request.headers());
            request.extensions_mut().insert(ClientAddress(client));
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        text.parse().unwrap()
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
            assert_eq!(bad.parse::<TrustedProxies>(), Err(bad.to_owned()));
        }
    }
}

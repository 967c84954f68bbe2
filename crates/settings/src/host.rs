//! Which hosts are reached without crossing a public network. Names are judged by their form and never
//! resolved: what they resolve to may change, and may be an attacker's choice.

use std::net::IpAddr;

/// The last label of names that only a private network resolves: RFC 6761, RFC 6762, the domain that ICANN
/// reserves for private use, and Kubernetes' services.
const PRIVATE_DOMAINS: [&str; 4] = ["localhost", "local", "internal", "svc"];

/// Whether `host`, an IP address or a name, is this machine: a loopback address, `localhost`, or a name
/// below it.
pub fn is_loopback(host: &str) -> bool {
    match address(host) {
        Some(ip) => ip.is_loopback(),
        None => last_label(host).eq_ignore_ascii_case("localhost"),
    }
}

/// Whether `host` is this machine or in a private network: a loopback, private, link-local or shared
/// address; a name without a dot, as containers have; or a name in a private domain.
pub(crate) fn is_private(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(ip)) => {
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared
        }
        Some(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        None => {
            let last = last_label(host).to_ascii_lowercase();
            // `134744072` and `0x08080808` are names in form, and public addresses to a resolver.
            let is_name = last.starts_with(|c: char| c.is_ascii_alphabetic());
            let in_private_domain = PRIVATE_DOMAINS.contains(&last.as_str());
            is_name && (in_private_domain || last.len() == without_root(host).len())
        }
    }
}

/// Whether a request with this `Host` header is for `host`, the name that the program listens on, or for any
/// other name of this machine: `localhost` and IP addresses, with any port.
///
/// A page of another site can make its own name resolve to 127.0.0.1 and then read what listens there ("DNS
/// rebinding"). Its requests carry that name. Clients other than browsers may send no `Host`.
pub fn is_local_host(header: Option<&[u8]>, host: &str) -> bool {
    let Some(header) = header else { return true };
    let Ok(header) = std::str::from_utf8(header) else {
        return false;
    };
    let name = match header.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => header.rsplit_once(':').map_or(header, |(name, _)| name),
    };
    name.eq_ignore_ascii_case(host) || is_loopback(name) || address(name).is_some()
}

/// Whether a page of the host that a request is for sent it: by `Sec-Fetch-Site` where the browser sends
/// that, else by `Origin`. A request with neither is not of a page.
pub fn is_same_origin(sec_fetch_site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    match (sec_fetch_site, origin) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == host
        }
        (None, None) => false,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some(ip.to_canonical())
}

/// `example.com.` is the same name as `example.com`.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn last_label(name: &str) -> &str {
    without_root(name).rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "::ffff:127.0.0.1",
            "LocalHost",
            "db.localhost.",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "localhost.example.com",
            "postgres",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_private_host_has_one_of_these_forms() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "::1",
            "[fd00::1]",
            "fe80::1",
            "::ffff:10.0.0.1",
            "postgres",
            "otel-collector",
            "redis.shop.svc",
            "redis.shop.svc.cluster.local",
            "DB.Internal.",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "",
            ".",
            "0.0.0.0",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "134744072",
            "0x08080808",
            "8.8.2056",
            "example.com",
            "internal.example.com",
            "svc.example.com.",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in [
            "localhost",
            "LOCALHOST:8100",
            "127.0.0.1",
            "127.0.0.1:8100",
            "[::1]",
            "[::1]:8100",
            "devbox:1",
        ] {
            assert!(is_local_host(Some(local.as_bytes()), "devbox"), "{local}");
        }
        for other in [
            "evil.example",
            "evil.example:8100",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!is_local_host(Some(other.as_bytes()), "devbox"), "{other}");
        }
        assert!(is_local_host(None, "devbox"));
    }
}

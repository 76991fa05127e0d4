//! Where messages may go: never to what only the control plane itself is meant to reach (K15). Looked at on resolved addresses, after every
//! spelling of an address and every answer of a name server has become one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses at which clouds tell machines their credentials and which are not link-local.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Why nothing is sent to `ip`; None: it is fine. `trusted`: the Notifier is in the system's namespace, where only administrators write;
/// it may also talk to this machine and to local IPv6 networks.
pub fn refusal(ip: IpAddr, trusted: bool) -> Option<&'static str> {
    let ip = inner(ip);
    if METADATA.contains(&ip) {
        return Some("it is a metadata service");
    }
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local {
        return Some("it is link-local, where clouds keep their metadata services");
    }
    let nowhere = match ip {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0 || v4.octets()[0] >= 240,
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    if nowhere || ip.is_multicast() {
        return Some("it is no address of one host");
    }
    let local = ip.is_loopback() || matches!(ip, IpAddr::V6(v6) if v6.is_unique_local());
    (local && !trusted).then_some("only a Notifier in otternauts-system may send to the control plane's own machine")
}

/// The IPv4 address inside an IPv6 one, for each way to put it there.
fn inner(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        // Mapped (::ffff:a.b.c.d), translated (64:ff9b::/96 and 64:ff9b:1::/48), 6to4 (2002::/16).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // The compatible form, but for :: and ::1, which are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => v4(high, low),
        _ => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_control_plane_reaches_is_refused() {
        for (ip, trusted, anybody) in [
            ("203.0.113.7", true, true),
            ("10.1.2.3", true, true),
            ("192.168.1.10", true, true),
            ("2001:db8::7", true, true),
            ("127.0.0.1", true, false),
            ("127.9.9.9", true, false),
            ("::1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("::127.0.0.1", true, false),
            ("64:ff9b::7f00:1", true, false),
            ("fd12:3456::1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("::ffff:a9fe:a9fe", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("64:ff9b:1::a9fe:a9fe", false, false),
            ("2002:a9fe:a9fe::1", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("100.100.100.200", false, false),
            ("192.0.0.192", false, false),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("::", false, false),
            ("255.255.255.255", false, false),
            ("240.0.0.1", false, false),
            ("224.0.0.1", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed: IpAddr = ip.parse().expect("an address");
            assert_eq!(refusal(parsed, true).is_none(), trusted, "{ip} for the system's");
            assert_eq!(refusal(parsed, false).is_none(), anybody, "{ip} for anybody's");
        }
    }
}

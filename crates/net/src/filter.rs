//! Which addresses are connected to. Addresses of this machine and of networks that only it can reach are not: a push gateway
//! or a server name is chosen by whoever likes, and what answers there may trust this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether addresses that are not of the public internet are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They are not, but for the exceptions.
    #[default]
    Refused,
    /// They are: all servers and gateways are in a network of one's own.
    Allowed,
}

/// Decides about addresses.
#[derive(Clone, Debug, Default)]
pub struct AddressFilter {
    private: PrivateAddresses,
    exceptions: Vec<IpAddr>,
}

impl AddressFilter {
    /// A filter that does as `private` says.
    pub fn new(private: PrivateAddresses) -> Self {
        Self { private, exceptions: Vec::new() }
    }

    /// Lets these addresses through, whatever they are.
    #[must_use]
    pub fn with_exceptions(mut self, exceptions: impl IntoIterator<Item = IpAddr>) -> Self {
        self.exceptions.extend(exceptions);
        self
    }

    /// Whether `address` may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        if self.exceptions.contains(&address) {
            return true;
        }
        // What is nobody's address stays refused: nothing that is meant to be asked answers there.
        !is_nobody(address) && (self.private == PrivateAddresses::Allowed || is_public(address))
    }
}

/// Whether it can be no single machine's: unspecified, multicast, broadcast.
fn is_nobody(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(address) => address.octets()[0] == 0 || address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unspecified() || address.is_multicast(),
    }
}

/// Whether it is reachable for everybody, by the registries of special addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).
fn is_public(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IPv4 address that an IPv6 address stands for where it is translated or tunnelled: the machine behind it is that.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let octets = v6.octets();
    let v4 = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match v6.segments() {
        // Compatible, but not :: and ::1.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => v4(12).into(),
        // Mapped; translated (RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            v4(12).into()
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => v4(2).into(),
        _ => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        198 => (18..20).contains(&b) || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments (Teredo, benchmarking, ORCHID), documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast is all of 2000::/3, and nothing else is.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

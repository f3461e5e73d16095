//! IP addresses and networks. Zones and IPv4 within IPv6 are refused, as upstream refuses them.

use std::fmt;
use std::net::IpAddr;

/// An address and the length of its network's prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

pub(crate) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    if text.contains(':') && text.contains('%') {
        return Err(format!("IP address {text:?} with zone value is not allowed"));
    }
    let reason = || format!("ParseAddr({text:?}): unable to parse IP");
    let address: IpAddr =
        text.parse().map_err(|_| format!("IP Address {text:?} parse error during conversion from string: {}", reason()))?;
    match address {
        IpAddr::V6(it) if it.to_ipv4_mapped().is_some() => Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed")),
        other => Ok(other),
    }
}

pub(crate) fn parse_cidr(text: &str) -> Result<Cidr, String> {
    let error = |reason: &str| format!("network address parse error during conversion from string: netip.ParsePrefix({text:?}): {reason}");
    let (address, length) = text.rsplit_once('/').ok_or_else(|| error("no '/'"))?;
    let address: IpAddr = address.parse().map_err(|_| error(&format!("ParseAddr({address:?}): unable to parse IP")))?;
    let digits = !length.is_empty() && length.bytes().all(|it| it.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let prefix: u8 = length.parse().ok().filter(|_| digits).ok_or_else(|| error(&format!("bad bits after slash: {length:?}")))?;
    if prefix > bits(address) {
        return Err(error("prefix length out of range"));
    }
    if let IpAddr::V6(it) = address
        && it.to_ipv4_mapped().is_some()
    {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(Cidr { address, prefix })
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Cidr {
    pub(crate) fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4() && Self { address: ip, prefix: self.prefix }.masked() == self.masked()
    }

    pub(crate) fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(it) => IpAddr::V4((u32::from(it) & u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)).into()),
            IpAddr::V6(it) => IpAddr::V6((u128::from(it) & u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)).into()),
        };
        Self { address, prefix: self.prefix }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

pub(crate) fn is_link_local_unicast(it: IpAddr) -> bool {
    match it {
        IpAddr::V4(it) => it.is_link_local(),
        IpAddr::V6(it) => it.is_unicast_link_local(),
    }
}

pub(crate) fn is_link_local_multicast(it: IpAddr) -> bool {
    match it {
        IpAddr::V4(it) => matches!(it.octets(), [224, 0, 0, _]),
        IpAddr::V6(it) => it.segments().first().is_some_and(|it| it & 0xff0f == 0xff02),
    }
}

pub(crate) fn is_global_unicast(it: IpAddr) -> bool {
    let broadcast = matches!(it, IpAddr::V4(it) if it.is_broadcast());
    !broadcast && !it.is_unspecified() && !it.is_loopback() && !it.is_multicast() && !is_link_local_unicast(it)
}

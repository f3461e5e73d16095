//! IP addresses and networks.

use crate::overload::{Error, Overload, Value, fail, global, member};
use crate::types::network::{self, Cidr, parse_cidr, parse_ip};
use std::net::IpAddr;

pub(super) const FUNCTIONS: &[Overload] = &[
    global("ip", 1, |_, args| text(args).and_then(|it| parse_ip(it).map_or_else(fail, |it| Ok(Value::Ip(it))))),
    global("isIP", 1, |_, args| text(args).map(|it| Value::Bool(parse_ip(it).is_ok()))),
    global("ip.isCanonical", 1, |_, args| {
        let text = text(args)?;
        parse_ip(text).map_or_else(fail, |it| Ok(Value::Bool(it.to_string() == text)))
    }),
    member("family", 1, |_, args| address(args).map(|it| Value::Int(if it.is_ipv4() { 4 } else { 6 }))),
    member("isUnspecified", 1, |_, args| address(args).map(|it| Value::Bool(it.is_unspecified()))),
    member("isLoopback", 1, |_, args| address(args).map(|it| Value::Bool(it.is_loopback()))),
    member("isLinkLocalMulticast", 1, |_, args| address(args).map(|it| Value::Bool(network::is_link_local_multicast(it)))),
    member("isLinkLocalUnicast", 1, |_, args| address(args).map(|it| Value::Bool(network::is_link_local_unicast(it)))),
    member("isGlobalUnicast", 1, |_, args| address(args).map(|it| Value::Bool(network::is_global_unicast(it)))),
    global("cidr", 1, |_, args| {
        let error = |it| fail(format!("network address parse error during conversion from string: {it}"));
        text(args).and_then(|it| parse_cidr(it).map_or_else(error, |it| Ok(Value::Cidr(it))))
    }),
    global("isCIDR", 1, |_, args| text(args).map(|it| Value::Bool(parse_cidr(it).is_ok()))),
    member("containsIP", 2, |_, args| match args {
        [Value::Cidr(cidr), Value::Ip(ip)] => Ok(Value::Bool(cidr.contains(*ip))),
        [Value::Cidr(cidr), Value::String(ip)] => parse_ip(ip).map_or_else(fail, |ip| Ok(Value::Bool(cidr.contains(ip)))),
        _ => Err(Error::NoSuchOverload),
    }),
    member("containsCIDR", 2, |_, args| {
        let (outer, inner) = match args {
            [Value::Cidr(outer), Value::Cidr(inner)] => (outer, *inner),
            [Value::Cidr(outer), Value::String(inner)] => match parse_cidr(inner) {
                Ok(inner) => (outer, inner),
                Err(error) => return fail(format!("network address parse error during conversion from string: {error}")),
            },
            _ => return Err(Error::NoSuchOverload),
        };
        Ok(Value::Bool(outer.prefix <= inner.prefix && outer.contains(inner.address)))
    }),
    member("ip", 1, |_, args| network(args).map(|it| Value::Ip(it.address))),
    member("prefixLength", 1, |_, args| network(args).map(|it| Value::Int(it.prefix.into()))),
    member("masked", 1, |_, args| network(args).map(|it| Value::Cidr(it.masked()))),
];

fn text<'v>(args: &'v [Value<'_>]) -> Result<&'v str, Error> {
    let [Value::String(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(it)
}

fn address(args: &[Value<'_>]) -> Result<IpAddr, Error> {
    let [Value::Ip(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(*it)
}

fn network(args: &[Value<'_>]) -> Result<Cidr, Error> {
    let [Value::Cidr(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(*it)
}

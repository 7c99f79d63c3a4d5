//! Where a server listens, as people write it. Parsing only: nothing is resolved or opened here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A unix socket: `unix:PATH`, or an absolute path.
    Unix(PathBuf),
    /// `http://HOST:PORT` or `tcp:IP:PORT`; holds `HOST:PORT`.
    Http(String),
}

/// What was wrong with the text of an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("`{text}` is no address of a server: write unix:PATH or http://HOST:PORT")]
    UnknownForm { text: String },
    #[error("`{text}` names no socket: write unix:PATH, e.g. unix:/run/kiln/kiln.sock")]
    EmptyPath { text: String },
    #[error("`{text}` needs a host and a port and no path, e.g. http://127.0.0.1:7077")]
    HostAndPort { text: String },
    #[error("`{text}`: https is not supported; write unix:PATH or http://127.0.0.1:PORT")]
    Https { text: String },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let owned = || text.to_owned();
        if let Some(path) = text.strip_prefix("unix:") {
            // unix:///run/x and unix:/run/x name the same socket, as in gRPC's own naming.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::EmptyPath { text: owned() })
            } else {
                Ok(Address::Unix(PathBuf::from(path)))
            };
        }
        if text.starts_with('/') {
            return Ok(Address::Unix(PathBuf::from(text)));
        }
        if text.starts_with("https://") {
            return Err(AddressError::Https { text: owned() });
        }
        // `tcp:IP:PORT` and `IP:PORT` are how a server says where it listens.
        let bare = text.strip_prefix("tcp:").unwrap_or(text);
        if let Ok(address) = bare.parse::<std::net::SocketAddr>() {
            return host_and_port(&address.to_string())
                .ok_or_else(|| AddressError::HostAndPort { text: owned() });
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(AddressError::UnknownForm { text: owned() });
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        host_and_port(authority).ok_or_else(|| AddressError::HostAndPort { text: owned() })
    }
}

fn host_and_port(authority: &str) -> Option<Address> {
    let parsed: http::uri::Authority = authority.parse().ok()?;
    let port = parsed.port_u16()?;
    (port != 0 && !parsed.host().is_empty() && !authority.contains('@'))
        .then(|| Address::Http(authority.to_owned()))
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Address::Http(authority) => write!(formatter, "http://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood_and_printed_as_it_is_written() {
        let table = [
            ("unix:/run/kiln/kiln.sock", "unix:/run/kiln/kiln.sock"),
            ("unix:///run/kiln/kiln.sock", "unix:/run/kiln/kiln.sock"),
            ("/run/kiln/kiln.sock", "unix:/run/kiln/kiln.sock"),
            ("unix:relative.sock", "unix:relative.sock"),
            ("http://127.0.0.1:7077", "http://127.0.0.1:7077"),
            ("http://127.0.0.1:7077/", "http://127.0.0.1:7077"),
            ("http://[::1]:7077", "http://[::1]:7077"),
            ("tcp:127.0.0.1:7077", "http://127.0.0.1:7077"),
            ("127.0.0.1:7077", "http://127.0.0.1:7077"),
        ];
        for (text, printed) in table {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), printed);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write_instead() {
        for text in [
            "",
            "kiln",
            "unix:",
            "http://",
            "http://host",
            "http://host:0",
            "http://host:99999",
            "http://host:1/path",
            "http://me@host:1",
            "https://host:1",
            "tcp://h:1",
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(
                error.to_string().contains("unix:PATH") || error.to_string().contains("http://127"),
                "{error}"
            );
        }
    }
}

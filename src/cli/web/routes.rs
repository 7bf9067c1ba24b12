//! Which request gets what.
//!
//! A page of another site may make a browser send requests here, and a name whose address its owner changes
//! makes the answer readable for it ("DNS rebinding"). So a request has to name the host by an address, as
//! localhost or by a name that the operator has listed: an address cannot be pointed elsewhere. Requests that
//! another site has caused get nothing but the page itself.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::body::Body;
use super::prometheus;
use super::view::View;

/// What a listening socket serves.
#[derive(Debug)]
pub(super) enum Offer {
    /// Numbers alone, under any name.
    Metrics,
    /// Everything, under addresses, localhost and these names.
    Page { hosts: Vec<String> },
}

/// Answers a request; returns whether the answer goes on for ever as well.
pub(super) async fn answer(
    view: &Arc<View>,
    offer: &Offer,
    request: &Request<Incoming>,
) -> (Response<Body>, bool) {
    let (uri, headers) = (request.uri(), request.headers());
    let mut listens = false;
    let (status, kind, body) = match offer {
        Offer::Page { hosts } if !is_for_host(uri, headers, hosts) => {
            let what =
                "this name is not served: use an IP address or localhost, or start with --web-host NAME\n";
            (StatusCode::FORBIDDEN, TEXT, Body::whole(what))
        }
        Offer::Page { .. } if uri.path() != "/" && is_from_elsewhere(headers) => {
            (StatusCode::FORBIDDEN, TEXT, Body::whole("requests of other sites are not answered\n"))
        }
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, Body::whole("nothing can be changed here\n"))
        }
        _ => {
            listens = request.method() == Method::GET
                && matches!(offer, Offer::Page { .. })
                && uri.path() == "/events";
            content(view, offer, uri, listens).await
        }
    };
    let mut response = Response::new(body);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    (response, listens)
}

async fn content(
    view: &Arc<View>,
    offer: &Offer,
    uri: &Uri,
    listens: bool,
) -> (StatusCode, &'static str, Body) {
    let ok = |kind, body: &'static str| (StatusCode::OK, kind, Body::whole(body));
    let is_page = matches!(offer, Offer::Page { .. });
    match uri.path() {
        "/metrics" => {
            let text = prometheus::render(view).await;
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Body::whole(text))
        }
        _ if !is_page => (StatusCode::NOT_FOUND, TEXT, Body::whole("the metrics are at /metrics\n")),
        "/" => ok("text/html; charset=utf-8", include_str!("page.html")),
        "/page.css" => ok("text/css; charset=utf-8", include_str!("page.css")),
        "/page.js" => ok("text/javascript; charset=utf-8", include_str!("page.js")),
        "/healthz" => match view.is_alive().await {
            true => ok(TEXT, "ok\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, TEXT, Body::whole("a node does not answer\n")),
        },
        "/readyz" => match view.obstacle().await {
            None => ok(TEXT, "ready\n"),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, Body::whole(format!("{why}\n"))),
        },
        "/events" if listens => {
            let number = uri.query().and_then(|query| query.strip_prefix("node="));
            // Without a number it is the first one.
            let node = number.and_then(|number| number.parse().ok()).unwrap_or(0);
            (StatusCode::OK, EVENTS, Body::events(view, node))
        }
        "/events" => ok(EVENTS, ""),
        _ => (StatusCode::NOT_FOUND, TEXT, Body::whole("there is no such page\n")),
    }
}

/// Returns whether a request names this host in a way that others cannot point elsewhere. One without any
/// name was not sent by a browser.
fn is_for_host(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let mut named = named.chain(uri.authority().map(|authority| authority.as_str()));
    named.all(|host| is_safe(host, hosts))
}

fn is_safe(host: &str, hosts: &[String]) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.split(']').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split(':').next().unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok()
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns whether a browser was made to send the request by another site, port or scheme.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";
/// What each response has.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_by_an_address_localhost_or_a_name_of_the_operator() {
        let hosts = ["node.example".to_owned()];
        for host in
            ["127.0.0.1", "127.0.0.1:1", "localhost:9", "LocalHost", "[::1]:80", "10.0.0.1:2", "Node.example"]
        {
            assert!(is_safe(host, &hosts), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[evil]",
            "[::1",
            "localhost.",
            "x.node.example",
            "1.2.3",
            "user@127.0.0.1",
        ] {
            assert!(!is_safe(host, &hosts) || host == "[::1", "{host}");
        }
    }
}

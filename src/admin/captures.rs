//! Orders for captures: `POST /capture` begins one, `POST /capture/stop` ends it, `GET /capture` lists them.

use std::time::Duration;

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::identity::EndpointId;
use crate::observe::{CaptureError, CaptureOrder, Recorder, Wanted};

use super::control::Answer;

/// Whether a path is about captures.
pub(super) fn knows(path: &str) -> bool {
    matches!(path, "/capture" | "/capture/stop")
}

pub(super) fn answer(recorder: &Recorder, method: &Method, path: &str, query: Option<&str>) -> Answer {
    let query = query.unwrap_or("");
    let done = match (method.as_str(), path) {
        ("GET", "/capture") => Ok(()),
        ("POST", "/capture") => match order(query) {
            Ok(order) => recorder.start(&order).map(drop),
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
        },
        ("POST", _) => match which(query) {
            Ok(id) => recorder.stop(id),
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
        },
        _ => {
            let why = "POST /capture begins a capture, POST /capture/stop ends it, GET /capture lists them\n";
            return (StatusCode::METHOD_NOT_ALLOWED, why.into());
        }
    };
    if let Err(error) = done {
        return (status_of(&error), format!("{error}\n"));
    }
    match serde_json::to_string(&recorder.list()) {
        Ok(text) => (StatusCode::OK, text + "\n"),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn status_of(error: &CaptureError) -> StatusCode {
    match error {
        CaptureError::Nobody => StatusCode::BAD_REQUEST,
        CaptureError::Unknown => StatusCode::NOT_FOUND,
        CaptureError::Off | CaptureError::Many | CaptureError::Full(..) => StatusCode::CONFLICT,
        CaptureError::Write(..) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is to be captured; keys may be repeated.
fn order(query: &str) -> Result<CaptureOrder, String> {
    let mut order = CaptureOrder { wanted: Vec::new(), sessions: None, time: None, bytes: None };
    for (key, value) in pairs(query)? {
        let number = || value.parse::<u64>().ok().filter(|number| *number > 0);
        let counted = || number().ok_or_else(|| format!("{key}={value} is no number from 1 on"));
        match key.as_str() {
            "device" => {
                let device = EndpointId::parse(&value).map_err(|error| error.to_string())?;
                order.wanted.push(Wanted::Device(device));
            }
            "serial" => {
                let why = || format!("{value} is no OUI-SERIAL, such as 00256D-1234");
                order.wanted.push(Wanted::serial(&value).ok_or_else(why)?);
            }
            "sessions" => order.sessions = Some(u32::try_from(counted()?).unwrap_or(u32::MAX)),
            "minutes" => order.time = Some(Duration::from_secs(counted()?.saturating_mul(60))),
            "bytes" => order.bytes = Some(counted()?),
            _ => return Err(format!("{key} is none of device, serial, sessions, minutes, bytes")),
        }
    }
    Ok(order)
}

/// The capture of a query, `None` for all.
fn which(query: &str) -> Result<Option<u64>, String> {
    match query.strip_prefix("id=") {
        Some("all") => Ok(None),
        Some(id) => id.parse().map(Some).map_err(|_| format!("{id} is no capture's number")),
        None => Err("say ?id=<number> or ?id=all".into()),
    }
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).take(MAX_PAIRS);
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair} says nothing"))?;
        let value = percent_decode_str(value).decode_utf8().map_err(|error| error.to_string())?;
        Ok((key.to_owned(), value.into_owned()))
    });
    pairs.collect()
}

const MAX_PAIRS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_whose_traffic_and_how_much() {
        let it = order("device=os::A-1%252D2&serial=00256D-7&sessions=3&minutes=5&bytes=1000").unwrap();
        assert_eq!(it.wanted.len(), 2);
        assert_eq!(it.wanted[0], Wanted::Device(EndpointId::parse("os::A-1%2D2").unwrap()));
        assert_eq!((it.sessions, it.time, it.bytes), (Some(3), Some(Duration::from_secs(300)), Some(1_000)));
        for wrong in ["device", "device=nothing", "serial=7", "sessions=0", "minutes=x", "all=1"] {
            assert!(order(wrong).is_err(), "{wrong}");
        }
        assert_eq!((which("id=all"), which("id=7")), (Ok(None), Ok(Some(7))));
        assert!(which("").is_err() && which("id=x").is_err());
    }

    #[test]
    fn without_a_directory_nothing_is_captured_and_the_operator_is_told_where_to_name_one() {
        let answer = answer(&Recorder::default(), &Method::POST, "/capture", Some("device=os::A-1"));
        assert_eq!(answer.0, StatusCode::CONFLICT);
        assert!(answer.1.contains("[capture]"), "{}", answer.1);
    }
}

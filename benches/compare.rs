//! What shadow mode costs: comparing the values that a CPE tells the ACS with what USP would show, beside decoding
//! the body that they come in, which the relay does anyway.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::hint::black_box;
use std::time::Duration;

use dragoman::cwmp::rpc::{
    Array, GetParameterValues, GetParameterValuesResponse, ParameterValueStruct, Request, Response,
};
use dragoman::cwmp::soap::{self, Envelope, Header, Limits, Message};
use dragoman::datamodel::supported::{Kind, Supported};
use dragoman::datamodel::{Instantiated, WallTime};
use dragoman::translation::{Access, Answer, Fixed, Known, Mapping, View, compare};

mod support {
    pub mod cpu;
    pub mod machine;
    pub mod table;
}
use support::table::Row;
use support::{cpu, machine, table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    machine::heading("comparing / decoding what is compared", "cargo bench --bench compare");
    println!("measured median of {ROUNDS} rounds of CPU time, both sides in turn");
    let rows =
        [row("TR-181", Supported::device2(), None), row("TR-098", Supported::igd(), Some(Mapping::tr098()))];
    table::print("comparing", "decoding", &rows);
}

/// Legal values of parameters that the device has, as the standard's tables name them.
fn device(
    standard: &Supported,
    mapping: Option<&'static Mapping>,
) -> (Instantiated, Vec<ParameterValueStruct<'static>>) {
    let (mut index, mut told) = (Instantiated::default(), Vec::new());
    for row in standard.rows().iter().filter(|row| row.kind == Kind::Param) {
        let name = row.path.replace("{i}", "1");
        let usp: Vec<String> = match mapping {
            Some(mapping) => mapping.names(&name, true).map(|(usp, _)| usp).collect(),
            None => vec![name.clone()],
        };
        let legal = ["", "0", "false"].into_iter().find(|value| row.check(value).is_ok());
        let (Some(value), Some(value_type), false) = (legal, row.value_type(), usp.is_empty()) else {
            continue;
        };
        told.push(ParameterValueStruct::new(name, value, value_type));
        usp.iter().for_each(|name| index.put_param(name, false));
        if told.len() == ITEMS {
            break;
        }
    }
    (index, told)
}

fn row(what: &str, standard: &Supported, mapping: Option<&'static Mapping>) -> Row {
    let (mut index, told) = device(standard, mapping);
    let parameter_names = Array(told.iter().map(|one| one.name.clone()).collect());
    let request = Request::GetParameterValues(GetParameterValues { parameter_names });
    let response =
        Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list: Array(told) });
    let mut body = Vec::new();
    let namespace = "urn:dslforum-org:cwmp-1-2";
    let envelope = Envelope::of(namespace, Header::default(), Message::Response(response.clone()));
    soap::encode(&mut body, &envelope);
    let limits = Limits::default();
    let decode = || {
        let text = soap::decode_charset(&body, Some("text/xml; charset=utf-8")).expect("text");
        black_box(soap::decode(&text, &limits).expect("an envelope"));
    };
    let (mut local, access) = (Fixed::default(), Access::for_us());
    let known = Known { mapping, undiscovered: &[], was_deleted: &|_| false };
    let mut items = 0;
    let ours = || {
        let mut view = View::new(&mut index, &mut local, &access, WallTime(0));
        let findings = compare(&mut view, &known, &request, Answer::Response(&response), u32::MAX);
        items = black_box(findings).tally.compared;
    };
    let (ours, theirs) = in_turn(ours, decode);
    let each = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6 / f64::from(REPEATS));
    Row {
        what: format!("{what}, {items} values, {} KB", body.len() / 1_000),
        ours: each(ours),
        theirs: each(theirs),
        ratio: Some(ours.as_secs_f64() / theirs.as_secs_f64()),
        wanted: 0.0..f64::INFINITY,
    }
}

/// The medians of both.
fn in_turn(mut ours: impl FnMut(), theirs: impl Fn()) -> (Duration, Duration) {
    let timed = |run: &mut dyn FnMut()| {
        let from = cpu::of_main_thread();
        (0..REPEATS).for_each(|_| run());
        cpu::of_main_thread() - from
    };
    let mut all: Vec<(Duration, Duration)> =
        (0..ROUNDS).map(|_| (timed(&mut ours), timed(&mut || theirs()))).collect();
    let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
        all.sort_by_key(of);
        of(&all[all.len() / 2])
    };
    (median(|it| it.0), median(|it| it.1))
}

/// Values in one response.
const ITEMS: usize = 200;
const ROUNDS: usize = 15;
const REPEATS: u32 = 50;

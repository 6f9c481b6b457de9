//! The configuration, key by key: what is taken, and what is refused with what would be right.

use std::path::Path;

use super::Settings;
use super::example::EXAMPLE;
use crate::mtp::mqtt::Sharing;

fn refused(text: &str) -> String {
    match Settings::parse(Path::new("x.toml"), text) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_example_is_a_configuration_and_so_is_it_with_every_key_set() {
    let settings = Settings::parse(Path::new("x.toml"), EXAMPLE).unwrap();
    assert_eq!(settings.agent.controllers.len(), 1);
    // There are no files for TLS here.
    let plain = EXAMPLE
        .replace("\"mqtts://*", "\"mqtt://*")
        .replace("\"wss://usp", "\"ws://usp")
        .replace("\"https://bdc", "\"http://bdc");
    let all: String = plain
        .lines()
        .filter(|line| {
            ![
                "ca",
                "certificate",
                "key",
                "token_file",
                "client_ca",
                "client_certificate",
                "certificates",
                "hide_bootstrap",
                "own_credentials_file",
            ]
            .iter()
            .any(|file| line.trim_start_matches("# ").starts_with(&format!("{file} =")))
        })
        .filter(|line| !line.contains(".tls]"))
        .filter(|line| !line.contains("payload_security") && !line.contains("sign_records"))
        // Nor is there a certificate that vouches for somebody.
        .filter(|line| {
            !["[[credential]]", "role = \"read-only\"", "allowed_uses"].iter().any(|it| line.contains(it))
        })
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.contains('=') || rest.starts_with('[')).unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let settings = Settings::parse(Path::new("x.toml"), &all).unwrap();
    assert!(settings.door.auth.is_some() && settings.admin.is_some());
    assert_eq!(settings.websocket.len(), 1);
    assert_eq!(settings.stomp[0].controllers.len(), 1);
    assert_eq!(settings.agent.mqtt[0].name, "main");
    assert!(settings.agent.egress.allows("mqtt", "b.example", 8_883, "") && settings.listener.is_some());
    assert_eq!(settings.mqtt[0].sharing, Sharing::Shared(4));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_there_is() {
    let text = EXAMPLE.replace("broker = \"mqtt", "brokr = \"mqtt");
    let error = refused(&text);
    let line = text.lines().position(|line| line.contains("brokr")).unwrap() + 1;
    assert!(error.contains(&format!("x.toml:{line}:")), "{error}");
    assert!(error.contains("brokr") && error.contains("`broker`"), "{error}");
}

/// The example with its front.
fn with_front() -> String {
    ["[cwmp.front]", "trusted =", "proxy_protocol ="].iter().fold(EXAMPLE.to_owned(), |text, key| {
        assert!(text.contains(&format!("# {key}")), "{key}");
        text.replacen(&format!("# {key}"), key, 1)
    })
}

#[test]
fn a_front_must_be_somewhere_and_say_something() {
    let front = Settings::parse(Path::new("x.toml"), &with_front()).ok().unwrap().door.front;
    assert!(front.proxy_protocol && !front.forwarded && !front.client_cert);
    for (good, bad, says) in [
        ("[\"192.0.2.10/32\"]", "[]", "names no network"),
        ("proxy_protocol = true", "forwarded = false", "needs one of"),
        (
            "proxy_protocol = true",
            "forwarded = true\nclient_certificate = \"required\"",
            "with proxy_protocol",
        ),
    ] {
        let error = refused(&with_front().replace(good, bad));
        assert!(error.contains(says), "{bad}: {error}");
    }
}

#[test]
fn r_sec_0_a_listener_without_client_certificates_beyond_this_machine_has_to_be_wanted() {
    let settings = |more: &str| {
        let text = format!("{EXAMPLE}\n[websocket_server]\n{more}\n");
        Settings::parse(Path::new("x.toml"), &text)
            .map(|settings| settings.listener.is_some_and(|listener| listener.unauthenticated))
            .map_err(|error| error.to_string())
    };
    assert_eq!(settings("listen = \"127.0.0.1:1\""), Ok(true));
    assert_eq!(settings("listen = \"[::1]:1\""), Ok(true));
    assert_eq!(settings("listen = \"0.0.0.0:1\"\nunauthenticated = true"), Ok(true));
    for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
        let error = settings(&format!("listen = \"{listen}\"")).unwrap_err();
        assert!(error.contains("unauthenticated = true") && error.contains("client_ca"), "{error}");
    }
    let tls = "[websocket_server.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"ca\"\n";
    // One that may do without a certificate is as open as one that knows none.
    let optional = settings(&format!("listen = \"0.0.0.0:1\"\n{tls}")).unwrap_err();
    assert!(optional.contains("required"), "{optional}");
    let both =
        format!("listen = \"0.0.0.0:1\"\nunauthenticated = true\n{tls}client_certificate = \"required\"");
    assert!(settings(&both).unwrap_err().contains("contradicts"));
}

#[test]
fn the_acs_is_stood_in_for_only_where_the_gateway_knows_its_cpes() {
    let answer = EXAMPLE.replace("# when_down = \"refuse\"", "when_down = \"answer\"");
    assert_ne!(answer, EXAMPLE);
    assert!(refused(&answer).contains("[cwmp.authentication]"));
    let known = answer.replace("# [cwmp.authentication]", "[cwmp.authentication]");
    let known = known.replace("# scheme =", "scheme =").replace("# users =", "users =");
    assert!(Settings::parse(Path::new("x.toml"), &known).unwrap().proxy.answer_when_down);
    assert!(!Settings::parse(Path::new("x.toml"), EXAMPLE).unwrap().proxy.answer_when_down);
    assert!(refused(&EXAMPLE.replace("# when_down = \"refuse\"", "when_down = \"no\"")).contains("`answer`"));
}

#[test]
fn a_device_is_bound_only_to_what_it_can_prove_here() {
    let bound = |table: &str| EXAMPLE.replacen("[acs] ", &format!("[cwmp.identity]\n{table}\n[acs] "), 1);
    let user = bound("username = \"{OUI}-{SerialNumber}\"");
    assert!(refused(&user).contains("[cwmp.authentication]"));
    let known = user.replace("# [cwmp.authentication]", "[cwmp.authentication]");
    let known = known.replace("# scheme =", "scheme =").replace("# users =", "users =");
    assert_eq!(Settings::parse(Path::new("x.toml"), &known).unwrap().door.binding.username.len(), 1);
    assert!(refused(&known.replace("{SerialNumber}\"", "{Serial}\"")).contains("{ProductClass}"));
    assert!(refused(&bound("certificate = [\"{SerialNumber}\"]")).contains("client_ca"));
    assert!(refused(&bound("")).contains("username or certificate"));
}

#[test]
fn a_file_of_keys_that_is_none_is_refused_and_one_that_is_not_there_yet_is_fine() {
    let keyed = |file: &str| EXAMPLE.replacen("[store]\n", &format!("[store]\nkey_file = \"{file}\"\n"), 1);
    let fresh = Settings::parse(Path::new("x.toml"), &keyed("/nonexistent/key")).unwrap();
    assert!(fresh.store.key_file.is_some());
    assert!(refused(&keyed("Cargo.toml")).contains("store.key_file"));
}

#[test]
fn bad_values_are_refused_with_what_would_be_right() {
    for (good, bad, says) in [
        ("http://127.0.0.1:8080/", "127.0.0.1:8080", "http://acs.example"),
        ("mqtt://127.0.0.1:1883", "localhost", "mqtt://broker.example"),
        ("self::controller", "controller", "authority"),
        ("# role = \"full-access\"", "role = \"full\"", "read-only"),
        ("# role = \"full-access\"", "instance = 101", "from 1 to 100"),
        ("broker = \"main\", topic", "broker = \"mian\", topic", "there is: main"),
        ("# park_seconds = 2 ", "park_seconds = 26 ", "25 at most"),
        ("# version = \"5.0\"", "version = \"4\"", "3.1.1"),
        ("[\"192.0.2.10/32\"]", "[\"192.0.2.10/8\"]", "beyond its prefix"),
        ("http://127.0.0.1:8080/", "https://127.0.0.1:8080/", "acs.ca"),
        ("# redirects = [\"http:", "redirects = [\"mqtt:", "no place of http or https"),
        ("# redirects = [\"http://*", "redirects = [\"http://**", "is no place; such as"),
        ("# redirects = [\"http:", "redirects = [\"https:", "needs ca"),
        ("# redirect_credentials = false", "redirect_credentials = true", "needs username and password"),
    ] {
        let error = refused(&with_front().replace(good, bad));
        assert!(error.contains(says), "{bad}: {error}");
    }
}

#[test]
fn firmware_has_a_place_and_a_server_whose_links_fit_into_a_cpe() {
    let parse = |more: &str| {
        let text = format!("{EXAMPLE}\n[firmware]\ndirectory = \"fw\"\nlisten = \"127.0.0.1:0\"\n{more}\n");
        let settings = Settings::parse(Path::new("x.toml"), &text).map_err(|error| error.to_string())?;
        assert!(settings.agent.firmware);
        let firmware = settings.firmware.unwrap();
        Ok::<_, String>((firmware.stage.url, firmware.server.downloads))
    };
    let url = "url = \"https://files.example/fw\"\n";
    assert_eq!(parse(url), Ok(("https://files.example/fw".into(), 64)));
    assert!(!Settings::parse(Path::new("x.toml"), EXAMPLE).unwrap().agent.firmware);
    for (more, says) in [
        (format!("url = \"http://h/{}\"", "x".repeat(100)), "100 characters"),
        ("url = \"http://h/?x\"".to_owned(), "no query"),
        ("url = \"ftp://h/\"".to_owned(), "http"),
        (format!("{url}max_image_bytes = 0"), "1 at least"),
        (format!("{url}max_image_bytes = 9\nmax_total_bytes = 8"), "max_total_bytes at most"),
        (format!("{url}max_downloads = 0"), "1 at least"),
        (format!("{url}bytes_per_second = 0"), "1 at least"),
    ] {
        let error = parse(&more).unwrap_err();
        assert!(error.contains(says), "{more}: {error}");
    }
    assert!(!Path::new("fw").exists(), "a look makes no files");
}

#[test]
fn r_sec_25_certificates_of_controllers_and_of_cas_are_read_and_those_that_mean_nothing_refused() {
    let folder = std::env::temp_dir().join(format!("dragoman-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    for name in ["ca", "controller"] {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(file(name), made.cert.pem()).unwrap();
    }
    std::fs::write(file("garbage"), "garbage").unwrap();
    let parse = |certificates: &str, credentials: &str| {
        let controller = format!("[[controller]]\ncertificates = [{certificates}]");
        let text = EXAMPLE.replacen("[[controller]]", &controller, 1) + credentials;
        Settings::parse(Path::new("x.toml"), &text).map_err(|error| error.to_string())
    };
    let quoted = |name: &str| format!("'{}'", file(name));
    let credential =
        |name: &str, more: &str| format!("\n[[credential]]\ncertificate = {}\n{more}", quoted(name));
    let both = [quoted("controller"), quoted("ca")].join(", ");
    let agent = parse(&both, &credential("ca", "role = \"read-only\"")).unwrap().agent;
    // Each certificate has one row, whoever names it.
    assert_eq!((agent.certificates.len(), agent.credentials.len()), (2, 1));
    assert_eq!(agent.controllers[0].certificates, [1, 0]);
    assert_eq!(agent.credentials[0].roles, ["read-only"]);
    assert_eq!(agent.credentials[0].allowed_uses, "MTP-and-USP");
    let topic = "mqtt = { broker = \"main\", topic = \"usp/controller\" }";
    let text = EXAMPLE.replacen(topic, "websocket = { url = \"ws://controller.example/usp\" }", 1);
    for (certificates, count) in [("", None), (both.as_str(), Some(2))] {
        let controller = format!("[[controller]]\ncertificates = [{certificates}]");
        let text = text.replacen("[[controller]]", &controller, 1);
        let settings = Settings::parse(Path::new("x.toml"), &text).unwrap();
        assert_eq!(settings.websocket[0].must_show.as_ref().map(Vec::len), count);
    }
    for (certificates, credentials, says) in [
        ("'absent.pem'".to_owned(), String::new(), "absent.pem"),
        (quoted("garbage"), String::new(), "RFC 7468"),
        (String::new(), credential("ca", "role = \"nobody\""), "there is no role nobody"),
        (String::new(), credential("ca", "allowed_uses = \"all\""), "MTP-and-broker"),
        (String::new(), credential("ca", "") + &credential("ca", ""), "is there twice"),
    ] {
        let refused = parse(&certificates, &credentials).err().unwrap();
        assert!(refused.contains(says), "{says}: {refused}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn r_sec_10_the_ca_of_agents_is_the_operators_or_beside_the_store_and_a_look_makes_no_files() {
    let parse = |more: &str| {
        Settings::parse(Path::new("x.toml"), &format!("{EXAMPLE}\n[agent_certificates]\n{more}"))
            .map(|settings| settings.authority.is_some())
            .map_err(|error| error.to_string())
    };
    assert_eq!(parse(""), Ok(true));
    assert!(!Path::new("dragoman.db.agents-ca.key").exists());
    assert!(parse("ca = \"ca.pem\"").unwrap_err().contains("belong together"));
    assert!(parse("ca = \"absent.pem\"\nkey = \"absent.key\"").unwrap_err().contains("absent"));
    assert!(parse("days = 0").unwrap_err().contains("from 1 to"));
    let security = "\n[payload_security]\nca = \"ca.pem\"\n";
    let refused = Settings::parse(Path::new("x.toml"), &format!("{EXAMPLE}{security}")).err().unwrap();
    assert!(refused.to_string().contains("[agent_certificates]"), "{refused}");
}

#[test]
fn ownership_rules_that_mean_nothing_are_refused_and_without_a_mode_they_advise() {
    let rule = |rule: &str| format!("{EXAMPLE}\n[[ownership]]\n{rule}\n");
    for (wrong, why) in [
        ("paths = [\"Device.WiFi.\"]\nowner = \"self::nobody\"", "no [[controller]] self::nobody"),
        ("paths = [\"Device.WiFi.\"]\nowner = \"me\"", "last-writer"),
        ("paths = []\nowner = \"acs\"", "names none"),
        ("paths = [\"WiFi\"]\nowner = \"acs\"", "ownership 1: paths"),
        ("paths = [\"Device.LocalAgent.Controller.\"]\nowner = \"acs\"", "the gateway's own"),
        ("paths = [\"Device.WiFi.\", \"Device.WiFi.\"]\nowner = \"acs\"", "already"),
    ] {
        let error = refused(&rule(wrong));
        assert!(error.contains(why), "{wrong}: {error}");
    }
    let text = rule("paths = [\"Device.WiFi.\"]\nowner = \"self::controller\"");
    let ownership = |text: &str| Settings::parse(Path::new("x.toml"), text).unwrap().agent.ownership;
    assert!(ownership(&text).is_on() && !ownership(&text).enforces());
    assert!(!ownership(EXAMPLE).is_on());
    let enforced = text.replace("[device]\n", "[device]\nownership_mode = \"enforce\"\n");
    assert!(ownership(&enforced).enforces());
}

#[test]
fn captures_that_mean_nothing_are_refused_and_without_limits_they_have_some() {
    let capture = |more: &str| {
        format!(
            "{EXAMPLE}\n[admin]\nlisten = \"127.0.0.1:9090\"\n[capture]\ndirectory = \"captures\"\n{more}\n"
        )
    };
    let usual = Settings::parse(Path::new("x.toml"), &capture("")).unwrap().capture.unwrap();
    assert_eq!((usual.max_bytes, usual.max_total_bytes, usual.max_files), (64 << 20, 1 << 30, 100));
    assert!(!usual.policy.pseudonymise && !usual.policy.opaque);
    for (wrong, why) in [
        ("redact = [\"Hosts.\"]", "\"Hosts.\" is no path"),
        ("max_bytes = 10", "capture.max_bytes"),
        ("max_total_bytes = 1000000", "capture.max_bytes"),
        ("max_minutes = 0", "capture.max_minutes"),
        ("max_files = 0", "capture.max_files"),
    ] {
        let error = refused(&capture(wrong));
        assert!(error.contains(why), "{wrong}: {error}");
    }
    let error = refused(&format!("{EXAMPLE}\n[capture]\ndirectory = \"captures\"\n"));
    assert!(error.contains("needs [admin]"), "{error}");
}

#[test]
fn a_redirect_that_could_never_be_followed_is_refused() {
    let folder = std::env::temp_dir().join(format!("dragoman-redirects-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca = folder.join("ca.pem");
    let made = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap();
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let acs = |redirects: &str| {
        let tls =
            format!("url = \"https://127.0.0.1:8080/\"\nca = '{}'\nredirects = {redirects}", ca.display());
        EXAMPLE.replacen("url = \"http://127.0.0.1:8080/\"", &tls, 1)
    };
    assert!(refused(&acs("[\"http://acs.example\"]")).contains("in the clear"));
    assert!(Settings::parse(Path::new("x.toml"), &acs("[\"https://acs.example\"]")).is_ok());
    let _ = std::fs::remove_dir_all(folder);
}

/// The example with these routes behind its ACS.
fn with_routes(routes: &str) -> String {
    EXAMPLE.replacen("# [[acs.route]] ", &format!("{routes}\n# [[acs.route]] "), 1)
}

#[test]
fn several_acss_are_asked_in_their_order_and_the_default_last() {
    let routes = "[[acs.route]]\nname = \"business\"\nurl = \"http://b/\"\npath = \"/business\"\nkeep_host = true\n\
                  [[acs.route]]\nname = \"old\"\nurl = \"http://o/x\"\noui = \"00256d\"\n\
                  serial_number = [\"1*\", \"2\"]\n";
    let settings = Settings::parse(Path::new("x.toml"), &with_routes(routes)).unwrap();
    let named = settings.acs.iter().map(|(rule, acs)| (acs.name.as_str(), acs.keep_host, rule.is_open()));
    assert_eq!(
        named.collect::<Vec<_>>(),
        [("business", true, false), ("old", false, false), ("default", false, true)]
    );
    assert_eq!(settings.acs[1].0.ouis, ["00256D"]);
    assert_eq!(settings.proxy.acs_names.len(), 3);
    // One alone needs no name.
    let one = Settings::parse(Path::new("x.toml"), EXAMPLE).unwrap();
    assert!(one.acs.len() == 1 && one.proxy.acs_names.is_empty());
    // Without a url of its own [acs] is for nobody.
    let none = with_routes(routes).replacen("url = \"http://127.0.0.1:8080/\"", "", 1);
    assert_eq!(Settings::parse(Path::new("x.toml"), &none).unwrap().acs.len(), 2);
    assert!(refused(&none.replacen("# keep_target = false", "keep_target = true", 1)).contains("of no use"));
    assert!(refused(&EXAMPLE.replacen("url = \"http://127.0.0.1:8080/\"", "", 1)).contains("acs.url"));
    assert!(refused(&EXAMPLE.replacen("[acs] ", "[acs]\npath = \"/x\" ", 1)).contains("[[acs.route]]"));
}

#[test]
fn a_route_that_means_nothing_or_contradicts_another_is_refused_with_what_would_be_right() {
    let route = |more: &str| format!("[[acs.route]]\nname = \"b\"\nurl = \"http://b/\"\n{more}\n");
    let twice = |first: &str, second: &str| format!("{}{}", route(first), route(second));
    for (routes, says) in [
        (route(""), "is for all CPEs"),
        (route("path = \"business\""), "such as /business"),
        (route("path = \"/b?x\""), "without query"),
        (route("path = \"/b/*\""), "all below it is meant"),
        (route("host = \"b.example:80\""), "without a port"),
        (route("host = []"), "names none"),
        (route("host = \"b.*.example\""), "*.acs.example"),
        (route("address = \"acs.example\""), "[2001:db8::7]:7547"),
        (route("oui = \"0025\""), "six hexadecimal digits"),
        (route("product_class = \"*\""), "says nothing"),
        (route("serial_number = []"), "says nothing"),
        (route("serial = \"1\""), "`serial_number`"),
        (route("path = \"/b\"\nwhen_down = \"answer\""), "for all of them"),
        (route("path = \"/b\"\nusername = \"u\""), "belong together"),
        (twice("path = \"/b\"", "path = \"/c\""), "is there twice"),
        (twice("path = \"/b\"", "path = \"/b\"").replacen("\"b\"", "\"a\"", 1), "is never reached: a"),
        (route("path = \"/b\"").replace("name = \"b\"", "name = \"default\""), "which is [acs] itself"),
        (route("path = \"/b\"").replace("name = \"b\"", ""), "acs.route 1: name: is needed"),
        (route("path = \"/b\"").replace("url = \"http://b/\"", ""), "acs.route b.url: is needed"),
        (route("path = \"/b\"").replace("http://", "https://"), "acs.route b.ca"),
    ] {
        let error = refused(&with_routes(&routes));
        assert!(error.contains(says), "{routes}: {error}");
    }
    // What one value cannot be is told with its line.
    let text = with_routes(&route("path = \"business\""));
    let line = text.lines().position(|line| line == "path = \"business\"").unwrap() + 1;
    assert!(refused(&text).contains(&format!("x.toml:{line}:")), "{}", refused(&text));
}

#[test]
fn a_take_over_needs_an_acs_another_url_than_its_and_a_list_that_can_be_read() {
    let base = "[cwmp]\nlisten = \"127.0.0.1:0\"\n[store]\nfile = \"x.db\"\n";
    let acs = "[acs]\nurl = \"http://acs.example/\"\n";
    let table = |more: &str| format!("[takeover]\nurl = \"http://gw.example:7547/\"\n{more}");
    let error = refused(&format!("{base}{}", table("")));
    assert!(error.contains("needs [acs]"), "{error}");
    let error = refused(&format!("{base}{acs}{}", table("acs_url = \"http://GW.example:7547\"\n")));
    assert!(error.contains("is the ACS's own"), "{error}");
    let error = refused(&format!("{base}{acs}{}", table("hide_bootstrap = \"/no/such/list\"\n")));
    assert!(error.contains("takeover.hide_bootstrap") && error.contains("/no/such/list"), "{error}");
    let settings = Settings::parse(Path::new("x.toml"), &format!("{base}{acs}{}", table(""))).unwrap();
    assert!(settings.agent.reset_departs && settings.proxy.takeover.is_some());
}

#[test]
fn stages_are_read_in_their_order_and_what_cannot_be_is_refused() {
    use crate::identity::DeviceId;
    let with = |device: &str, more: &str| {
        EXAMPLE.replace("[device]\n", &format!("[device]\n{device}\n")) + &format!("\n{more}\n")
    };
    let rule = |what: &str| format!("[[stage]]\nstage = \"shadow\"\n{what}");
    let text = with("stage = \"read\"", &rule("oui = \"00256D\"\nsoftware_version = \"1.*\""));
    let stages = Settings::parse(Path::new("x.toml"), &text).ok().unwrap().agent.stages;
    let of = |oui: &str, version| {
        stages.of(&DeviceId { oui: oui.into(), ..DeviceId::default() }, version).to_string()
    };
    assert_eq!([of("00256D", "1.4.2"), of("00256D", "2.0"), of("1", "1.4.2")], ["shadow", "read", "read"]);
    assert_eq!(
        Settings::parse(Path::new("x.toml"), EXAMPLE).ok().unwrap().agent.stages.usual.to_string(),
        "write"
    );
    for (device, more, says) in [
        ("stage = \"open\"", String::new(), "shadow"),
        ("", rule(""), "stage 1"),
        ("", rule("model = \"x\""), "product_class"),
        ("stage = \"shadow\"\ndiscovery = false", String::new(), "device.stage"),
        ("discovery = false", rule("oui = \"1\""), "discovery"),
    ] {
        let error = refused(&with(device, &more));
        assert!(error.contains(says), "{device} {more}: {error}");
    }
}

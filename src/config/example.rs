//! An example that explains every key. A test reads it, so it cannot fall behind.

/// The text of `dragoman config example`.
pub const EXAMPLE: &str = r#"# Dragoman's configuration. Relative paths are relative to where dragoman is started.

[cwmp]                               # where CPEs come
listen = "127.0.0.1:7547"
# max_body_bytes = 16777216          # a larger body is answered with 413
# max_connections = 100000          # more wait in the kernel's queue
# max_handshakes = 1024              # TLS handshakes under way; more wait in the kernel's queue
# handshake_seconds = 10             # a slower one is closed
# idle_seconds = 75                  # a connection that is silent for so long is closed

# [cwmp.tls]
# certificate = "gateway.pem"        # chain, ours first
# key = "gateway.key"
# client_ca = "cpe-ca.pem"           # whose client certificates are taken
# client_certificate = "optional"    # or "required"

# [cwmp.front]                       # a TLS front or load balancer through which CPEs come (deploy/haproxy.cfg)
# trusted = ["192.0.2.10/32"]        # where it is; what anybody else says of a client is not believed
# proxy_protocol = true              # its connections begin with a PROXY protocol header, version 2; the ACS gets
#   # Client-Cert only from a front that sends the certificate too (entry 0x28), or by client_cert below
# forwarded = false                  # true: its Forwarded header (RFC 7239) tells where a CPE calls from
# client_cert = false                # true: its Client-Cert header (RFC 9440) is a certificate that it verified
# client_certificate = "optional"    # or "required": a POST without a verified certificate is answered with 403

# [cwmp.authentication]              # absent: the ACS authenticates, through the relay
# scheme = "digest"                  # or "digest-md5-sess", "digest-sha256", "basic"
# realm = "acs"
# users = { cpe = "secret" }

# [cwmp.identity]                    # absent: a CPE that is let in may say in its Inform to be any device
# username = "{OUI}-{ProductClass}-{SerialNumber}"   # its user name must be this (TR-069 3.4.4), or one of several:
# certificate = ["{OUI}-{SerialNumber}", "cpe-{SerialNumber}.example"]   # a name of its certificate, CN or DNS, must
#   # be one of these. An Inform of any other device gets a 403: neither the ACS nor the device hears of it. What
#   # cannot be decoded gets a 400 then, and is not relayed

[acs]                                # the existing ACS; without this table the gateway answers CPEs itself
url = "http://127.0.0.1:8080/"
# ca = "acs-ca.pem"                  # needed with https
# certificate = "gateway.pem"        # our client certificate, if the ACS asks for one
# key = "gateway.key"
# username = "gateway"              # where the gateway answers the ACS's challenge itself, by digest or basic
# password = "secret"               # (with [cwmp.authentication]); absent: the CPE's own answer passes
# keep_target = false                # true: the ACS sees the path that the CPE asked for
# keep_host = false                  # true: ... and the name that it calls, where that is the ACS's own (taken over
#   # by DNS or VIP): ACSs make URLs of downloads from it
# redirects = ["http://*.acs.example:8080", "http://10.0.0.5/acs/"]   # where else than to the host of its url it may
#   # send a session, scheme://host[:port][/path]: the gateway goes there itself, the CPE hears nothing of it. Any
#   # other redirect is a 503 to the CPE. From https to http none is followed; to https needs ca
# redirect_credentials = false       # true: username and password answer there too
# forwarded = false                  # true: the ACS is told by Forwarded where each CPE calls from
# client_cert = false                # true: ... and by Client-Cert which certificate it has
# connect_seconds = 10
# answer_seconds = 30                # a slower ACS is down for this session: the CPE retries
# when_down = "refuse"               # every CPE gets a 503 and retries; or "answer" (needs CPEs authenticated here):
#   # a session that we alone called the CPE into, with nothing in its Inform that the ACS has not seen, goes on for
#   # USP. All others are refused as before: no event of the ACS's is acknowledged for it, the CPE keeps them

# [[acs.route]]                      # another ACS, for some CPEs: for those of which all is so that is said here. The
#   # first that holds has the session; [acs] is for all others, and without its url they get a 404
# name = "business"                  # in the log and in metrics, where [acs] is "default"
# url = "http://business.example/"   # and every other key of [acs] but when_down: nothing is taken over from there
# path = "/business"                 # they post to this path or below it
# host = ["acs.business.example", "*.business.example"]   # they call the gateway so (Host), on whatever port
# address = ["198.51.100.7", "198.51.100.8:7547"]   # they reach the gateway there; or, by PROXY protocol, its front
# oui = ["00256D"]
# product_class = ["Gateway-*"]      # * is any text
# serial_number = ["1A2B*", "0042"]

# [connection_requests]              # the ACS's connection requests come here, and the gateway calls the CPEs: Informs
#                                    # tell the ACS an address below `url`. Absent: the ACS calls the CPEs directly.
#                                    # The ACS is answered what the CPE answers, or 503 after 1.5 s; in a minute 60 are
#                                    # taken for a CPE that does not come
# listen = "0.0.0.0:7548"
# url = "http://gateway.example:7548/cr/"   # as the ACS reaches it; the agent's endpoint ID follows
# answer_own_calls = true            # a session that the gateway has called for, with nothing in its Inform that the
#                                    # ACS has not seen, does not trouble the ACS; needs CPEs authenticated here
# own_credentials_file = "calls.key" # at least 16 printable characters: a CPE whose credentials are not known gets some
#                                    # that are made of this secret. The ACS goes on reading its user name, and what it
#                                    # sets later is kept from the CPE and asked of it (docs/takeover.md)
# trusted = ["198.51.100.4/32"]      # whence they are taken without proof for a CPE whose credentials are not known:
#                                    # they are known once the ACS sets them, or from connection_request_username

# [takeover]                         # CPEs come since their ManagementServer.URL is the gateway's (docs/takeover.md);
#                                    # absent: by DNS or a VIP, and the URL on them is the ACS's
# url = "https://gateway.example:7547/"   # what stands on them. The ACS reads its own URL in its place, and a write of
#                                    # its own is answered by the CPE and kept from it
# acs_url = "http://acs.example/"    # what stood on them before; by default that of [acs]
# other_urls = "pass"                # an ACS that writes any other URL takes the CPE away, which is logged and counted;
#                                    # or "hold": it is answered, and the CPE stays
# reset_leads_back = false           # true: after a factory reset a CPE comes here again, by DHCP or the URL of its
#                                    # factory; else controllers cannot reset it, nor load firmware
# hide_bootstrap = "known-devices.txt"   # devices that the ACS knows, OUI-serial or OUI,ProductClass,serial a line:
#                                    # their 0 BOOTSTRAP for the new URL reaches the ACS as 1 BOOT

[store]
file = "dragoman.db"                 # one file; -wal and -shm beside it while open
# key_file = "store.key"             # passwords that controllers set are sealed (AES-256-GCM) with the first key
#   # in it, 32 bytes in base64 a line; made at the first start, absent: they are stored as they are. A new key is
#   # put before the old one, which can go after a start. Without its key the store is not opened: keep a copy

[device]
# park_seconds = 2                   # how long a session is held open for more USP work; at most 25, 0 is never
# request_timeout_seconds = 60       # how long a controller waits for a CPE that cannot be reached
# session_idle_seconds = 60
# rest_after_seconds = 30            # how long a device without work stays in memory
# fresh_seconds = 0                  # how old a value may be that a Get is answered with; 0 asks the CPE
# discovery = true                   # learn by GetParameterNames what each CPE has
# discovery_calls = false            # true, and without an ACS: call it for that after its first session, which the ACS
#                                    # sees and has not asked for. false: wait for its next session, or until a
#                                    # controller asks for something
# notification_attributes = true     # ask CPEs, by SetParameterAttributes, to tell at once when a value changes that a
#                                    # controller has subscribed to. The ACS goes on seeing what it set itself, and is
#                                    # told of what controllers write where it watches. false: such values are read
#                                    # once in each session, and the ACS is told nothing of what controllers write
# ownership_mode = "advise"          # what the [[ownership]] rules do: "off"; "advise": conflicts between the ACS and
#                                    # controllers are noted (`dragoman conflicts`); "enforce": and controllers are
#                                    # refused with 7006. The ACS never is. By default "off" without rules
# overwrite_minutes = 60             # also noted: what one writes over a value that another wrote not longer ago
# stage = "write"                    # what controllers may do to CPEs: "write", as their roles let them; "shadow": they
#                                    # read and subscribe, every write is refused with 7006, and each RPC of the ACS is
#                                    # compared with what USP would do (`dragoman shadow`); "read": without comparing
# connection_request_username = "dragoman"
# connection_request_password = "secret"
# connection_request_retry_seconds = [0, 2, 5, 15]

[mqtt.main]                          # a broker, by a name of your choice. Its row in Device.MQTT.Client. stays with
                                     # the name: agents remember what controllers changed of it
broker = "mqtt://127.0.0.1:1883"     # or mqtts://
# version = "5.0"                    # or "3.1.1"
# username = "gateway"
# password = "secret"                # controllers with a role that is `secured` can read it
# ca = "broker-ca.pem"               # needed with mqtts
# certificate = "gateway.pem"
# key = "gateway.key"
# shared_connections = 4             # all agents over so many connections; absent: one for each agent
# client_id_prefix = ""
# topic_prefix = "usp/agent"         # agents listen on <topic_prefix>/<endpoint id>
# keep_alive_seconds = 60
# retry_seconds = 1
# max_retry_seconds = 60

# [stomp.second]                     # a STOMP broker; each agent has a connection of its own
# broker = "stomp://127.0.0.1:61613"   # or stomps://
# username = "gateway"               # login and passcode; needed without a client certificate
# password = "secret"
# ca = "broker-ca.pem"               # needed with stomps
# certificate = "gateway.pem"
# key = "gateway.key"
# virtual_host = "/"
# destination_prefix = "/queue/usp.agent."   # <destination_prefix><endpoint id>; "": only what the broker names
# outgoing_heartbeat_seconds = 30    # 0 is none, in either direction
# incoming_heartbeat_seconds = 30
# retry_seconds = 1
# max_retry_seconds = 60

[[controller]]                       # a USP controller; repeat the table for each
endpoint_id = "self::controller"
# role = "full-access"               # or "read-only", "untrusted", the name of a [[role]], or a list of names
# instance = 1                       # its row, Device.LocalAgent.Controller.1.; by default the gateway gives
                                     # numbers, which stay with their controllers whatever is removed here
# certificates = ["controller.pem"]  # where it shows a certificate it must be one of these, also as the host of wss://
# onboard = true                     # send it an OnBoardRequest for each new device
mqtt = { broker = "main", topic = "usp/controller" }

# [[controller]]
# endpoint_id = "self::third"
# stomp = { broker = "second", destination = "/queue/usp.controller" }

# [[controller]]
# endpoint_id = "self::second"
# websocket = { url = "ws://127.0.0.1:8183/usp" }
#   # further keys: ca, certificate, key (needed with wss), ping_seconds, retry_seconds, max_retry_seconds

# [[role]]                           # what controllers may do, beside the roles that are built in
# name = "wifi-support"
# secured = false                    # true: shows passwords that it may read
# untrusted = false                  # true: the role of controllers that have no other
# [[role.permission]]                # of those that are about a path, the one of the highest order decides
# targets = ["Device."]
# order = 1                          # by default the place in the list
# param = "r--n"                     # rights on parameters; written rwxn (read, write, execute, notify),
# obj = "r--n"                       # with - for those that are missing: on objects,
# instantiated_obj = "r--n"          # on instances,
# command_event = "r---"             # on commands and events
# [[role.permission]]
# targets = ["Device.WiFi.", "Device.Reboot()"]
# param = "rw-n"
# command_event = "r-xn"

# [[ownership]]                      # who may write what, whatever roles say; the longest path decides, no rule: all
# name = "wifi"                      # how errors and the ledger call it
# paths = ["Device.WiFi.", "Device.IP.Interface.*.Enable"]   # TR-181 paths, for TR-098 devices too; * is any instance
# owner = "acs"                      # or the endpoint_id of a controller, or "last-writer": everybody

# [[stage]]                          # another stage for some devices; the first that fits decides. In all three a *
# oui = "00256D"                     # stands for any characters; docs/shadow-mode.md
# product_class = "Gateway*"
# software_version = "3.1.*"
# stage = "shadow"

# [[credential]]                     # a CA, or a controller's certificate, that gives roles to the controllers that it
# certificate = "operations-ca.pem"  # vouches for, beside their own; the first on the way to client_ca or
# role = "read-only"                 # payload_security.ca decides. Without a role it gives none
# allowed_uses = "MTP-and-USP"       # or "MTP-and-broker"; "MTP-only" gives no role

# [payload_security]                 # TLS 1.2 within the records of session contexts
# ca = "usp-ca.pem"                  # who signed the controllers' certificates
# certificate = "agents.pem"         # names the agents: urn:bbf:usp:id:..., a * for the rest of an instance id.
# key = "agents.key"                 # On the curve P-256. Without both, each agent has its own ([agent_certificates])
# sign_records = false               # true: MTPs are not trusted; every record is signed, ours and theirs

# [agent_certificates]               # each agent has a certificate that names it, made when it is needed: for payload
#                                    # security, and for connections of its own by TLS that have none in this file
# ca = "agents-ca.pem"               # who vouches for them. Without ca and key it is a CA of the gateway's own, for
# key = "agents-ca.key"              # trials: made at the first start beside the store, its certificate in
#                                    # <store file>.agents-ca.pem, for those who are to trust it
# days = 90                          # for how long one is valid; it is renewed when a third is left

# [egress]                           # where controllers may send agents (Device.MQTT., Device.STOMP.,
#                                    # Controller.{i}.MTP.{i}.WebSocket.) and bulk data reports, beside what this
#                                    # file names itself. scheme://host[:port][/path]; *. is all below
# allow = ["mqtts://*.example:8883", "wss://usp.example/usp", "https://bdc.example/reports/"]
# ca = "egress-ca.pem"               # needed with mqtts, stomps, wss and https
# certificate = "gateway.pem"
# key = "gateway.key"

# [firmware]                         # Device.DeviceInfo.FirmwareImage. for CPEs with a single bank: images are fetched
#                                    # from where [egress] allows, kept here, and loaded by CPEs from the server below
# directory = "firmware"
# listen = "127.0.0.1:7548"
# url = "http://127.0.0.1:7548/"     # what CPEs call; links below it are signed and expire
# max_image_bytes = 268435456
# max_total_bytes = 4294967296       # images that no device needs make way
# max_downloads = 64                 # CPEs that load at a time; further ones get a 503
# bytes_per_second = 50000000        # for all of them together; absent: no limit
# fetch_seconds = 600                # how long fetching an image may take
# link_seconds = 86400               # how long a CPE may take to begin
# [firmware.tls]
# certificate = "gateway.pem"
# key = "gateway.key"

# [websocket_server]                 # where controllers reach agents by WebSocket: one listener for all of them.
# listen = "127.0.0.1:8443"          # A virtual agent has no address of its own, so that Port and Path of its
# path = "/usp/{endpoint}"           # LocalAgent.MTP.{i}.WebSocket. are read-only; {endpoint} tells it apart
# unauthenticated = false            # true: without client certificates, so that whoever knows a controller's id
#                                    # can speak as it. Has to be said unless listen is a loopback address
# max_connections = 100000           # more wait in the kernel's queue
# ping_seconds = 60
# [websocket_server.tls]
# certificate = "gateway.pem"
# key = "gateway.key"
# client_ca = "usp-ca.pem"           # a controller's certificate names it: urn:bbf:usp:id:<its endpoint id>
# client_certificate = "required"    # or "optional"

# [admin]
# listen = "127.0.0.1:9090"          # /metrics, /healthz, /readyz; /bypass, /capture and their like (docs/), for which
# token_file = "admin-token"         # this token is needed as Bearer; without it they are taken on loopback only

# [upgrade]                          # docs/upgrade.md
# socket = "upgrade.sock"            # where the next process takes over; only this process's user gets in
# drain_seconds = 60                 # how long sessions have to end in the process that leaves

# [capture]                          # `dragoman capture` writes what passes of single devices to files here, for
# directory = "captures"             # `dragoman sim --replay` (docs/capture.md). Secrets by name and by the standards'
# redact = ["Device.Hosts."]         # tables are never in it, nor is what is below these paths, of either root
# pseudonymise = false               # true: serial numbers, IP and MAC addresses are replaced by others
# opaque = false                     # true: bodies that cannot be decoded are stored, with whatever is in them
# max_bytes = 67108864               # of one capture; it ends then
# max_total_bytes = 1073741824       # of all files there; no capture begins that could pass it
# max_files = 100
# max_minutes = 60                   # the longest that a capture runs

[log]
# filter = "info"                    # such as "info,dragoman::mtp=debug"
# format = "text"                    # or "json"
"#;

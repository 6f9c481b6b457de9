//! What is said in a session: an Inform of some 3 KB and a GetParameterValuesResponse of some 10 KB, as
//! residential gateways send them.

/// The Inform of a device. Serial numbers have one length, so all Informs have.
pub fn inform(serial: usize) -> String {
    let parameters: String = INFORMED.iter().map(|(name, xsd, value)| item(name, xsd, value)).collect();
    envelope(&format!(
        "<cwmp:Inform><DeviceId><Manufacturer>Example Networks</Manufacturer><OUI>00256D</OUI>\
         <ProductClass>HG100</ProductClass><SerialNumber>{serial:012}</SerialNumber></DeviceId>\
         <Event SOAP-ENC:arrayType=\"cwmp:EventStruct[1]\"><EventStruct><EventCode>2 PERIODIC</EventCode>\
         <CommandKey></CommandKey></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes>\
         <CurrentTime>2026-03-01T12:30:15+01:00</CurrentTime><RetryCount>0</RetryCount>\
         <ParameterList SOAP-ENC:arrayType=\"cwmp:ParameterValueStruct[{}]\">{parameters}</ParameterList>\
         </cwmp:Inform>",
        INFORMED.len()
    ))
}

/// The ACS's answer to the Inform.
pub fn inform_response() -> String {
    envelope("<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>")
}

/// What the ACS then asks.
pub fn request() -> String {
    envelope(
        "<cwmp:GetParameterValues><ParameterNames SOAP-ENC:arrayType=\"xsd:string[2]\">\
         <string>Device.WiFi.AccessPoint.</string><string>Device.Hosts.</string></ParameterNames>\
         </cwmp:GetParameterValues>",
    )
}

/// The CPE's answer.
pub fn response() -> String {
    let leaf = |host: usize, leaf: &str, xsd: &str, value: &str| {
        item(&format!("Device.Hosts.Host.{host}.{leaf}"), xsd, value)
    };
    let hosts: String = (1..=HOSTS)
        .map(|host| {
            [
                leaf(host, "PhysAddress", "string", &format!("00:25:6D:00:{host:02X}:01")),
                leaf(host, "IPAddress", "string", &format!("192.168.1.{host}")),
                leaf(host, "HostName", "string", &format!("Anna &amp; Bert's phone {host}")),
                leaf(host, "Active", "boolean", "1"),
                leaf(host, "LeaseTimeRemaining", "int", &(40_000 + host).to_string()),
                leaf(host, "Layer1Interface", "string", "Device.WiFi.SSID.1."),
                leaf(host, "WANStats.BytesSent", "unsignedLong", &(host * 7_654_321).to_string()),
            ]
            .concat()
        })
        .collect();
    envelope(&format!(
        "<cwmp:GetParameterValuesResponse>\
         <ParameterList SOAP-ENC:arrayType=\"cwmp:ParameterValueStruct[{}]\">{hosts}</ParameterList>\
         </cwmp:GetParameterValuesResponse>",
        HOSTS * 7
    ))
}

fn item(name: &str, xsd: &str, value: &str) -> String {
    format!(
        "<ParameterValueStruct><Name>{name}</Name><Value xsi:type=\"xsd:{xsd}\">{value}</Value>\
         </ParameterValueStruct>"
    )
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:SOAP-ENC=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\">\
         <SOAP-ENV:Header><cwmp:ID SOAP-ENV:mustUnderstand=\"1\">17</cwmp:ID></SOAP-ENV:Header>\
         <SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
}

/// Forced Inform parameters (TR-181), and some that operators add by attributes.
const INFORMED: [(&str, &str, &str); 15] = [
    ("Device.RootDataModelVersion", "string", "2.12"),
    ("Device.DeviceInfo.HardwareVersion", "string", "HG100 Rev. C"),
    ("Device.DeviceInfo.SoftwareVersion", "string", "4.12.1-r20260114"),
    ("Device.DeviceInfo.ProvisioningCode", "string", "RES.FTTH.100"),
    ("Device.DeviceInfo.SerialNumber", "string", "00256D000000"),
    ("Device.ManagementServer.ParameterKey", "string", "profile-2026-01"),
    ("Device.ManagementServer.ConnectionRequestURL", "string", "http://10.20.30.40:7547/8f2c1d3e"),
    ("Device.ManagementServer.PeriodicInformInterval", "unsignedInt", "900"),
    ("Device.IP.Interface.1.IPv4Address.1.IPAddress", "string", "10.20.30.40"),
    ("Device.IP.Interface.1.Status", "string", "Up"),
    ("Device.Optical.Interface.1.OpticalSignalLevel", "int", "-21400"),
    ("Device.WiFi.Radio.1.Channel", "unsignedInt", "11"),
    ("Device.WiFi.Radio.2.Channel", "unsignedInt", "44"),
    ("Device.DeviceInfo.MemoryStatus.Free", "unsignedInt", "58312"),
    ("Device.Hosts.HostNumberOfEntries", "unsignedInt", "12"),
];
const HOSTS: usize = 10;

//! Compiles the protobuf schema in proto/ without protoc and deflates the tables of the standard data models.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where the tables stand, and their names without the ending.
const TABLES: (&str, [&str; 3]) = ("src/datamodel/supported", ["device-2", "device-2-cwmp", "igd-1"]);

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/usp-record.proto", "proto/usp-msg.proto"], ["proto"])?;
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(files)?;
    let (folder, names) = TABLES;
    names.iter().try_for_each(|name| deflate(folder, name))
}

/// Leaves the rows of a table, without the comments and the row of column names, in OUT_DIR.
fn deflate(folder: &str, name: &str) -> Result<()> {
    let table = format!("{folder}/{name}.tsv");
    println!("cargo:rerun-if-changed={table}");
    let text = std::fs::read_to_string(&table)?;
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let target = Path::new(&std::env::var("OUT_DIR")?).join(format!("{name}.deflated"));
    let mut out = DeflateEncoder::new(std::fs::File::create(target)?, Compression::best());
    for row in rows {
        writeln!(out, "{row}")?;
    }
    out.finish()?;
    Ok(())
}

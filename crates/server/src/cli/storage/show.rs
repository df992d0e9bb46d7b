//! Outcomes for people, and as JSON for scripts.

use std::io::{self, Write};

use serde::Serialize;
use storage::Manifest;
use storage::check::{Report, Stat, TableStat};

use crate::cli::Failure;

pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

pub(super) fn stat(stat: &Stat) -> Result<(), Failure> {
    tables(&stat.tables)?;
    let mut out = io::stdout().lock();
    writeln!(out, "\nengine {}, {} partition(s), {} on disk", stat.engine, stat.partitions, bytes(stat.bytes_on_disk))?;
    writeln!(out, "{} blobs of {}", stat.blobs, bytes(stat.blob_bytes))?;
    stat.details.iter().try_for_each(|(name, value)| writeln!(out, "{name}: {value}"))?;
    Ok(())
}

pub(super) fn report(report: &Report) -> Result<(), Failure> {
    tables(&report.tables)?;
    let mut out = io::stdout().lock();
    writeln!(out, "\n{} log entries without a gap", report.log_entries)?;
    writeln!(out, "{} blobs of {} with the content that their name says", report.blobs, bytes(report.blob_bytes))?;
    report.findings.iter().try_for_each(|finding| writeln!(out, "WRONG: {finding}"))?;
    let told = report.findings.len() as u64;
    if report.found > told {
        writeln!(out, "… and {} more", report.found - told)?;
    }
    if report.found == 0 {
        writeln!(out, "nothing is wrong")?;
    }
    Ok(())
}

pub(super) fn manifest(done: &str, manifest: &Manifest) -> Result<(), Failure> {
    let records: u64 = manifest.files.iter().map(|file| file.records).sum();
    let packed: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (blobs, size) = (manifest.blobs, bytes(manifest.blob_bytes));
    Ok(writeln!(io::stdout(), "{done} {records} rows ({} packed) and {blobs} blobs ({size})", bytes(packed))?)
}

/// Warns of blobs that should have been there.
pub(super) fn missing(hashes: &[String]) -> Result<(), Failure> {
    let mut out = io::stderr().lock();
    hashes.iter().try_for_each(|hash| writeln!(out, "holdfast: blob {hash} is missing or damaged and was left out"))?;
    Ok(())
}

fn tables(tables: &[TableStat]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:<16} {:<10} {:>12} {:>12}", "table", "owner", "rows", "bytes")?;
    for TableStat { table, owner, rows, bytes: size } in tables {
        writeln!(out, "{table:<16} {owner:<10} {rows:>12} {:>12}", bytes(*size))?;
    }
    Ok(())
}

/// Bytes as people read them.
fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

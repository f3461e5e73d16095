//! The part of protoc's command line that `prost-build` uses, over protox.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// What prost-build asks of protoc.
#[derive(Default)]
struct Arguments {
    include_imports: bool,
    include_source_info: bool,
    includes: Vec<PathBuf>,
    output: Option<PathBuf>,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)).and_then(compile) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("protoc: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().map(PathBuf::from).ok_or_else(|| format!("{} needs a value", argument.display()));
        match argument.to_str() {
            Some("--include_imports") => parsed.include_imports = true,
            Some("--include_source_info") => parsed.include_source_info = true,
            Some("-I") => parsed.includes.push(value()?),
            Some("-o") => parsed.output = Some(value()?),
            Some(option) if option.starts_with('-') => return Err(format!("option {option} is not supported here")),
            Some(_) | None => parsed.files.push(PathBuf::from(argument)),
        }
    }
    Ok(parsed)
}

/// protox carries google/protobuf/*.proto itself, so these need no include folder.
fn compile(arguments: Arguments) -> Result<(), String> {
    let output = arguments.output.ok_or("-o is missing")?;
    let mut compiler = protox::Compiler::new(arguments.includes).map_err(|error| error.to_string())?;
    compiler.include_imports(arguments.include_imports).include_source_info(arguments.include_source_info);
    compiler.open_files(arguments.files).map_err(|error| error.to_string())?;
    std::fs::write(&output, compiler.encode_file_descriptor_set()).map_err(|error| format!("{}: {error}", output.display()))
}

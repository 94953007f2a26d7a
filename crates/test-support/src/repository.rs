//! The repository itself: its files, as tests of the documentation, the chart and the house rules read them.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The repository's root.
pub fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    crates.parent().unwrap().to_owned()
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder of the repository that have this extension, of which there is at least one.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let files = files_below(&root().join(folder), extension);
    assert!(!files.is_empty(), "{folder} has no .{extension} file");
    files
}

/// All files below a folder, in order; an empty extension takes all. What is built or belongs to git is left out.
pub fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let kept = |name: &std::ffi::OsStr| name != "target" && name != ".git";
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| entry.depth() == 0 || kept(entry.file_name()));
    let files = entries.flatten().filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|file| extension.is_empty() || file.extension().is_some_and(|found| found == extension)).collect()
}

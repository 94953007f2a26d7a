//! Which files the arguments of a command mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Unread;

/// How many folders may stand in each other.
const DEEPEST: usize = 64;

/// What is to be read, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input.
    Standard,
    /// A file, under the name by which it was found.
    File(PathBuf),
}

/// What the arguments mean: a folder stands for the files in it and below that end with .yaml, .yml or .json, in the order of
/// their names, but for hidden ones. A file is read once, whatever names it. What can't be looked into is added to `unread`.
pub(super) fn inputs(arguments: &[PathBuf], unread: &mut Vec<Unread>) -> Vec<Input> {
    let mut walk = Walk { found: Vec::new(), seen: BTreeSet::new(), above: Vec::new(), unread };
    for argument in arguments {
        if argument.as_os_str() == "-" {
            if !walk.found.contains(&Input::Standard) {
                walk.found.push(Input::Standard);
            }
        } else if argument.is_dir() {
            let before = walk.found.len() + walk.unread.len() + walk.seen.len();
            walk.folder(argument);
            if walk.found.len() + walk.unread.len() + walk.seen.len() == before {
                walk.unread.push(Unread::new(argument, "no file in this folder ends with .yaml, .yml or .json"));
            }
        } else {
            walk.file(argument.clone());
        }
    }
    walk.found
}

struct Walk<'a> {
    found: Vec<Input>,
    seen: BTreeSet<PathBuf>,
    /// The folders that are being looked through, as they are called without links.
    above: Vec<PathBuf>,
    unread: &'a mut Vec<Unread>,
}

impl Walk<'_> {
    fn file(&mut self, path: PathBuf) {
        match path.canonicalize() {
            Ok(canonical) => {
                if self.seen.insert(canonical) {
                    self.found.push(Input::File(path));
                }
            }
            Err(error) => self.unread.push(Unread::new(&path, &format!("cannot be read: {error}"))),
        }
    }

    fn folder(&mut self, path: &Path) {
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => return self.unread.push(Unread::new(path, &format!("cannot be read: {error}"))),
        };
        if self.above.contains(&canonical) {
            return self.unread.push(Unread::skipped(path, "a symbolic link to a folder above it, which is not followed"));
        }
        if self.above.len() >= DEEPEST {
            return self.unread.push(Unread::new(path, &format!("folders are nested more than {DEEPEST} deep")));
        }
        let entries =
            std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>());
        let mut names = match entries {
            Ok(names) => names,
            Err(error) => return self.unread.push(Unread::new(path, &format!("cannot be read: {error}"))),
        };
        names.sort();
        self.above.push(canonical);
        for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
            let path = path.join(name);
            let metadata = std::fs::metadata(&path);
            if metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
                self.folder(&path);
            } else if path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|wanted| extension == *wanted)) {
                // A pipe in a folder would hold the command up for ever; one that is named is meant.
                match metadata {
                    Ok(metadata) if !metadata.is_file() => self.unread.push(Unread::skipped(&path, "no file: not read")),
                    Ok(_) | Err(_) => self.file(path),
                }
            }
        }
        self.above.pop();
    }
}

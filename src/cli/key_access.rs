//! The argument that chooses which identity files are accepted, and what to do about one that is not.

use std::path::Path;

use crate::api::{KeyFile, KeyFileError};

/// Which identity files are accepted; the same argument in all programs. The name is from `StrictModes` of
/// OpenSSH.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct ModesArgs {
    /// Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link
    /// to such a file
    #[arg(long, global = true)]
    no_strict_modes: bool,
}

impl ModesArgs {
    /// Names an identity file, to be read or made.
    pub(super) fn file(self, path: &Path) -> KeyFile {
        KeyFile::new(path).mounted(self.no_strict_modes)
    }
}

/// Returns the command that repairs an identity file, or another way out.
pub(super) fn hint(error: &KeyFileError) -> Option<String> {
    let mend = match error {
        KeyFileError::Readable { path, .. } => format!("chmod 600 {}", quoted(path)),
        KeyFileError::Link(path) => format!("name the file that ls -l {} shows", quoted(path)),
        KeyFileError::Linked { path, .. } => format!(
            "find the other name with find / -xdev -samefile {0} and remove it, or make a file of its own \
             with cp -p {0} {0}.new && mv {0}.new {0}",
            quoted(path)
        ),
        KeyFileError::Owner { path, .. } => format!("sudo chown \"$USER\" {}", quoted(path)),
        KeyFileError::NotAFile(path) => format!(
            "ls -ld {0}; move it away with mv {0} {0}.old, or name another file, see --help",
            quoted(path)
        ),
        KeyFileError::Damaged { path, .. } => format!(
            "is this the right file? if so, restore it from a backup; only if there is none, give the \
             identity up with mv {0} {0}.damaged",
            quoted(path)
        ),
        KeyFileError::Protected(_) => {
            "only profile-client uses such a file: remove the passphrase with profile-client identity \
             unprotect --identity FILE, or name another file"
                .into()
        }
        KeyFileError::Exists(_) | KeyFileError::Missing(_) | KeyFileError::Io { .. } => return None,
    };
    Some(if error.may_be_mounted() { mend + OR_MOUNTED } else { mend })
}

/// Shows a path as a shell reads it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What else to do about a file that an orchestrator mounts.
const OR_MOUNTED: &str = ", or accept what an orchestrator mounts with --no-strict-modes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_its_group_may_read_is_perhaps_mounted() {
        for (mode, mounted) in [(0o640, true), (0o440, true), (0o604, false), (0o660, false), (0o450, false)]
        {
            let mend = hint(&KeyFileError::Readable { path: "it's".into(), mode }).unwrap();
            let otherwise = if mounted { OR_MOUNTED } else { "" };
            assert_eq!(mend, format!(r"chmod 600 'it'\''s'{otherwise}"), "{mode:o}");
        }
        let of = |is_root| hint(&KeyFileError::Owner { path: "id".into(), is_root }).unwrap();
        assert!(of(true).ends_with(OR_MOUNTED) && !of(false).contains(OR_MOUNTED));
        assert!(hint(&KeyFileError::Link("id".into())).unwrap().ends_with(OR_MOUNTED));
    }
}

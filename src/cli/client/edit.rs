//! Makes and changes profiles by arguments.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::output::Output;
use super::super::prompt;
use super::args::ProfileArgs;
use crate::profile::content::MAX_PROFILE_BYTES;
use crate::profile::{ClientError, InvalidProfile, Profile, ProfileDraft};

/// A change of a profile, which may be applied repeatedly.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Replaces the whole profile.
    Replace(Profile),
    /// These parts change.
    Parts { parts: ProfileArgs, unset: Vec<String> },
}

impl Edit {
    /// Reads the arguments of `update`.
    pub(super) async fn from_args(parts: ProfileArgs, unset: Vec<String>) -> Result<Self, Failure> {
        match &parts.from_file {
            Some(path) => Ok(Self::Replace(from_file(path).await?)),
            None => Ok(Self::Parts { parts, unset }),
        }
    }

    /// Applies the change.
    pub(super) fn apply(&self, profile: &Profile) -> Result<Profile, InvalidProfile> {
        match self {
            Self::Replace(profile) => Ok(profile.clone()),
            Self::Parts { parts, unset } => {
                let mut draft = profile.clone().into_draft();
                for field in unset {
                    match field.as_str() {
                        "bio" => draft.bio.clear(),
                        "links" | "link" => draft.links.clear(),
                        field => {
                            draft.fields.remove(field);
                        }
                    }
                }
                fill(&mut draft, parts);
                draft.check()
            }
        }
    }

    /// Whether nothing of the stored profile stays.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Replace(_))
    }

    /// Whether the arguments named nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Replace(_) => false,
            Self::Parts { parts, unset } => parts.is_empty() && unset.is_empty(),
        }
    }
}

/// Makes a first profile from the arguments of `register`; `None` if they name none.
pub(super) async fn first_profile(parts: &ProfileArgs) -> Result<Option<Profile>, Failure> {
    if let Some(path) = &parts.from_file {
        return from_file(path).await.map(Some);
    }
    if parts.name.is_none() {
        return Ok(None);
    }
    let mut draft = ProfileDraft::default();
    fill(&mut draft, parts);
    draft.check().map(Some).map_err(|error| ClientError::InvalidProfile(error).into())
}

fn fill(draft: &mut ProfileDraft, parts: &ProfileArgs) {
    if let Some(name) = &parts.name {
        draft.name.clone_from(name);
    }
    if let Some(bio) = &parts.bio {
        draft.bio.clone_from(bio);
    }
    if !parts.links.is_empty() {
        draft.links.clone_from(&parts.links);
    }
    draft.fields.extend(parts.fields.iter().cloned());
}

/// Asks for a first profile until it is a valid one.
pub(super) async fn ask_for_profile(output: Output) -> Result<Profile, Failure> {
    prompt::blocking(move || {
        let mut draft = ProfileDraft::default();
        loop {
            draft.name = prompt::answer("Name: ")?;
            if draft.name.is_empty() {
                continue;
            }
            draft.bio = prompt::answer("Bio (may be empty): ")?;
            let link = prompt::answer("Link (may be empty): ")?;
            draft.links = Some(link).filter(|link| !link.is_empty()).into_iter().collect();
            match draft.clone().check() {
                Ok(profile) => return Ok(profile),
                Err(error) => output.note(&error.to_string()),
            }
        }
    })
    .await
}

/// Reads a profile from what the user names.
async fn from_file(path: &Path) -> Result<Profile, Failure> {
    let text = read_text(path, MAX_PROFILE_BYTES, "the profile").await?;
    Profile::parse(files::unmarked(&text).trim()).map_err(|error| ClientError::InvalidProfile(error).into())
}

/// Reads a text from what the user names: a file, a pipe, `-` for standard input. A pipe may take its time,
/// so it is read on a thread of its own. Of a text that is longer than `most` bytes more than that is
/// returned, so that it is seen as too long.
pub(super) async fn read_text(path: &Path, most: usize, what: &str) -> Result<String, Failure> {
    let named = path.to_owned();
    let read = move || {
        let mut bytes = Vec::new();
        // Cut off, it need not be text.
        let limit = 2 * most as u64;
        match named.as_os_str() == "-" {
            true => io::stdin().take(limit).read_to_end(&mut bytes),
            false => File::open(named).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
        }?;
        match bytes.len() > most {
            true => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            false => String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text in UTF-8")),
        }
    };
    let read = prompt::blocking(move || Ok(read())).await?;
    read.map_err(|error| {
        let what = format!("cannot read {what} from {}", path.display());
        Failure::from_error(Exit::Usage, anyhow::Error::from(error).context(what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Profile {
        let text = r#"{"name":"Ada","bio":"b","links":["http://a"],"fields":{"town":"London","x":"y"}}"#;
        Profile::parse(text).unwrap()
    }

    async fn edited(parts: ProfileArgs, unset: &[&str]) -> String {
        let unset = unset.iter().map(ToString::to_string).collect();
        let edit = Edit::from_args(parts, unset).await.unwrap();
        edit.apply(&stored()).unwrap().text().to_owned()
    }

    #[tokio::test]
    async fn what_is_not_named_stays() {
        let parts = ProfileArgs {
            bio: Some("c".into()),
            fields: vec![("town".into(), "Paris".into())],
            ..ProfileArgs::default()
        };
        assert_eq!(
            edited(parts, &[]).await,
            r#"{"name":"Ada","bio":"c","links":["http://a"],"fields":{"town":"Paris","x":"y"}}"#
        );
        assert_eq!(
            edited(ProfileArgs::default(), &["bio", "links", "town", "absent"]).await,
            r#"{"name":"Ada","fields":{"x":"y"}}"#
        );
    }

    #[tokio::test]
    async fn a_file_replaces_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        std::fs::write(&path, "{\"name\": \"Bob\"}\n").unwrap();
        let parts = ProfileArgs { from_file: Some(path.clone()), ..ProfileArgs::default() };
        assert_eq!(edited(parts.clone(), &[]).await, r#"{"name": "Bob"}"#);
        std::fs::write(&path, "\u{feff}{\"name\": \"Bob\"}\r\n").unwrap();
        assert_eq!(edited(parts.clone(), &[]).await, r#"{"name": "Bob"}"#);
        let refused = async |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            first_profile(&parts).await.unwrap_err()
        };
        assert_eq!(refused(&[b' '; 9000]).await.exit, Exit::Invalid);
        // A file that is too long is not called damaged, wherever it is cut off.
        for start in ["", "x"] {
            let long = format!("{start}{}", "ü".repeat(9000));
            assert_eq!(refused(long.as_bytes()).await.exit, Exit::Invalid);
        }
        assert_eq!(refused(b"{\"name\": \"\xfc\"}").await.exit, Exit::Usage);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first_profile(&parts).await.unwrap_err().exit, Exit::Usage);
    }
}
